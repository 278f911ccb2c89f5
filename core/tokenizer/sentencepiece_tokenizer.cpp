#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tokenizer/sentencepiece_model.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/unicode.h"
#include "core/tokenizer/vocabulary_conversion.h"
#include "core/tokenizer/word_cache.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

namespace rankwright {

namespace {

constexpr std::string_view lowLine = "\xe2\x96\x81"; // U+2581, SentencePiece's space
constexpr std::size_t largestModel = std::size_t{256} << 20U;

class SentencePieceTokenizer final : public Tokenizer
{
public:
    SentencePieceTokenizer(const std::filesystem::path& file, bool addBos, bool addEos)
        : m_file(file)
        , m_addBos(addBos)
        , m_addEos(addEos)
    {
        const std::string bytes = readFile(file);
        if (bytes.size() > largestModel)
            throw Error(ErrorKind::Corrupt, fmt::format("a SentencePiece model of {} bytes", bytes.size()),
                        {.file = file});
        m_model = parseSentencePieceModel(bytes, file);
        const auto status = m_processor.LoadFromSerializedProto({bytes.data(), bytes.size()});
        if (!status.ok())
            throw Error(ErrorKind::Corrupt, fmt::format("SentencePiece refuses the model: {}", status.ToString()),
                        {.file = file});
        if (static_cast<std::size_t>(m_processor.GetPieceSize()) != m_model.pieces.size())
            throw Error(ErrorKind::Corrupt, "SentencePiece counts other pieces than the file has", {.file = file});
        m_divisible = mayDivide();
        m_addBos = m_addBos && bosToken();
        m_addEos = m_addEos && eosToken();
    }

    std::size_t vocabularySize() const override { return m_model.pieces.size(); }

    using Tokenizer::encode;
    void encode(std::string_view text, const Sink& sink) const override
    {
        const std::size_t bad = findInvalidUtf8(text);
        if (bad != std::string_view::npos)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("the text is not UTF-8: byte 0x{:02x} at offset {} begins no character",
                                    static_cast<unsigned char>(text[bad]), bad));
        WordCache cache;
        std::vector<std::int32_t> ids;
        while (!text.empty()) {
            const std::size_t end = cut(text);
            encodePart(text.substr(0, end), cache, ids);
            // The space that a part begins with is the one the library puts before every text.
            text.remove_prefix(end < text.size() && m_model.addDummyPrefix ? end + 1 : end);
            if (ids.size() > 4096 || text.empty()) {
                sink(ids);
                ids.clear();
            }
        }
    }

    std::string decode(std::span<const std::int32_t> ids) const override
    {
        for (const std::int32_t id : ids)
            check(id);
        std::string text;
        const auto status = m_processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
        if (!status.ok())
            throw Error(ErrorKind::Internal, fmt::format("SentencePiece: {}", status.ToString()), {.file = m_file});
        return replaceInvalidUtf8(text);
    }

    std::string tokenText(std::int32_t id) const override
    {
        check(id);
        return m_model.pieces[static_cast<std::size_t>(id)];
    }

    std::vector<std::int32_t> prefix() const override
    {
        return m_addBos ? std::vector<std::int32_t>{*bosToken()} : std::vector<std::int32_t>{};
    }
    std::vector<std::int32_t> suffix() const override
    {
        return m_addEos ? std::vector<std::int32_t>{*eosToken()} : std::vector<std::int32_t>{};
    }
    std::optional<std::int32_t> bosToken() const override { return known(m_processor.bos_id()); }
    std::optional<std::int32_t> eosToken() const override { return known(m_processor.eos_id()); }

    Json toTokenizerJson() const override
    {
        return BpeTokenizer(rankwright::toTokenizerJson(vocabulary(), m_file), {}, m_file).toTokenizerJson();
    }

    Json toTokenizerConfig() const override
    {
        const GgufVocabulary asGguf = vocabulary();
        return BpeTokenizer(rankwright::toTokenizerJson(asGguf, m_file), rolesOf(asGguf), m_file).toTokenizerConfig();
    }

