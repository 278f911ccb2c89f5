#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"
#include "core/experiment/export_run.h"

#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    std::optional<std::int64_t> run;
    std::string format = "factored";
    std::string out;
    std::string dtypeName = "F32";
    PassChoice pass;
    RunExport target;
};

void run(Session& session, const Options& options)
{
    const ExportResult result =
        exportRun(session.storeWithRuns(), *options.run, options.target, *options.pass.open(), session.context());
    session.endProgress();
    if (session.json) {
        session.out.json({{"runId", *options.run},
                          {"folder", result.folder.string()},
                          {"format", exportFormatName(options.target.format)},
                          {"dtype", dtypeName(options.target.dtype)},
                          {"files", result.files},
                          {"bytes", result.bytes},
                          {"weightBytes", result.weightBytes},
                          {"largestLogitDifference", result.largestLogitDifference}});
        return;
    }
    session.out.write(oneLine(result.folder.string()) + '\n' +
                      facts({{"format", fmt::format("{}, {}{}", exportFormatName(options.target.format),
                                                    dtypeName(options.target.dtype),
                                                    options.target.format == ExportFormat::Dense
                                                        ? "; products of the factors, which save nothing"
                                                        : "; transformers needs trust_remote_code=True")},
                             {"files", fmt::format("{}, {}; {} of weights", result.files.size(),
                                                   formatBytes(result.bytes), formatBytes(result.weightBytes))},
                             {"checked", fmt::format("read again, the logits differ by at most {:.1e} of the largest",
                                                     result.largestLogitDifference)}}));
}

} // namespace

void addExport(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        addVerb(app, session, "export", "Write the result of a finished run as a Hugging Face folder",
                "factored: factors and a modeling file; smaller; transformers loads it with trust_remote_code=True.\n"
                "dense: the products of the factors in the stock layout; loads anywhere and saves nothing.\n"
                "\n"
                "Example:\n"
                "  rankwright-cli export 3 --format dense --out stories-0.8-dense");
    addRunNumber(*command, "RUN", options->run, "Number of the run, as `rankwright-cli runs` lists it");
    command->add_option("--format", options->format, "What to write (default: factored)")
        ->type_name("factored|dense")
        ->group("Options");
    command->add_option("--out", options->out, "New folder")->type_name("DIR")->required()->group("Options");
    command->add_option("--dtype", options->dtypeName, "Type of all weights (default: F32)")
        ->type_name("F32|F16|BF16")
        ->group("Options");
    addPassOptions(*command, options->pass);
    command->callback([&session, options] {
        readOption("--format", [&] { options->target.format = exportFormatFromName(options->format); });
        readOption("--dtype", [&] { options->target.dtype = weightTypeFromName(options->dtypeName); });
        options->target.folder = absolutePath(options->out);
        options->target.pass = options->pass.options();
        session.work = [&session, options] { run(session, *options); };
    });
}

} // namespace rankwright::cli
