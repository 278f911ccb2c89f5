#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright::cli {

/// "bash", "zsh", "fish".
std::vector<std::string_view> completionShells();
/// A completion script for all verbs, options and their values, made from the description of the program.
std::string completionScript(const CLI::App& program, std::string_view shell);

} // namespace rankwright::cli
