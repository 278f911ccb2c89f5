#include "core/export/exported_files.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/checkpoint/gguf.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>

namespace rankwright {

namespace {

constexpr std::size_t noticeLimit = std::size_t{1} << 20U;
constexpr std::array<const char*, 9> tokenizerFiles{
    "tokenizer.json",          "tokenizer.model",   "vocab.json",          "merges.txt",        "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json"};
constexpr std::array<std::string_view, 5> licenceNames{"LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY"};

bool present(const std::filesystem::path& path)
{
    std::error_code failure;
    return std::filesystem::is_regular_file(path, failure);
}

void copyInto(const std::filesystem::path& source, const std::filesystem::path& folder)
{
    writeFileAtomically(folder / source.filename(), readFile(source));
}

void writeJson(const std::filesystem::path& file, const Json& json)
{
    writeFileAtomically(file, dumpJson(json, 2) + "\n");
}

/// The model's tokenizer, or null where it has none that this program reads; `why` then says so.
std::shared_ptr<const Tokenizer> readableTokenizer(const Model& model, std::string& why)
{
    try {
        return model.tokenizer();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::Unsupported)
            throw;
        why = error.what();
        return nullptr;
    }
}

/// tokenizer_config.json with which every version of transformers takes tokenizer.json as it is: the classes named
/// after models put parts of their own in place of what the file says, transformers 5 more of them than 4. The values
/// of `config` stay, those of the tokenizer fill what is missing.
void pinConfig(const Tokenizer& tokenizer, Json config, const Model& model, const std::filesystem::path& folder)
{
    const std::string named = config.value("tokenizer_class", "");
    config.erase("auto_map");
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    // Else token_type_ids come along, which a Llama does not take.
    config["model_input_names"] = {"input_ids", "attention_mask"};
    Json missing = tokenizer.toTokenizerConfig();
    missing["model_max_length"] = model.config().contextLength;
    if (named.starts_with("LlamaTokenizer"))
        missing["padding_side"] = "left"; // what that class does
    for (const auto& [key, value] : missing.items()) {
        if (!config.contains(key))
            config[key] = value;
    }
    writeJson(folder / "tokenizer_config.json", config);
}

std::string exportGgufTokenizer(const Model& model, const std::filesystem::path& folder)
{
    std::string why;
    const auto tokenizer = readableTokenizer(model, why);
    if (!tokenizer) {
        logWarning("the export has no tokenizer: " + why);
        return "There is no tokenizer in this folder; take that of the original model.";
    }
    Json config = Json::object();
    if (const auto chat = model.checkpoint().gguf()->string("tokenizer.chat_template"))
        config["chat_template"] = *chat;
    writeJson(folder / "tokenizer.json", tokenizer->toTokenizerJson());
    pinConfig(*tokenizer, std::move(config), model, folder);
    return fmt::format("The tokenizer ({}) was made from the metadata of the GGUF file.", tokenizer->description());
}

std::string exportHuggingFaceTokenizer(const Model& model, const std::filesystem::path& folder)
{
    const std::filesystem::path source = model.checkpoint().folder();
    bool any = false;
    for (const char* name : tokenizerFiles) {
        if (!present(source / name))
            continue;
        copyInto(source / name, folder);
        any = true;
    }
    if (!any)
        return "There is no tokenizer in this folder, as the original has none.";
    const std::filesystem::path configFile = folder / "tokenizer_config.json";
    Json config = present(configFile) ? readJson(configFile) : Json::object();
    if (!config.is_object())
        config = Json::object();
    // Without a tokenizer.json the class of the source reads its own files.
    const bool stock = config.contains("tokenizer_class") && !config.contains("auto_map");
    if (!present(folder / "tokenizer.json") && stock)
        return "The tokenizer files are those of the original model.";
    std::string why;
    const auto tokenizer = readableTokenizer(model, why);
    if (!tokenizer) {
        if (!stock)
            logWarning("the tokenizer files name no class of transformers and cannot be completed: " + why);
        return "The tokenizer files are those of the original model.";
    }
    if (!present(folder / "tokenizer.json"))
        writeJson(folder / "tokenizer.json", tokenizer->toTokenizerJson());
    pinConfig(*tokenizer, std::move(config), model, folder);
    // The class of the source may have put its own template in place of the file's.
    const auto exported = Tokenizer::open(folder);
    if (exported->prefix() != tokenizer->prefix() || exported->suffix() != tokenizer->suffix())
        writeJson(folder / "tokenizer.json", tokenizer->toTokenizerJson());
    return "The tokenizer files are those of the original model; tokenizer_config.json names PreTrainedTokenizerFast, "
           "so "
           "that every version of transformers takes tokenizer.json as it is.";
}

bool isLicence(const std::filesystem::path& path)
{
    std::string name = path.filename().string();
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    return std::any_of(licenceNames.begin(), licenceNames.end(),
                       [&](std::string_view start) { return name.starts_with(start); });
}

} // namespace

std::string exportTokenizer(const Model& model, const std::filesystem::path& folder)
{
    return model.checkpoint().gguf() ? exportGgufTokenizer(model, folder) : exportHuggingFaceTokenizer(model, folder);
}

std::vector<std::string> exportLicences(const Model& model, const std::filesystem::path& folder)
{
    std::vector<std::string> names;
    // A GGUF file may lie among files of other models.
    if (model.checkpoint().gguf())
        return names;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(model.checkpoint().folder(), failure)) {
        if (!entry.is_regular_file(failure) || !isLicence(entry.path()) || entry.file_size(failure) > noticeLimit)
            continue;
        copyInto(entry.path(), folder);
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string statedLicence(const Model& model)
{
    if (const GgufFile* gguf = model.checkpoint().gguf())
        return gguf->string("general.license").value_or("");
    const std::filesystem::path readme = model.checkpoint().folder() / "README.md";
    std::error_code failure;
    if (!present(readme) || std::filesystem::file_size(readme, failure) > noticeLimit)
        return {};
    const std::string text = readFile(readme);
    constexpr std::string_view fence = "---\n";
    constexpr std::string_view key = "\nlicense:";
    if (!text.starts_with(fence))
        return {};
    const std::string_view header = std::string_view(text).substr(0, text.find("\n---", fence.size()));
    const std::size_t found = header.find(key);
    if (found == std::string_view::npos)
        return {};
    std::string_view value = header.substr(found + key.size());
    value = value.substr(0, value.find('\n'));
    std::string licence;
    // Identifiers only: the value goes into the front matter of another file.
    for (const char c : value) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '+')
            licence.push_back(c);
    }
    // What this program and others write where nothing is known.
    return licence == "other" ? std::string() : licence;
}

} // namespace rankwright
