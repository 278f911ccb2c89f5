#include "core/base/error.h"
#include "core/experiment/best_search.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

using namespace rankwright;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;

} // namespace

/// The search for the best recipe, on the demo model.
class TestBestSearch : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    std::unique_ptr<Store> m_store;
    RunPlaces m_places;

    static constexpr std::size_t calibrationWindows = 8;

    Recipe base(double keptRatio) const
    {
        Recipe recipe;
        recipe.model = demo / "stories260K";
        recipe.keptRatio = keptRatio;
        recipe.threads = 2;
        recipe.calibration =
            WindowOptions{.text = demo / "stories-calibration.txt", .length = 128, .count = calibrationWindows};
        return recipe;
    }

    SearchResult search(const Recipe& recipe, const SearchOptions& options)
    {
        return searchBest(recipe, options, *m_store, m_places, {});
    }

    template <typename Call>
    static ErrorKind failure(const Call& call)
    {
        try {
            call();
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::Internal;
    }

    /// Compressed over dense perplexity on the windows after the calibration, cut here.
    double heldOutRatio(const SearchTrial& trial, std::size_t windows) const
    {
        const Model model = Model::open(trial.recipe.model);
        const std::shared_ptr<const Device> device = makeCpuDevice(1);
        const TokenWindows all = makeWindows(
            *model.tokenizer(),
            {.text = trial.recipe.calibration->text, .length = 128, .count = calibrationWindows + windows}, {});
        TokenWindows heldOut;
        heldOut.ids.assign(all.ids.end() - static_cast<std::ptrdiff_t>(windows), all.ids.end());
        heldOut.offsets.assign(all.offsets.end() - static_cast<std::ptrdiff_t>(windows), all.offsets.end());
        const Model compressed = compressedModel(model, m_store->run(trial.run));
        return evaluatePerplexity(compressed, *device, heldOut, {}, {}).perplexity /
               evaluatePerplexity(model, *device, heldOut, {}, {}).perplexity;
    }

private slots:
    void init()
    {
        const QString name = QString::fromLatin1(QTest::currentTestFunction());
        m_store = std::make_unique<Store>(m_folder.filePath(name + QStringLiteral(".sqlite")).toStdString());
        m_places.cache = m_folder.filePath(QStringLiteral("cache")).toStdString();
    }

    void choosesWhatLosesLeastOnHeldOutWindows()
    {
        const SearchEstimate estimate =
            estimateSearch(base(0.8), {.seconds = 1e6, .windows = 4, .perplexityRatio = {}}, {});
        const SearchResult found = search(base(0.8), {.seconds = 1e6, .windows = 4, .perplexityRatio = {}});
        QVERIFY(found.trials.size() > 5);
        QCOMPARE(found.trials.front().recipe.method, std::string("curvature-svd"));
        QCOMPARE(found.trials.front().recipe.allocation, std::string("curvature"));
        double least = INFINITY;
        for (const SearchTrial& trial : found.trials) {
            QCOMPARE(trial.ratios.size(), std::size_t{1});
            QVERIFY(std::abs(trial.ratios.front().second / heldOutRatio(trial, 4) - 1.0) < 1e-6);
            QVERIFY(std::abs(trial.score - std::log(trial.ratios.front().second)) < 1e-12);
            QCOMPARE(trial.better, trial.score < least);
            least = std::min(least, trial.score);
            const RunSummary run = m_store->run(trial.run).summary;
            QCOMPARE(run.state, RunState::Finished);
            QCOMPARE(run.tags, std::string("search"));
            QVERIFY(trial.keptRatio <= 0.8 && trial.keptRatio > 0.78);
            QVERIFY2(std::ranges::find(estimate.trials, trial.change, &SearchEstimate::Trial::change) !=
                         estimate.trials.end(),
                     trial.change.c_str());
        }
        QVERIFY(found.trials.size() <= estimate.trials.size());
        QCOMPARE(found.trials[found.best].score, least);
        // Off the calibration text's own windows it is better than where it started.
        QVERIFY(found.best > 0);

        // The same search again computes nothing anew.
        const SearchResult again = search(base(0.8), {.seconds = 1e6, .windows = 4, .perplexityRatio = {}});
        QCOMPARE(again.trials.size(), found.trials.size());
        for (std::size_t i = 0; i < again.trials.size(); ++i) {
            QCOMPARE(again.trials[i].score, found.trials[i].score);
            for (const LinearOutcome& linear : m_store->run(again.trials[i].run).result.linears)
                QVERIFY(linear.resumed);
        }
    }

    void findsTheSmallestRatioWithinABudget()
    {
        const double allowed = 1.05;
        const SearchResult found = search(base(0.8), {.seconds = 1e6, .windows = 4, .perplexityRatio = allowed});
        const SearchTrial& chosen = found.trials[found.best];
        QVERIFY(heldOutRatio(chosen, 4) <= allowed * (1.0 + 1e-6));
        // Something a little smaller was tried and is too much.
        const bool bracketed = std::ranges::any_of(found.trials, [&](const SearchTrial& trial) {
            return trial.recipe.method == chosen.recipe.method && trial.recipe.sequential == chosen.recipe.sequential &&
                   trial.recipe.keptRatio < chosen.recipe.keptRatio &&
                   trial.recipe.keptRatio > chosen.recipe.keptRatio - 0.0051 && trial.score > std::log(allowed);
        });
        QVERIFY(bracketed);
    }

    void keepsToItsTime()
    {
        const SearchResult found = search(base(0.7), {.seconds = 1e-3, .windows = 4, .perplexityRatio = {}});
        QCOMPARE(found.trials.size(), std::size_t{1});
        QVERIFY(found.end.find("time limit") != std::string::npos);
        QCOMPARE(failure([&] { search(base(0.3), {.seconds = 1e-3, .windows = 4, .perplexityRatio = 1.01}); }),
                 ErrorKind::NotFound);
    }

    void anEstimateIsOfAllTrials()
    {
        const SearchOptions options{.seconds = 1e6, .windows = 4, .perplexityRatio = {}};
        const auto changes = [](const SearchEstimate& estimate) {
            std::set<std::string> names;
            for (const SearchEstimate::Trial& trial : estimate.trials)
                names.insert(trial.change);
            return names;
        };
        const SearchEstimate estimate = estimateSearch(base(0.8), options, {});
        QCOMPARE(estimate.trials.front().change, std::string("start"));
        QCOMPARE(changes(estimate).size(), estimate.trials.size());
        std::size_t memory = 0;
        std::size_t disk = 0;
        double seconds = 0.0;
        for (const SearchEstimate::Trial& trial : estimate.trials) {
            memory = std::max(memory, trial.run.memory);
            disk += trial.run.disk;
            seconds += trial.run.seconds;
        }
        QCOMPARE(estimate.memory, memory);
        // Moments of the inputs (20 taps) and of the gradients (35 linears), upper triangles with two vectors for
        // these, are written once and not with every trial.
        const std::size_t inputs = 5 * (3 * 64 * 65 / 2 + 172 * 173 / 2) * 8;
        const std::size_t gradients =
            5 * (3 * (64 * 65 / 2 + 2 * 64) + 2 * (32 * 33 / 2 + 2 * 32) + 2 * (172 * 173 / 2 + 2 * 172)) * 8;
        QCOMPARE(estimate.trials.front().run.statistics, inputs + gradients);
        QVERIFY(estimate.disk < disk - 5 * (inputs + gradients));
        QVERIFY(estimate.disk > estimate.trials.size() * (estimate.trials.front().run.disk - inputs - gradients));
        QVERIFY(estimate.seconds < seconds && estimate.seconds > estimate.trials.front().run.seconds);

        // What these linears, or several texts, do not allow is no trial.
        Recipe queries = base(0.8);
        queries.only = {"q"};
        const std::set<std::string> ofQueries = changes(estimateSearch(queries, options, {}));
        QVERIFY(changes(estimate).contains("method curvature-latents"));
        QVERIFY(!ofQueries.contains("method curvature-latents"));
        QCOMPARE(ofQueries.size(), estimate.trials.size() - 1);
        Recipe two = base(0.8);
        two.moreCalibrations.push_back({*two.calibration, 0.5});
        two.moreCalibrations.front().windows.text = demo / "stories-heldout.txt";
        for (const std::string& change : changes(estimateSearch(two, options, {})))
            QVERIFY2(!change.starts_with("sequential"), change.c_str());
    }

    void triesNoLatentsOfLinearsThatAreNotChosen()
    {
        Recipe recipe = base(0.8);
        recipe.only = {"q"};
        const SearchResult found = search(recipe, {.seconds = 1e6, .windows = 2, .perplexityRatio = {}});
        QVERIFY(found.trials.size() > 5);
        QCOMPARE(found.end, std::string("everything was tried"));
        for (const SearchTrial& trial : found.trials)
            QVERIFY(trial.recipe.method != "curvature-latents");
    }

    /// Below rank 1 everywhere, 1149 of 45312 parameters of a block, there is no recipe to try.
    void goesDownToRankOne()
    {
        const SearchResult found = search(base(0.05), {.seconds = 1e6, .windows = 2, .perplexityRatio = 1e9});
        QVERIFY2(found.trials[found.best].keptRatio < 0.035,
                 qPrintable(QString::number(found.trials[found.best].keptRatio)));
    }

    void severalTextsCountAlike()
    {
        Recipe recipe = base(0.8);
        recipe.moreCalibrations.push_back({*recipe.calibration, 0.5});
        recipe.moreCalibrations.front().windows.text = demo / "stories-heldout.txt";
        const SearchResult found = search(recipe, {.seconds = 1e6, .windows = 2, .perplexityRatio = {}});
        for (const SearchTrial& trial : found.trials) {
            QCOMPARE(trial.ratios.size(), std::size_t{2});
            QVERIFY(std::abs(trial.score -
                             0.5 * (std::log(trial.ratios[0].second) + std::log(trial.ratios[1].second))) < 1e-12);
        }
    }

    void refusesWhatCannotBeSearched()
    {
        const auto kind = [&](const Recipe& recipe, const SearchOptions& options) {
            const ErrorKind estimated = failure([&] { estimateSearch(recipe, options, {}); });
            const ErrorKind searched = failure([&] { search(recipe, options); });
            return estimated == searched ? searched : ErrorKind::Internal;
        };
        Recipe random = base(0.8);
        random.calibration->order = WindowOrder::Random;
        QCOMPARE(kind(random, {}), ErrorKind::InvalidArgument);
        Recipe all = base(0.8);
        all.calibration->count = 0;
        QCOMPARE(kind(all, {}), ErrorKind::InvalidArgument);
        Recipe none = base(0.8);
        none.calibration.reset();
        QCOMPARE(kind(none, {}), ErrorKind::InvalidArgument);
        QCOMPARE(kind(base(0.8), {.seconds = 0.0, .windows = 4, .perplexityRatio = {}}), ErrorKind::InvalidArgument);
        QCOMPARE(kind(base(0.8), {.seconds = 1.0, .windows = 0, .perplexityRatio = {}}), ErrorKind::InvalidArgument);
        QCOMPARE(kind(base(0.8), {.seconds = 1.0, .windows = 4, .perplexityRatio = 1.0}), ErrorKind::InvalidArgument);
        constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
        QCOMPARE(kind(base(0.8), {.seconds = 1.0, .windows = huge, .perplexityRatio = {}}), ErrorKind::InvalidArgument);
        // More windows than the text has.
        QCOMPARE(kind(base(0.8), {.seconds = 1.0, .windows = 1000000, .perplexityRatio = {}}),
                 ErrorKind::InvalidArgument);
        QVERIFY(m_store->runs().empty());
    }
};

QTEST_GUILESS_MAIN(TestBestSearch)
#include "tst_best_search.moc"
