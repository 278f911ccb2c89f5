#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/stopwatch.h"
#include "core/experiment/run_texts.h"
#include "core/experiment/runner.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

using namespace rankwright;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;
constexpr MachineRates rates{.floats = 1e11, .doubles = 5e10};

Recipe demoRecipe()
{
    Recipe recipe;
    recipe.model = demo / "stories260K";
    recipe.keptRatio = 0.7;
    recipe.threads = 2;
    recipe.calibration = WindowOptions{.text = demo / "stories-calibration.txt", .length = 256, .count = 64};
    recipe.evaluations = {{"held-out", {.text = demo / "stories-heldout.txt", .length = 256, .count = 16}}};
    return recipe;
}

double stage(const RunEstimate& estimate, const std::string& name)
{
    for (const auto& [stage, seconds] : estimate.stageSeconds)
        if (stage == name)
            return seconds;
    return std::nan("");
}

/// Of the linears of the model, and of their factors at the kept ratio 0.7: by block q and o, k and v, gate, up and
/// down.
constexpr std::size_t denseLinears = 5 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 172 * 64);
constexpr std::size_t factors = 5 * (2 * 22 * 128 + 2 * 14 * 96 + 3 * 32 * 236);

template <typename Work>
std::optional<ErrorKind> errorKind(const Work& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    return std::nullopt;
}

/// Of the error that `work` throws, or nothing.
template <typename Work>
std::string messageOf(const Work& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

std::size_t bytesUnder(const std::filesystem::path& folder)
{
    std::size_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        bytes += entry.is_regular_file() ? entry.file_size() : 0;
    return bytes;
}

} // namespace

