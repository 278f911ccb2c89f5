#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace rankwright {

/// A token found in the text before any merging, as the `added_tokens` of a tokenizer.json say.
struct AddedToken
{
    std::int32_t id = 0;
    std::string content;
    bool singleWord = false; ///< only where no word character is next to it
    bool leftStrip = false;  ///< takes the white space before it
    bool rightStrip = false; ///< takes the white space behind it
    bool normalized = false; ///< sought in the normalized text
    bool special = false;
};

/// Finds added tokens: leftmost first, the longest of them.
class AddedTokenScanner
{
public:
    using Text = std::function<void(std::string_view)>;
    using Token = std::function<void(std::int32_t)>;

    /// `pattern` is what to look for: the content, normalized where the token is. False where another token has it.
    bool add(const AddedToken& token, std::string_view pattern);
    bool empty() const { return m_tokens.empty(); }

    /// Calls `text` for what lies between tokens (never empty) and `token` for each, in order.
    void scan(std::string_view section, const Text& text, const Token& token) const;

    /// Characters that occur in a pattern.
    const std::unordered_set<char32_t>& characters() const { return m_characters; }
    /// Whether a section may be scanned in parts cut before a character that is in no pattern and no white space.
    bool divisible() const { return m_divisible; }

private:
    struct Match
    {
        std::size_t end = 0;
        const AddedToken* token = nullptr;
    };
    Match longestAt(std::string_view section, std::size_t at) const;

    std::vector<AddedToken> m_tokens;
    std::unordered_map<std::uint64_t, std::uint32_t> m_edges; ///< (node, byte) -> node of a trie
    std::unordered_map<std::uint32_t, std::size_t> m_ends;    ///< node -> index of the token that ends there
    std::unordered_set<char32_t> m_characters;
    std::uint32_t m_nodes = 1;
    bool m_divisible = true;
};

} // namespace rankwright
