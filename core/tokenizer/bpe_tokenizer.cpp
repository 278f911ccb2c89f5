#include "core/tokenizer/bpe_tokenizer.h"

#include "core/base/error.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/unicode.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

/// Hands ids on in pieces.
class IdBuffer
{
public:
    explicit IdBuffer(const Tokenizer::Sink& sink)
        : m_sink(sink)
    {}
    std::vector<std::int32_t>& ids() { return m_ids; }
    void flush(std::size_t keepBelow)
    {
        if (m_ids.size() <= keepBelow)
            return;
        m_sink(m_ids);
        m_ids.clear();
    }

private:
    const Tokenizer::Sink& m_sink;
    std::vector<std::int32_t> m_ids;
};

/// The end of the pre-tokenizer chain: words become ids.
class WordSink : public PieceSink
{
public:
    WordSink(const BpeModel& model, IdBuffer& buffer)
        : m_model(model)
        , m_buffer(buffer)
        , m_workspace(BpeModel::workspace())
        , m_limit(std::max(4 * model.longestToken(), slice))
    {}

    void push(std::string_view part, bool end) override
    {
        if (m_pending.empty() && end && !m_divided && part.size() <= m_limit) {
            m_model.encode(part, *m_workspace, m_buffer.ids());
            m_buffer.flush(kept);
            return;
        }
        while (!part.empty()) {
            const std::size_t size = boundaryAtOrBefore(part, slice);
            m_pending.append(part.substr(0, size));
            part.remove_prefix(size);
            if (m_pending.size() > m_limit)
                divide();
        }
        if (end)
            finish();
    }

private:
    static constexpr std::size_t slice = std::size_t{64} << 10U;
    static constexpr std::size_t kept = 4096;

    /// Encodes the part of a long word that no merge connects with its rest.
    void divide()
    {
        const std::size_t cut = m_model.lastSafeCut(m_pending, m_searched);
        m_searched = m_pending.size() - 1;
        if (cut == 0)
            return;
        m_model.encodePart(std::string_view(m_pending).substr(0, cut), *m_workspace, m_buffer.ids());
        m_buffer.flush(kept);
        m_pending.erase(0, cut);
        m_searched = 0;
        m_divided = true;
    }

    void finish()
    {
        if (m_divided)
            m_model.encodePart(m_pending, *m_workspace, m_buffer.ids());
        else
            m_model.encode(m_pending, *m_workspace, m_buffer.ids());
        m_buffer.flush(kept);
        m_pending.clear();
        m_searched = 0;
        m_divided = false;
    }

    const BpeModel& m_model;
    IdBuffer& m_buffer;
    std::unique_ptr<BpeModel::Workspace, void (*)(BpeModel::Workspace*)> m_workspace;
    std::string m_pending;
    std::size_t m_limit;
    std::size_t m_searched = 0; ///< up to here there is no safe cut
    bool m_divided = false;
};

BpeModel::Options modelOptions(const JsonObject& model)
{
    const std::string type = model.text("type", model.find("merges") != nullptr ? "BPE" : "unnamed");
    if (type != "BPE")
        model.unsupported(fmt::format("model of type \"{}\"; only BPE is supported", type));
    const Json* dropout = model.find("dropout");
    if (dropout != nullptr && !(dropout->is_number() && dropout->get<double>() == 0.0))
        model.unsupported("a dropout other than 0 makes token ids random; set it to null");
    BpeModel::Options options;
    if (model.find("unk_token") != nullptr)
        options.unknown = model.text("unk_token");
    options.continuingPrefix = model.text("continuing_subword_prefix", "");
    options.endSuffix = model.text("end_of_word_suffix", "");
    options.fuseUnknown = model.flag("fuse_unk", false);
    options.byteFallback = model.flag("byte_fallback", false);
    options.ignoreMerges = model.flag("ignore_merges", false);
    return options;
}

const Json& member(const Json& object, const char* key)
{
    static const Json none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

} // namespace

