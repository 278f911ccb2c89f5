#include "core/tokenizer/normalizer.h"

#include "core/base/error.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/step_output.h"
#include "core/tokenizer/tokenizer_json.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

namespace rankwright {

class Normalizer::Step
{
public:
    virtual ~Step() = default;
    /// Appends to `output` what can be any multiple of the text.
    virtual std::string apply(std::string_view text, bool first, bool last, StepOutput& output) const = 0;
    /// Whether a text can be cut before a character that begins with `begins` at this step.
    virtual bool mayCutBefore(std::string_view begins) const = 0;
    virtual bool mayDropStart() const { return false; }
};

namespace {

class UnicodeForm : public Normalizer::Step
{
public:
    UnicodeForm(const char* name, UNormalization2Mode mode)
    {
        UErrorCode status = U_ZERO_ERROR;
        m_form = icu::Normalizer2::getInstance(nullptr, name, mode, status);
        if (U_FAILURE(status) != 0)
            throw Error(ErrorKind::Internal, fmt::format("Unicode normalization data: {}", u_errorName(status)));
    }

    std::string apply(std::string_view text, bool, bool, StepOutput&) const override
    {
        std::string result;
        icu::StringByteSink<std::string> sink(&result,
                                              static_cast<int32_t>(std::min<std::size_t>(text.size(), 1 << 20)));
        // ICU counts in int32: longer texts are cut where nothing composes.
        while (!text.empty()) {
            std::size_t end = boundaryAtOrBefore(text, std::size_t{1} << 28U);
            while (end < text.size() && !hasBoundaryBefore(codePointAt(text, end).value))
                end += codePointAt(text, end).length;
            UErrorCode status = U_ZERO_ERROR;
            m_form->normalizeUTF8(0, {text.data(), static_cast<int32_t>(end)}, sink, nullptr, status);
            if (U_FAILURE(status) != 0)
                throw Error(ErrorKind::Internal, fmt::format("Unicode normalization: {}", u_errorName(status)));
            text.remove_prefix(end);
        }
        return result;
    }

    bool mayCutBefore(std::string_view begins) const override
    {
        return begins.empty() || hasBoundaryBefore(codePointAt(begins, 0).value);
    }

private:
    bool hasBoundaryBefore(char32_t value) const { return m_form->hasBoundaryBefore(static_cast<UChar32>(value)) != 0; }

