#include "core/compute/machine_rates.h"
#include "core/evaluation/block_influence.h"
#include "core/experiment/forecast_plan.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/sensitivities.h"
#include "run_support.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <set>

using namespace rankwright;

namespace {

Recipe strsRecipe()
{
    Recipe recipe = demoRecipe("asvd");
    recipe.allocation = "strs";
    return recipe;
}

/// Linears that were tried, in the order of what a run reported.
TaskContext watching(std::vector<std::string>& tried)
{
    return {.progress = [&tried](const Progress& progress) {
        if (progress.stage == "sensitivity" && progress.done > 0)
            tried.push_back(progress.item);
    }};
}

} // namespace

/// ASVD's search by perplexity: what is measured, what it is used for, and that it is kept.
class TestSensitivities : public QObject
{
    Q_OBJECT

private slots:
    /// Ranks against a plain loop: every linear alone at uniform ranks, written by runs of their own, evaluated as
    /// whole models.
    void ranksFollowMeasuredPerplexities()
    {
        Place place;
        Recipe recipe = strsRecipe();
        recipe.keptRatio = 0.8;
        const RunResult result = place.run(recipe);
        QVERIFY(result.keptRatio <= 0.8);
        const Model model = Model::open(recipe.model);
        TokenWindows windows = makeWindows(*model.tokenizer(), *recipe.calibration, {});
        QCOMPARE(windows.ids.size() * 64, std::size_t(512)); // all of them: fewer than sensitivityTokens
        QVERIFY(sensitivityTokens >= 512);

        const auto device = openDevice("cpu", 1);
        struct Tried
        {
            double perplexity;
            std::size_t linear;
            std::size_t parameters;
        };
        std::vector<Tried> tried;
        for (int tenths = 4; tenths < 10; ++tenths) {
            Recipe uniform = demoRecipe("asvd");
            uniform.keptRatio = tenths / 10.0;
            const RunResult run = place.run(uniform);
            const LinearSource all = runLinears(run.folder, run.fingerprint);
            for (const LinearInfo& info : model.linears()) {
                const Model one = model.withLinears([&](const LinearInfo& each) {
                    return each.index == info.index ? all(each) : std::shared_ptr<const LinearWeights>();
                });
                tried.push_back({evaluatePerplexity(one, *device, windows, {}, {}).perplexity, info.index,
                                 run.linears[info.index].keptParameters});
            }
        }
        // The cut that keeps most within the budget, by trying all.
        std::vector<std::size_t> best;
        std::size_t bestSum = 0;
        const auto budget = static_cast<std::size_t>(0.8 * static_cast<double>(model.linearParameterCount()));
        for (const Tried& cut : tried) {
            std::vector<std::size_t> kept;
            std::size_t sum = 0;
            for (const LinearInfo& info : model.linears()) {
                kept.push_back(info.shape.parameters());
                for (const Tried& each : tried)
                    if (each.linear == info.index && each.perplexity < cut.perplexity)
                        kept.back() = std::min(kept.back(), each.parameters);
                sum += kept.back();
            }
            if (sum <= budget && sum > bestSum) {
                best = kept;
                bestSum = sum;
            }
        }
        QVERIFY(bestSum > 0);
        std::vector<std::size_t> kept;
        std::set<std::size_t> different;
        for (const LinearOutcome& outcome : result.linears)
            kept.push_back(outcome.keptParameters);
        QCOMPARE(kept, best);
        for (const LinearInfo& info : model.linears())
            different.insert(100 * kept[info.index] / info.shape.parameters());
        QVERIFY(different.size() > 3);
    }

    /// Another kept ratio measures nothing again, another method everything; a run that was stopped goes on.
    void perplexitiesAreKept()
    {
        Place place;
        Recipe recipe = strsRecipe();
        std::vector<std::string> tried;
        std::stop_source stop;
        TaskContext stopping = watching(tried);
        stopping.stop = stop.get_token();
        stopping.progress = [&, watch = stopping.progress](const Progress& progress) {
            watch(progress);
            if (tried.size() == 50)
                stop.request_stop();
        };
        const std::optional<Error> error = errorOf([&] { place.run(recipe, stopping); });
        QVERIFY(error && error->kind() == ErrorKind::Cancelled);
        const std::size_t before = tried.size();
        QVERIFY(before >= 50 && before < 6 * demoLinears);
        tried.clear();
        const RunResult whole = place.run(recipe, watching(tried));
        QCOMPARE(tried.size(), 6 * demoLinears - before);

        Place other;
        QCOMPARE(difference(contentOf(whole.folder), contentOf(other.run(recipe).folder)), QString());

        tried.clear();
        recipe.keptRatio = 0.9;
        place.run(recipe, watching(tried));
        QVERIFY(tried.empty());
        recipe.structure = StructureKind::BlockIdentity;
        place.run(recipe, watching(tried));
        QCOMPARE(tried.size(), 6 * demoLinears);
    }

    /// A forecast before any run plans the ranks that the run then has, and leaves it nothing to measure.
    void forecastsPlanWithThem()
    {
        Place place;
        Recipe recipe = strsRecipe();
        const std::vector<double> ratio{recipe.keptRatio};
        std::vector<std::string> tried;
        const std::vector<PlannedForecast> planned =
            forecastRecipe(recipe, ratio, place.store, {.cache = place.path / "cache"}, watching(tried));
        QCOMPARE(tried.size(), 6 * demoLinears);
        tried.clear();
        recipe.forecast = true;
        const RunResult result = place.run(recipe, watching(tried));
        QVERIFY(tried.empty());
        QCOMPARE(planned.front().keptRatio, result.keptRatio);
        QVERIFY(std::abs(planned.front().nats - result.predictedNats) <= 1e-6 * result.predictedNats);
    }

