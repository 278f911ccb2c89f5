#include "core/base/stopwatch.h"
#include "core/experiment/runner.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>

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
        recipe.memoryLimit = std::size_t{1} << 20U;
        QCOMPARE(estimateRun(recipe, m_model, rates).memory, recipe.memoryLimit);
    }

private:
    Model m_model = Model::open(demo / "stories260K");
};

QTEST_GUILESS_MAIN(TestEstimate)
#include "tst_estimate.moc"
