#include "core/tokenizer/added_tokens.h"

#include "core/tokenizer/unicode.h"

#include <algorithm>

namespace rankwright {

bool AddedTokenScanner::add(const AddedToken& token, std::string_view pattern)
{
    std::uint32_t node = 0;
    for (const char c : pattern) {
        const auto [edge, isNew] =
            m_edges.emplace((std::uint64_t{node} << 8U) | static_cast<unsigned char>(c), m_nodes);
        m_nodes += isNew ? 1 : 0;
        node = edge->second;
    }
    if (!m_ends.emplace(node, m_tokens.size()).second)
        return false;
    m_tokens.push_back(token);
    for (std::size_t at = 0; at < pattern.size();) {
        const CodePoint point = codePointAt(pattern, at);
        m_characters.insert(point.value);
        at += point.length;
    }
    m_divisible = m_divisible && !token.singleWord;
    return true;
}

AddedTokenScanner::Match AddedTokenScanner::longestAt(std::string_view section, std::size_t at) const
{
    Match match;
    std::uint32_t node = 0;
    while (at < section.size()) {
        const auto edge = m_edges.find((std::uint64_t{node} << 8U) | static_cast<unsigned char>(section[at]));
        if (edge == m_edges.end())
            break;
        node = edge->second;
        ++at;
        if (const auto end = m_ends.find(node); end != m_ends.end())
            match = {at, &m_tokens[end->second]};
    }
    return match;
}

void AddedTokenScanner::scan(std::string_view section, const Text& text, const Token& token) const
{
    bool firstBytes[256] = {};
    for (const auto& [key, node] : m_edges) {
        if (key < 256)
            firstBytes[key] = true;
    }
    std::size_t pending = 0; // begin of the text that is not yet reported
    for (std::size_t at = 0; at < section.size();) {
        if (!firstBytes[static_cast<unsigned char>(section[at])]) {
            ++at;
            continue;
        }
        const Match match = longestAt(section, at);
        if (match.token == nullptr) {
            ++at;
            continue;
        }
        std::size_t begin = at;
        std::size_t end = match.end;
        at = match.end;
        const bool wordBefore = begin > 0 && isWordCharacter(codePointBefore(section, begin).value);
        const bool wordBehind = end < section.size() && isWordCharacter(codePointAt(section, end).value);
        if (match.token->singleWord && (wordBefore || wordBehind))
            continue;
        // The white space before may have gone to the token before.
        if (match.token->leftStrip)
            begin = std::max(begin, pending);
        while (match.token->leftStrip && begin > pending && isWhiteSpace(codePointBefore(section, begin).value))
            begin -= codePointBefore(section, begin).length;
        while (match.token->rightStrip && end < section.size() && isWhiteSpace(codePointAt(section, end).value))
            end += codePointAt(section, end).length;
        if (begin >= end)
            continue;
        if (pending < begin)
            text(section.substr(pending, begin - pending));
        token(match.token->id);
        pending = end;
    }
    if (pending < section.size())
        text(section.substr(pending));
}

} // namespace rankwright