    std::string description() const override
    {
        const char* kind = m_model.kind == SentencePieceModel::Kind::Bpe       ? "BPE"
                           : m_model.kind == SentencePieceModel::Kind::Unigram ? "unigram"
                                                                               : "other";
        return fmt::format("SentencePiece ({}), {} tokens", kind, m_model.pieces.size());
    }

private:
    std::optional<std::int32_t> known(int id) const
    {
        return id >= 0 && static_cast<std::size_t>(id) < m_model.pieces.size() ? std::optional<std::int32_t>(id)
                                                                               : std::nullopt;
    }

    void check(std::int32_t id) const
    {
        if (!known(id))
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("token id {} is outside the vocabulary of {}", id, m_model.pieces.size()),
                        {.file = m_file});
    }

    /// Whether every piece has its spaces in front, so that none crosses the place between a letter and a space.
    bool mayDivide() const
    {
        if (m_model.spaceIsSuffix || !m_model.escapeSpaces)
            return false;
        for (const std::string& piece : m_model.pieces) {
            std::string_view rest = piece;
            while (rest.starts_with(lowLine))
                rest.remove_prefix(lowLine.size());
            if (rest.find(lowLine) != std::string_view::npos || rest.find(' ') != std::string_view::npos)
                return false;
        }
        return true;
    }

    /// Where a first part of the text may end: at one space between two printable ASCII characters.
    std::size_t cut(std::string_view text) const
    {
        const auto printable = [&](std::size_t at) { return text[at] > ' ' && text[at] < '\x7f'; };
        for (std::size_t at = 1; m_divisible && at + 1 < text.size(); ++at) {
            if (text[at] == ' ' && printable(at - 1) && printable(at + 1))
                return at;
        }
        return text.size();
    }

    void encodePart(std::string_view part, WordCache& cache, std::vector<std::int32_t>& ids) const
    {
        const bool cached = part.size() <= WordCache::longestWord;
        const std::size_t hash = cached ? std::hash<std::string_view>()(part) : 0;
        if (cached) {
            if (const WordCache::Hit hit = cache.find(part, hash); hit.found) {
                ids.insert(ids.end(), hit.ids, hit.ids + hit.count);
                return;
            }
        }
        std::vector<int> found;
        const auto status = m_processor.Encode({part.data(), part.size()}, &found);
        if (!status.ok())
            throw Error(ErrorKind::Internal, fmt::format("SentencePiece: {}", status.ToString()), {.file = m_file});
        ids.insert(ids.end(), found.begin(), found.end());
        if (cached)
            cache.insert(part, hash, found);
    }

    GgufVocabulary vocabulary() const
    {
        const auto refuse = [&](const char* what) {
            throw Error(
                ErrorKind::Unsupported,
                fmt::format("no equivalent tokenizer.json can be written: {}; copy a tokenizer.json of the model "
                            "beside it",
                            what),
                {.file = m_file});
        };
        if (m_model.kind != SentencePieceModel::Kind::Bpe)
            refuse("the SentencePiece model is not a BPE model");
        if (m_model.hasNormalizationTable)
            refuse("the SentencePiece model normalizes text by a table of its own");
        if (m_model.removeExtraSpaces || m_model.spaceIsSuffix || !m_model.escapeSpaces)
            refuse("the SentencePiece model treats spaces in its own way");
        GgufVocabulary result;
        result.model = "llama";
        result.tokens = m_model.pieces;
        result.types = m_model.types;
        result.scores = m_model.scores;
        result.bos = bosToken();
        result.eos = eosToken();
        result.unknown = known(m_processor.unk_id());
        result.padding = known(m_processor.pad_id());
        result.addBos = m_addBos;
        result.addEos = m_addEos;
        result.addSpacePrefix = m_model.addDummyPrefix;
        return result;
    }

    std::filesystem::path m_file;
    SentencePieceModel m_model;
    sentencepiece::SentencePieceProcessor m_processor;
    bool m_addBos;
    bool m_addEos;
    bool m_divisible = false;
};

} // namespace

std::shared_ptr<const Tokenizer> openSentencePiece(const std::filesystem::path& file, bool addBos, bool addEos)
{
    return std::make_shared<SentencePieceTokenizer>(file, addBos, addEos);
}

} // namespace rankwright
