#include "core/tokenizer/unicode.h"

#include "core/tokenizer/text_file.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace rankwright {

void appendUtf8(std::string& text, char32_t value)
{
    if (value < 0x80) {
        text += static_cast<char>(value);
    } else if (value < 0x800) {
        text += static_cast<char>(0xc0U | (value >> 6U));
        text += static_cast<char>(0x80U | (value & 0x3fU));
    } else if (value < 0x10000) {
        text += static_cast<char>(0xe0U | (value >> 12U));
        text += static_cast<char>(0x80U | ((value >> 6U) & 0x3fU));
        text += static_cast<char>(0x80U | (value & 0x3fU));
    } else {
        text += static_cast<char>(0xf0U | (value >> 18U));
        text += static_cast<char>(0x80U | ((value >> 12U) & 0x3fU));
        text += static_cast<char>(0x80U | ((value >> 6U) & 0x3fU));
        text += static_cast<char>(0x80U | (value & 0x3fU));
    }
}

bool isWhiteSpace(char32_t value)
{
    if (value < 0x80)
        return value == ' ' || (value >= '\t' && value <= '\r');
    return u_isUWhiteSpace(static_cast<UChar32>(value)) != 0;
}

bool isNumeric(char32_t value)
{
    if (value < 0x80)
        return value >= '0' && value <= '9';
    return (U_GET_GC_MASK(static_cast<UChar32>(value)) & U_GC_N_MASK) != 0;
}

bool isWordCharacter(char32_t value)
{
    const auto character = static_cast<UChar32>(value);
    return (U_GET_GC_MASK(character) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
           u_hasBinaryProperty(character, UCHAR_ALPHABETIC) != 0 ||
           u_hasBinaryProperty(character, UCHAR_JOIN_CONTROL) != 0;
}

std::string lowerCase(char32_t value)
{
    if (value < 0x80)
        return {static_cast<char>(value >= 'A' && value <= 'Z' ? value + ('a' - 'A') : value)};
    std::string lower;
    icu::UnicodeString(static_cast<UChar32>(value)).toLower(icu::Locale::getRoot()).toUTF8String(lower);
    return lower;
}

namespace {

bool isPrintableByte(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

} // namespace

const std::array<std::string, 256>& byteLevelAlphabet()
{
    static const auto alphabet = [] {
        std::array<std::string, 256> characters;
        char32_t next = 0x100;
        for (unsigned byte = 0; byte < 256; ++byte)
            appendUtf8(characters.at(byte), isPrintableByte(byte) ? byte : next++);
        return characters;
    }();
    return alphabet;
}

std::optional<unsigned char> byteOfByteLevel(char32_t value)
{
    static const auto bytes = [] {
        std::array<int, 0x200> table{};
        table.fill(-1);
        for (unsigned byte = 0; byte < 256; ++byte)
            table.at(codePointAt(byteLevelAlphabet().at(byte), 0).value) = static_cast<int>(byte);
        return table;
    }();
    if (value >= bytes.size() || bytes.at(value) < 0)
        return std::nullopt;
    return static_cast<unsigned char>(bytes.at(value));
}

std::string replaceInvalidUtf8(std::string_view bytes)
{
    std::string text;
    while (true) {
        const std::size_t bad = findInvalidUtf8(bytes);
        if (bad == std::string_view::npos)
            return text.append(bytes);
        text.append(bytes.substr(0, bad)).append("\xef\xbf\xbd");
        bytes.remove_prefix(bad);
        // The longest prefix that some valid sequence begins with is replaced as one.
        std::size_t skip = 1;
        for (std::size_t length = 2; length <= 3 && length <= bytes.size(); ++length) {
            const std::string_view prefix = bytes.substr(0, length);
            bool extends = false;
            for (const char* rest : {"\x80", "\xbf", "\x80\x80", "\xbf\xbf"}) {
                extends = extends || findInvalidUtf8(std::string(prefix).append(rest)) == std::string_view::npos;
            }
            if (!extends)
                break;
            skip = length;
        }
        bytes.remove_prefix(skip);
    }
}

} // namespace rankwright
