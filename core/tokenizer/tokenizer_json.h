#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rankwright {

/// A token and its id.
using VocabularyEntry = std::pair<std::string, std::int64_t>;

/// A tokenizer.json taken apart: the two big tables of a BPE model, and everything else.
struct TokenizerJson
{
    Json rest; ///< the file without model.vocab and model.merges
    std::vector<VocabularyEntry> vocabulary;
    std::vector<std::pair<std::string, std::string>> merges;
};

/// Parses hostile text. Throws Error(Corrupt) naming `file` and what in it breaks the rules.
TokenizerJson parseTokenizerJson(std::string_view text, const std::filesystem::path& file);

/// vocab.json: one object, token -> id. Throws Error(Corrupt).
std::vector<VocabularyEntry> parseVocabulary(std::string_view text, const std::filesystem::path& file);
/// merges.txt: "left right" lines in order of rank, "#version" lines left out. Throws Error(Corrupt).
std::vector<std::pair<std::string, std::string>> parseMerges(std::string_view text, const std::filesystem::path& file);
/// One merge "left right". Throws Error(Corrupt) naming its rank.
std::pair<std::string, std::string> splitMerge(std::string_view merge, std::size_t rank,
                                               const std::filesystem::path& file);

/// Typed access to an object of a tokenizer.json. `where` names it in errors, e.g. "pre_tokenizer".
class JsonObject
{
public:
    /// Throws Error(Corrupt) if `value` is not an object.
    JsonObject(const Json& value, std::string where, const std::filesystem::path& file);

    const std::filesystem::path& file() const { return m_file; }
    const std::string& where() const { return m_where; }
    /// Nothing for an absent key and for null.
    const Json* find(const char* key) const;
    const Json& at(const char* key) const;
    std::string text(const char* key) const;
    std::string text(const char* key, std::string_view otherwise) const;
    bool flag(const char* key, bool otherwise) const;
    std::int64_t integer(const char* key) const;
    JsonObject object(const char* key) const;
    const Json& array(const char* key) const;

    [[noreturn]] void corrupt(std::string_view what) const;
    [[noreturn]] void unsupported(std::string_view what) const;

private:
    const Json& m_value;
    std::string m_where;
    const std::filesystem::path& m_file;
};

} // namespace rankwright
