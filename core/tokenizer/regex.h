#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace rankwright {

/// A compiled regular expression of a tokenizer.json. Written there for Oniguruma, run by ICU; the classes whose
/// meaning differs between the two (\s \d \w \h \v . ^ $) are spelled out, so that both find the same matches.
class Regex
{
public:
    /// Throws Error(Unsupported) naming the pattern and `file`.
    Regex(std::string_view pattern, const std::filesystem::path& file);
    ~Regex();
    Regex(const Regex&) = delete;
    Regex& operator=(const Regex&) = delete;

    /// Pattern that matches `text` itself.
    static std::string literal(std::string_view text);
    /// The pattern with all differences to ICU spelled out.
    static std::string translate(std::string_view pattern, const std::filesystem::path& file);

    struct State;
    const State& state() const { return *m_state; }

private:
    std::unique_ptr<State> m_state;
};

/// Finds the matches of a text that arrives in parts. Holds no more of it than the longest match or gap needs.
class RegexScanner
{
public:
    /// A match or the gap between two; matches may be empty. In order, they cover the text.
    using Found = std::function<void(std::string_view text, bool isMatch)>;

    RegexScanner(const Regex& regex, Found found);
    ~RegexScanner();
    RegexScanner(const RegexScanner&) = delete;
    RegexScanner& operator=(const RegexScanner&) = delete;

    /// Valid UTF-8, cut between characters; `end` ends the text, and the next part begins another one.
    /// Throws Error(Unsupported) for a pattern that backtracks without end.
    void push(std::string_view part, bool end);

private:
    /// Reports what is settled; returns its bytes.
    std::size_t scan(std::string_view text, bool end);

    struct Matcher;
    std::unique_ptr<Matcher> m_matcher;
    Found m_found;
    std::string m_pending;
    bool m_behindMatch = false; ///< whether what is settled ends with a match
};

} // namespace rankwright