    /// Ranks by block influence are those of the formula with influences measured apart, in a run of any sequential
    /// mode and in a forecast before it; with the structure of the recipe, whatever the method.
    void blockInfluenceDecidesRanks()
    {
        Place place;
        Recipe recipe = demoRecipe("whitened-svd");
        recipe.allocation = "modegpt";
        recipe.forecast = true;
        recipe.keptRatio = 0.7;
        const std::vector<double> ratio{recipe.keptRatio};
        const std::vector<PlannedForecast> planned =
            forecastRecipe(recipe, ratio, place.store, {.cache = place.path / "cache"}, {});
        const RunResult result = place.run(recipe);
        QVERIFY(result.keptRatio <= 0.7 && result.keptRatio > 0.65);
        QCOMPARE(planned.front().keptRatio, result.keptRatio);
        QVERIFY(std::abs(planned.front().nats - result.predictedNats) <= 1e-6 * result.predictedNats);

        const Model model = Model::open(recipe.model);
        const auto device = openDevice("cpu", 1);
        const std::vector<double> influence = evaluateBlockInfluence(
            model, *device, makeWindows(*model.tokenizer(), *recipe.calibration, {}), {.threads = 1}, {});
        double sum = 0.0;
        for (const double s : influence)
            sum += std::exp(-s / 0.15);
        std::set<double> shares;
        const auto blocks = static_cast<double>(influence.size());
        for (const LinearOutcome& outcome : result.linears) {
            const LinearInfo& info = model.linear(outcome.name);
            const double removed = blocks * 0.3 * std::exp(-influence[info.block] / 0.15) / sum;
            QVERIFY(removed < 0.8);
            QCOMPARE(outcome.rank, rankForKeptRatio(recipe.structure, info.shape, 1.0 - removed));
            shares.insert(removed);
        }
        QCOMPARE(shares.size(), influence.size());

        recipe.forecast = false;
        recipe.sequential = SequentialMode::Compressed;
        const RunResult sequential = place.run(recipe);
        for (std::size_t i = 0; i < result.linears.size(); ++i)
            QCOMPARE(sequential.linears[i].rank, result.linears[i].rank);
        recipe.calibration.reset();
        recipe.method = "svd";
        recipe.sequential = SequentialMode::Dense;
        const std::optional<Error> error = errorOf([&] { validateRecipe(recipe); });
        QVERIFY(error && QString::fromUtf8(error->what()).contains(QStringLiteral("calibration")));
    }

    void ranksSetByHandAreNotTried()
    {
        Place place;
        Recipe recipe = strsRecipe();
        recipe.only = {"q", "k"};
        recipe.ranks = {{"model.layers.1.self_attn.q_proj", 5}};
        std::vector<std::string> tried;
        const RunResult result = place.run(recipe, watching(tried));
        QCOMPARE(tried.size(), std::size_t(6 * 9));
        QVERIFY(std::ranges::find(tried, "model.layers.1.self_attn.q_proj") == tried.end());
        for (const LinearOutcome& outcome : result.linears)
            if (outcome.name == "model.layers.1.self_attn.q_proj")
                QCOMPARE(outcome.rank, std::size_t(5));
    }

    void whatDoesNotFitIsRefusedBeforeAnyWork()
    {
        Recipe recipe = strsRecipe();
        recipe.method = "svd";
        recipe.calibration.reset();
        std::optional<Error> error = errorOf([&] { validateRecipe(recipe); });
        QVERIFY(error && QString::fromUtf8(error->what()).contains(QStringLiteral("calibration")));
        recipe = strsRecipe();
        recipe.method = "joint-latents";
        recipe.parameters.clear();
        error = errorOf([&] { validateRecipe(recipe); });
        QVERIFY(error && QString::fromUtf8(error->what()).contains(QStringLiteral("strs-loss")));
    }

    /// The forward passes are in the estimate, for the tokens that there are and no more than are tried; and what
    /// stands in memory beside the analyses.
    void estimateKnowsTheSearch()
    {
        const Model model = Model::open(strsRecipe().model);
        const MachineRates rates{.floats = 1e10, .doubles = 5e9};
        const auto estimate = [&](std::size_t windows) {
            Recipe recipe = strsRecipe();
            recipe.calibration->count = windows; // of 64 tokens
            return estimateRun(recipe, model, rates);
        };
        const auto seconds = [&](std::size_t windows) {
            const RunEstimate known = estimate(windows);
            return std::ranges::find(known.stageSeconds, "sensitivity", &std::pair<std::string, double>::first)->second;
        };
        QVERIFY(seconds(4) > 0.0);
        QVERIFY(std::abs(seconds(8) / seconds(4) - 2.0) < 1e-12);
        QVERIFY(std::abs(seconds(64) / seconds(4) - static_cast<double>(sensitivityTokens) / (4 * 64)) < 1e-12);

        Recipe searched = strsRecipe();
        searched.evaluations.clear();
        Recipe planned = searched;
        planned.allocation = "marginal-loss";
        QVERIFY(estimateRun(searched, model, rates).memory > estimateRun(planned, model, rates).memory);
    }
};

QTEST_GUILESS_MAIN(TestSensitivities)
#include "tst_sensitivities.moc"
