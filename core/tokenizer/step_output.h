#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace rankwright {

/// Counts what one step of a normalizer or decoder writes. The steps come from a file that may mean ill: forty times
/// "e" replaced by "ee" would fill any memory. What is meant well stays far below: NFKD makes 33 bytes of 3 at
/// most, the sign SentencePiece writes for a space has 3.
class StepOutput
{
public:
    /// `inputBytes`: of the text before the first step. `file` must outlive it.
    StepOutput(std::string_view chain, std::size_t inputBytes, const std::filesystem::path& file)
        : m_chain(chain)
        , m_inputBytes(inputBytes)
        , m_file(file)
    {}

    /// Throws Error(Unsupported) instead where the step has then written too much.
    void append(std::string& text, std::string_view part)
    {
        m_written += part.size();
        check(m_written);
        text.append(part);
    }

    void check(std::size_t bytes) const
    {
        if (bytes / growth > m_inputBytes && bytes - growth * m_inputBytes > allowance)
            refuse();
    }

private:
    static constexpr std::size_t growth = 64;
    static constexpr std::size_t allowance = 4096;

    [[noreturn]] void refuse() const;

    std::string_view m_chain;
    std::size_t m_inputBytes;
    const std::filesystem::path& m_file;
    std::size_t m_written = 0;
};

} // namespace rankwright
