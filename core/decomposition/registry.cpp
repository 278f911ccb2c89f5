#include "core/base/error.h"
#include "core/base/nearest_name.h"
#include "core/decomposition/method_list.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

[[noreturn]] void refuse(const std::string& message)
{
    throw Error(ErrorKind::InvalidArgument, message);
}

/// Position in `known`. Throws Error(InvalidArgument) naming the nearest.
std::size_t findParameter(const Method& method, const std::vector<ParameterInfo>& known, std::string_view name)
{
    const auto info =
        std::find_if(known.begin(), known.end(), [&](const ParameterInfo& entry) { return entry.name == name; });
    if (info != known.end())
        return static_cast<std::size_t>(info - known.begin());
    std::vector<std::string_view> names;
    names.reserve(known.size());
    for (const ParameterInfo& entry : known)
        names.emplace_back(entry.name);
    if (names.empty())
        refuse(fmt::format("method {} has no parameters, and so no \"{}\"", method.name(), name));
    refuse(fmt::format("method {} has no parameter \"{}\"{}", method.name(), name, knownNames(name, names)));
}

} // namespace

std::span<const Method* const> methods()
{
    static const std::array<const Method*, 20> all{&plainSvd(),
                                                   &asvd(),
                                                   &preconditionedSvd(),
                                                   &whitenedSvd(),
                                                   &atomicFeatureMimicking(),
                                                   &nestedSvd(),
                                                   &nestedInterpolative(),
                                                   &curvatureSvd(),
                                                   &fwsvd(),
                                                   &gfwsvd(),
                                                   &whitenedFwsvd(),
                                                   &lillama(),
                                                   &latentLlm(),
                                                   &jointQk(),
                                                   &jointVo(),
                                                   &jointQkv(),
                                                   &jointGateUp(),
                                                   &jointLatents(),
                                                   &curvatureLatents(),
                                                   &lowRankSparse()};
    return all;
}

const Method& findMethod(std::string_view name)
{
    std::vector<std::string_view> names;
    std::vector<std::string_view> known;
    for (const Method* method : methods()) {
        known = method->aliases();
        known.insert(known.begin(), method->name());
        if (std::find(known.begin(), known.end(), name) != known.end())
            return *method;
        names.insert(names.end(), known.begin(), known.end());
    }
    refuse(fmt::format("unknown method \"{}\"{}", name, knownNames(name, names)));
}

void checkParameters(const Method& method, const MethodParameters& parameters)
{
    const std::vector<ParameterInfo> known = method.parameters();
    std::vector<std::string_view> seen;
    for (const auto& parameter : parameters) {
        const std::string_view name = parameter.first;
        const double value = parameter.second;
        const ParameterInfo& info = known[findParameter(method, known, name)];
        if (std::find(seen.begin(), seen.end(), name) != seen.end())
            refuse(fmt::format("parameter \"{}\" of method {} is given twice", name, method.name()));
        seen.emplace_back(name);
        if (!(value >= info.minimum && value <= info.maximum) || (info.integer && value != std::floor(value)))
            refuse(fmt::format("parameter \"{}\" of method {} is {}, not {} in [{}, {}]", name, method.name(), value,
                               info.integer ? "an integer" : "a number", info.minimum, info.maximum));
    }
}

ParameterInfo choiceParameter(std::string name, std::string description, std::vector<std::string> choices)
{
    const auto last = static_cast<double>(choices.size() - 1);
    return {std::move(name), std::move(description), 0.0, 0.0, last, true, std::move(choices)};
}

double parameterFromText(const Method& method, std::string_view name, const std::string& text)
{
    const std::vector<ParameterInfo> known = method.parameters();
    const ParameterInfo& info = known[findParameter(method, known, name)];
    if (!info.choices.empty()) {
        const auto found = std::find(info.choices.begin(), info.choices.end(), text);
        if (found != info.choices.end())
            return static_cast<double>(found - info.choices.begin());
        const std::vector<std::string_view> names(info.choices.begin(), info.choices.end());
        refuse(fmt::format("parameter \"{}\" of method {} is \"{}\"{}", name, method.name(), text,
                           knownNames(text, names)));
    }
    double value = 0.0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size())
        refuse(fmt::format("parameter \"{}\" of method {} is \"{}\", not a number", name, method.name(), text));
    return value;
}

Json parameterToJson(const ParameterInfo& info, double value)
{
    const auto index = static_cast<std::size_t>(value);
    return index < info.choices.size() ? Json(info.choices[index]) : Json(value);
}

Json parametersToJson(const Method& method, const MethodParameters& parameters)
{
    Json result = Json::object();
    for (const ParameterInfo& info : method.parameters())
        result[info.name] = parameterToJson(info, parameterValue(method, parameters, info.name));
    return result;
}

bool hasParameter(const Method& method, std::string_view name)
{
    const std::vector<ParameterInfo> known = method.parameters();
    return std::ranges::find(known, name, &ParameterInfo::name) != known.end();
}

bool updatesBias(const Method& method, const MethodParameters& parameters)
{
    return hasParameter(method, biasUpdateParameter) && parameterValue(method, parameters, biasUpdateParameter) != 0.0;
}

MethodParameters parametersFor(const Method& to, const Method& from, const MethodParameters& parameters)
{
    MethodParameters result;
    for (const ParameterInfo& info : to.parameters())
        if (hasParameter(from, info.name))
            result.emplace_back(info.name, parameterValue(from, parameters, info.name));
    return result;
}

bool needsStatistics(const Method& method, const MethodParameters& parameters)
{
    return method.needsStatistics() || updatesBias(method, parameters);
}

double parameterValue(const Method& method, const MethodParameters& parameters, std::string_view name)
{
    for (const auto& [given, value] : parameters)
        if (given == name)
            return value;
    for (const ParameterInfo& info : method.parameters())
        if (info.name == name)
            return info.defaultValue;
    throw Error(ErrorKind::Internal, fmt::format("method {} has no parameter \"{}\"", method.name(), name));
}

} // namespace rankwright
