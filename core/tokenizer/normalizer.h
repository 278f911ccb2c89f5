#pragma once

#include "core/base/json.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace rankwright {

/// The normalizer of a tokenizer.json: a chain of steps over one section of text (what lies between special tokens).
class Normalizer
{
public:
    class Step;

    /// No steps: the text as it is.
    Normalizer();
    /// `value` may be null. Throws Error(Corrupt or Unsupported).
    Normalizer(const Json& value, const std::filesystem::path& file);
    ~Normalizer();
    Normalizer(Normalizer&&) noexcept;
    Normalizer& operator=(Normalizer&&) noexcept;

    bool empty() const { return m_steps.empty(); }
    /// Whether what a text begins with can be gone afterwards.
    bool mayDropStart() const;

    /// A part of a section; `first` and `last` say whether it begins and ends it. Throws Error(Unsupported) where it
    /// would become many times as long.
    std::string apply(std::string_view part, bool first, bool last) const;

    /// Bytes of `section` after which it may be cut and the parts normalized on their own, at least `atLeast` if the
    /// section is longer. No step sees across the cut, and no character of `avoid` and no white space follows it.
    std::size_t cut(std::string_view section, std::size_t atLeast, const std::unordered_set<char32_t>& avoid) const;

private:
    std::string run(const Step& step, std::string_view text, bool first, bool last, std::size_t inputBytes) const;

    std::filesystem::path m_file;
    std::vector<std::unique_ptr<const Step>> m_steps;
};

} // namespace rankwright
