#include "core/tokenizer/pre_tokenizer.h"

#include "core/base/error.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/tokenizer_json.h"
#include "core/tokenizer/unicode.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

class PreTokenizer::Step
{
public:
    virtual ~Step() = default;
    virtual std::unique_ptr<PieceSink> open(PieceSink& next, bool& atStart) const = 0;
    virtual bool mapsBytes() const { return false; }
    virtual bool seesStart() const { return false; }
};

namespace {

/// What happens to the delimiters a split finds.
enum class Behaviour { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

Behaviour behaviourOf(const JsonObject& value, const std::string& name)
{
    if (name == "Removed")
        return Behaviour::Removed;
    if (name == "Isolated")
        return Behaviour::Isolated;
    if (name == "MergedWithPrevious")
        return Behaviour::MergedWithPrevious;
    if (name == "MergedWithNext")
        return Behaviour::MergedWithNext;
    if (name == "Contiguous")
        return Behaviour::Contiguous;
    value.corrupt(fmt::format("\"behavior\" is \"{}\"", name));
}

class SplitSink : public PieceSink
{
public:
    SplitSink(const Regex& regex, Behaviour behaviour, bool invert, PieceSink& next, bool& atStart)
        : m_scanner(regex, [this](std::string_view part, bool isMatch) { found(part, isMatch); })
        , m_behaviour(behaviour)
        , m_invert(invert)
        , m_next(next)
        , m_atStart(atStart)
    {}

    void push(std::string_view part, bool end) override
    {
        m_scanner.push(part, end);
        if (end) {
            close();
            m_previous.reset();
        }
    }

private:
    void found(std::string_view part, bool isMatch)
    {
        const bool delimiter = isMatch != m_invert;
        switch (m_behaviour) {
        case Behaviour::Removed:
            if (!delimiter)
                m_next.push(part, true);
            else if (!part.empty())
                m_atStart = false;
            return;
        case Behaviour::Isolated:
            m_next.push(part, true);
            return;
        case Behaviour::Contiguous:
            if (m_previous != delimiter)
                close();
            break;
        case Behaviour::MergedWithPrevious:
            if (!delimiter || m_previous.value_or(true))
                close();
            break;
        case Behaviour::MergedWithNext:
            if (delimiter || !m_previous.value_or(false))
                close();
            break;
        }
        m_next.push(part, false);
        m_open = true;
        m_previous = delimiter;
    }

    void close()
    {
        if (m_open)
            m_next.push({}, true);
        m_open = false;
    }

    RegexScanner m_scanner;
    Behaviour m_behaviour;
    bool m_invert;
    PieceSink& m_next;
    bool& m_atStart;
    std::optional<bool> m_previous; ///< whether the open piece ends with a delimiter
    bool m_open = false;
};

class Split : public PreTokenizer::Step
{
public:
    Split(std::string_view pattern, Behaviour behaviour, bool invert, const std::filesystem::path& file)
        : m_regex(pattern, file)
        , m_behaviour(behaviour)
        , m_invert(invert)
    {}
    std::unique_ptr<PieceSink> open(PieceSink& next, bool& atStart) const override
    {
        return std::make_unique<SplitSink>(m_regex, m_behaviour, m_invert, next, atStart);
    }

private:
    Regex m_regex;
    Behaviour m_behaviour;
    bool m_invert;
};

class DigitsSink : public PieceSink
{
public:
    DigitsSink(bool individual, PieceSink& next)
        : m_individual(individual)
        , m_next(next)
    {}

