#include "app/cli/program.h"

#include "app/cli/help.h"
#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/stop_signals.h"
#include "app/cli/verbs.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/nearest_name.h"
#include "core/base/version.h"
#include "core/compute/blas_check.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace rankwright::cli {

namespace {

constexpr int failed = 1;
constexpr int wrongCall = 2;

/// Whether errors go to standard output too; asked before the options are read, as they may be what is wrong.
bool wantsJson(int argc, char** argv)
{
    char** const end = std::find(argv + 1, argv + argc, std::string_view("--")); // what follows are arguments
    return std::any_of(argv + 1, end, [](std::string_view word) { return word == "--json" || word == "--json=true"; });
}

/// Takes the numbers of closed standard streams, so that no file opened later gets one and receives what is told there.
/// Read-only: what is written there fails as before.
void occupyClosedStreams()
{
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(stream, F_GETFD) == -1)
            static_cast<void>(::open("/dev/null", O_RDONLY));
}

/// The error line, and with --json the object.
void tell(const Error& error, bool json)
{
    const std::string message = oneLine(error.what());
    writeToStandardError(fmt::format("error: {}\n", message));
    if (!json)
        return;
    const auto orNull = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    try {
        Output().json({{"error",
                        {{"kind", errorKindName(error.kind())},
                         {"message", message},
                         {"file", orNull(error.file().string())},
                         {"tensor", orNull(error.tensor())}}}});
    } catch (const Error&) {
        // Standard output is what failed; the line above has said so.
        return;
    }
}

/// Any exception of the work as an Error.
Error asError(const std::exception_ptr& exception)
{
    try {
        std::rethrow_exception(exception);
    } catch (const Error& error) {
        return error;
    } catch (const std::bad_alloc&) {
        return {ErrorKind::Memory, "no memory left; lower --memory-limit or --threads"};
    } catch (const std::filesystem::filesystem_error& error) {
        return {ErrorKind::Io, error.code().message(), {.file = error.path1(), .tensor = {}}};
    } catch (const std::system_error& error) {
        return {ErrorKind::Io, error.what()};
    } catch (const std::exception& error) {
        return {ErrorKind::Internal, error.what()};
    }
}

/// The verb that was being read when a word was not understood.
const CLI::App& innermost(const CLI::App& app)
{
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? app : innermost(*chosen.front());
}

std::string didYouMean(const std::string& word, const std::vector<std::string>& names)
{
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string likely = likelyName(word, views);
    return likely.empty() ? std::string() : fmt::format("; did you mean '{}'?", likely);
}

/// What is wrong with a word that nothing expects.
std::string unexpectedWord(const CLI::App& app, const std::string& word)
{
    const CLI::App& command = innermost(app);
    const std::string where =
        command.get_parent() == nullptr ? std::string() : " of " + commandPath(command).substr(15);
    if (word.starts_with('-') && word.size() > 1) {
        const std::string name = word.substr(0, word.find('='));
        std::vector<std::string> names;
        for (const OptionGroup& group : optionGroups(command))
            for (const CLI::Option* option : group.options)
                for (const std::string& longName : option->get_lnames())
                    names.push_back("--" + longName);
        return fmt::format("unknown option{} '{}'{}", where, name, didYouMean(name, names));
    }
    std::vector<std::string> names;
    for (const CLI::App* verb : listedVerbs(command))
        names.push_back(verb->get_name());
    if (names.empty())
        return fmt::format("'{}' is one argument too many{}", word, where);
    return fmt::format("unknown verb '{}'{}", word, didYouMean(word, names));
}

std::string explain(const CLI::App& app, const CLI::ParseError& error)
{
    const CLI::App& command = innermost(app);
    const std::string help = fmt::format(" ({} --help)", commandPath(command));
    if (const std::vector<std::string> rest = app.remaining(true); !rest.empty()) {
        // An option that needs a value and comes last also leaves the words before it; the first unknown one is named.
        return unexpectedWord(app, rest.front()) + help;
    }
    if (command.get_parent() == nullptr && error.get_name() == "RequiredError")
        return "a verb is needed" + help;
    if (error.get_name() == "RequiredError") {
        const std::string_view message = error.what();
        return fmt::format("{} is needed{}", message.substr(0, message.find(" is required")), help);
    }
    return error.what() + help;
}

void addVerbs(CLI::App& app, Session& session)
{
    addInspect(app, session);
    addTokenize(app, session);
    addEvaluate(app, session);
    addCalibrate(app, session);
    addSimilarity(app, session);
    addSpectra(app, session);
    addForecast(app, session);
    addCompress(app, session);
    addGenerate(app, session);
    addRuns(app, session);
    addExport(app, session);
    addDevices(app, session);
    addDescriptions(app, session);
}

/// CLI11 takes the word after "--out=" for its value. Throws Error(InvalidArgument).
void refuseOptionsWithoutValue(int argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--")
            return; // what follows are arguments
        if (word.starts_with("--") && word.find('=') == word.size() - 1)
            throw Error(ErrorKind::InvalidArgument, fmt::format("{} has no value", word));
    }
}

/// Reads the call; the exit code where there is nothing more to do.
std::optional<int> readCall(CLI::App& app, Session& session, int argc, char** argv)
{
    try {
        refuseOptionsWithoutValue(argc, argv);
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::CallForHelp&) {
        session.out.write(innermost(app).help());
    } catch (const CLI::CallForVersion&) {
        session.out.write(fmt::format("rankwright-cli {}\n", version()));
    } catch (const CLI::ParseError& error) {
        tell(Error(ErrorKind::InvalidArgument, explain(app, error)), session.json);
        return wrongCall;
    } catch (const Error& error) {
        tell(error, session.json);
        return error.kind() == ErrorKind::InvalidArgument ? wrongCall : failed;
    }
    session.out.flush();
    return 0;
}

} // namespace

int runProgram(int argc, char** argv)
{
    // A reader that went away, or a limit on the size of files, is an error of the write, not the end of the program.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    occupyClosedStreams();
    const bool json = wantsJson(argc, argv);
    try {
        ensureCorrectBlas(argv);
        const StopSignals signals;
        Session session(signals.token());
        session.json = json;
        CLI::App app("Low-rank compression of language models, measured before and after", "rankwright-cli");
        app.formatter(std::make_shared<HelpFormatter>());
        app.set_help_flag("-h,--help", "This text")->group("Common options");
        app.set_version_flag("--version", std::string(version()), "Version of the program")->group("Common options");
        app.require_subcommand(1);
        app.footer("rankwright-cli VERB --help tells the options of a verb and shows examples.");
        addCommonOptions(app, session);
        addVerbs(app, session);
        refuseEmptyPaths(app);
        if (const auto code = readCall(app, session, argc, argv))
            return *code;
        setLogQuiet(session.quiet);
        try {
            session.work();
            session.endProgress();
            session.out.flush();
        } catch (...) {
            session.endProgress();
            throw;
        }
        return 0;
    } catch (...) {
        tell(asError(std::current_exception()), json);
        return failed;
    }
}

} // namespace rankwright::cli
