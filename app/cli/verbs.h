#pragma once

namespace CLI {
class App;
} // namespace CLI

namespace rankwright::cli {

class Session;

// Each adds one verb: its description, options and examples, and as callback what sets Session::work. Callbacks throw
// CLI::ParseError or Error(InvalidArgument) for what is wrong with the call itself.
void addInspect(CLI::App& app, Session& session);
void addTokenize(CLI::App& app, Session& session);
void addEvaluate(CLI::App& app, Session& session);
void addCalibrate(CLI::App& app, Session& session);
void addSimilarity(CLI::App& app, Session& session);
void addSpectra(CLI::App& app, Session& session);
void addForecast(CLI::App& app, Session& session);
void addCompress(CLI::App& app, Session& session);
void addGenerate(CLI::App& app, Session& session);
void addRuns(CLI::App& app, Session& session);
void addExport(CLI::App& app, Session& session);
void addDevices(CLI::App& app, Session& session);
/// "completion" and "man", which describe the program itself; not listed in help.
void addDescriptions(CLI::App& app, Session& session);

} // namespace rankwright::cli
