#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/runner.h"
#include "core/training/distillation_loss.h"
#include "run_support.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

using namespace rankwright;

namespace {

Recipe trainingRecipe()
{
    Recipe recipe;
    recipe.model = demo / "stories260K";
    recipe.method = "whitened-svd";
    recipe.structure = StructureKind::BlockIdentity;
    recipe.keptRatio = 0.6;
    recipe.threads = 2;
    recipe.calibration = WindowOptions{.text = demo / "stories-calibration.txt", .length = 64, .count = 8};
    recipe.distillation =
        DistillationOptions{.training = {.windows = 24, .epochs = 3, .batch = 4, .learningRate = 1e-3}};
    recipe.recovery = RecoveryOptions{.training = {.windows = 24, .epochs = 3, .batch = 4, .learningRate = 1e-3}};
    return recipe;
}

std::size_t countFiles(const std::filesystem::path& folder, const std::string& prefix)
{
    std::size_t count = 0;
    std::error_code ignored; // files come and go
    std::filesystem::recursive_directory_iterator entry(folder, ignored);
    for (; entry != std::filesystem::recursive_directory_iterator(); entry.increment(ignored))
        count += entry->path().filename().string().starts_with(prefix) ? 1 : 0;
    return count;
}

/// On held-out windows, of one loss curve.
struct Losses
{
    double first = NAN;
    double least = NAN;
};

Losses heldOutLosses(const std::vector<TrainingPoint>& points, const std::string& stage, const std::string& part)
{
    Losses losses;
    for (const TrainingPoint& point : points) {
        if (point.stage != stage || point.part != part || !std::isfinite(point.heldOutLoss))
            continue;
        if (std::isnan(losses.first))
            losses.first = losses.least = point.heldOutLoss;
        losses.least = std::min(losses.least, point.heldOutLoss);
    }
    return losses;
}

/// Stage and part, then steps and losses in the order of the training, as text: a loss may be NaN.
std::map<std::pair<std::string, std::string>, std::string> curvesOf(const std::vector<TrainingPoint>& points)
{
    std::map<std::pair<std::string, std::string>, std::string> curves;
    for (const TrainingPoint& point : points)
        curves[{point.stage, point.part}] +=
            fmt::format("{}/{} {} {}\n", point.step, point.steps, point.loss, point.heldOutLoss);
    return curves;
}

/// Of trainings, in the order of blocks.
std::vector<std::string> trainingEvents(const RunResult& result)
{
    std::vector<std::string> events;
    for (const NumericEvent& event : result.events)
        if (event.kind == "divergedStep" || event.kind == "trainedWithoutGain")
            events.push_back(fmt::format("{} {} {} {}", event.linear, event.kind, event.value, event.message));
    std::ranges::stable_sort(events, {}, [](const std::string& event) { return event.substr(0, event.find(' ')); });
    return events;
}

double ratio(const EvaluationOutcome& outcome)
{
    return outcome.compressed.perplexity / outcome.original.perplexity;
}

} // namespace

/// Runs that train their factors.
class TestTrainingRuns : public QObject
{
    Q_OBJECT

private slots:
    void trainingHelpsAndIsToldApart()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.evaluations = {heldOutStories()};
        std::vector<TrainingPoint> seen;
        std::mutex mutex;
        RunObserver observer;
        observer.trained = [&](const TrainingPoint& point) {
            const std::lock_guard lock(mutex);
            seen.push_back(point);
        };
        const RunResult result = place.run(recipe, {}, observer);
        QCOMPARE(result.evaluations.size(), std::size_t{2});
        QCOMPARE(result.evaluations[1].name, std::string("held-out stories, before training"));
        QVERIFY2(ratio(result.evaluations[0]) < 0.95 * ratio(result.evaluations[1]),
                 qPrintable(
                     QStringLiteral("%1 from %2").arg(ratio(result.evaluations[0])).arg(ratio(result.evaluations[1]))));

        // What comes before training is what the same recipe without gives.
        Recipe plain = recipe;
        plain.distillation.reset();
        plain.recovery.reset();
        const RunResult untrained = place.run(plain);
        QVERIFY(untrained.fingerprint != result.fingerprint);
        QCOMPARE(untrained.evaluations[0].compressed.windowNll, result.evaluations[1].compressed.windowNll);

