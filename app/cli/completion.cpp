#include "app/cli/completion.h"

#include "app/cli/help.h"
#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace rankwright::cli {

namespace {

std::vector<std::string> optionNames(const CLI::App& command)
{
    std::vector<std::string> names;
    for (const OptionGroup& group : optionGroups(command))
        for (const CLI::Option* option : group.options)
            for (const std::string& name : option->get_lnames())
                names.push_back("--" + name);
    return names;
}

std::vector<std::string> verbNames(const CLI::App& command)
{
    std::vector<std::string> names;
    for (const CLI::App* verb : listedVerbs(command))
        names.push_back(verb->get_name());
    return names;
}

/// The program, its verbs and theirs.
std::vector<const CLI::App*> allCommands(const CLI::App& program)
{
    std::vector<const CLI::App*> commands = {&program};
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const auto verbs = listedVerbs(*commands[i]);
        commands.insert(commands.end(), verbs.begin(), verbs.end());
    }
    return commands;
}

/// "runs show", "" for the program.
std::string verbPath(const CLI::App& command)
{
    const std::string path = commandPath(command);
    const std::size_t space = path.find(' ');
    return space == std::string::npos ? std::string() : path.substr(space + 1);
}

/// `case` branches of a shell, one per key with the same body together.
std::string branches(const std::vector<std::string>& keys, const std::string& body)
{
    return keys.empty() ? std::string() : fmt::format("    '{}') {} ;;\n", fmt::join(keys, "' | '"), body);
}

std::string bashScript(const CLI::App& program)
{
    std::vector<std::string> verbs;
    std::vector<std::string> paths;
    std::vector<std::string> free;
    std::string words;
    std::string choices;
    for (const CLI::App* command : allCommands(program)) {
        const std::string verb = verbPath(*command);
        for (const std::string& name : verbNames(*command))
            verbs.push_back(fmt::format("{}/{}", verb, name));
        std::vector<std::string> all = verbNames(*command);
        const std::vector<std::string> options = optionNames(*command);
        all.insert(all.end(), options.begin(), options.end());
        words += branches({verb}, fmt::format("words='{}'", fmt::join(all, " ")));
        for (const OptionGroup& group : optionGroups(*command))
            for (const CLI::Option* option : group.options) {
                if (!takesValue(*option))
                    continue;
                const std::string key = verb + "/--" + option->get_lnames().front();
                if (const auto values = optionChoices(*option); !values.empty())
                    choices += branches({key}, fmt::format("words='{}'; files=''", fmt::join(values, " ")));
                else
                    (takesPath(*option) ? paths : free).push_back(key);
            }
    }
    return "# bash completion for rankwright-cli; written by `rankwright-cli completion bash`\n"
           "_rankwright_cli() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} verb='' words='' files=yes word\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "    case $verb/$word in\n" +
           branches(verbs, "verb=${verb:+$verb }$word") +
           "    esac\n"
           "    done\n"
           "    case $verb in\n" +
           words +
           "    esac\n"
           "    case $verb/${COMP_WORDS[COMP_CWORD - 1]} in\n" +
           choices + branches(paths, "words=''") + branches(free, "words=''; files=''") +
           "    *) [[ $current != -* && -n $verb ]] || files='' ;;\n"
           "    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
           "    [[ -z $files ]] || mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$current\")\n"
           "}\n"
           "complete -o filenames -F _rankwright_cli rankwright-cli\n";
}

/// Text inside single quotes of fish, or of a zsh _arguments specification.
std::string quoted(const std::string& text, std::string_view special)
{
    std::string result;
    for (const char c : text) {
        if (special.find(c) != std::string_view::npos)
            result += '\\';
        result += c;
    }
    return result;
}

