#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace rankwright::cli {

/// Options of one heading in help and manual page.
struct OptionGroup
{
    std::string title;
    std::vector<const CLI::Option*> options;
};

/// The groups of a verb in the order they were added, common options last; hidden options left out.
std::vector<OptionGroup> optionGroups(const CLI::App& command);
std::vector<const CLI::Option*> positionals(const CLI::App& command);
/// Verbs that are listed.
std::vector<const CLI::App*> listedVerbs(const CLI::App& command);
/// "rankwright-cli runs show".
std::string commandPath(const CLI::App& command);
/// "rankwright-cli inspect MODEL [options]".
std::string usageLine(const CLI::App& command);
/// "--keep RATIO", "-h, --help".
std::string optionSyntax(const CLI::Option& option);
/// False for flags.
bool takesValue(const CLI::Option& option);
/// Whether the value is a path: FILE, MODEL or DIR.
bool takesPath(const CLI::Option& option);
/// What may be given for an option: the words of "dense|compressed", all methods and allocators for METHOD and
/// ALLOCATION among them, else nothing.
std::vector<std::string> optionChoices(const CLI::Option& option);

/// Help of the program and of each verb.
class HelpFormatter : public CLI::FormatterBase
{
public:
    std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

} // namespace rankwright::cli
