#pragma once

#include "core/base/json.h"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace rankwright {

/// Takes the pieces of a text. A piece arrives in parts, the last with `end`; a piece without bytes is none.
class PieceSink
{
public:
    virtual ~PieceSink() = default;
    virtual void push(std::string_view part, bool end) = 0;
};

/// The pre_tokenizer of a tokenizer.json: a chain of steps that cut a text into the words that merges never leave.
class PreTokenizer
{
public:
    class Step;
    /// A chain at work on one text; `first` takes sections of it.
    struct Stream
    {
        std::vector<std::unique_ptr<PieceSink>> sinks;
        PieceSink* first = nullptr;
    };

    /// No steps: a section is one word.
    PreTokenizer();
    /// `value` may be null. Throws Error(Corrupt or Unsupported).
    PreTokenizer(const Json& value, const std::filesystem::path& file);
    ~PreTokenizer();
    PreTokenizer(PreTokenizer&&) noexcept;
    PreTokenizer& operator=(PreTokenizer&&) noexcept;

    /// Whether the words are bytes to be spelled in the byte-level alphabet.
    bool byteLevel() const { return m_byteLevel; }
    /// Whether the words depend on where the text begins.
    bool seesStart() const;

    /// The chain before `last`. `atStart` is true while nothing of the text has been seen; it must outlive the stream.
    Stream open(PieceSink& last, bool& atStart) const;

private:
    std::vector<std::unique_ptr<const Step>> m_steps;
    bool m_byteLevel = false;
};

} // namespace rankwright
