#include "app/cli/completion.h"
#include "app/cli/manual_page.h"
#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace rankwright::cli {

namespace {

void print(Session& session, const char* key, const std::string& text)
{
    if (session.json)
        session.out.json({{key, text}});
    else
        session.out.write(text);
}

} // namespace

void addDescriptions(CLI::App& app, Session& session)
{
    auto shell = std::make_shared<std::string>();
    CLI::App* completion = addVerb(app, session, "completion", "Print a completion script for a shell",
                                   "Example:\n"
                                   "  source <(rankwright-cli completion bash)");
    completion->group("");
    completion->add_option("SHELL", *shell, fmt::format("One of {}", fmt::join(completionShells(), ", ")))
        ->type_name("bash|zsh|fish")
        ->required();
    completion->callback([&app, &session, shell] {
        const std::string script = completionScript(app, *shell);
        session.work = [&session, script] { print(session, "completion", script); };
    });

    CLI::App* manual = addVerb(app, session, "man", "Print the manual page",
                               "Example:\n"
                               "  rankwright-cli man | man -l -");
    manual->group("");
    manual->callback([&app, &session] { session.work = [&app, &session] { print(session, "man", manualPage(app)); }; });
}

} // namespace rankwright::cli
