#include "core/tokenizer/bpe_model.h"

#include "core/base/error.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/unicode.h"
#include "core/tokenizer/word_cache.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace rankwright {

namespace {

std::uint64_t pairKey(std::int32_t left, std::int32_t right)
{
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32U) | static_cast<std::uint32_t>(right);
}

std::size_t spread(std::uint64_t key)
{
    key *= 0x9e3779b97f4a7c15U;
    return static_cast<std::size_t>(key ^ (key >> 32U));
}

struct Symbol
{
    std::int32_t id = 0;
    std::int64_t previous = -1;
    std::int64_t next = -1;
    bool merged = false;
};

/// A merge that was possible when it was queued: lower rank first, then further left.
struct Candidate
{
    std::uint32_t rank = 0;
    std::int32_t result = 0;
    std::size_t position = 0;

    bool operator<(const Candidate& other) const
    {
        return rank != other.rank ? rank > other.rank : position > other.position;
    }
};

} // namespace

struct BpeModel::Workspace
{
    WordCache cache;
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
    std::vector<std::int32_t> ids;
    std::string spelled;

    void add(std::int32_t id)
    {
        const auto at = static_cast<std::int64_t>(symbols.size());
        if (at > 0)
            symbols.back().next = at;
        symbols.push_back({id, at - 1, -1, false});
    }
};

std::unique_ptr<BpeModel::Workspace, void (*)(BpeModel::Workspace*)> BpeModel::workspace()
{
    return {new Workspace, [](Workspace* w) { delete w; }};
}

BpeModel::BpeModel(const std::vector<std::pair<std::string, std::int64_t>>& vocabulary,
                   const std::vector<std::pair<std::string, std::string>>& merges, Options options,
                   const std::filesystem::path& file)
    : m_options(std::move(options))
{
    // Ids index a table, so a few tokens must not claim a huge one.
    const auto limit = static_cast<std::int64_t>(4 * vocabulary.size() + 4096);
    std::int64_t largest = -1;
    for (const auto& [token, id] : vocabulary) {
        if (id < 0 || id >= limit)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("token \"{}\" has id {}, outside 0 to {} for {} tokens", token, id, limit - 1,
                                    vocabulary.size()),
                        {.file = file});
        largest = std::max(largest, id);
    }
    m_texts.resize(static_cast<std::size_t>(largest + 1));
    std::vector<bool> taken(m_texts.size(), false);
    m_ids.reserve(vocabulary.size());
    for (const auto& [token, id] : vocabulary) {
        const auto at = static_cast<std::size_t>(id);
        if (taken[at])
            throw Error(ErrorKind::Corrupt,
                        fmt::format("tokens \"{}\" and \"{}\" have the same id {}", m_texts[at], token, id),
                        {.file = file});
        taken[at] = true;
        m_texts[at] = token;
        m_longest = std::max(m_longest, token.size());
    }
    for (std::size_t id = 0; id < m_texts.size(); ++id) {
        if (taken[id] && !m_ids.emplace(m_texts[id], static_cast<std::int32_t>(id)).second)
            throw Error(ErrorKind::Corrupt, fmt::format("token \"{}\" appears twice in the vocabulary", m_texts[id]),
                        {.file = file});
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        const std::string token = m_options.byteLevel ? byteLevelAlphabet().at(byte) : fmt::format("<0x{:02X}>", byte);
        m_byteIds.at(byte) = id(token).value_or(-1);
    }
    const auto bytes = std::count_if(m_byteIds.begin(), m_byteIds.end(), [](std::int32_t i) { return i >= 0; });
    m_allBytes = bytes == 256 && (m_options.byteLevel || m_options.byteFallback);
    if (m_options.byteLevel && m_options.byteFallback && !m_allBytes)
        throw Error(ErrorKind::Unsupported,
                    fmt::format("byte_fallback of a byte-level vocabulary that lacks {} of the 256 bytes", 256 - bytes),
                    {.file = file});
    if (m_options.unknown) {
        const auto unknown = id(*m_options.unknown);
        // Some files name an empty unknown token: no harm where no character is ever unknown.
        if (!unknown && !m_allBytes)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("the unknown token \"{}\" is not in the vocabulary", *m_options.unknown),
                        {.file = file});
        m_unknown = unknown.value_or(-1);
    }
    addMerges(merges, file);
    prepareCuts();
}

