#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace rankwright::cli {

/// rankwright-cli(1) in man macros, made from the description of the program.
std::string manualPage(const CLI::App& program);

} // namespace rankwright::cli