    void push(std::string_view part, bool end) override
    {
        std::size_t begin = 0;
        for (std::size_t at = 0; at < part.size();) {
            const CodePoint point = codePointAt(part, at);
            const bool digit = isNumeric(point.value);
            if (m_previous && (*m_previous != digit || (digit && m_individual))) {
                m_next.push(part.substr(begin, at - begin), true);
                begin = at;
            }
            m_previous = digit;
            at += point.length;
        }
        m_next.push(part.substr(begin), end);
        if (end)
            m_previous.reset();
    }

private:
    bool m_individual;
    PieceSink& m_next;
    std::optional<bool> m_previous;
};

class Digits : public PreTokenizer::Step
{
public:
    explicit Digits(bool individual)
        : m_individual(individual)
    {}
    std::unique_ptr<PieceSink> open(PieceSink& next, bool&) const override
    {
        return std::make_unique<DigitsSink>(m_individual, next);
    }

private:
    bool m_individual;
};

class PrefixSpaceSink : public PieceSink
{
public:
    explicit PrefixSpaceSink(PieceSink& next)
        : m_next(next)
    {}
    void push(std::string_view part, bool end) override
    {
        if (!m_inside && !part.empty() && part.front() != ' ')
            m_next.push(" ", false);
        m_inside = !end && (m_inside || !part.empty());
        m_next.push(part, end);
    }

private:
    PieceSink& m_next;
    bool m_inside = false;
};

class PrefixSpace : public PreTokenizer::Step
{
public:
    std::unique_ptr<PieceSink> open(PieceSink& next, bool&) const override
    {
        return std::make_unique<PrefixSpaceSink>(next);
    }
};

class ByteMapSink : public PieceSink
{
public:
    explicit ByteMapSink(PieceSink& next)
        : m_next(next)
    {}
    void push(std::string_view part, bool end) override
    {
        std::string mapped;
        for (const char c : part)
            mapped += byteLevelAlphabet().at(static_cast<unsigned char>(c));
        m_next.push(mapped, end);
    }

private:
    PieceSink& m_next;
};

class ByteMap : public PreTokenizer::Step
{
public:
    std::unique_ptr<PieceSink> open(PieceSink& next, bool&) const override
    {
        return std::make_unique<ByteMapSink>(next);
    }
    bool mapsBytes() const override { return true; }
};

enum class PrependScheme { Always, First, Never };

class MetaspaceSink : public PieceSink
{
public:
    MetaspaceSink(std::string_view replacement, PrependScheme scheme, PieceSink& next, bool& atStart)
        : m_replacement(replacement)
        , m_scheme(scheme)
        , m_next(next)
        , m_atStart(atStart)
    {}

    void push(std::string_view part, bool end) override
    {
        constexpr std::size_t slice = std::size_t{64} << 10U;
        do {
            const std::size_t size = boundaryAtOrBefore(part, slice);
            pushSlice(part.substr(0, size), end && size == part.size());
            part.remove_prefix(size);
        } while (!part.empty());
    }

private:
    void pushSlice(std::string_view part, bool end)
    {
        m_buffer.clear();
        if (!m_inside && !part.empty()) {
            m_inside = true;
            const bool wanted =
                m_scheme == PrependScheme::Always || (m_scheme == PrependScheme::First && m_atStart && !m_seen);
            if (wanted && part.front() != ' ' && !part.starts_with(m_replacement))
                m_buffer = m_replacement;
            m_seen = true;
        }
        for (const char c : part) {
            if (c == ' ')
                m_buffer += m_replacement;
            else
                m_buffer += c;
        }
        m_next.push(m_buffer, end);
        m_inside = m_inside && !end;
    }