BpeModel::~BpeModel() = default;

std::optional<std::int32_t> BpeModel::id(std::string_view token) const
{
    const auto found = m_ids.find(token);
    return found == m_ids.end() ? std::nullopt : std::optional(found->second);
}

const std::string* BpeModel::text(std::int32_t id) const
{
    if (id < 0 || static_cast<std::size_t>(id) >= m_texts.size())
        return nullptr;
    const std::string& token = m_texts[static_cast<std::size_t>(id)];
    return token.empty() && !m_ids.contains({}) ? nullptr : &token;
}

const BpeModel::Merge* BpeModel::merge(std::int32_t left, std::int32_t right) const
{
    const std::uint64_t key = pairKey(left, right);
    const std::size_t mask = m_table.size() - 1;
    for (std::size_t at = spread(key) & mask;; at = (at + 1) & mask) {
        if (m_table[at].pair == key)
            return &m_table[at];
        if (m_table[at].pair == ~std::uint64_t{0})
            return nullptr;
    }
}

void BpeModel::addMerges(const std::vector<std::pair<std::string, std::string>>& merges,
                         const std::filesystem::path& file)
{
    m_table.resize(std::bit_ceil(2 * merges.size() + 2));
    m_pairs.reserve(merges.size());
    const auto known = [&](std::string_view token, std::size_t rank) {
        const auto found = id(token);
        if (!found)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("merge {} (\"{}\" + \"{}\") needs the token \"{}\", which is not in the vocabulary",
                                    rank, merges[rank].first, merges[rank].second, token),
                        {.file = file});
        return *found;
    };
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const auto& [left, right] = merges[rank];
        const std::int32_t leftId = known(left, rank);
        const std::int32_t rightId = known(right, rank);
        if (right.size() < m_options.continuingPrefix.size())
            throw Error(
                ErrorKind::Corrupt,
                fmt::format("merge {}: \"{}\" lacks the prefix \"{}\"", rank, right, m_options.continuingPrefix),
                {.file = file});
        const std::int32_t result = known(left + right.substr(m_options.continuingPrefix.size()), rank);
        m_pairs.emplace_back(leftId, rightId);
        const std::uint64_t key = pairKey(leftId, rightId);
        std::size_t at = spread(key) & (m_table.size() - 1);
        while (m_table[at].pair != key && m_table[at].pair != ~std::uint64_t{0})
            at = (at + 1) & (m_table.size() - 1);
        m_table[at] = {key, static_cast<std::uint32_t>(rank), result}; // a pair named twice keeps the later rank
    }
}

void BpeModel::prepareCuts()
{
    // A merge joins the last character of its left token with the first of its right one. Where two neighbours are no
    // such pair, no merge ever crosses, and both sides are encoded as if the other were not there.
    m_splittable = m_options.continuingPrefix.empty() && m_options.endSuffix.empty();
    const auto bytes = std::count_if(m_byteIds.begin(), m_byteIds.end(), [](std::int32_t i) { return i >= 0; });
    if (m_options.byteFallback && bytes != 0 && bytes != 256)
        m_splittable = false;
    for (const auto& [left, right] : m_pairs) {
        const std::string& before = m_texts[static_cast<std::size_t>(left)];
        const std::string& after = m_texts[static_cast<std::size_t>(right)];
        const auto standsForOthers = [&](std::int32_t id, const std::string& token) {
            return id == m_unknown || (m_options.byteFallback && token.size() == 6 && token.starts_with("<0x"));
        };
        if (before.empty() || after.empty() || standsForOthers(left, before) || standsForOthers(right, after)) {
            m_splittable = false;
            return;
        }
        char32_t last = codePointBefore(before, before.size()).value;
        char32_t first = codePointAt(after, 0).value;
        if (m_options.byteLevel) {
            last = byteOfByteLevel(last).value_or(0);
            first = byteOfByteLevel(first).value_or(0);
        }
        if (last < 256 && first < 256)
            m_lowJunctions.at(last).at(first) = true;
        else
            m_junctions.insert((std::uint64_t{last} << 32U) | first);
    }
    for (const auto& [token, id] : m_ids) {
        if (!token.empty() && codePointAt(token, 0).length == token.size())
            m_known.insert(codePointAt(token, 0).value);
    }
}

