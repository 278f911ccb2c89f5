#pragma once

#include "core/base/error.h"

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace rankwright {

/// The one of `all` that `nameOf` calls `name`. Throws Error(InvalidArgument): "unknown WHAT 'NAME'; known: A, B".
template <typename Values, typename NameOf>
auto valueByName(const Values& all, const NameOf& nameOf, std::string_view name, std::string_view what)
{
    std::string known;
    for (const auto value : all) {
        if (nameOf(value) == name)
            return value;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", nameOf(value));
    }
    throw Error(ErrorKind::InvalidArgument, fmt::format("unknown {} '{}'; known: {}", what, name, known));
}

} // namespace rankwright