BpeTokenizer::BpeTokenizer(TokenizerJson json, TokenRoles roles, const std::filesystem::path& file)
    : m_file(file)
    , m_rest(std::move(json.rest))
    , m_roles(std::move(roles))
    , m_decoder(Json(), file)
{
    const JsonObject root(m_rest, "", m_file);
    BpeModel::Options options = modelOptions(root.object("model"));
    if (json.vocabulary.empty())
        root.corrupt("model.vocab is missing or empty");
    m_normalizer = Normalizer(member(m_rest, "normalizer"), m_file);
    m_preTokenizer = PreTokenizer(member(m_rest, "pre_tokenizer"), m_file);
    m_decoder = Decoder(member(m_rest, "decoder"), m_file);
    options.byteLevel = m_preTokenizer.byteLevel();
    if (m_preTokenizer.seesStart() && m_normalizer.mayDropStart())
        root.unsupported("pre_tokenizer: a Metaspace with prepend_scheme \"first\" behind a normalizer that may remove "
                         "the start of a text");
    m_model = std::make_unique<BpeModel>(json.vocabulary, json.merges, std::move(options), m_file);
    m_size = m_model->size();
    readAddedTokens(root);
    if (root.find("post_processor") != nullptr)
        readPostProcessor(root.object("post_processor"));
}

void BpeTokenizer::readAddedTokens(const JsonObject& root)
{
    if (root.find("added_tokens") == nullptr)
        return;
    const Json& list = root.array("added_tokens");
    const auto limit = static_cast<std::int64_t>(4 * (m_model->count() + list.size()) + 4096);
    for (const Json& entry : list) {
        const JsonObject value(entry, fmt::format("added_tokens[{}]", m_added.size()), m_file);
        AddedToken token;
        token.content = value.text("content");
        if (token.content.empty())
            continue;
        const std::int64_t id = value.integer("id");
        if (id < 0 || id >= limit)
            value.corrupt(fmt::format("id {} is outside 0 to {}", id, limit - 1));
        token.id = static_cast<std::int32_t>(id);
        token.singleWord = value.flag("single_word", false);
        token.leftStrip = value.flag("lstrip", false);
        token.rightStrip = value.flag("rstrip", false);
        token.special = value.flag("special", false);
        token.normalized = value.flag("normalized", !token.special);
        const auto inModel = m_model->id(token.content);
        const std::string* atId = m_model->text(token.id);
        // The reference counts on from the vocabulary and the tokens before, whatever ids the file says.
        const std::size_t counted = m_added.empty() ? 0 : static_cast<std::size_t>(m_added.rbegin()->first) + 1;
        const auto expected = static_cast<std::int64_t>(std::max(m_model->count(), counted));
        if (inModel && *inModel != token.id)
            value.corrupt(fmt::format("token \"{}\" has id {}, but {} in the vocabulary", token.content, id, *inModel));
        if (atId != nullptr && *atId != token.content)
            value.corrupt(
                fmt::format("token \"{}\" has id {}, which the vocabulary gives to \"{}\"", token.content, id, *atId));
        if (!m_added.emplace(token.id, token).second || !m_addedIds.emplace(token.content, token.id).second)
            value.corrupt(fmt::format("token \"{}\" or its id {} appears twice", token.content, id));
        if (!inModel && id != expected)
            value.unsupported(
                fmt::format("token \"{}\" has id {}, but Hugging Face tokenizers gives it {}; put it into "
                            "the vocabulary with its id",
                            token.content, id, expected));
        m_size = std::max(m_size, static_cast<std::size_t>(id) + 1);
        if (!token.normalized) {
            m_rawScanner.add(token, token.content);
            continue;
        }
        const std::string pattern = m_normalizer.apply(token.content, true, true);
        if (pattern.empty())
            value.unsupported(fmt::format("the normalizer leaves nothing of the token \"{}\"", token.content));
        // Which of them it finds differs between versions of the reference.
        if (!m_normalizedScanner.add(token, pattern))
            value.unsupported(fmt::format("the normalizer makes \"{}\" equal to another added token", token.content));
        if (pattern != token.content)
            m_normalizedAdded.emplace(token.id, pattern);
    }
}