bool BpeModel::mayCut(char32_t left, char32_t right) const
{
    if (left < 256 && right < 256 ? m_lowJunctions[left][right]
                                  : m_junctions.contains((std::uint64_t{left} << 32U) | right))
        return false;
    // Unknown characters that fuse or vanish make neighbours of what stands around them.
    const bool leftKnown = isKnown(left);
    const bool rightKnown = isKnown(right);
    if (m_unknown < 0)
        return leftKnown && rightKnown;
    return !m_options.fuseUnknown || leftKnown || rightKnown;
}

bool BpeModel::isKnown(char32_t value) const
{
    if (m_allBytes)
        return true;
    return m_options.byteLevel ? m_byteIds.at(value) >= 0 : m_known.contains(value);
}

std::size_t BpeModel::nextSafeCut(std::string_view word, std::size_t from) const
{
    if (!m_splittable || from >= word.size())
        return word.size();
    if (m_options.byteLevel) {
        for (std::size_t at = from + 1; at < word.size(); ++at) {
            if (mayCut(static_cast<unsigned char>(word[at - 1]), static_cast<unsigned char>(word[at])))
                return at;
        }
        return word.size();
    }
    CodePoint left = codePointAt(word, from);
    for (std::size_t at = from + left.length; at < word.size();) {
        const CodePoint right = codePointAt(word, at);
        if (mayCut(left.value, right.value))
            return at;
        left = right;
        at += right.length;
    }
    return word.size();
}

std::size_t BpeModel::lastSafeCut(std::string_view word, std::size_t from) const
{
    if (!m_splittable || word.empty())
        return 0;
    if (m_options.byteLevel) {
        for (std::size_t at = word.size() - 1; at > from; --at) {
            if (mayCut(static_cast<unsigned char>(word[at - 1]), static_cast<unsigned char>(word[at])))
                return at;
        }
        return 0;
    }
    CodePoint right = codePointBefore(word, word.size());
    for (std::size_t at = word.size() - right.length; at > from;) {
        const CodePoint left = codePointBefore(word, at);
        if (mayCut(left.value, right.value))
            return at;
        right = left;
        at -= left.length;
    }
    return 0;
}

void BpeModel::encode(std::string_view word, Workspace& workspace, std::vector<std::int32_t>& ids) const
{
    if (word.empty())
        return;
    // Words of a pre-tokenizer are short and come again; those of none are cut first, so that their parts do.
    const bool mayBeToken = m_options.ignoreMerges && word.size() <= m_longest;
    const bool isShort = word.size() <= WordCache::longestWord && (m_options.byteLevel || m_options.ignoreMerges);
    if (mayBeToken || isShort)
        return encodeCached(word, true, workspace, ids);
    encodePart(word, workspace, ids);
}

void BpeModel::encodePart(std::string_view part, Workspace& workspace, std::vector<std::int32_t>& ids) const
{
    for (std::size_t begin = 0; begin < part.size();) {
        const std::size_t end = nextSafeCut(part, begin);
        encodeCached(part.substr(begin, end - begin), false, workspace, ids);
        begin = end;
    }
}

void BpeModel::encodeCached(std::string_view word, bool whole, Workspace& workspace,
                            std::vector<std::int32_t>& ids) const
{
    const bool cached = word.size() <= WordCache::longestWord && (whole || !m_options.ignoreMerges);
    const std::size_t hash = cached ? std::hash<std::string_view>()(word) : 0;
    if (cached) {
        const WordCache::Hit hit = workspace.cache.find(word, hash);
        if (hit.found) {
            ids.insert(ids.end(), hit.ids, hit.ids + hit.count);
            return;
        }
    }
    encodeWord(word, whole, workspace);
    ids.insert(ids.end(), workspace.ids.begin(), workspace.ids.end());
    if (cached)
        workspace.cache.insert(word, hash, workspace.ids);
}

