#pragma once

#include "core/tokenizer/added_tokens.h"
#include "core/tokenizer/bpe_model.h"
#include "core/tokenizer/decoder.h"
#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/pre_tokenizer.h"
#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/tokenizer_json.h"

#include <map>

namespace rankwright {

/// Tokens with a role, by their text, from tokenizer_config.json, special_tokens_map.json or GGUF metadata.
struct TokenRoles
{
    std::optional<std::string> bos, eos, unknown, padding;
};

/// A tokenizer.json with a BPE model, or what was turned into one.
class BpeTokenizer : public Tokenizer
{
public:
    /// Throws Error(Corrupt or Unsupported) naming `file`.
    BpeTokenizer(TokenizerJson json, TokenRoles roles, const std::filesystem::path& file);

    std::size_t vocabularySize() const override { return m_size; }
    void encode(std::string_view text, const Sink& sink) const override;
    using Tokenizer::encode;
    std::string decode(std::span<const std::int32_t> ids) const override;
    std::string tokenText(std::int32_t id) const override;
    std::vector<std::int32_t> prefix() const override { return m_prefix; }
    std::vector<std::int32_t> suffix() const override { return m_suffix; }
    std::optional<std::int32_t> bosToken() const override;
    std::optional<std::int32_t> eosToken() const override;
    Json toTokenizerJson() const override;
    Json toTokenizerConfig() const override;
    std::string description() const override;

private:
    void readAddedTokens(const JsonObject& root);
    void readPostProcessor(const JsonObject& value);
    std::optional<std::int32_t> idOf(std::string_view token) const;
    const std::string* textOf(std::int32_t id) const;

    std::filesystem::path m_file;
    Json m_rest;
    TokenRoles m_roles;
    Normalizer m_normalizer;
    PreTokenizer m_preTokenizer;
    Decoder m_decoder;
    std::unique_ptr<const BpeModel> m_model;
    std::map<std::int32_t, AddedToken> m_added;
    std::map<std::int32_t, std::string> m_normalizedAdded; ///< id -> normalized content where it differs
    std::map<std::string, std::int32_t, std::less<>> m_addedIds;
    AddedTokenScanner m_rawScanner;        ///< tokens sought in the text as it is
    AddedTokenScanner m_normalizedScanner; ///< tokens sought behind the normalizer
    std::vector<std::int32_t> m_prefix;
    std::vector<std::int32_t> m_suffix;
    std::size_t m_size = 0;
};

} // namespace rankwright