    std::string_view m_replacement;
    PrependScheme m_scheme;
    PieceSink& m_next;
    bool& m_atStart;
    std::string m_buffer;
    bool m_inside = false;
    bool m_seen = false; ///< a piece of the text came through
};

class Metaspace : public PreTokenizer::Step
{
public:
    explicit Metaspace(const JsonObject& value)
        : m_replacement(value.text("replacement"))
    {
        if (m_replacement.empty() || codePointAt(m_replacement, 0).length != m_replacement.size())
            value.corrupt("\"replacement\" is not one character");
        const std::string scheme = value.text("prepend_scheme", "always");
        if (scheme == "always")
            m_scheme = PrependScheme::Always;
        else if (scheme == "first")
            m_scheme = PrependScheme::First;
        else if (scheme == "never")
            m_scheme = PrependScheme::Never;
        else
            value.corrupt(fmt::format("\"prepend_scheme\" is \"{}\"", scheme));
        if (!value.flag("add_prefix_space", true))
            m_scheme = PrependScheme::Never;
    }
    const std::string& replacement() const { return m_replacement; }
    bool seesStart() const override { return m_scheme == PrependScheme::First; }
    std::unique_ptr<PieceSink> open(PieceSink& next, bool& atStart) const override
    {
        return std::make_unique<MetaspaceSink>(m_replacement, m_scheme, next, atStart);
    }

private:
    std::string m_replacement;
    PrependScheme m_scheme = PrependScheme::Always;
};

constexpr std::string_view gpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// ASCII and the categories P as the reference has them: of Unicode 8, where two characters were still punctuation.
constexpr std::string_view punctuation = R"([!-/:-@\[-`{-~\x{166D}\x{111C9}]|[\p{P}&&\p{Age=8.0}])";

using Steps = std::vector<std::unique_ptr<const PreTokenizer::Step>>;

std::string patternOf(const JsonObject& value)
{
    const JsonObject pattern = value.object("pattern");
    if (pattern.find("Regex") != nullptr)
        return pattern.text("Regex");
    return Regex::literal(pattern.text("String"));
}

void addSteps(const JsonObject& value, Steps& steps)
{
    const std::string type = value.text("type");
    const auto split = [&](std::string_view pattern, Behaviour behaviour, bool invert = false) {
        steps.push_back(std::make_unique<Split>(pattern, behaviour, invert, value.file()));
    };
    if (type == "Sequence") {
        for (const Json& part : value.array("pretokenizers"))
            addSteps(JsonObject(part, value.where() + ".pretokenizers", value.file()), steps);
    } else if (type == "ByteLevel") {
        if (value.flag("add_prefix_space", true))
            steps.push_back(std::make_unique<PrefixSpace>());
        if (value.flag("use_regex", true))
            split(gpt2Pattern, Behaviour::Isolated);
        steps.push_back(std::make_unique<ByteMap>());
    } else if (type == "Split") {
        split(patternOf(value), behaviourOf(value, value.text("behavior")), value.flag("invert", false));
    } else if (type == "Digits") {
        steps.push_back(std::make_unique<Digits>(value.flag("individual_digits", false)));
    } else if (type == "Metaspace") {
        auto step = std::make_unique<Metaspace>(value);
        const std::string delimiter = Regex::literal(step->replacement());
        steps.push_back(std::move(step));
        if (value.flag("split", true))
            split(delimiter, Behaviour::MergedWithNext);
    } else if (type == "Whitespace") {
        split(
            R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\s\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+)",
            Behaviour::Removed, true);
    } else if (type == "WhitespaceSplit") {
        split(R"(\s)", Behaviour::Removed);
    } else if (type == "Punctuation") {
        split(punctuation, behaviourOf(value, value.text("behavior", "Isolated")));
    } else if (type == "CharDelimiterSplit") {
        split(Regex::literal(value.text("delimiter")), Behaviour::Removed);
    } else {
        value.unsupported(fmt::format("pre-tokenizer of type \"{}\"", type));
    }
}

} // namespace

PreTokenizer::PreTokenizer() = default;
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

PreTokenizer::PreTokenizer(const Json& value, const std::filesystem::path& file)
{
    if (!value.is_null())
        addSteps(JsonObject(value, "pre_tokenizer", file), m_steps);
    if (!m_steps.empty() && m_steps.back()->mapsBytes()) {
        m_steps.pop_back();
        m_byteLevel = true;
    }
}

bool PreTokenizer::seesStart() const
{
    return std::ranges::any_of(m_steps, [](const auto& step) { return step->seesStart(); });
}

PreTokenizer::Stream PreTokenizer::open(PieceSink& last, bool& atStart) const
{
    Stream stream;
    stream.first = &last;
    for (auto step = m_steps.rbegin(); step != m_steps.rend(); ++step) {
        stream.sinks.push_back((*step)->open(*stream.first, atStart));
        stream.first = stream.sinks.back().get();
    }
    return stream;
}

} // namespace rankwright