std::string fishScript(const CLI::App& program)
{
    std::string script = "# fish completion for rankwright-cli; written by `rankwright-cli completion fish`\n";
    for (const CLI::App* command : allCommands(program)) {
        const std::string path = verbPath(*command);
        std::string condition = "__fish_use_subcommand";
        if (!path.empty()) {
            condition.clear();
            for (std::size_t at = 0; at < path.size();) {
                const std::size_t end = std::min(path.find(' ', at), path.size());
                condition += fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ",
                                         path.substr(at, end - at));
                at = end + 1;
            }
        }
        for (const CLI::App* verb : listedVerbs(*command))
            script += fmt::format("complete -c rankwright-cli -n '{}' -a {} -d '{}'\n", condition, verb->get_name(),
                                  quoted(verb->get_description(), "'\\"));
        for (const OptionGroup& group : optionGroups(*command))
            for (const CLI::Option* option : group.options)
                for (const std::string& name : option->get_lnames()) {
                    const auto choices = optionChoices(*option);
                    std::string argument = !takesValue(*option) ? "" : takesPath(*option) ? " -r -F" : " -x";
                    if (!choices.empty())
                        argument = fmt::format(" -x -a '{}'", fmt::join(choices, " "));
                    script += fmt::format("complete -c rankwright-cli -n '{}' -l {}{} -d '{}'\n", condition, name,
                                          argument, quoted(option->get_description(), "'\\"));
                }
    }
    return script;
}

/// Options, positionals and verbs of one command as arguments of zsh's _arguments.
std::string zshArguments(const CLI::App& command)
{
    std::string lines;
    for (const OptionGroup& group : optionGroups(command))
        for (const CLI::Option* option : group.options)
            for (const std::string& name : option->get_lnames()) {
                std::string action;
                if (const auto choices = optionChoices(*option); !choices.empty())
                    action = fmt::format(":value:({})", fmt::join(choices, " "));
                else if (takesPath(*option))
                    action = ":file:_files";
                else if (takesValue(*option))
                    action = ":value:";
                std::string description = quoted(option->get_description(), "[]:\\");
                for (std::size_t at = 0; (at = description.find('\'', at)) != std::string::npos; at += 4)
                    description.replace(at, 1, "'\\''");
                lines += fmt::format(" \\\n            '*--{}[{}]{}'", name, description, action);
            }
    return lines;
}

std::string zshScript(const CLI::App& program)
{
    std::string script = "#compdef rankwright-cli\n"
                         "# zsh completion for rankwright-cli; written by `rankwright-cli completion zsh`\n"
                         "_rankwright_cli() {\n"
                         "    local verb='' word\n"
                         "    for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
                         "        case \"$verb/$word\" in\n";
    for (const CLI::App* command : allCommands(program))
        for (const std::string& verb : verbNames(*command))
            script += fmt::format("            '{}/{}') verb='{}' ;;\n", verbPath(*command), verb,
                                  verbPath(*command).empty() ? verb : verbPath(*command) + " " + verb);
    script += "        esac\n"
              "    done\n"
              "    case $verb in\n";
    for (const CLI::App* command : allCommands(program)) {
        const auto verbs = verbNames(*command);
        const std::string rest =
            verbs.empty() ? "'*:file:_files'" : fmt::format("'*:verb:({})'", fmt::join(verbs, " "));
        script += fmt::format("        '{}') _arguments{} \\\n            {} ;;\n", verbPath(*command),
                              zshArguments(*command), rest);
    }
    return script + "    esac\n}\n_rankwright_cli \"$@\"\n";
}

} // namespace

std::vector<std::string_view> completionShells()
{
    return {"bash", "zsh", "fish"};
}

std::string completionScript(const CLI::App& program, std::string_view shell)
{
    if (shell == "bash")
        return bashScript(program);
    if (shell == "zsh")
        return zshScript(program);
    if (shell == "fish")
        return fishScript(program);
    throw Error(ErrorKind::InvalidArgument,
                fmt::format("no completion for '{}'; known: {}", shell, fmt::join(completionShells(), ", ")));
}

} // namespace rankwright::cli