void BpeTokenizer::readPostProcessor(const JsonObject& value)
{
    const std::string type = value.text("type");
    const auto pairId = [&](const char* key) {
        const Json& pair = value.array(key);
        if (pair.size() != 2 || !pair[1].is_number_integer())
            value.corrupt(fmt::format("\"{}\" is not a token and its id", key));
        return pair[1].get<std::int64_t>();
    };
    const auto checked = [&](std::int64_t id) {
        if (id < 0 || static_cast<std::size_t>(id) >= m_size)
            value.corrupt(fmt::format("id {} is outside the vocabulary of {}", id, m_size));
        return static_cast<std::int32_t>(id);
    };
    std::vector<std::int32_t> before;
    std::vector<std::int32_t> behind;
    if (type == "Sequence") {
        for (const Json& part : value.array("processors"))
            readPostProcessor(JsonObject(part, value.where() + ".processors", m_file));
    } else if (type == "TemplateProcessing") {
        std::size_t texts = 0;
        for (const Json& part : value.array("single")) {
            const JsonObject piece(part, value.where() + ".single", m_file);
            if (piece.find("Sequence") != nullptr) {
                ++texts;
                continue;
            }
            const std::string name = piece.object("SpecialToken").text("id");
            const JsonObject special = value.object("special_tokens").object(name.c_str());
            for (const Json& id : special.array("ids")) {
                if (!id.is_number_integer())
                    special.corrupt("an id is not an integer");
                (texts > 0 ? behind : before).push_back(checked(id.get<std::int64_t>()));
            }
        }
        if (texts != 1)
            value.unsupported(fmt::format("a template \"single\" with the text {} times instead of once", texts));
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
        before.push_back(checked(pairId("cls")));
        behind.push_back(checked(pairId("sep")));
    } else if (type != "ByteLevel") {
        value.unsupported(fmt::format("post-processor of type \"{}\"", type));
    }
    if (before.empty() && behind.empty())
        return;
    if (!m_prefix.empty() || !m_suffix.empty())
        value.unsupported("a second post-processor that adds tokens");
    m_prefix = std::move(before);
    m_suffix = std::move(behind);
}

void BpeTokenizer::encode(std::string_view text, const Sink& sink) const
{
    const std::size_t bad = findInvalidUtf8(text);
    if (bad != std::string_view::npos)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("the text is not UTF-8: byte 0x{:02x} at offset {} begins no character",
                                static_cast<unsigned char>(text[bad]), bad));
    IdBuffer buffer(sink);
    WordSink words(*m_model, buffer);
    bool atStart = true;
    const PreTokenizer::Stream stream = m_preTokenizer.open(words, atStart);
    const auto emit = [&](std::int32_t id) {
        atStart = false;
        buffer.ids().push_back(id);
    };

    const auto plainSection = [&](std::string_view section) {
        m_normalizedScanner.scan(
            section, [&](std::string_view part) { stream.first->push(part, true); }, emit);
    };
    const auto normalizedSection = [&](std::string_view section) {
        constexpr std::size_t slice = std::size_t{64} << 10U;
        bool first = true;
        while (!section.empty()) {
            const std::size_t size = m_normalizedScanner.divisible()
                                         ? m_normalizer.cut(section, slice, m_normalizedScanner.characters())
                                         : section.size();
            const std::string part = m_normalizer.apply(section.substr(0, size), first, size == section.size());
            m_normalizedScanner.scan(
                part, [&](std::string_view plain) { stream.first->push(plain, false); },
                [&](std::int32_t id) {
                    stream.first->push({}, true);
                    emit(id);
                });
            first = false;
            section.remove_prefix(size);
        }
        stream.first->push({}, true);
    };
    const auto section = [&](std::string_view part) {
        if (m_normalizer.empty())
            plainSection(part);
        else
            normalizedSection(part);
    };
    m_rawScanner.scan(text, section, emit);
    buffer.flush(0);
}

