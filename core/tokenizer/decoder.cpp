#include "core/tokenizer/decoder.h"

#include "core/base/error.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/step_output.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/tokenizer_json.h"
#include "core/tokenizer/unicode.h"

#include <charconv>
#include <fmt/format.h>

namespace rankwright {

class Decoder::Step
{
public:
    virtual ~Step() = default;
    /// Appends to `output` what can be any multiple of the tokens.
    virtual void apply(std::vector<std::string>& tokens, StepOutput& output) const = 0;
};

namespace {

void replaceAll(std::string& text, const std::string& pattern, std::string_view content, StepOutput& output)
{
    std::string result;
    std::size_t begin = 0;
    for (std::size_t at = text.find(pattern); at != std::string::npos; at = text.find(pattern, begin)) {
        output.append(result, std::string_view(text).substr(begin, at - begin));
        output.append(result, content);
        begin = at + pattern.size();
    }
    if (begin > 0)
        text = result.append(text, begin);
}

class ByteLevel : public Decoder::Step
{
public:
    void apply(std::vector<std::string>& tokens, StepOutput&) const override
    {
        std::string bytes;
        for (const std::string& token : tokens) {
            const std::size_t before = bytes.size();
            for (std::size_t at = 0; at < token.size();) {
                const CodePoint point = codePointAt(token, at);
                const auto byte = byteOfByteLevel(point.value);
                if (!byte) {
                    bytes.resize(before);
                    bytes += token;
                    break;
                }
                bytes += static_cast<char>(*byte);
                at += point.length;
            }
        }
        tokens = {replaceInvalidUtf8(bytes)};
    }
};

class ByteFallback : public Decoder::Step
{
public:
    void apply(std::vector<std::string>& tokens, StepOutput&) const override
    {
        std::vector<std::string> result;
        std::string bytes;
        const auto flush = [&] {
            if (findInvalidUtf8(bytes) == std::string_view::npos) {
                if (!bytes.empty())
                    result.push_back(bytes);
            } else {
                result.insert(result.end(), bytes.size(), "\xef\xbf\xbd");
            }
            bytes.clear();
        };
        for (std::string& token : tokens) {
            unsigned byte = 0;
            const bool isByte = token.size() == 6 && token.starts_with("<0x") && token.ends_with('>') &&
                                std::from_chars(&token[3], &token[5], byte, 16).ptr == &token[5];
            if (isByte) {
                bytes += static_cast<char>(byte);
                continue;
            }
            flush();
            result.push_back(std::move(token));
        }
        flush();
        tokens = std::move(result);
    }
};

class Fuse : public Decoder::Step
{
public:
    void apply(std::vector<std::string>& tokens, StepOutput&) const override
    {
        std::string joined;
        for (const std::string& token : tokens)
            joined += token;
        tokens = {std::move(joined)};
    }
};

class Strip : public Decoder::Step
{
public:
    Strip(std::string content, std::int64_t start, std::int64_t stop)
        : m_content(std::move(content))
        , m_start(start)
        , m_stop(stop)
    {}
    void apply(std::vector<std::string>& tokens, StepOutput&) const override
    {
        for (std::string& token : tokens) {
            std::size_t begin = 0;
            for (std::int64_t i = 0; i < m_start && token.compare(begin, m_content.size(), m_content) == 0; ++i)
                begin += m_content.size();
            token.erase(0, begin);
            for (std::int64_t i = 0; i < m_stop && token.ends_with(m_content); ++i)
                token.resize(token.size() - m_content.size());
        }
    }

private:
    std::string m_content;
    std::int64_t m_start;
    std::int64_t m_stop;
};

class Replace : public Decoder::Step
{
public:
    Replace(std::string_view pattern, std::string content, const std::filesystem::path& file)
        : m_regex(pattern, file)
        , m_content(std::move(content))
    {}
    void apply(std::vector<std::string>& tokens, StepOutput& output) const override
    {
        std::string result;
        RegexScanner scanner(m_regex, [&](std::string_view part, bool isMatch) {
            output.append(result, isMatch ? std::string_view(m_content) : part);
        });
        for (std::string& token : tokens) {
            result.clear();
            scanner.push(token, true);
            token = result;
        }
    }

private:
    Regex m_regex;
    std::string m_content;
};

class ReplaceText : public Decoder::Step
{
public:
    ReplaceText(std::string pattern, std::string content)
        : m_pattern(std::move(pattern))
        , m_content(std::move(content))
    {}
    void apply(std::vector<std::string>& tokens, StepOutput& output) const override
    {
        for (std::string& token : tokens)
            replaceAll(token, m_pattern, m_content, output);
    }

private:
    std::string m_pattern;
    std::string m_content;
};

class Metaspace : public Decoder::Step
{
public:
    Metaspace(std::string replacement, bool dropsFirst)
        : m_replacement(std::move(replacement))
        , m_dropsFirst(dropsFirst)
    {}
    void apply(std::vector<std::string>& tokens, StepOutput& output) const override
    {
        for (std::size_t i = 0; i < tokens.size(); ++i)
            replaceAll(tokens[i], m_replacement, i == 0 && m_dropsFirst ? "" : " ", output);
    }

private:
    std::string m_replacement;
    bool m_dropsFirst;
};

/// Words that end with a mark (</w>): the mark becomes a space, but not at the end of the text.
class EndSuffix : public Decoder::Step
{
public:
    explicit EndSuffix(std::string suffix)
        : m_suffix(std::move(suffix))
    {}
    void apply(std::vector<std::string>& tokens, StepOutput& output) const override
    {
        for (std::size_t i = 0; i < tokens.size(); ++i)
            replaceAll(tokens[i], m_suffix, i + 1 == tokens.size() ? "" : " ", output);
    }

private:
    std::string m_suffix;
};

std::string requireText(const JsonObject& value, const char* key)
{
    std::string text = value.text(key);
    if (text.empty())
        value.corrupt(fmt::format("\"{}\" is empty", key));
    return text;
}

void addSteps(const JsonObject& value, std::vector<std::unique_ptr<const Decoder::Step>>& steps)
{
    const std::string type = value.text("type");
    if (type == "Sequence") {
        for (const Json& part : value.array("decoders"))
            addSteps(JsonObject(part, value.where() + ".decoders", value.file()), steps);
    } else if (type == "ByteLevel") {
        steps.push_back(std::make_unique<ByteLevel>());
    } else if (type == "ByteFallback") {
        steps.push_back(std::make_unique<ByteFallback>());
    } else if (type == "Fuse") {
        steps.push_back(std::make_unique<Fuse>());
    } else if (type == "Strip") {
        steps.push_back(
            std::make_unique<Strip>(requireText(value, "content"), value.integer("start"), value.integer("stop")));
    } else if (type == "Replace") {
        const JsonObject pattern = value.object("pattern");
        if (pattern.find("Regex") != nullptr)
            steps.push_back(std::make_unique<Replace>(pattern.text("Regex"), value.text("content"), value.file()));
        else
            steps.push_back(std::make_unique<ReplaceText>(requireText(pattern, "String"), value.text("content")));
    } else if (type == "Metaspace") {
        const bool dropsFirst =
            value.text("prepend_scheme", "always") != "never" && value.flag("add_prefix_space", true);
        steps.push_back(std::make_unique<Metaspace>(requireText(value, "replacement"), dropsFirst));
    } else if (type == "BPEDecoder") {
        steps.push_back(std::make_unique<EndSuffix>(requireText(value, "suffix")));
    } else {
        value.unsupported(fmt::format("decoder of type \"{}\"", type));
    }
}

} // namespace

Decoder::Decoder(const Json& value, const std::filesystem::path& file)
    : m_file(file)
{
    if (!value.is_null())
        addSteps(JsonObject(value, "decoder", file), m_steps);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

std::string Decoder::decode(std::vector<std::string> tokens) const
{
    std::size_t bytes = 0;
    for (const std::string& token : tokens)
        bytes += token.size();
    for (const auto& step : m_steps) {
        StepOutput output("decoder", bytes, m_file);
        step->apply(tokens, output);
    }
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0 && m_steps.empty())
            text += ' ';
        text += tokens[i];
    }
    return text;
}

} // namespace rankwright