class TestEstimate : public QObject
{
    Q_OBJECT

private slots:
    void stagesAreThoseOfARun()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        Recipe recipe = demoRecipe();
        recipe.out = path / "out";
        const RunEstimate estimate = estimateRun(recipe, m_model);
        Store store(path / "s.sqlite");
        const Stopwatch watch;
        const RunResult result = runRecipe(recipe, store, {.cache = path / "cache"}, {});
        qInfo("estimated %.2f s, took %.2f s", estimate.seconds, watch.seconds());
        double sum = 0.0;
        for (const auto& [name, seconds] : estimate.stageSeconds) {
            QVERIFY(seconds >= 0.0);
            sum += seconds;
            const bool known = std::any_of(result.stageSeconds.begin(), result.stageSeconds.end(),
                                           [&](const auto& measured) { return measured.first == name; });
            QVERIFY2(known, name.c_str());
        }
        QVERIFY(std::abs(sum - estimate.seconds) <= 1e-12 * sum);
        const std::size_t disk = bytesUnder(path / "cache") + bytesUnder(result.folder) + bytesUnder(recipe.out);
        QVERIFY2(static_cast<double>(estimate.disk) > 0.7 * static_cast<double>(disk) &&
                     static_cast<double>(estimate.disk) < 1.4 * static_cast<double>(disk),
                 qPrintable(QStringLiteral("%1 estimated, %2 written").arg(estimate.disk).arg(disk)));
        // The process has memory of its own beside what a run takes.
        QVERIFY(estimate.memory > std::size_t{10} << 20U && estimate.memory < std::size_t{100} << 20U);
    }

    void workIsCounted()
    {
        const Recipe recipe = demoRecipe();
        const RunEstimate base = estimateRun(recipe, m_model, rates);
        Recipe more = recipe;
        more.calibration->count *= 4;
        const RunEstimate longer = estimateRun(more, m_model, rates);
        // Twenty taps are written whatever their tokens; the rest grows with them.
        QVERIFY(stage(longer, "calibrate") > 2.0 * stage(base, "calibrate"));
        QCOMPARE(stage(longer, "evaluate"), stage(base, "evaluate"));
        QCOMPARE(longer.disk, base.disk);
        QVERIFY(longer.memory > base.memory);

        more = recipe;
        more.evaluations.push_back(more.evaluations[0]);
        QVERIFY(std::abs(stage(estimateRun(more, m_model, rates), "evaluate") / stage(base, "evaluate") - 2.0) < 1e-12);
        more.evaluations[1].windows.count = 0; // all of the text
        QVERIFY(stage(estimateRun(more, m_model, rates), "evaluate") > 2.0 * stage(base, "evaluate"));

        more = recipe;
        more.evaluations.clear();
        more.calibration.reset();
        more.method = "svd";
        const RunEstimate plain = estimateRun(more, m_model, rates);
        QCOMPARE(stage(plain, "calibrate"), 0.0);
        QCOMPARE(stage(plain, "evaluate"), 0.0);
        QCOMPARE(stage(plain, "export"), 0.0);
        QVERIFY(plain.disk < base.disk && plain.seconds < base.seconds);

        more = recipe;
        more.keptRatio = 0.2;
        QVERIFY(estimateRun(more, m_model, rates).disk < base.disk);
        more = recipe;
        more.only = {"q"};
        QVERIFY(stage(estimateRun(more, m_model, rates), "factorise") < 0.5 * stage(base, "factorise"));
    }

    void sequentialRunsCollectWhileTheyAnalyse()
    {
        Recipe recipe = demoRecipe();
        const RunEstimate dense = estimateRun(recipe, m_model, rates);
        recipe.sequential = SequentialMode::Compressed;
        const RunEstimate compressed = estimateRun(recipe, m_model, rates);
        QCOMPARE(stage(compressed, "calibrate"), 0.0);
        // The prefixes of a block add up to more than the block.
        QVERIFY(stage(compressed, "analyse") > stage(dense, "analyse") + stage(dense, "calibrate"));
        recipe.sequential = SequentialMode::Anchored;
        QVERIFY(stage(estimateRun(recipe, m_model, rates), "analyse") > 1.5 * stage(compressed, "analyse"));
        recipe.allocation = "marginal-loss";
        QCOMPARE(stage(estimateRun(recipe, m_model, rates), "calibrate"), stage(dense, "calibrate"));
    }

    void plannersThatCostAreCounted()
    {
        Recipe recipe = demoRecipe();
        recipe.method = "nsvd";
        const RunEstimate uniform = estimateRun(recipe, m_model, rates);
        recipe.allocation = "marginal-loss";
        QVERIFY(estimateRun(recipe, m_model, rates).seconds > uniform.seconds);
        recipe.method = "whitened-svd";
        QCOMPARE(estimateRun(recipe, m_model, rates).seconds, uniform.seconds);
    }

    void ratesAndLimitsCount()
    {
        Recipe recipe = demoRecipe();
        const RunEstimate base = estimateRun(recipe, m_model, rates);
        const RunEstimate fast = estimateRun(recipe, m_model, {.floats = 2e11, .doubles = 1e11});
        QVERIFY(std::abs(stage(base, "evaluate") / stage(fast, "evaluate") - 2.0) < 1e-12);
        QCOMPARE(stage(base, "open"), stage(fast, "open"));
        QCOMPARE(base.memory, fast.memory);
        recipe.calibration->count = 1024; // whose states take 64 MiB, and can wait in a file
        recipe.memoryLimit = std::size_t{48} << 20U;
        QCOMPARE(estimateRun(recipe, m_model, rates).memory, recipe.memoryLimit);
    }

    /// What cannot be done in parts is told, whatever the limit.
    void aLimitHidesNoNeed()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        Store store(path / "s.sqlite");
        Recipe recipe = demoRecipe();
        for (const SequentialMode mode : {SequentialMode::Dense, SequentialMode::Compressed}) {
            recipe.sequential = mode;
            recipe.memoryLimit = 1;
            const std::size_t least = estimateRun(recipe, m_model, rates).memory;
            // Two 172 x 172 matrices of float64, of the statistics or of the decomposition.
            QVERIFY(least > std::size_t{2} * 172 * 172 * 8);
            recipe.memoryLimit = 2;
            QCOMPARE(estimateRun(recipe, m_model, rates).memory, least);
            recipe.memoryLimit = 1;
            QVERIFY(errorKind([&] { runRecipe(recipe, store, {.cache = path / "cache"}, {}); }) == ErrorKind::Memory);
        }
    }

    /// Up to the limits of recipes all times grow as the numbers do; nothing is estimated beyond.
    void hugeNumbersDoNotOverflow()
    {
        Recipe recipe = demoRecipe();
        recipe.forecast = true;
        recipe.calibration->count = mostTokensOfText / 256;
        recipe.evaluations[0].windows.count = mostTokensOfText / 256;
        recipe.distillation = DistillationOptions{.training = {.epochs = mostEpochs}};
        recipe.recovery = RecoveryOptions{.training = {.epochs = mostEpochs}};
        const RunEstimate most = estimateRun(recipe, m_model, rates);
        QVERIFY(most.memory > 0 && std::isfinite(most.seconds));
        Recipe half = recipe;
        half.calibration->count /= 2;
        half.evaluations[0].windows.count /= 2;
        const RunEstimate lessText = estimateRun(half, m_model, rates);
        for (const char* name : {"calibrate", "curvature", "distill", "recover", "evaluate"})
            QVERIFY2(std::abs(stage(most, name) / stage(lessText, name) - 2.0) < 1e-6, name);
        half = recipe;
        half.distillation->training.epochs /= 2;
        half.recovery->training.epochs /= 2;
        const RunEstimate fewerEpochs = estimateRun(half, m_model, rates);
        for (const char* name : {"distill", "recover"})
            QVERIFY2(std::abs(stage(most, name) / stage(fewerEpochs, name) - 2.0) < 1e-4, name);

        constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
        QCOMPARE(trainingSteps(10, {.epochs = 3, .batch = huge}), std::size_t{3});
        for (const std::size_t count : {mostTokensOfText / 256 + 1, huge}) {
            half = recipe;
            half.calibration->count = count;
            QVERIFY(errorKind([&] { estimateRun(half, m_model, rates); }) == ErrorKind::InvalidArgument);
        }
        half = recipe;
        half.evaluations[0].windows.length = longestWindow + 1;
        QVERIFY(errorKind([&] { estimateRun(half, m_model, rates); }) == ErrorKind::InvalidArgument);
    }

    void denseExportsHoldAllParameters()
    {
        Recipe recipe = demoRecipe();
        recipe.out = std::filesystem::temp_directory_path() / "nowhere" / "out";
        const RunEstimate factored = estimateRun(recipe, m_model, rates);
        recipe.exportFormat = "dense";
        const RunEstimate dense = estimateRun(recipe, m_model, rates);
        QCOMPARE(dense.disk - factored.disk, 4 * (denseLinears - factors));
        QVERIFY(stage(dense, "export") > stage(factored, "export"));
        std::size_t parameters = 0;
        for (const TensorInfo& tensor : m_model.checkpoint().tensors())
            parameters += tensor.elements();
        recipe.out.clear();
        QCOMPARE(dense.disk - estimateRun(recipe, m_model, rates).disk, 4 * parameters);
    }

    void allTextsOfACalibrationCount()
    {
        Recipe recipe = demoRecipe();
        const RunEstimate one = estimateRun(recipe, m_model, rates);
        recipe.moreCalibrations = {{.windows = *recipe.calibration, .weight = 0.5}};
        recipe.moreCalibrations[0].windows.text = demo / "stories-heldout.txt";
        const RunEstimate two = estimateRun(recipe, m_model, rates);
        // Twenty upper triangles of float64 for the second text, and again for the mixture.
        const std::size_t moments = 5 * (3 * 64 * 65 / 2 + 172 * 173 / 2) * 8;
        QCOMPARE(two.disk - one.disk, 2 * moments);
        QVERIFY(stage(two, "calibrate") > 1.9 * stage(one, "calibrate"));
        QCOMPARE(stage(two, "analyse"), stage(one, "analyse"));
        recipe.forecast = true;
        Recipe single = recipe;
        single.moreCalibrations.clear();
        const double gradients = stage(estimateRun(single, m_model, rates), "curvature");
        QVERIFY(stage(estimateRun(recipe, m_model, rates), "curvature") > 1.9 * gradients);
    }

    void trainingIsCounted()
    {
        Recipe recipe = demoRecipe();
        const RunEstimate base = estimateRun(recipe, m_model, rates);
        QVERIFY(std::isnan(stage(base, "distill")) && std::isnan(stage(base, "recover")));
        recipe.distillation = DistillationOptions{.training = {.epochs = 1}};
        const RunEstimate distilled = estimateRun(recipe, m_model, rates);
        QCOMPARE(distilled.disk - base.disk, 4 * factors);
        recipe.distillation->training.epochs = 3;
        const double more = stage(estimateRun(recipe, m_model, rates), "distill") - stage(distilled, "distill");
        // 56 of 64 windows are trained on with two streams, forward and backward, eight are looked at; 5 blocks have
        // factors and attention of 64 channels to half of 257 positions, twice.
        const double student = 2.0 * static_cast<double>(factors) + 5.0 * 2.0 * 64.0 * 257.0;
        const double operations = 2.0 * 256.0 * (56.0 * 2.0 * 3.0 + 8.0) * student;
        const double floats = rates.floats * 64.0 / (64.0 + 80.0); // narrow layers are slower
        QVERIFY2(std::abs(more * floats / operations - 1.0) < 1e-9, qPrintable(QString::number(more * floats)));

        recipe.distillation.reset();
        recipe.recovery = RecoveryOptions{.training = {.epochs = 1}};
        const RunEstimate recovered = estimateRun(recipe, m_model, rates);
        // Beside the linears a checkpoint of the values, two moments and the best values.
        QCOMPARE(recovered.disk - base.disk, 4 * factors + 16 * factors);
        QVERIFY(stage(recovered, "recover") * floats > 256.0 * 56.0 * 4.0 * student);
        // The linears, two moments, a gradient and two checkpoints of them at least.
        Recipe limited = recipe;
        limited.memoryLimit = 1;
        QVERIFY(estimateRun(limited, m_model, rates).memory > 25'000'000 + 6 * 4 * denseLinears);
        limited.recovery.reset();
        QVERIFY(estimateRun(limited, m_model, rates).memory < 25'000'000 + 6 * 4 * denseLinears);
        recipe.recovery->target = RecoveryTarget::Teacher;
        QVERIFY(stage(estimateRun(recipe, m_model, rates), "recover") > stage(recovered, "recover"));
        // Perplexities are measured before and after.
        QVERIFY(stage(recovered, "evaluate") > 1.3 * stage(base, "evaluate"));

        recipe = demoRecipe();
        recipe.method = "lillama";
        QVERIFY(stage(estimateRun(recipe, m_model, rates), "distill") > 0.0);
    }

    void whatARunRefusesHasNoEstimate()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        Store store(path / "s.sqlite");
        const auto refused = [&](const std::function<void(Recipe&)>& change) {
            Recipe recipe = demoRecipe();
            change(recipe);
            const std::string before = messageOf([&] { estimateRun(recipe, m_model, rates); });
            const std::string then = messageOf([&] { runRecipe(recipe, store, {.cache = path / "cache"}, {}); });
            if (before != then)
                qWarning("'%s' before, '%s' in the run", before.c_str(), then.c_str());
            return !before.empty() && before == then;
        };
        QVERIFY(refused([](Recipe& recipe) { recipe.ranks = {{"nope", 4}}; }));
        QVERIFY(refused([](Recipe& recipe) { recipe.only = {"nope"}; }));
        QVERIFY(refused([](Recipe& recipe) { recipe.ranks = {{"model.layers.0.self_attn.q_proj", 65}}; }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.only = {"k"};
            recipe.ranks = {{"model.layers.0.self_attn.q_proj", 5}};
        }));
        QVERIFY(refused([](Recipe& recipe) { recipe.keptRatio = 1e-6; }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.allocation = "marginal-loss";
            recipe.keptRatio = 1e-6;
        }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.method = "joint-latents";
            recipe.only = {"q", "v"};
        }));
        QVERIFY(refused([&](Recipe& recipe) { recipe.out = path; })); // not empty
    }

    void biasesThatADenseExportCannotHoldAreRefusedBefore()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        const std::filesystem::path random = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "models" / "random";
        Store store(path / "s.sqlite");
        // Stock Qwen3 has no biases in its MLP, Mistral none at all, and Llama has no sliding window.
        for (const char* name : {"qwen3", "mistral"}) {
            const Model model = Model::open(random / name);
            Recipe recipe = demoRecipe();
            recipe.model = random / name;
            recipe.method = "afm";
            recipe.out = path / "out";
            const auto estimate = [&] { return messageOf([&] { estimateRun(recipe, model, rates); }); };
            QCOMPARE(estimate(), std::string());
            recipe.exportFormat = "dense";
            QVERIFY(estimate().find("factored") != std::string::npos);
            QCOMPARE(messageOf([&] { runRecipe(recipe, store, {.cache = path / "cache"}, {}); }), estimate());
            QVERIFY(!std::filesystem::exists(path / "cache"));
            recipe.method = "whitened-svd";
            QCOMPARE(estimate(), std::string());
            recipe.parameters = {{std::string(biasUpdateParameter), 1.0}};
            QVERIFY(!estimate().empty());
            recipe.only = {"q"};
            QCOMPARE(estimate().empty(), model.config().queryKeyNorm); // Qwen3 can have biases in its attention
        }
        // Llama has them everywhere.
        Recipe recipe = demoRecipe();
        recipe.method = "afm";
        recipe.out = path / "out";
        recipe.exportFormat = "dense";
        QCOMPARE(messageOf([&] { estimateRun(recipe, m_model, rates); }), std::string());
    }

    /// And nothing of it is done: what texts lack is known before.
    void textsARunRefusesAreRefusedBefore()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        Store store(path / "s.sqlite");
        writeFileAtomically(path / "empty.txt", "");
        writeFileAtomically(path / "bad.txt", "Once upon \xff a time");
        writeFileAtomically(path / "short.txt", "Once upon a time there was a little girl.");
        const auto refused = [&](const std::function<void(Recipe&)>& change) {
            Recipe recipe = demoRecipe();
            change(recipe);
            const std::string before = messageOf([&] { requireTexts(recipe, m_model, {}); });
            const std::string then = messageOf([&] { runRecipe(recipe, store, {.cache = path / "cache"}, {}); });
            if (before != then)
                qWarning("'%s' before, '%s' in the run", before.c_str(), then.c_str());
            return !before.empty() && before == then;
        };
        for (const char* name : {"missing.txt", "empty.txt", "bad.txt", "short.txt"}) {
            QVERIFY(refused([&](Recipe& recipe) { recipe.calibration->text = path / name; }));
            QVERIFY(refused([&](Recipe& recipe) {
                recipe.moreCalibrations = {{.windows = *recipe.calibration}};
                recipe.moreCalibrations[0].windows.text = path / name;
            }));
            QVERIFY(refused([&](Recipe& recipe) { recipe.evaluations[0].windows.text = path / name; }));
            QVERIFY(refused([&](Recipe& recipe) {
                recipe.evaluations[0].windows.text = path / name;
                recipe.evaluations[0].windows.count = 0;
            }));
        }
        QVERIFY(refused([](Recipe& recipe) { recipe.calibration->count = 100'000; }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.calibration->count = 100'000;
            recipe.calibration->order = WindowOrder::Random;
        }));
        QVERIFY(refused([](Recipe& recipe) { recipe.heldOutWindows = 100'000; }));
        QVERIFY(refused([](Recipe& recipe) { recipe.recovery = RecoveryOptions{.training = {.windows = 100'000}}; }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.distillation = DistillationOptions{};
            recipe.calibration->count = 1;
        }));
        // Beyond the context of 512.
        QVERIFY(refused([](Recipe& recipe) { recipe.calibration->length = 513; }));
        QVERIFY(refused([](Recipe& recipe) {
            recipe.evaluations[0].windows = {.text = demo / "stories-heldout.txt", .length = 513};
        }));
        QVERIFY(!std::filesystem::exists(path / "cache"));

        Recipe whole = demoRecipe();
        whole.calibration->count = 0;
        whole.evaluations[0].windows.count = 0;
        whole.recovery = RecoveryOptions{};
        QCOMPARE(messageOf([&] { requireTexts(whole, m_model, {}); }), std::string());
        // One window, where a training takes two.
        whole.calibration->text = path / "short.txt";
        whole.calibration->length =
            makeWindows(*m_model.tokenizer(), {.text = path / "short.txt", .length = 2}, {}).textTokens;
        QVERIFY(messageOf([&] { requireTexts(whole, m_model, {}); }).find("2 windows") != std::string::npos);
    }

private:
    Model m_model = Model::open(demo / "stories260K");
};

QTEST_GUILESS_MAIN(TestEstimate)
#include "tst_estimate.moc"