const std::string* BpeTokenizer::textOf(std::int32_t id) const
{
    const auto added = m_added.find(id);
    if (added == m_added.end())
        return m_model->text(id);
    const auto normalized = m_normalizedAdded.find(id);
    return normalized == m_normalizedAdded.end() ? &added->second.content : &normalized->second;
}

std::string BpeTokenizer::decode(std::span<const std::int32_t> ids) const
{
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int32_t id : ids) {
        if (id < 0 || static_cast<std::size_t>(id) >= m_size)
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("token id {} is outside the vocabulary of {}", id, m_size), {.file = m_file});
        if (const std::string* token = textOf(id))
            tokens.push_back(*token);
    }
    return replaceInvalidUtf8(m_decoder.decode(std::move(tokens)));
}

std::string BpeTokenizer::tokenText(std::int32_t id) const
{
    if (id < 0 || static_cast<std::size_t>(id) >= m_size)
        throw Error(ErrorKind::InvalidArgument, fmt::format("token id {} is outside the vocabulary of {}", id, m_size),
                    {.file = m_file});
    const auto added = m_added.find(id);
    if (added != m_added.end())
        return added->second.content;
    const std::string* token = m_model->text(id);
    return token != nullptr ? *token : std::string();
}

std::optional<std::int32_t> BpeTokenizer::idOf(std::string_view token) const
{
    const auto added = m_addedIds.find(token);
    return added != m_addedIds.end() ? std::optional(added->second) : m_model->id(token);
}

std::optional<std::int32_t> BpeTokenizer::bosToken() const
{
    return m_roles.bos ? idOf(*m_roles.bos) : std::nullopt;
}

std::optional<std::int32_t> BpeTokenizer::eosToken() const
{
    return m_roles.eos ? idOf(*m_roles.eos) : std::nullopt;
}

Json BpeTokenizer::toTokenizerJson() const
{
    Json json = m_rest;
    // Pushed at the end without a look-up of the key: the tokens are known to differ.
    Json vocabulary = Json::object();
    auto& entries = vocabulary.get_ref<Json::object_t&>();
    entries.reserve(m_model->count());
    bool spaced = false;
    for (std::size_t id = 0; id < m_model->size(); ++id) {
        if (const std::string* token = m_model->text(static_cast<std::int32_t>(id))) {
            static_cast<std::vector<std::pair<const std::string, Json>>&>(entries).emplace_back(*token, id);
            spaced = spaced || token->find(' ') != std::string::npos;
        }
    }
    Json merges = Json::array();
    for (const auto& [left, right] : m_model->merges()) {
        if (spaced)
            merges.push_back(Json::array({*m_model->text(left), *m_model->text(right)}));
        else
            merges.push_back(*m_model->text(left) + " " + *m_model->text(right));
    }
    json["model"]["type"] = "BPE";
    json["model"]["vocab"] = std::move(vocabulary);
    json["model"]["merges"] = std::move(merges);
    return json;
}

Json BpeTokenizer::toTokenizerConfig() const
{
    Json config;
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    const auto role = [&](const char* key, const std::optional<std::string>& token) {
        if (token && idOf(*token))
            config[key] = *token;
    };
    role("bos_token", m_roles.bos);
    role("eos_token", m_roles.eos);
    role("unk_token", m_roles.unknown);
    role("pad_token", m_roles.padding);
    config["clean_up_tokenization_spaces"] = false;
    return config;
}

std::string BpeTokenizer::description() const
{
    const BpeModel::Options& options = m_model->options();
    const char* kind = options.byteLevel ? "byte-level BPE" : options.byteFallback ? "BPE with byte fallback" : "BPE";
    return fmt::format("{}, {} tokens", kind, m_size);
}

} // namespace rankwright
