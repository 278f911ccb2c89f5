#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/forecast_plan.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/linear_groups.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/runner.h"
#include "run_support.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <cmath>
#include <csignal>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <unistd.h>

using namespace rankwright;

namespace {

constexpr const char* queryName = "model.layers.0.self_attn.q_proj";
constexpr const char* downName = "model.layers.2.mlp.down_proj";

std::size_t countLinearFiles(const std::filesystem::path& folder)
{
    std::size_t count = 0;
    std::error_code ignored; // files come and go
    std::filesystem::recursive_directory_iterator entry(folder, ignored);
    for (; entry != std::filesystem::recursive_directory_iterator(); entry.increment(ignored))
        count += entry->path().filename().string().starts_with("linear-") ? 1 : 0;
    return count;
}

void writeBytes(const std::filesystem::path& file, const std::string& content)
{
    writeFileAtomically(file, content);
}

bool predictionHolds(const LinearOutcome& outcome)
{
    return std::abs(outcome.predictedLoss - outcome.measuredLoss) <= 1e-6 * outcome.measuredLoss;
}

} // namespace

class TestRunner : public QObject
{
    Q_OBJECT

private slots:
    void runsFinish_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("structure");
        QTest::addColumn<QString>("allocation");
        for (const char* method :
             {"svd", "asvd", "whitened-svd", "nsvd", "latentllm", "joint-latents", "low-rank-sparse"})
            for (const char* structure : {"factors", "block-identity"})
                for (const char* allocation : {"uniform", "marginal-loss"})
                    QTest::addRow("%s %s %s", method, structure, allocation)
                        << QString::fromUtf8(method) << QString::fromUtf8(structure) << QString::fromUtf8(allocation);
        for (const char* method : {"whitened-svd", "nsvd", "curvature-svd", "joint-latents", "curvature-latents"})
            QTest::addRow("%s by curvature", method)
                << QString::fromUtf8(method) << QStringLiteral("block-identity") << QStringLiteral("curvature");
    }
    void runsFinish()
    {
        QFETCH(QString, method);
        QFETCH(QString, structure);
        QFETCH(QString, allocation);
        Place place;
        Recipe recipe = demoRecipe(method.toStdString());
        recipe.structure = structureFromName(structure.toStdString());
        recipe.allocation = allocation.toStdString();
        recipe.evaluations = {heldOutStories()};
        const RunResult result = place.run(recipe);

        QCOMPARE(result.linears.size(), demoLinears);
        std::size_t kept = 0;
        for (const LinearOutcome& outcome : result.linears) {
            QVERIFY2(predictionHolds(outcome), qPrintable(QStringLiteral("%1: %2 predicted, %3 measured")
                                                              .arg(QString::fromStdString(outcome.name))
                                                              .arg(outcome.predictedLoss, 0, 'g', 12)
                                                              .arg(outcome.measuredLoss, 0, 'g', 12)));
            QVERIFY(outcome.totalEnergy > outcome.measuredLoss);
            QVERIFY(!outcome.resumed);
            kept += outcome.keptParameters;
        }
        QVERIFY(result.keptRatio <= 0.7 && result.keptRatio > 0.6);
        const Model model = Model::open(recipe.model);
        QCOMPARE(result.parameters, model.parameterCount() - model.linearParameterCount() + kept);
        QVERIFY(result.wholeModelRatio > result.keptRatio && result.wholeModelRatio < 1.0);
        QCOMPARE(result.evaluations.size(), std::size_t{1});
        QVERIFY(result.evaluations[0].original.perplexity < result.evaluations[0].compressed.perplexity);
        QVERIFY(std::isfinite(result.evaluations[0].compressed.perplexity));
        qInfo("perplexity %.4f -> %.4f", result.evaluations[0].original.perplexity,
              result.evaluations[0].compressed.perplexity);

        const RunRecord record = place.store.run(result.id);
        QCOMPARE(record.summary.state, RunState::Finished);
        QCOMPARE(record.result.linears.size(), demoLinears);
        QCOMPARE(record.result.linears[7].name, result.linears[7].name);
        QCOMPARE(record.result.linears[7].measuredLoss, result.linears[7].measuredLoss);
        QCOMPARE(place.store.spectrum(result.id, queryName).size(), std::size_t{64});
        std::set<std::string> stages;
        for (const auto& [name, seconds] : result.stageSeconds)
            stages.insert(name);
        std::set<std::string> expected{"open", "allocate", "calibrate", "analyse", "factorise", "evaluate", "export"};
        if (needsGradients(recipe))
            expected.insert({"curvature", "forecast"});
        QCOMPARE(stages, expected);

        const LinearSource source = runLinears(result.folder, result.fingerprint);
        const Model compressed = model.withLinears(source);
        for (const LinearInfo& info : model.linears()) {
            const LinearOutcome& outcome = result.linears[info.index];
            QCOMPARE(source(info) == nullptr, outcome.structure == StructureKind::Dense);
            const LinearWeights weights = compressed.loadBlock(info.block)->linear(info.role);
            QCOMPARE(weights.structure(), outcome.structure);
            QCOMPARE(weights.shape(), info.shape);
            QCOMPARE(weights.rank(), outcome.rank);
            QCOMPARE(weights.parameters(), outcome.keptParameters);
            QCOMPARE(weights.sparse.entries(), outcome.entries);
        }
    }

    /// One A for q, k and v and one for gate and up, in the run's files, in an export and in what is counted.
    void latentsAreShared()
    {
        Place place;
        Recipe recipe = demoRecipe("joint-latents");
        recipe.structure = StructureKind::BlockIdentity;
        recipe.keptRatio = 0.8;
        recipe.out = place.path / "out";
        const RunResult result = place.run(recipe);
        const Model model = Model::open(recipe.model);
        const Model exported = Model::open(recipe.out);
        QCOMPARE(exported.parameterCount(), result.parameters);
        std::map<std::string, std::size_t> stored; // elements of B, A and A2 in the files, by linear
        for (const TensorInfo& tensor : exported.checkpoint().tensors())
            if (const std::size_t at = tensor.name.find("_proj."); at != std::string::npos && isFloating(tensor.dtype))
                stored[tensor.name.substr(0, at + 5)] += tensor.shape[0] * tensor.shape[1];
        for (std::size_t block = 0; block < model.config().blocks; ++block) {
            const auto outcomeOf = [&](Role role) { return result.linears[model.linear(block, role).index]; };
            for (const std::vector<Role>& group :
                 {std::vector<Role>{Role::Q, Role::K, Role::V}, std::vector<Role>{Role::Gate, Role::Up}}) {
                LinearShape stack{0, model.linear(block, group.front()).shape.columns};
                std::size_t kept = 0;
                for (const Role role : group) {
                    const LinearOutcome outcome = outcomeOf(role);
                    stack.rows += model.linear(block, role).shape.rows;
                    kept += outcome.keptParameters;
                    QCOMPARE(outcome.keptParameters, stored.at(outcome.name));
                    QCOMPARE(outcome.rank, outcomeOf(group.front()).rank);
                    QCOMPARE(exported.linear(outcome.name).structure,
                             role == group.front() ? StructureKind::BlockIdentity : StructureKind::SharedLatent);
                }
                const std::size_t rank = outcomeOf(group.front()).rank;
                QCOMPARE(kept, rank * (stack.rows + stack.columns - rank));
                QVERIFY(kept <= stack.parameters() * 8 / 10);
                QVERIFY((rank + 1) * (stack.rows + stack.columns - rank - 1) > stack.parameters() * 8 / 10);
            }
            // The file of a reader has no A.
            QVERIFY(!exported.checkpoint().find(outcomeOf(Role::K).name + ".A2.weight"));
        }

        // The same matrices with plain factors, and dense: a block identity changes no output.
        recipe.structure = StructureKind::Factors;
        recipe.out.clear();
        for (const LinearInfo& info : model.linears())
            recipe.ranks[info.name] = result.linears[info.index].rank;
        recipe.only = {"q", "k", "v"};
        std::erase_if(recipe.ranks, [&](const auto& entry) {
            const Role role = model.linear(entry.first).role;
            return role != Role::Q && role != Role::K && role != Role::V;
        });
        const std::shared_ptr<const Device> device = openDevice("cpu", 1);
        for (auto& [name, rank] : recipe.ranks)
            rank = 9;
        const RunResult plain = place.run(recipe);
        recipe.structure = StructureKind::BlockIdentity;
        const RunResult identity = place.run(recipe);
        const Model a = model.withLinears(runLinears(plain.folder, plain.fingerprint));
        const Model b = model.withLinears(runLinears(identity.folder, identity.fingerprint));
        for (const Role role : {Role::Q, Role::K, Role::V}) {
            const Matrix<double> x = expandLinear(*device, a.loadBlock(1)->linear(role));
            const Matrix<double> y = expandLinear(*device, b.loadBlock(1)->linear(role));
            double error = 0.0;
            double norm = 0.0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                error += std::pow(x.data()[i] - y.data()[i], 2);
                norm += std::pow(x.data()[i], 2);
            }
            QVERIFY(error < 1e-11 * norm); // float32 factors
        }

        // A cut-off run goes on from its files and gives the same bytes.
        const auto expected = contentOf(identity.folder);
        std::filesystem::remove(linearFile(identity.folder, model.linear(1, Role::K).index));
        std::filesystem::remove(linearFile(identity.folder, model.linear(2, Role::Q).index));
        const RunResult again = place.run(recipe);
        QCOMPARE(difference(contentOf(again.folder), expected), QString());
    }

    void partsOfAGroupAreRefused()
    {
        Place place;
        Recipe recipe = demoRecipe("joint-latents");
        recipe.only = {"q", "v"};
        std::optional<Error> error = errorOf([&] { place.run(recipe); });
        QVERIFY(error && error->kind() == ErrorKind::InvalidArgument);
        QVERIFY(QString::fromUtf8(error->what()).contains(QStringLiteral("self_attn.k_proj")));
        recipe.only = {"q", "k", "v"};
        recipe.ranks = {{queryName, 9}, {"model.layers.0.self_attn.v_proj", 10}};
        error = errorOf([&] { place.run(recipe); });
        QVERIFY(error && error->kind() == ErrorKind::InvalidArgument);
        recipe.ranks = {{"model.layers.0.self_attn.v_proj", 10}};
        QCOMPARE(place.run(recipe).linears[0].rank, std::size_t{10});
        recipe.ranks = {{queryName, 60}}; // beyond break-even: all dense
        const RunResult dense = place.run(recipe);
        for (std::size_t i = 0; i < 3; ++i)
            QCOMPARE(dense.linears[i].structure, StructureKind::Dense);
        QCOMPARE(dense.linears[1].rank, std::size_t{32});
        recipe.ranks.clear();
        recipe.recovery = RecoveryOptions();
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        recipe.recovery.reset();
        recipe.structure = StructureKind::SharedLatent;
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        for (const char* name : {"joint-gate-up", "joint-latents"}) {
            const Model opt = Model::open(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "models" / "opt-shakespeare");
            error = errorOf([&, n = name] { checkMethod(findMethod(n), opt); });
            QCOMPARE(error.has_value(), std::string(name) == "joint-gate-up");
            if (error)
                QVERIFY(QString::fromUtf8(error->what()).contains(QStringLiteral("gate")));
        }
    }

    /// Statistics of what is compressed before: shared latents run in the prefix.
    void sharedLatentsGoWithSequentialStatistics()
    {
        for (const SequentialMode mode : {SequentialMode::Compressed, SequentialMode::Anchored}) {
            Place place;
            Recipe recipe = demoRecipe("joint-latents");
            recipe.sequential = mode;
            recipe.evaluations = {heldOutStories()};
            const RunResult result = place.run(recipe);
            QVERIFY(std::isfinite(result.evaluations[0].compressed.perplexity));
            for (const LinearOutcome& outcome : result.linears)
                QVERIFY(std::abs(outcome.predictedLoss - outcome.measuredLoss) <= 1e-5 * outcome.measuredLoss);
        }
    }

    void natsAreOfWhatIsStored()
    {
        Place place;
        Recipe recipe = demoRecipe("afm"); // whose bias is no part of the checkpoint
        recipe.forecast = true;
        recipe.only = {queryName, downName, "v"};
        recipe.evaluations = {heldOutStories()};
        const RunResult result = place.run(recipe);
        QVERIFY(std::isfinite(result.predictedNats) && result.predictedNats > 0.0);

        const Model model = Model::open(recipe.model);
        const std::shared_ptr<const Device> device = openDevice("cpu", 1);
        const TokenWindows windows = makeWindows(*model.tokenizer(), *recipe.calibration, {});
        const CalibrationSet inputs = calibrate(model, *device, windows, place.path / "cache", {}, {});
        const CalibrationSet outputs = calibrateCurvature(model, *device, windows, {}, place.path / "cache", {}, {});
        QVERIFY(inputs.reused() && outputs.reused());
        double sum = 0.0;
        for (const LinearOutcome& outcome : result.linears) {
            const LinearInfo& info = model.linear(outcome.name);
            const TapStatistics x = inputs.load(info.tap);
            const TapStatistics g = outputs.load(info.index);
            const LinearRecord record = readLinearFile(linearFile(result.folder, info.index), result.fingerprint, info);
            QVERIFY(record.weights.has_value());
            const Matrix<double> W = loadLinear(model, *device, info).W;
            const Matrix<double> W_hat = expandLinear(*device, *record.weights);
            const std::size_t m = info.shape.rows;
            const std::size_t n = info.shape.columns;
            // E = sum over tokens of e e^T, e = (W - W_hat) x - b_hat, written out with the moments of (x, 1).
            Matrix<double> D(m, n + 1);
            Matrix<double> C(n + 1, n + 1);
            for (std::size_t i = 0; i < m; ++i) {
                for (std::size_t j = 0; j < n; ++j)
                    D(i, j) = W(i, j) - W_hat(i, j);
                D(i, n) = record.weights->bias.empty() ? 0.0 : -static_cast<double>(record.weights->bias[i]);
            }
            for (std::size_t i = 0; i < n; ++i) {
                C(i, n) = C(n, i) = x.sum[i];
                for (std::size_t j = 0; j < n; ++j)
                    C(i, j) = x.secondMoment(i, j);
            }
            C(n, n) = static_cast<double>(x.tokens);
            double trace = 0.0;
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t k = 0; k <= n; ++k) {
                    double DC = 0.0;
                    double GD = 0.0;
                    for (std::size_t j = 0; j <= n; ++j)
                        DC += D(i, j) * C(j, k);
                    for (std::size_t j = 0; j < m; ++j)
                        GD += g.secondMoment(i, j) * D(j, k);
                    trace += DC * GD;
                }
            const double expected = 0.5 * trace / static_cast<double>(x.tokens) / static_cast<double>(g.tokens);
            QVERIFY2(std::abs(outcome.nats - expected) < 1e-9 * expected, outcome.name.c_str());
            sum += expected;
        }
        QVERIFY(std::abs(result.predictedNats - sum) < 1e-9 * sum);
        QCOMPARE(result.evaluations[0].forecast->basis, ForecastBasis::Prior);

        // The store keeps all of it, and the next run is forecast from this one.
        const RunRecord record = place.store.run(result.id);
        QCOMPARE(record.result.predictedNats, result.predictedNats);
        QCOMPARE(record.result.linears[3].nats, result.linears[3].nats);
        QCOMPARE(record.result.evaluations[0].forecast->perplexity, result.evaluations[0].forecast->perplexity);
        recipe.method = "whitened-svd";
        const RunResult next = place.run(recipe);
        const Forecast& forecast = *next.evaluations[0].forecast;
        QCOMPARE(forecast.basis, ForecastBasis::Text);
        QCOMPARE(forecast.runs, std::size_t{1});
        QVERIFY(forecast.low < forecast.perplexity && forecast.perplexity < forecast.high);
        QCOMPARE(forecastPoints(place.store).size(), std::size_t{2});
        QCOMPARE(place.run(recipe).predictedNats, next.predictedNats); // taken over, with its nats
        QCOMPARE(forecastPoints(place.store).size(), std::size_t{2});  // and no second witness
        recipe.forecast = false;
        QVERIFY(std::isnan(place.run(recipe).predictedNats));
    }

    void whatIsForecastIsWhatARunCosts()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.allocation = "curvature";
        recipe.evaluations = {heldOutStories()};
        const std::vector<double> ratios{0.9, 0.7};
        const std::vector<PlannedForecast> planned =
            forecastRecipe(recipe, ratios, place.store, {.cache = place.path / "cache"}, {});
        QVERIFY(place.store.runs().empty());
        QCOMPARE(planned.size(), std::size_t{2});
        QVERIFY(planned[0].nats < planned[1].nats);
        const RunResult result = place.run(recipe); // kept 0.7
        QCOMPARE(planned[1].keptRatio, result.keptRatio);
        QCOMPARE(planned[1].bytes, result.bytes);
        // The rounding of the stored factors to float32.
        QVERIFY(std::abs(planned[1].nats - result.predictedNats) < 1e-5 * result.predictedNats);
        const Forecast& before = planned[1].perplexities.at(0).second;
        QVERIFY(std::abs(before.perplexity / result.evaluations[0].forecast->perplexity - 1.0) < 1e-4);
        recipe.method = "latentllm";
        recipe.allocation = "uniform";
        const auto error = errorOf([&] { forecastRecipe(recipe, ratios, place.store, {place.path / "cache"}, {}); });
        QVERIFY(error && error->kind() == ErrorKind::InvalidArgument);
    }

    void whitenedLosesLeastAtEqualRanks()
    {
        Place place;
        const RunResult whitened = place.run(demoRecipe("whitened-svd"));
        QVERIFY(!whitened.calibrationReused);
        for (const char* method : {"svd", "asvd", "nsvd"}) {
            const RunResult other = place.run(demoRecipe(method));
            QVERIFY(other.calibrationReused);
            for (std::size_t i = 0; i < demoLinears; ++i) {
                QCOMPARE(other.linears[i].rank, whitened.linears[i].rank);
                QVERIFY(whitened.linears[i].measuredLoss <= other.linears[i].measuredLoss * (1.0 + 1e-9));
            }
        }
    }

    void bytesDoNotDependOnThreadsMemoryOrRepetition()
    {
        Recipe recipe = demoRecipe("nsvd");
        recipe.allocation = "marginal-loss";
        recipe.threads = 1;
        Place place;
        const auto expected = contentOf(place.run(recipe).folder);
        QVERIFY(expected.contains("run.json") && expected.contains("plan.json"));
        QCOMPARE(expected.size(), demoLinears + 2);
        recipe.threads = 3;
        Place threaded;
        QCOMPARE(difference(contentOf(threaded.run(recipe).folder), expected), QString());
        // Too little for all analyses at once: some are made twice.
        recipe.memoryLimit = std::size_t{6} << 20U;
        Place small;
        const RunResult result = small.run(recipe);
        QVERIFY(std::any_of(result.events.begin(), result.events.end(),
                            [](const NumericEvent& event) { return event.kind == "analysesRecomputed"; }));
        QCOMPARE(difference(contentOf(result.folder), expected), QString());
    }

    void aFinishedRunIsTakenOver()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.evaluations = {heldOutStories()};
        const RunResult first = place.run(recipe);
        const auto expected = contentOf(first.folder);
        const RunResult second = place.run(recipe);
        QCOMPARE(second.folder, first.folder);
        for (std::size_t i = 0; i < demoLinears; ++i) {
            QVERIFY(second.linears[i].resumed);
            QCOMPARE(second.linears[i].measuredLoss, first.linears[i].measuredLoss);
            QCOMPARE(second.linears[i].notes, first.linears[i].notes);
        }
        QCOMPARE(second.evaluations[0].compressed.perplexity, first.evaluations[0].compressed.perplexity);
        QCOMPARE(second.evaluations[0].original.windowNll, first.evaluations[0].original.windowNll);
        QCOMPARE(place.store.spectrum(second.id, queryName), place.store.spectrum(first.id, queryName));
        QCOMPARE(difference(contentOf(second.folder), expected), QString());
    }

    void damagedFilesAreComputedAgain()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.allocation = "marginal-loss";
        const RunResult first = place.run(recipe);
        const auto expected = contentOf(first.folder);
        writeBytes(linearFile(first.folder, 3), expected.at("linear-00003.safetensors").substr(0, 500));
        std::string flipped = expected.at("linear-00008.safetensors");
        flipped[flipped.size() - 5] = static_cast<char>(flipped[flipped.size() - 5] ^ 4);
        writeBytes(linearFile(first.folder, 8), flipped);
        writeBytes(linearFile(first.folder, 9), expected.at("linear-00010.safetensors"));
        writeBytes(first.folder / "plan.json", "{\"fingerprint\": 7}");
        writeBytes(first.folder / ".linear-00001.safetensors.1-0.partial", "half");
        const RunResult second = place.run(recipe);
        for (std::size_t i = 0; i < demoLinears; ++i)
            QCOMPARE(second.linears[i].resumed, i != 3 && i != 8 && i != 9);
        QCOMPARE(std::count_if(second.events.begin(), second.events.end(),
                               [](const NumericEvent& event) { return event.kind == "discardedFile"; }),
                 4);
        QCOMPARE(difference(contentOf(second.folder), expected), QString());
    }

    void linearFilesAreReadWithSuspicion()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.structure = StructureKind::BlockIdentity;
        recipe.only = {queryName};
        const RunResult result = place.run(recipe);
        const Model model = Model::open(recipe.model);
        const LinearInfo& info = model.linear(queryName);
        const auto file = linearFile(result.folder, info.index);
        const std::string good = readFile(file);
        const auto read = [&] { readLinearFile(file, result.fingerprint, info); };
        QVERIFY(!errorOf(read));
        for (std::size_t size = 0; size < good.size(); size += size < 2000 ? 37 : 997) {
            writeBytes(file, good.substr(0, size));
            QVERIFY2(errorOf(read).has_value(), qPrintable(QString::number(size)));
        }
        std::mt19937 random(7);
        for (int i = 0; i < 400; ++i) {
            std::string bad = good;
            bad[random() % bad.size()] ^= static_cast<char>(1U << (random() % 8));
            writeBytes(file, bad);
            errorOf(read); // an Error or a harmless change; never anything else
        }
        writeBytes(file, good);
        QCOMPARE(errorOf([&] { readLinearFile(file, "other", info); })->kind(), ErrorKind::Mismatch);
        QCOMPARE(errorOf([&] { readLinearFile(file, result.fingerprint, model.linear(downName)); })->kind(),
                 ErrorKind::Mismatch);
    }

    void killedRunsLoseNothing_data()
    {
        QTest::addColumn<QString>("sequential");
        QTest::addColumn<QString>("allocation");
        QTest::newRow("dense") << QStringLiteral("dense") << QStringLiteral("marginal-loss");
        QTest::newRow("compressed prefix") << QStringLiteral("compressed") << QStringLiteral("uniform");
    }
    void killedRunsLoseNothing()
    {
        QFETCH(QString, sequential);
        QFETCH(QString, allocation);
        Recipe recipe = demoRecipe("nsvd");
        recipe.allocation = allocation.toStdString();
        recipe.sequential = sequentialModeFromName(sequential.toStdString());
        recipe.structure = StructureKind::BlockIdentity;
        recipe.calibration->count = 2;
        Place unbroken;
        const auto recipeFile = unbroken.path / "recipe.json";
        writeBytes(recipeFile, dumpJson(recipeToJson(recipe)));
        const auto start = [&](QProcess& process, const std::filesystem::path& path) {
            process.setProcessChannelMode(QProcess::ForwardedChannels);
            process.start(QStringLiteral(EXPERIMENT_HELPER),
                          {QStringLiteral("run"), QString::fromStdString(recipeFile.string()),
                           QString::fromStdString((path / "experiments.sqlite").string()),
                           QString::fromStdString((path / "cache").string())});
            return process.waitForStarted();
        };
        QElapsedTimer timer;
        timer.start();
        {
            QProcess whole;
            QVERIFY(start(whole, unbroken.path));
            QVERIFY(whole.waitForFinished(120'000));
            QCOMPARE(whole.exitCode(), 0);
        }
        const auto duration = static_cast<unsigned>(timer.elapsed());
        const auto expected = contentOf(unbroken.run(recipe).folder);

        std::mt19937 random(20);
        int killed = 0;
        std::size_t takenOver = 0;
        for (int attempt = 0; attempt < 10; ++attempt) {
            const QTemporaryDir folder;
            const std::filesystem::path path = folder.path().toStdString();
            QProcess process;
            QVERIFY(start(process, path));
            // Half of them at any time, half while linears are being written.
            if (attempt % 2 == 0) {
                std::this_thread::sleep_for(std::chrono::milliseconds(random() % (duration + 1)));
            } else {
                const std::size_t wanted = 1 + random() % (demoLinears - 1);
                while (process.state() == QProcess::Running && countLinearFiles(path) < wanted)
                    process.waitForFinished(1);
                std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
            }
            process.kill();
            QVERIFY(process.waitForFinished(30'000));
            killed += process.exitStatus() == QProcess::CrashExit ? 1 : 0;

            Store store(path / "experiments.sqlite");
            std::set<std::string> recorded;
            for (const RunSummary& run : store.runs()) {
                QVERIFY(run.state == RunState::Interrupted || run.state == RunState::Finished);
                for (const LinearOutcome& outcome : store.run(run.id).result.linears)
                    recorded.insert(outcome.name);
            }
            const RunResult result = runRecipe(recipe, store, {.cache = path / "cache"}, {});
            for (const LinearOutcome& outcome : result.linears)
                QVERIFY2(outcome.resumed || !recorded.contains(outcome.name), outcome.name.c_str());
            takenOver += recorded.size();
            QCOMPARE(difference(contentOf(result.folder), expected), QString());
        }
        qInfo("%d of 10 processes killed within %u ms, %zu linears taken over", killed, duration, takenOver);
        QVERIFY(killed >= 5 && takenOver > 0);
    }

    void aCancelledRunGoesOnLater()
    {
        Place reference;
        const Recipe recipe = demoRecipe();
        const auto expected = contentOf(reference.run(recipe).folder);
        Place place;
        std::stop_source stop;
        std::atomic<int> factorised{0};
        TaskContext context;
        context.stop = stop.get_token();
        context.progress = [&](const Progress& progress) {
            if (progress.stage == "factorise" && !progress.item.empty() && ++factorised == 10)
                stop.request_stop();
        };
        const auto error = errorOf([&] { place.run(recipe, context); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Cancelled);
        const RunRecord record = place.store.run(place.store.runs().at(0).id);
        QCOMPARE(record.summary.state, RunState::Cancelled);
        QVERIFY(record.result.linears.size() >= 10 && record.result.linears.size() < demoLinears);
        const auto folder = place.store.runsFolder() / record.summary.fingerprint;
        QCOMPARE(errorOf([&] { runLinears(folder, record.summary.fingerprint); })->kind(), ErrorKind::NotFound);
        const RunResult result = place.run(recipe);
        QCOMPARE(static_cast<std::size_t>(std::count_if(result.linears.begin(), result.linears.end(),
                                                        [](const LinearOutcome& o) { return o.resumed; })),
                 record.result.linears.size());
        QCOMPARE(difference(contentOf(result.folder), expected), QString());
    }

    void oneRunAtATime()
    {
        Place place;
        const RunResult first = place.run(demoRecipe());
        const RunLock lock(first.folder);
        const auto error = errorOf([&] { place.run(demoRecipe()); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::InvalidArgument);
        QVERIFY(std::string(error->what()).find("process " + std::to_string(::getpid())) != std::string::npos);
        QCOMPARE(place.store.runs().at(0).state, RunState::Failed);
    }

    void sequentialModesPredictTheirLosses_data()
    {
        QTest::addColumn<QString>("mode");
        QTest::addColumn<QString>("allocation");
        for (const char* mode : {"compressed", "anchored", "update", "alternate"})
            for (const char* allocation : {"uniform", "marginal-loss"})
                QTest::addRow("%s %s", mode, allocation) << QString::fromUtf8(mode) << QString::fromUtf8(allocation);
    }
    void sequentialModesPredictTheirLosses()
    {
        QFETCH(QString, mode);
        QFETCH(QString, allocation);
        Place place;
        Recipe recipe = demoRecipe();
        recipe.allocation = allocation.toStdString();
        recipe.calibration->count = 64;
        recipe.evaluations = {heldOutStories(32)};
        const RunResult dense = place.run(recipe);
        recipe.sequential = sequentialModeFromName(mode.toStdString());
        const RunResult result = place.run(recipe);
        QCOMPARE(result.linears.size(), demoLinears);
        for (std::size_t i = 0; i < demoLinears; ++i) {
            QVERIFY2(predictionHolds(result.linears[i]), result.linears[i].name.c_str());
            QCOMPARE(result.linears[i].rank, dense.linears[i].rank);
        }
        // The first tap has nothing compressed before it; later ones do. The cross moments of an anchored run come from
        // another float32 product than second moments, so that they agree to its rounding only.
        bool differs = false;
        for (std::size_t i = 0; i < demoLinears; ++i) {
            const double change = std::abs(result.linears[i].measuredLoss - dense.linears[i].measuredLoss);
            if (i < 3)
                QVERIFY(change <= 1e-6 * dense.linears[i].totalEnergy);
            else
                differs = differs || change > 1e-3 * dense.linears[i].totalEnergy;
        }
        QVERIFY(differs);
        qInfo("perplexity: original %.4f, dense statistics %.4f, %s %.4f", result.evaluations[0].original.perplexity,
              dense.evaluations[0].compressed.perplexity, qPrintable(mode),
              result.evaluations[0].compressed.perplexity);
        // Ranks planned on dense losses need not suit the compressed prefix, and alternating fits stop short of its
        // optimum: there it only has to work.
        const double bound =
            recipe.allocation == "uniform" && recipe.sequential != SequentialMode::Alternate ? 1.0 : 1.5;
        QVERIFY(result.evaluations[0].compressed.perplexity < bound * dense.evaluations[0].compressed.perplexity);
        QVERIFY(result.evaluations[0].compressed.perplexity > result.evaluations[0].original.perplexity);
    }

    void groupsRunInSequenceAndInPart()
    {
        Place place;
        Recipe recipe = demoRecipe("latentllm");
        recipe.evaluations = {heldOutStories(32)};
        recipe.calibration->count = 64;
        const RunResult dense = place.run(recipe);
        for (const SequentialMode mode : {SequentialMode::Compressed, SequentialMode::Anchored}) {
            recipe.sequential = mode;
            recipe.out = place.path / std::string(sequentialModeName(mode)); // an export is read again
            const RunResult result = place.run(recipe);
            QCOMPARE(result.linears.size(), demoLinears);
            for (const LinearOutcome& outcome : result.linears)
                QVERIFY2(predictionHolds(outcome), outcome.name.c_str());
            QVERIFY(result.evaluations[0].compressed.perplexity < dense.evaluations[0].compressed.perplexity);
        }
        recipe.out.clear();
        recipe.sequential = SequentialMode::Update;
        const auto error = errorOf([&] { place.run(recipe); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::InvalidArgument);

        // A group of which one linear stays as it is.
        recipe.sequential = SequentialMode::Dense;
        recipe.only = {"k", "o"};
        const RunResult part = place.run(recipe);
        QCOMPARE(part.linears.size(), std::size_t{10});
        for (const LinearOutcome& outcome : part.linears) {
            const auto whole = std::find_if(dense.linears.begin(), dense.linears.end(),
                                            [&](const LinearOutcome& o) { return o.name == outcome.name; });
            QCOMPARE(outcome.rank, whole->rank);
            QVERIFY(predictionHolds(outcome));
        }

        // A run that lost one file of a group makes that file again, byte for byte.
        const auto before = contentOf(part.folder);
        std::filesystem::remove(part.folder / before.begin()->first);
        QCOMPARE(difference(before, contentOf(place.run(recipe).folder)), QString());
    }

    void ranksSetByHandAreKept()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.ranks = {{queryName, 5}, {downName, 60}};
        recipe.heldOutWindows = 4;
        const RunResult result = place.run(recipe);
        const auto outcome = [&](const char* name) {
            return *std::find_if(result.linears.begin(), result.linears.end(),
                                 [&](const LinearOutcome& o) { return o.name == name; });
        };
        QCOMPARE(outcome(queryName).rank, std::size_t{5});
        QCOMPARE(outcome(queryName).structure, StructureKind::Factors);
        QVERIFY(!outcome(queryName).notes.empty());
        QCOMPARE(outcome(downName).structure, StructureKind::Dense); // break-even is at 46
        QCOMPARE(outcome(downName).keptParameters, outcome(downName).denseParameters);
        QCOMPARE(outcome(downName).measuredLoss, 0.0);
        QVERIFY(!outcome(downName).notes.empty());
        QVERIFY(result.keptRatio <= 0.7);
        const Model model = Model::open(recipe.model);
        QVERIFY(runLinears(result.folder, result.fingerprint)(model.linear(downName)) == nullptr);
        for (const LinearOutcome& linear : result.linears) {
            if (linear.structure == StructureKind::Dense)
                continue;
            QVERIFY(linear.heldOutError > 0.0 && linear.heldOutError < 1.0);
            // Near the error on the calibration windows: same language, other windows.
            const double calibration = std::sqrt(linear.measuredLoss / linear.totalEnergy);
            QVERIFY(linear.heldOutError > 0.5 * calibration && linear.heldOutError < 3.0 * calibration);
        }
        QCOMPARE(place.store.run(result.id).result.linears[1].heldOutError, result.linears[1].heldOutError);
        // Taken over, a dense linear is still dense.
        QVERIFY(place.run(recipe).linears[0].resumed);
    }

    void chosenLinearsOnly()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.only = {"down", "model.layers.0.self_attn.*"};
        const RunResult result = place.run(recipe);
        QCOMPARE(result.linears.size(), std::size_t{9});
        recipe.only = {"nothing"};
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        recipe.only = {"q"};
        recipe.ranks = {{downName, 3}};
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        recipe.ranks = {{"model.layers.0.self_attn.query", 3}};
        QVERIFY(errorOf([&] { place.run(recipe); }).has_value());
    }

    void plainSvdNeedsNoText()
    {
        Place place;
        Recipe recipe = demoRecipe("svd");
        recipe.calibration.reset();
        const RunResult result = place.run(recipe);
        for (const LinearOutcome& outcome : result.linears)
            QVERIFY(predictionHolds(outcome));
        QVERIFY(result.calibrationFingerprint.empty());
    }

    void halfPrecisionStorageIsMeasuredAsStored()
    {
        Place place;
        Recipe recipe = demoRecipe();
        const RunResult full = place.run(recipe);
        recipe.storage = DType::BF16;
        const RunResult half = place.run(recipe);
        QVERIFY(half.bytes < full.bytes);
        for (std::size_t i = 0; i < demoLinears; ++i) {
            QVERIFY(half.linears[i].measuredLoss > full.linears[i].measuredLoss);
            QVERIFY(half.linears[i].measuredLoss < 1.05 * full.linears[i].measuredLoss);
        }
    }

    void exportsAreWrittenAndOpened()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.out = place.path / "exported";
        const RunResult result = place.run(recipe);
        QCOMPARE(result.exportFolder, recipe.out);
        const Model exported = Model::open(recipe.out);
        QCOMPARE(exported.parameterCount(), result.parameters);
        QCOMPARE(exported.linear(queryName).rank, result.linears[0].rank);
        // The same again must not touch what is there, and must say so before it works.
        const auto error = errorOf([&] { place.run(recipe); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::InvalidArgument);
        QCOMPARE(error->file(), recipe.out);
        QCOMPARE(place.store.runs().size(), std::size_t{1});
    }

    void wrongRecipesLeaveNoRun()
    {
        Place place;
        Recipe recipe = demoRecipe("whitened-sdv");
        const auto unknown = errorOf([&] { place.run(recipe); });
        QVERIFY(unknown.has_value());
        QCOMPARE(unknown->kind(), ErrorKind::InvalidArgument);
        QVERIFY(std::string(unknown->what()).find("whitened-svd") != std::string::npos);
        for (const double ratio : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
            recipe = demoRecipe();
            recipe.keptRatio = ratio;
            QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        }
        QVERIFY(place.store.runs().empty());
    }

    void failuresAreRecorded()
    {
        Place place;
        Recipe recipe = demoRecipe();
        recipe.calibration->count = 100'000;
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        recipe = demoRecipe();
        recipe.model = place.path / "missing";
        QVERIFY(errorOf([&] { place.run(recipe); }).has_value());
        recipe = demoRecipe();
        recipe.keptRatio = 1e-4;
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::InvalidArgument);
        recipe = demoRecipe();
        recipe.memoryLimit = 100'000;
        QCOMPARE(errorOf([&] { place.run(recipe); })->kind(), ErrorKind::Memory);
        QCOMPARE(place.store.runs().size(), std::size_t{4});
        for (const RunSummary& run : place.store.runs()) {
            QCOMPARE(run.state, RunState::Failed);
            QVERIFY(!run.error.empty());
        }
    }

    void weightsThatAreNotFiniteAreRefused()
    {
        Place place;
        const auto model = place.path / "broken";
        std::filesystem::copy(demo / "stories260K", model);
        std::string bytes = readFile(model / "model.safetensors");
        std::size_t header = 0;
        std::memcpy(&header, bytes.data(), 8);
        const Json json = parseJson(std::string_view(bytes).substr(8, header), "header");
        const std::string tensor = "model.layers.3.mlp.up_proj.weight";
        const std::size_t offset = json.at(tensor).at("data_offsets").at(0).get<std::size_t>();
        const std::size_t width = json.at(tensor).at("dtype").get<std::string>() == "F32" ? 4 : 2;
        // All bits set is a NaN in F32, F16 and BF16.
        std::memset(bytes.data() + 8 + header + offset + 40 * width, 0xff, width);
        writeBytes(model / "model.safetensors", bytes);
        Recipe recipe = demoRecipe();
        recipe.model = model;
        const auto error = errorOf([&] { place.run(recipe); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::NonFinite);
        QCOMPARE(error->tensor(), tensor);
        QCOMPARE(place.store.runs().at(0).state, RunState::Failed);
    }
};

QTEST_GUILESS_MAIN(TestRunner)
#include "tst_runner.moc"
