#include "app/cli/help.h"

#include "core/allocation/allocation.h"
#include "core/decomposition/method.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string_view>

namespace rankwright::cli {

namespace {

constexpr std::size_t descriptionColumn = 34;
constexpr std::size_t pageWidth = 100;

/// What a word of a type stands for: the names of a registry, or itself.
std::vector<std::string> choicesOf(const std::string& word)
{
    std::vector<std::string> names;
    if (word == "METHOD")
        for (const Method* method : methods())
            names.emplace_back(method->name());
    else if (word == "ALLOCATION")
        for (const std::string_view name : allocatorNames())
            names.emplace_back(name);
    else
        names.push_back(word);
    return names;
}

/// "METHOD", "METHOD|best" where a search is possible, "ALLOCATION".
bool takesRegisteredName(const CLI::Option& option)
{
    const std::string type = option.get_type_name();
    return type.starts_with("METHOD") || type == "ALLOCATION";
}

/// Words of `text` from descriptionColumn on, within pageWidth.
std::string wrapped(const std::string& text)
{
    std::string result;
    std::size_t column = descriptionColumn;
    std::istringstream words(text);
    std::string word;
    while (words >> word) {
        if (column > descriptionColumn && column + 1 + word.size() > pageWidth) {
            result += '\n' + std::string(descriptionColumn, ' ');
            column = descriptionColumn;
        } else if (column > descriptionColumn) {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
    }
    return result;
}

std::string entry(const std::string& name, const std::string& description)
{
    std::string line = "  " + name;
    if (line.size() + 2 > descriptionColumn)
        line += '\n' + std::string(descriptionColumn, ' ');
    else
        line += std::string(descriptionColumn - line.size(), ' ');
    return line + wrapped(description) + '\n';
}

} // namespace

std::vector<OptionGroup> optionGroups(const CLI::App& command)
{
    std::vector<OptionGroup> groups;
    OptionGroup common{"Common options", {}};
    for (const CLI::Option* option : command.get_options()) {
        if (option->get_group().empty() || !option->nonpositional())
            continue;
        if (option->get_group() == common.title) {
            common.options.push_back(option);
            continue;
        }
        auto found = std::ranges::find(groups, option->get_group(), &OptionGroup::title);
        if (found == groups.end())
            found = groups.insert(groups.end(), {option->get_group(), {}});
        found->options.push_back(option);
    }
    if (!common.options.empty())
        groups.push_back(std::move(common));
    return groups;
}

std::vector<const CLI::Option*> positionals(const CLI::App& command)
{
    return command.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<const CLI::App*> listedVerbs(const CLI::App& command)
{
    return command.get_subcommands([](const CLI::App* verb) { return !verb->get_group().empty(); });
}

std::string commandPath(const CLI::App& command)
{
    return command.get_parent() == nullptr ? command.get_name()
                                           : commandPath(*command.get_parent()) + ' ' + command.get_name();
}

std::string usageLine(const CLI::App& command)
{
    std::string usage = commandPath(command);
    if (!listedVerbs(command).empty())
        usage += command.get_require_subcommand_min() > 0 ? " VERB" : " [VERB]";
    for (const CLI::Option* option : positionals(command))
        usage += option->get_required() ? ' ' + option->get_name() : " [" + option->get_name() + ']';
    for (const OptionGroup& group : optionGroups(command))
        for (const CLI::Option* option : group.options)
            if (option->get_required())
                usage += ' ' + optionSyntax(*option);
    return usage + " [options]";
}

std::string optionSyntax(const CLI::Option& option)
{
    std::string syntax;
    for (const std::string& name : option.get_snames())
        syntax += '-' + name + ", ";
    for (const std::string& name : option.get_lnames())
        syntax += "--" + name + ", ";
    syntax.resize(syntax.size() - 2);
    if (takesValue(option))
        syntax += ' ' + option.get_type_name();
    return syntax;
}

bool takesValue(const CLI::Option& option)
{
    return option.get_items_expected_max() != 0;
}

bool takesPath(const CLI::Option& option)
{
    const std::string type = option.get_type_name();
    return type == "FILE" || type == "MODEL" || type == "DIR";
}

std::vector<std::string> optionChoices(const CLI::Option& option)
{
    std::vector<std::string> choices;
    const std::string type = option.get_type_name();
    if (!takesRegisteredName(option) && type.find('|') == std::string::npos)
        return choices;
    std::istringstream words(type);
    std::string word;
    while (std::getline(words, word, '|'))
        std::ranges::move(choicesOf(word), std::back_inserter(choices));
    return choices;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const
{
    std::string help = app->get_description() + "\n\nUsage: " + usageLine(*app) + '\n';
    if (const auto verbs = listedVerbs(*app); !verbs.empty()) {
        help += "\nVerbs:\n";
        for (const CLI::App* verb : verbs)
            help += entry(verb->get_name(), verb->get_description());
    }
    if (const auto arguments = positionals(*app); !arguments.empty()) {
        help += "\nArguments:\n";
        for (const CLI::Option* argument : arguments)
            help += entry(argument->get_name(), argument->get_description());
    }
    for (const OptionGroup& group : optionGroups(*app)) {
        help += '\n' + group.title + ":\n";
        for (const CLI::Option* option : group.options) {
            std::string description = option->get_description();
            if (takesRegisteredName(*option)) {
                std::string names;
                for (const std::string& name : optionChoices(*option))
                    names += (names.empty() ? ": " : ", ") + name;
                description += names;
            }
            help += entry(optionSyntax(*option), description);
        }
    }
    if (!app->get_footer().empty())
        help += '\n' + app->get_footer() + '\n';
    return help;
}

} // namespace rankwright::cli