void BpeModel::encodeWord(std::string_view word, bool whole, Workspace& workspace) const
{
    workspace.ids.clear();
    if (whole && m_options.ignoreMerges && word.size() <= m_longest) {
        std::optional<std::int32_t> token;
        if (m_options.byteLevel) {
            workspace.spelled.clear();
            for (const char c : word)
                workspace.spelled += byteLevelAlphabet().at(static_cast<unsigned char>(c));
            token = id(workspace.spelled);
        } else {
            token = id(word);
        }
        if (token) {
            workspace.ids.push_back(*token);
            return;
        }
    }
    workspace.symbols.clear();
    addSymbols(word, workspace);
    mergeSymbols(workspace);
    for (const Symbol& symbol : workspace.symbols) {
        if (!symbol.merged)
            workspace.ids.push_back(symbol.id);
    }
}

void BpeModel::addSymbols(std::string_view word, Workspace& workspace) const
{
    bool pendingUnknown = false;
    const auto flush = [&] {
        if (pendingUnknown)
            workspace.add(m_unknown);
        pendingUnknown = false;
    };
    const bool decorated = !m_options.continuingPrefix.empty() || !m_options.endSuffix.empty();
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t length = m_options.byteLevel ? 1 : codePointAt(word, at).length;
        std::string_view character = word.substr(at, length);
        std::int32_t token = -1;
        if (m_options.byteLevel && !decorated) {
            token = m_byteIds[static_cast<unsigned char>(character.front())];
        } else {
            if (m_options.byteLevel)
                character = byteLevelAlphabet().at(static_cast<unsigned char>(character.front()));
            if (decorated) {
                workspace.spelled = at > 0 ? m_options.continuingPrefix : std::string();
                workspace.spelled += character;
                if (at + length == word.size())
                    workspace.spelled += m_options.endSuffix;
                character = workspace.spelled;
            }
            token = id(character).value_or(-1);
        }
        at += length;
        if (token >= 0) {
            flush();
            workspace.add(token);
            continue;
        }
        const auto hasByte = [&](char c) { return m_byteIds[static_cast<unsigned char>(c)] >= 0; };
        if (m_options.byteFallback && !m_options.byteLevel &&
            std::all_of(character.begin(), character.end(), hasByte)) {
            for (const char c : character)
                workspace.add(m_byteIds[static_cast<unsigned char>(c)]);
            continue; // an unknown character before stays pending behind these bytes, as in the reference
        }
        if (m_unknown >= 0) {
            if (!m_options.fuseUnknown)
                flush();
            pendingUnknown = true;
        }
    }
    flush();
}

void BpeModel::mergeSymbols(Workspace& workspace) const
{
    std::vector<Symbol>& symbols = workspace.symbols;
    std::vector<Candidate>& queue = workspace.queue;
    queue.clear();
    const auto candidate = [&](std::int64_t left, std::int64_t right) -> std::optional<Candidate> {
        if (left < 0 || right < 0)
            return std::nullopt;
        const Merge* found =
            merge(symbols[static_cast<std::size_t>(left)].id, symbols[static_cast<std::size_t>(right)].id);
        if (found == nullptr)
            return std::nullopt;
        return Candidate{found->rank, found->result, static_cast<std::size_t>(left)};
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (const auto c = candidate(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i + 1)))
            queue.push_back(*c);
    }
    std::make_heap(queue.begin(), queue.end());
    while (!queue.empty()) {
        std::pop_heap(queue.begin(), queue.end());
        const Candidate top = queue.back();
        queue.pop_back();
        Symbol& left = symbols[top.position];
        const auto current = candidate(static_cast<std::int64_t>(top.position), left.next);
        if (left.merged || !current || current->result != top.result)
            continue;
        Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        left.id = top.result;
        right.merged = true;
        left.next = right.next;
        if (left.next >= 0)
            symbols[static_cast<std::size_t>(left.next)].previous = static_cast<std::int64_t>(top.position);
        for (const auto& c : {candidate(left.previous, static_cast<std::int64_t>(top.position)),
                              candidate(static_cast<std::int64_t>(top.position), left.next)}) {
            if (c) {
                queue.push_back(*c);
                std::push_heap(queue.begin(), queue.end());
            }
        }
    }
}

} // namespace rankwright
