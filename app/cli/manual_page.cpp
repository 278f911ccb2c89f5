#include "app/cli/manual_page.h"

#include "app/cli/help.h"
#include "core/allocation/allocation.h"
#include "core/base/version.h"
#include "core/decomposition/method.h"

#include <fmt/ranges.h>
#include <sstream>

namespace rankwright::cli {

namespace {

/// Text that roff takes as it is.
std::string escaped(const std::string& text)
{
    std::string result;
    for (const char c : text) {
        if (c == '\\')
            result += "\\e";
        else if (c == '-')
            result += "\\-";
        else if (c == '\'')
            result += "\\(aq";
        else
            result += c;
    }
    return !result.empty() && result.front() == '.' ? "\\&" + result : result;
}

std::string options(const CLI::App& command, bool common)
{
    std::string text;
    for (const OptionGroup& group : optionGroups(command)) {
        if ((group.title == "Common options") != common)
            continue;
        if (!common)
            text += ".PP\n" + escaped(group.title) + ":\n";
        for (const CLI::Option* option : group.options)
            text +=
                fmt::format(".TP\n.B {}\n{}.\n", escaped(optionSyntax(*option)), escaped(option->get_description()));
    }
    return text;
}

std::string examples(const CLI::App& command)
{
    std::string text;
    std::istringstream lines(command.get_footer());
    bool code = false;
    std::string line;
    while (std::getline(lines, line)) {
        const bool isCode = line.starts_with("  ");
        if (isCode != code)
            text += isCode ? ".PP\n.nf\n" : ".fi\n";
        else if (line.empty())
            text += ".PP\n";
        code = isCode;
        if (!line.empty())
            text += escaped(line) + '\n';
    }
    return code ? text + ".fi\n" : text;
}

std::string verbSection(const CLI::App& verb)
{
    std::string text = fmt::format(".SS {}\n{}.\n.PP\n.B {}\n", escaped(commandPath(verb).substr(15)),
                                   escaped(verb.get_description()), escaped(usageLine(verb)));
    for (const CLI::Option* argument : positionals(verb))
        text += fmt::format(".TP\n.B {}\n{}.\n", argument->get_name(), escaped(argument->get_description()));
    text += options(verb, false);
    text += ".PP\n" + examples(verb);
    for (const CLI::App* inner : listedVerbs(verb))
        text += verbSection(*inner);
    return text;
}

std::string valuesOf(const ParameterInfo& parameter)
{
    if (parameter.choices.empty())
        return fmt::format("{} to {}, default {}", parameter.minimum, parameter.maximum, parameter.defaultValue);
    return fmt::format("{}, default {}", escaped(fmt::format("{}", fmt::join(parameter.choices, ", "))),
                       escaped(parameter.choices[static_cast<std::size_t>(parameter.defaultValue)]));
}

} // namespace

std::string manualPage(const CLI::App& program)
{
    std::string page = fmt::format(".TH RANKWRIGHT\\-CLI 1 \"\" \"rankwright {}\" \"User commands\"\n"
                                   ".SH NAME\n"
                                   "rankwright\\-cli \\- low\\-rank compression of language models\n"
                                   ".SH SYNOPSIS\n"
                                   ".B rankwright\\-cli\n"
                                   ".I VERB\n"
                                   "[options]\n"
                                   ".SH DESCRIPTION\n{}.\n"
                                   "Every verb has these options:\n",
                                   version(), escaped(program.get_description()));
    page += options(*listedVerbs(program).front(), true);
    page += ".SH VERBS\n";
    for (const CLI::App* verb : listedVerbs(program))
        page += verbSection(*verb);
    page += ".SH METHODS\n";
    for (const Method* method : methods()) {
        page += fmt::format(".TP\n.B {}\n{}\n", escaped(std::string(method->name())),
                            escaped(std::string(method->description())));
        for (const ParameterInfo& parameter : method->parameters())
            page += fmt::format("Parameter {} ({}): {}\n", parameter.name, valuesOf(parameter),
                                escaped(parameter.description));
    }
    page += ".SH ALLOCATIONS\n";
    for (const Allocator& allocator : allocators())
        page += fmt::format(".TP\n.B {}\n{} {}.\n", escaped(std::string(allocator.name)),
                            escaped(std::string(allocator.description)), escaped(std::string(allocator.source)));
    page +=
        ".SH EXIT STATUS\n"
        ".TP\n.B 0\nThe verb did all it was asked.\n"
        ".TP\n.B 1\nAn error, named in one line on standard error; with \\-\\-json also as an object "
        "{\"error\": {\"kind\", \"message\", \"file\", \"tensor\"}} on standard output.\n"
        ".TP\n.B 2\nA wrong call: an unknown verb or option, or a value that cannot be.\n"
        ".PP\nThe first interrupt stops the work at the next safe point (status 1, kind cancelled); the second one\n"
        "ends the program at once.\n"
        ".SH FILES\n"
        ".TP\n.I $XDG_DATA_HOME/rankwright/experiments.sqlite\nThe store of the runs (default: ~/.local/share).\n"
        ".TP\n.I $XDG_DATA_HOME/rankwright/experiments.runs\nTheir compressed linears.\n"
        ".TP\n.I $XDG_CACHE_HOME/rankwright\nCalibration statistics, which can be computed again "
        "(default: ~/.cache).\n"
        ".SH ENVIRONMENT\n"
        ".TP\n.B RANKWRIGHT_RESOURCES\nFolder of the resources, where it is not found from the program.\n"
        ".TP\n.B OPENBLAS_CORETYPE\nKernel of OpenBLAS; checked at every start.\n";
    return page;
}

} // namespace rankwright::cli