        // The model that is exported and evaluated later is the trained one.
        const Model model = compressedModel(Model::open(recipe.model), place.store.run(result.id));
        const auto device = makeCpuDevice(2);
        const TokenWindows windows = makeWindows(*model.tokenizer(), heldOutStories().windows, {});
        QCOMPARE(evaluatePerplexity(model, *device, windows, {.threads = 2}, {}).windowNll,
                 result.evaluations[0].compressed.windowNll);

        for (const LinearOutcome& outcome : result.linears) {
            if (outcome.structure == StructureKind::Dense)
                continue;
            for (const char* word : {"distilled", "recovered"})
                QVERIFY(std::ranges::any_of(outcome.notes,
                                            [&](const std::string& note) { return note.starts_with(word); }));
        }
        QVERIFY(!std::filesystem::exists(result.folder / "recovery.safetensors"));

        const std::vector<TrainingPoint> stored = place.store.trainingPoints(result.id);
        QCOMPARE(stored.size(), seen.size());
        std::set<std::string> parts;
        for (std::size_t i = 0; i < stored.size(); ++i) {
            parts.insert(stored[i].stage + stored[i].part);
            QVERIFY(std::isfinite(stored[i].loss) != std::isfinite(stored[i].heldOutLoss));
            QVERIFY(stored[i].step <= stored[i].steps);
        }
        QCOMPARE(parts.size(), std::size_t{6}); // five blocks and the whole
        QVERIFY(place.store.trainingPoints(untrained.id).empty());
    }

    /// Lillama is plain SVD, distilled without being told.
    void lillamaStartsFromPlainSvd()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.method = "lillama";
        recipe.structure = StructureKind::Factors;
        recipe.recovery.reset();
        recipe.evaluations = {heldOutStories()};
        const RunResult result = place.run(recipe);
        recipe.distillation.reset();
        QVERIFY(distillationOf(recipe) == DistillationOptions{});
        recipe.method = "svd";
        QVERIFY(!distillationOf(recipe));
        const RunResult plain = place.run(recipe);
        QCOMPARE(plain.evaluations.size(), std::size_t{1});
        QCOMPARE(result.evaluations[1].compressed.windowNll, plain.evaluations[0].compressed.windowNll);
        QVERIFY(result.evaluations[0].compressed.perplexity < plain.evaluations[0].compressed.perplexity);
    }

    /// What a plan leaves in the factors of the checkpoint is not trained: the losses of the trainings are those of
    /// what they keep.
    void linearsThatAreLeftAreNotTrained()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.distillation.reset();
        recipe.recovery.reset();
        recipe.keptRatio = 0.7;
        recipe.out = place.path / "factored";
        place.run(recipe);
        const Model model = Model::open(recipe.out);
        recipe = trainingRecipe();
        recipe.model = model.checkpoint().path();
        recipe.distillation->inputs = DistillationInputs::Teacher;
        for (const LinearInfo& info : model.linears())
            if (info.role == Role::Down) {
                QCOMPARE(info.structure, StructureKind::BlockIdentity);
                recipe.ranks[info.name] = info.shape.fullRank(); // saves nothing
            }
        const RunResult result = place.run(recipe);
        std::size_t left = 0;
        for (const LinearInfo& info : model.linears()) {
            const LinearOutcome& outcome = result.linears[info.index];
            QCOMPARE(outcome.left, info.role == Role::Down);
            left += outcome.left ? 1 : 0;
            for (const char* word : {"distilled", "recovered"})
                QCOMPARE(
                    std::ranges::any_of(outcome.notes, [&](const std::string& note) { return note.starts_with(word); }),
                    !outcome.left);
        }
        QCOMPARE(left, std::size_t{5});

        const auto device = makeCpuDevice(1);
        TokenWindows heldOut =
            makeWindows(*model.tokenizer(), {.text = recipe.calibration->text, .length = 64, .count = 24}, {});
        heldOut.ids.erase(heldOut.ids.begin(), heldOut.ids.end() - 3); // an eighth of them
        heldOut.offsets.erase(heldOut.offsets.begin(), heldOut.offsets.end() - 3);
        const Model distilled = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            LinearRecord record =
                readLinearFile(linearFile(result.folder, info.index, "distilled"), result.fingerprint, info);
            return record.weights ? std::make_shared<const LinearWeights>(std::move(*record.weights)) : nullptr;
        });
        const RotaryTable rotary = makeRotaryTable(model.config(), 64);
        ForwardScratch scratch;
        double loss = 0.0;
        for (const std::vector<std::int32_t>& ids : heldOut.ids) {
            Matrix<float> target(ids.size(), model.config().hiddenSize);
            model.embed(ids, target.view());
            Matrix<float> output = target;
            forwardBlock(*device, model.config(), *model.loadBlock(0), rotary, target.view(), scratch);
            forwardBlock(*device, model.config(), *distilled.loadBlock(0), rotary, output.view(), scratch);
            loss += distillationLoss(std::as_const(output).view(), std::as_const(target).view(), 1.0, {});
        }
        const Losses distillation = heldOutLosses(place.store.trainingPoints(result.id), "distill", "model.layers.0");
        QVERIFY(distillation.least < distillation.first);
        QVERIFY(std::abs(loss / (3.0 * 64.0) / distillation.least - 1.0) < 1e-5);

        const Model recovered = compressedModel(model, place.store.run(result.id));
        const double nats = std::log(evaluatePerplexity(recovered, *device, heldOut, {.threads = 1}, {}).perplexity);
        const Losses recovery = heldOutLosses(place.store.trainingPoints(result.id), "recover", "");
        QVERIFY(recovery.least < recovery.first);
        QVERIFY2(std::abs(nats / recovery.least - 1.0) < 1e-5,
                 qPrintable(QStringLiteral("%1 kept, %2 in the training").arg(nats).arg(recovery.least)));
    }

    /// Where a plan leaves everything there is nothing to train, and nothing is.
    void runsThatLeaveEverythingTrainNothing()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.keptRatio = 1.0; // no factors save anything
        recipe.structure = StructureKind::Factors;
        const Model model = Model::open(recipe.model);
        for (const LinearInfo& info : model.linears())
            recipe.ranks[info.name] = info.shape.fullRank();
        recipe.evaluations = {heldOutStories()};
        const RunResult result = place.run(recipe);
        for (const LinearOutcome& outcome : result.linears)
            QVERIFY(outcome.left);
        QVERIFY(place.store.trainingPoints(result.id).empty());
        QCOMPARE(result.evaluations[0].compressed.windowNll, result.evaluations[0].original.windowNll);
        // Again from the files of the first.
        QCOMPARE(place.run(recipe).evaluations[0].compressed.windowNll, result.evaluations[0].original.windowNll);
    }

    /// Killed anywhere in a training, a run goes on to the bytes of one that was left alone.
    void killedTrainingsLoseNothing()
    {
        Recipe recipe = trainingRecipe();
        recipe.recovery->training.epochs = 8;
        Place unbroken;
        const RunResult whole = unbroken.run(recipe);
        const auto expected = contentOf(whole.folder);
        const auto recipeFile = unbroken.path / "recipe.json";
        writeFileAtomically(recipeFile, dumpJson(recipeToJson(recipe)));
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        int killed = 0;
        const auto killAt = [&](const std::string& prefix, std::size_t count) {
            QProcess process;
            process.setProcessChannelMode(QProcess::ForwardedChannels);
            process.start(QStringLiteral(EXPERIMENT_HELPER),
                          {QStringLiteral("run"), QString::fromStdString(recipeFile.string()),
                           QString::fromStdString((path / "experiments.sqlite").string()),
                           QString::fromStdString((path / "cache").string())});
            QVERIFY(process.waitForStarted());
            while (process.state() == QProcess::Running && countFiles(path, prefix) < count)
                process.waitForFinished(1);
            std::this_thread::sleep_for(std::chrono::milliseconds(3 * (killed + 1)));
            process.kill();
            QVERIFY(process.waitForFinished(30'000));
            killed += process.exitStatus() == QProcess::CrashExit ? 1 : 0;
        };
        for (const std::size_t blocks : {1, 2, 4})
            killAt("distilled-", 7 * blocks - 3);
        for (int i = 0; i < 3; ++i)
            killAt("recovery.safetensors", 1);
        QVERIFY(killed >= 4);
        Store store(path / "experiments.sqlite");
        const RunResult result = runRecipe(recipe, store, {.cache = path / "cache"}, {});
        QCOMPARE(result.linears.size(), demoLinears);
        const auto content = contentOf(result.folder);
        QCOMPARE(content.size(), expected.size());
        for (const auto& [name, bytes] : expected)
            QVERIFY2(content.contains(name) && content.at(name) == bytes, name.c_str());
        // Nor is anything lost of what was recorded, or told twice.
        const auto curves = curvesOf(store.trainingPoints(result.id));
        QCOMPARE(curves.size(), std::size_t{6});
        QVERIFY(curves == curvesOf(unbroken.store.trainingPoints(whole.id)));
    }

    /// A run that takes over everything shows the curves and the trouble of the run that trained.
    void trainingsTakenOverKeepTheirRecord()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.distillation->training.learningRate = 1e30;
        const RunResult first = place.run(recipe);
        std::vector<TrainingPoint> seen;
        RunObserver observer;
        observer.trained = [&](const TrainingPoint& point) { seen.push_back(point); };
        const RunResult second = place.run(recipe, {}, observer);
        QVERIFY(std::ranges::all_of(second.linears, &LinearOutcome::resumed));
        const auto curves = curvesOf(place.store.trainingPoints(first.id));
        QCOMPARE(curves.size(), std::size_t{6});
        QVERIFY(curvesOf(place.store.trainingPoints(second.id)) == curves);
        QVERIFY(curvesOf(seen) == curves);
        QVERIFY(trainingEvents(first).size() > 5);
        QCOMPARE(trainingEvents(second), trainingEvents(first));
        QCOMPARE(trainingEvents(place.store.run(second.id).result), trainingEvents(first));
    }

    void divergenceIsRecorded()
    {
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.distillation->training.learningRate = 1e30;
        recipe.recovery.reset();
        recipe.evaluations = {heldOutStories()};
        const RunResult result = place.run(recipe);
        const std::vector<NumericEvent> events = place.store.run(result.id).result.events;
        QVERIFY(std::ranges::any_of(events, [](const NumericEvent& event) { return event.kind == "divergedStep"; }));
        QVERIFY(std::isfinite(result.evaluations[0].compressed.perplexity));
    }

    /// Where no step was better than none, the factors are those of before, and that is noted.
    void trainingWithoutGainIsNoted()
    {
        const auto partsWithout = [](const RunResult& result) {
            std::vector<std::string> parts;
            for (const NumericEvent& event : result.events)
                if (event.kind == "trainedWithoutGain")
                    parts.push_back(event.linear);
            return parts;
        };
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.evaluations = {heldOutStories()};
        QVERIFY(partsWithout(place.run(recipe)).empty());
        recipe.distillation->training.learningRate = 1e30;
        recipe.recovery->training.learningRate = 1e30;
        const RunResult result = place.run(recipe);
        QCOMPARE(partsWithout(result), (std::vector<std::string>{"model.layers.0", "model.layers.1", "model.layers.2",
                                                                 "model.layers.3", "model.layers.4", ""}));
        QCOMPARE(result.evaluations[0].compressed.windowNll, result.evaluations[1].compressed.windowNll);
    }

    void refusesTrainingsThatMeanNothing()
    {
        const auto refusal = [](const auto& edit) -> std::string {
            Recipe recipe = trainingRecipe();
            edit(recipe);
            try {
                validateRecipe(recipe);
            } catch (const Error& error) {
                return error.kind() == ErrorKind::InvalidArgument ? error.what() : "wrong kind";
            }
            return {};
        };
        QCOMPARE(refusal([](Recipe&) {}), std::string());
        const auto names = [](const std::string& message, const char* word) {
            return message.find(word) != std::string::npos;
        };
        QVERIFY(names(refusal([](Recipe& r) { r.distillation->training.epochs = 0; }), "distillation"));
        QVERIFY(names(refusal([](Recipe& r) { r.recovery->training.batch = 0; }), "recovery"));
        QVERIFY(names(refusal([](Recipe& r) { r.recovery->training.epochs = mostEpochs + 1; }), "1000001 epochs"));
        QVERIFY(names(refusal([](Recipe& r) { r.recovery->training.learningRate = -1.0; }), "learning rate"));
        QVERIFY(names(refusal([](Recipe& r) { r.distillation->training.weightDecay = NAN; }), "weight decay"));
        QVERIFY(names(refusal([](Recipe& r) { r.distillation->training.windows = 1; }), "held-out"));
        QVERIFY(names(refusal([](Recipe& r) {
                          r.method = "svd";
                          r.calibration.reset();
                      }),
                      "calibration text"));
        // One window cannot be split; found before any work.
        Place place;
        Recipe recipe = trainingRecipe();
        recipe.calibration->count = 1;
        recipe.distillation->training.windows = 0;
        QVERIFY_THROWS_EXCEPTION(Error, place.run(recipe));
        QCOMPARE(countFiles(place.path, "linear-"), std::size_t{0});
    }
};

QTEST_GUILESS_MAIN(TestTrainingRuns)
#include "tst_training_runs.moc"
