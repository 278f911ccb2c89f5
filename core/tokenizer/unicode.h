#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rankwright {

struct CodePoint
{
    char32_t value = 0;
    std::size_t length = 0; ///< bytes in UTF-8
};

/// The character at byte `at` of valid UTF-8.
inline CodePoint codePointAt(std::string_view text, std::size_t at)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const char32_t first = byte(0);
    if (first < 0x80)
        return {first, 1};
    if (first < 0xe0)
        return {((first & 0x1fU) << 6U) | (byte(1) & 0x3fU), 2};
    if (first < 0xf0)
        return {((first & 0x0fU) << 12U) | ((byte(1) & 0x3fU) << 6U) | (byte(2) & 0x3fU), 3};
    return {((first & 0x07U) << 18U) | ((byte(1) & 0x3fU) << 12U) | ((byte(2) & 0x3fU) << 6U) | (byte(3) & 0x3fU), 4};
}

/// The character that ends before byte `end` (> 0) of valid UTF-8.
inline CodePoint codePointBefore(std::string_view text, std::size_t end)
{
    std::size_t at = end - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U)
        --at;
    return codePointAt(text, at);
}

/// The largest character boundary of valid UTF-8 that is not above `at`.
inline std::size_t boundaryAtOrBefore(std::string_view text, std::size_t at)
{
    if (at >= text.size())
        return text.size();
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U)
        --at;
    return at;
}

void appendUtf8(std::string& text, char32_t value);

/// Unicode property White_Space.
bool isWhiteSpace(char32_t value);
/// General categories Nd, Nl and No.
bool isNumeric(char32_t value);
/// Letters, marks, decimal digits, connectors and joiners.
bool isWordCharacter(char32_t value);
/// Full lower-case mapping of one character, without context.
std::string lowerCase(char32_t value);

/// The printable alphabet of byte-level BPE (GPT-2): byte -> one character in UTF-8.
const std::array<std::string, 256>& byteLevelAlphabet();
/// Inverse of byteLevelAlphabet.
std::optional<unsigned char> byteOfByteLevel(char32_t value);

/// Every maximal invalid part becomes one U+FFFD.
std::string replaceInvalidUtf8(std::string_view bytes);

} // namespace rankwright
