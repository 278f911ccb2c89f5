#pragma once

#include "core/tokenizer/tokenizer_json.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace rankwright {

/// Byte pair encoding of words: Sennrich et al. 2016 (arXiv 1508.07909), with the options of Hugging Face `tokenizers`.
class BpeModel
{
public:
    struct Options
    {
        std::optional<std::string>
            unknown;                  ///< token for characters outside the vocabulary; without one they are dropped
        std::string continuingPrefix; ///< put before every character but the first
        std::string endSuffix;        ///< put behind the last character
        bool fuseUnknown = false;     ///< neighbouring unknown characters become one token
        bool byteFallback = false;    ///< unknown characters become <0xXX> tokens
        bool ignoreMerges = false;    ///< a word that is a token stays whole
        bool byteLevel = false;       ///< words are bytes, spelled in the byte-level alphabet
    };
    struct Workspace; ///< buffers and the cache of one encoding; not shared between threads

    /// Throws Error(Corrupt): ids out of range or twice, merges that name unknown tokens, a missing unknown token.
    BpeModel(const std::vector<std::pair<std::string, std::int64_t>>& vocabulary,
             const std::vector<std::pair<std::string, std::string>>& merges, Options options,
             const std::filesystem::path& file);
    ~BpeModel();
    BpeModel(const BpeModel&) = delete;
    BpeModel& operator=(const BpeModel&) = delete;

    const Options& options() const { return m_options; }
    /// Largest id + 1.
    std::size_t size() const { return m_texts.size(); }
    /// Number of tokens; below size() where ids leave gaps.
    std::size_t count() const { return m_ids.size(); }
    std::optional<std::int32_t> id(std::string_view token) const;
    /// nullptr for an id without a token.
    const std::string* text(std::int32_t id) const;
    /// Left and right ids in order of rank.
    const std::vector<std::pair<std::int32_t, std::int32_t>>& merges() const { return m_pairs; }

    /// Appends the ids of a word. Time n log n in its length.
    void encode(std::string_view word, Workspace& workspace, std::vector<std::int32_t>& ids) const;
    /// The same for a part of a word between two safe cuts.
    void encodePart(std::string_view part, Workspace& workspace, std::vector<std::int32_t>& ids) const;
    /// The last position in `from` < position < word.size() that no merge can cross, or 0. The ids of a word are those
    /// of its parts.
    std::size_t lastSafeCut(std::string_view word, std::size_t from) const;
    /// Words are never longer than this many bytes if they are to be tokens themselves.
    std::size_t longestToken() const { return m_longest; }

    static std::unique_ptr<Workspace, void (*)(Workspace*)> workspace();

private:
    struct Merge
    {
        std::uint64_t pair = ~std::uint64_t{0};
        std::uint32_t rank = 0;
        std::int32_t result = 0;
    };

    const Merge* merge(std::int32_t left, std::int32_t right) const;
    void addMerges(const std::vector<std::pair<std::string, std::string>>& merges, const std::filesystem::path& file);
    void prepareCuts();
    bool mayCut(char32_t left, char32_t right) const;
    bool isKnown(char32_t value) const;
    std::size_t nextSafeCut(std::string_view word, std::size_t from) const;
    void encodeCached(std::string_view word, bool whole, Workspace& workspace, std::vector<std::int32_t>& ids) const;
    void encodeWord(std::string_view word, bool whole, Workspace& workspace) const;
    void addSymbols(std::string_view word, Workspace& workspace) const;
    void mergeSymbols(Workspace& workspace) const;

    Options m_options;
    std::vector<std::string> m_texts;
    std::unordered_map<std::string_view, std::int32_t> m_ids;
    std::vector<std::pair<std::int32_t, std::int32_t>> m_pairs;
    std::vector<Merge> m_table; ///< open addressing, a power of two
    std::array<std::int32_t, 256> m_byteIds{};
    std::int32_t m_unknown = -1;
    std::size_t m_longest = 0;
    bool m_splittable = false;
    bool m_allBytes = false;                       ///< no character is ever unknown
    std::unordered_set<std::uint64_t> m_junctions; ///< (last character, first character) of all merges
    std::array<std::array<bool, 256>, 256> m_lowJunctions{};
    std::unordered_set<char32_t> m_known;
};

} // namespace rankwright