    const icu::Normalizer2* m_form = nullptr;
};

class Prepend : public Normalizer::Step
{
public:
    explicit Prepend(std::string text)
        : m_text(std::move(text))
    {}
    std::string apply(std::string_view text, bool first, bool, StepOutput&) const override
    {
        return first && !text.empty() ? m_text + std::string(text) : std::string(text);
    }
    bool mayCutBefore(std::string_view) const override { return true; }

private:
    std::string m_text;
};

class ReplaceText : public Normalizer::Step
{
public:
    ReplaceText(std::string pattern, std::string content)
        : m_pattern(std::move(pattern))
        , m_content(std::move(content))
    {}
    std::string apply(std::string_view text, bool, bool, StepOutput& output) const override
    {
        std::string result;
        result.reserve(text.size() + text.size() / 4);
        while (true) {
            const std::size_t at = text.find(m_pattern);
            output.append(result, text.substr(0, at));
            if (at == std::string_view::npos)
                return result;
            output.append(result, m_content);
            text.remove_prefix(at + m_pattern.size());
        }
    }
    bool mayCutBefore(std::string_view begins) const override
    {
        return begins.empty() || m_pattern.find(begins.substr(0, codePointAt(begins, 0).length)) == std::string::npos;
    }
    bool mayDropStart() const override { return m_content.empty(); }

private:
    std::string m_pattern;
    std::string m_content;
};

class ReplaceRegex : public Normalizer::Step
{
public:
    ReplaceRegex(std::string_view pattern, std::string content, const std::filesystem::path& file)
        : m_regex(pattern, file)
        , m_source(pattern)
        , m_content(std::move(content))
        , m_file(file)
    {}
    std::string apply(std::string_view text, bool, bool, StepOutput& output) const override
    {
        std::string result;
        RegexScanner(m_regex, [&](std::string_view part, bool isMatch) {
            // The reference spells what it inserts between two characters twice before some pre-tokenizers.
            if (isMatch && part.empty())
                throw Error(ErrorKind::Unsupported,
                            fmt::format("normalizer: the pattern {} matches between two characters", m_source),
                            {.file = m_file});
            output.append(result, isMatch ? std::string_view(m_content) : part);
        }).push(text, true);
        return result;
    }
    bool mayCutBefore(std::string_view) const override { return false; }
    bool mayDropStart() const override { return m_content.empty(); }

private:
    Regex m_regex;
    std::string m_source;
    std::string m_content;
    std::filesystem::path m_file;
};

class Lowercase : public Normalizer::Step
{
public:
    std::string apply(std::string_view text, bool, bool, StepOutput&) const override
    {
        std::string result;
        result.reserve(text.size());
        for (std::size_t at = 0; at < text.size();) {
            const CodePoint point = codePointAt(text, at);
            at += point.length;
            result += lowerCase(point.value);
        }
        return result;
    }
    bool mayCutBefore(std::string_view) const override { return true; }
};

class Strip : public Normalizer::Step
{
public:
    Strip(bool left, bool right)
        : m_left(left)
        , m_right(right)
    {}
    std::string apply(std::string_view text, bool, bool, StepOutput&) const override
    {
        while (m_left && !text.empty() && isWhiteSpace(codePointAt(text, 0).value))
            text.remove_prefix(codePointAt(text, 0).length);
        while (m_right && !text.empty() && isWhiteSpace(codePointBefore(text, text.size()).value))
            text.remove_suffix(codePointBefore(text, text.size()).length);
        return std::string(text);
    }
    bool mayCutBefore(std::string_view) const override { return false; }
    bool mayDropStart() const override { return m_left; }

private:
    bool m_left;
    bool m_right;
};

class StripAccents : public Normalizer::Step
{
public:
    std::string apply(std::string_view text, bool, bool, StepOutput&) const override
    {
        std::string result;
        for (std::size_t at = 0; at < text.size();) {
            const CodePoint point = codePointAt(text, at);
            if ((U_GET_GC_MASK(static_cast<UChar32>(point.value)) & U_GC_M_MASK) == 0)
                result.append(text.substr(at, point.length));
            at += point.length;
        }
        return result;
    }
    bool mayCutBefore(std::string_view) const override { return false; }
    bool mayDropStart() const override { return true; }
};

std::unique_ptr<const Normalizer::Step> replaceStep(const JsonObject& value)
{
    const JsonObject pattern = value.object("pattern");
    std::string content = value.text("content");
    if (pattern.find("Regex") != nullptr)
        return std::make_unique<ReplaceRegex>(pattern.text("Regex"), std::move(content), value.file());
    std::string literal = pattern.text("String");
    if (literal.empty())
        value.unsupported("an empty pattern");
    return std::make_unique<ReplaceText>(std::move(literal), std::move(content));
}

void addSteps(const JsonObject& value, std::vector<std::unique_ptr<const Normalizer::Step>>& steps)
{
    const std::string type = value.text("type");
    if (type == "Sequence") {
        for (const Json& part : value.array("normalizers"))
            addSteps(JsonObject(part, value.where() + ".normalizers", value.file()), steps);
    } else if (type == "NFC") {
        steps.push_back(std::make_unique<UnicodeForm>("nfc", UNORM2_COMPOSE));
    } else if (type == "NFD") {
        steps.push_back(std::make_unique<UnicodeForm>("nfc", UNORM2_DECOMPOSE));
    } else if (type == "NFKC") {
        steps.push_back(std::make_unique<UnicodeForm>("nfkc", UNORM2_COMPOSE));
    } else if (type == "NFKD") {
        steps.push_back(std::make_unique<UnicodeForm>("nfkc", UNORM2_DECOMPOSE));
    } else if (type == "Prepend") {
        steps.push_back(std::make_unique<Prepend>(value.text("prepend")));
    } else if (type == "Replace") {
        steps.push_back(replaceStep(value));
    } else if (type == "Lowercase") {
        steps.push_back(std::make_unique<Lowercase>());
    } else if (type == "Strip") {
        steps.push_back(std::make_unique<Strip>(value.flag("strip_left", true), value.flag("strip_right", true)));
    } else if (type == "StripAccents") {
        steps.push_back(std::make_unique<StripAccents>());
    } else {
        value.unsupported(fmt::format("normalizer of type \"{}\"", type));
    }
}

} // namespace

Normalizer::Normalizer() = default;
Normalizer::~Normalizer() = default;
Normalizer::Normalizer(Normalizer&&) noexcept = default;
Normalizer& Normalizer::operator=(Normalizer&&) noexcept = default;

Normalizer::Normalizer(const Json& value, const std::filesystem::path& file)
    : m_file(file)
{
    if (!value.is_null())
        addSteps(JsonObject(value, "normalizer", file), m_steps);
}

bool Normalizer::mayDropStart() const
{
    return std::ranges::any_of(m_steps, [](const auto& step) { return step->mayDropStart(); });
}

std::string Normalizer::apply(std::string_view part, bool first, bool last) const
{
    std::string text(part);
    for (const auto& step : m_steps)
        text = run(*step, text, first, last, part.size());
    return text;
}

std::string Normalizer::run(const Step& step, std::string_view text, bool first, bool last,
                            std::size_t inputBytes) const
{
    StepOutput output("normalizer", inputBytes, m_file);
    std::string result = step.apply(text, first, last, output);
    output.check(result.size());
    return result;
}

std::size_t Normalizer::cut(std::string_view section, std::size_t atLeast,
                            const std::unordered_set<char32_t>& avoid) const
{
    const auto allows = [&](std::string_view character) {
        std::string text(character);
        for (const auto& step : m_steps) {
            if (text.empty() || !step->mayCutBefore(text))
                return false;
            text = run(*step, text, false, false, character.size());
        }
        if (text.empty())
            return false;
        const char32_t begins = codePointAt(text, 0).value;
        return !isWhiteSpace(begins) && !avoid.contains(begins);
    };
    std::size_t at = boundaryAtOrBefore(section, atLeast);
    while (at < section.size()) {
        const std::size_t length = codePointAt(section, at).length;
        if (allows(section.substr(at, length)))
            return at;
        at += length;
    }
    return section.size();
}

} // namespace rankwright
