#include "core/allocation/plan_totals.h"
#include "core/allocation/rank_planner.h"
#include "core/base/error.h"
#include "core/calibration/curvature.h"
#include "core/calibration/windows.h"
#include "core/experiment/runner.h"
#include "core/experiment/spectra.h"

#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <cmath>

using namespace rankwright;
using namespace Qt::StringLiterals;

namespace {

const std::filesystem::path demo = RANKWRIGHT_DEMO;

double squares(const Matrix<double>& matrix)
{
    double sum = 0.0;
    for (const double value : matrix.span())
        sum += value * value;
    return sum;
}

/// ||W - B A||_F^2, or tr((W - B A) C (W - B A)^T), as plain loops.
double lossOf(const Matrix<double>& W, const Factorisation& factors, const Matrix<double>* C)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < W.rows(); ++i) {
        std::vector<double> d(W.columns());
        for (std::size_t j = 0; j < W.columns(); ++j) {
            d[j] = W(i, j);
            for (std::size_t k = 0; k < factors.B.columns(); ++k)
                d[j] -= factors.B(i, k) * factors.A(k, j);
        }
        for (std::size_t j = 0; j < d.size(); ++j) {
            double row = C == nullptr ? d[j] : 0.0;
            for (std::size_t k = 0; C != nullptr && k < d.size(); ++k)
                row += (*C)(j, k) * d[k];
            sum += d[j] * row;
        }
    }
    return sum;
}

} // namespace

class TestSpectra : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        const TokenWindows windows = makeWindows(*m_model.tokenizer(), m_windows, {});
        m_statistics.emplace(calibrate(m_model, *m_device, windows, m_folder.path().toStdString() + "/cache", {}, {}));
    }

    void curvesAreLossesOfFactors_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<bool>("calibrated");
        QTest::addColumn<bool>("exact");
        QTest::newRow("svd") << QStringLiteral("svd") << false << true;
        QTest::newRow("svd on statistics") << QStringLiteral("svd") << true << true;
        QTest::newRow("whitened-svd") << QStringLiteral("whitened-svd") << true << false;
        QTest::newRow("nsvd") << QStringLiteral("nsvd") << true << true;
    }
    void curvesAreLossesOfFactors()
    {
        QFETCH(QString, method);
        QFETCH(bool, calibrated);
        QFETCH(bool, exact);
        const Method& chosen = findMethod(method.toStdString());
        for (const char* name : {"model.layers.1.self_attn.v_proj", "model.layers.3.mlp.down_proj"}) {
            const LinearInfo& info = m_model.linear(name);
            const TapStatistics statistics = calibrated ? m_statistics->load(info.tap) : TapStatistics{};
            const LinearSpectrum spectrum =
                analyseLinear(m_model, *m_device, chosen, {}, info, calibrated ? &statistics : nullptr, exact);
            QCOMPARE(spectrum.linear, info.index);
            QVERIFY(spectrum.exact); // also where it was not asked for: there is no cheaper curve
            QCOMPARE(spectrum.singularValues.size(), info.shape.fullRank());
            QCOMPARE(spectrum.loss.size(), info.shape.fullRank() + 1);
            QCOMPARE(spectrum.loss.front(), spectrum.totalEnergy);
            const Matrix<double> W = convertMatrix<double>(m_model.readDense(info));
            const auto analysis =
                chosen.analyze(*m_device, {name, W, calibrated ? &statistics : nullptr}, MethodParameters{});
            for (const std::size_t rank : {std::size_t{1}, info.shape.fullRank() / 2}) {
                const double expected =
                    lossOf(W, analysis->factorize(rank), calibrated ? &statistics.secondMoment : nullptr);
                QVERIFY(std::abs(spectrum.loss[rank] - expected) < 1e-8 * expected);
            }
        }
    }

    void lossesInNatsAreThoseOfTheChange()
    {
        const TokenWindows windows = makeWindows(*m_model.tokenizer(), m_windows, {});
        const CalibrationSet set =
            calibrateCurvature(m_model, *m_device, windows, {}, m_folder.path().toStdString() + "/cache", {}, {});
        const LinearInfo& info = m_model.linear("model.layers.2.self_attn.k_proj");
        const TapStatistics inputs = m_statistics->load(info.tap);
        const TapStatistics gradients = set.load(info.index);
        const Matrix<double> W = convertMatrix<double>(m_model.readDense(info));
        for (const char* name : {"svd", "whitened-svd", "curvature-svd"}) {
            const Method& method = findMethod(name);
            const LinearSpectrum spectrum = analyseLinear(m_model, *m_device, method, {}, info, &inputs, true, &set);
            QCOMPARE(spectrum.nats.size(), info.shape.fullRank() + 1);
            const auto analysis =
                method.analyze(*m_device, {info.name, W, &inputs, {}, &gradients}, MethodParameters{});
            // 1/2 tr(G D A D^T) with the means G and A over tokens, term by term; curvature-svd damps G.
            Matrix<double> G = gradients.secondMoment;
            if (method.needsGradients()) {
                double trace = 0.0;
                for (std::size_t i = 0; i < G.rows(); ++i)
                    trace += gradients.secondMoment(i, i);
                for (std::size_t i = 0; i < G.rows(); ++i)
                    G(i, i) += parameterValue(method, {}, "damping") * trace / static_cast<double>(G.rows());
            }
            const std::size_t rank = info.shape.fullRank() / 2;
            const Factorisation factors = analysis->factorize(rank);
            Matrix<double> D = W;
            for (std::size_t i = 0; i < W.rows(); ++i)
                for (std::size_t j = 0; j < W.columns(); ++j)
                    for (std::size_t k = 0; k < rank; ++k)
                        D(i, j) -= factors.B(i, k) * factors.A(k, j);
            double nats = 0.0;
            for (std::size_t i = 0; i < W.rows(); ++i)
                for (std::size_t l = 0; l < W.rows(); ++l)
                    for (std::size_t j = 0; j < W.columns(); ++j)
                        for (std::size_t k = 0; k < W.columns(); ++k)
                            nats += G(i, l) * D(l, j) * inputs.secondMoment(j, k) * D(i, k);
            nats *= 0.5 / static_cast<double>(inputs.tokens) / static_cast<double>(gradients.tokens);
            // Half of the rank is one of the ranks that are measured where the curve is not known at every rank.
            QVERIFY2(std::abs(spectrum.nats[rank] - nats) < 1e-8 * nats, name);
        }
    }

    void manyAreWhatEachIs_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("whitened-svd") << QStringLiteral("whitened-svd");
        QTest::newRow("joint-latents") << QStringLiteral("joint-latents");
    }
    void manyAreWhatEachIs()
    {
        QFETCH(QString, method);
        const Method& chosen = findMethod(method.toStdString());
        const std::vector<const LinearInfo*> linears = firstTwoBlocks();
        std::atomic<std::size_t> reports = 0;
        TaskContext context;
        context.progress = [&](const Progress& progress) {
            reports += progress.stage == "analyse" && progress.total == linears.size() ? 1 : 0;
        };
        const std::vector<LinearSpectrum> all = analyseLinears(m_model, *m_device, chosen, {}, linears, &*m_statistics,
                                                               nullptr, true, {.threads = 3}, context);
        QCOMPARE(all.size(), linears.size());
        QCOMPARE(reports.load(), linears.size());
        const BlasThreads one(1);
        for (std::size_t i = 0; i < linears.size(); ++i) {
            const TapStatistics statistics = m_statistics->load(statisticsTap(m_model, chosen, *linears[i]));
            const LinearSpectrum own = analyseLinear(m_model, *m_device, chosen, {}, *linears[i], &statistics, true);
            QCOMPARE(all[i].linear, linears[i]->index);
            QCOMPARE(all[i].singularValues, own.singularValues);
            QCOMPARE(all[i].loss, own.loss);
        }
    }

    void spectraKeepToTheLimit()
    {
        const std::vector<const LinearInfo*> linears = firstTwoBlocks();
        const auto spectra = [&](std::size_t limit) {
            return analyseLinears(m_model, *m_device, findMethod("whitened-svd"), {}, linears, &*m_statistics, nullptr,
                                  true, {.threads = 3, .memoryLimit = limit}, {});
        };
        // Of down, which takes the statistics, a matrix of their size and more; gate and up take less.
        constexpr std::size_t statistics = 172 * 172 * 8;
        try {
            spectra(3 * statistics);
            QFAIL("was analysed");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::Memory);
            QVERIFY2(std::string(error.what()).find("64x172") != std::string::npos, error.what());
            QVERIFY(error.file() == m_model.checkpoint().path());
        }
        const std::vector<LinearSpectrum> unlimited = spectra(0);
        const std::vector<LinearSpectrum> limited = spectra(8 * statistics);
        for (std::size_t i = 0; i < linears.size(); ++i)
            QCOMPARE(limited[i].loss, unlimited[i].loss);
    }

    void planningCurvesAreNamed()
    {
        const LinearInfo& info = m_model.linear("model.layers.2.mlp.up_proj");
        const TapStatistics statistics = m_statistics->load(info.tap);
        const Method& nsvd = findMethod("nsvd");
        const auto at = [&](bool exact) {
            return analyseLinear(m_model, *m_device, nsvd, {{"share", 0.6}}, info, &statistics, exact);
        };
        const LinearSpectrum exact = at(true);
        const LinearSpectrum planned = at(false);
        QVERIFY(exact.exact && !planned.exact);
        QCOMPARE(planned.loss.size(), exact.loss.size());
        QVERIFY(planned.loss != exact.loss);
        QCOMPARE(planned.loss.front(), exact.loss.front());
    }

    void eventsNameTheLinear()
    {
        const LinearInfo& info = m_model.linear("model.layers.0.mlp.down_proj");
        TapStatistics statistics = m_statistics->load(info.tap);
        statistics.tokens = 3;
        const LinearSpectrum spectrum =
            analyseLinear(m_model, *m_device, findMethod("whitened-svd"), {}, info, &statistics, true);
        QCOMPARE(spectrum.events.size(), std::size_t{1});
        QCOMPARE(spectrum.events[0].kind, std::string("singularStatistics"));
        QCOMPARE(spectrum.events[0].linear, info.name);
        QVERIFY_EXCEPTION_THROWN(analyseLinear(m_model, *m_device, findMethod("whitened-svd"), {}, info, nullptr, true),
                                 Error);
    }

    void factorsOfTheCheckpointAreMultiplied()
    {
        const std::filesystem::path path = m_folder.path().toStdString();
        Store store(path / "s.sqlite");
        Recipe recipe;
        recipe.model = m_model.checkpoint().path();
        recipe.method = "svd";
        recipe.keptRatio = 0.5;
        recipe.out = path / "exported";
        runRecipe(recipe, store, {.cache = path / "cache"}, {});
        const Model exported = Model::open(recipe.out);
        const LinearInfo& info = exported.linear("model.layers.1.mlp.up_proj");
        QCOMPARE(info.structure, StructureKind::Factors);
        const LoadedLinear loaded = loadLinear(exported, *m_device, info);
        QCOMPARE(loaded.W.rows(), info.shape.rows);
        const LinearSpectrum spectrum = analyseLinear(exported, *m_device, findMethod("svd"), {}, info, nullptr, true);
        QVERIFY(std::abs(spectrum.totalEnergy - squares(loaded.W)) < 1e-12 * spectrum.totalEnergy);
        // Past the rank of the factors nothing is left.
        QVERIFY(spectrum.loss[info.rank] < 1e-18 * spectrum.totalEnergy);
        QVERIFY(spectrum.loss[info.rank - 1] > 1e-6 * spectrum.totalEnergy);
    }

    void whatIsPlannedIsWhatARunGives_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("structure");
        QTest::addColumn<QString>("allocation");
        for (const char* method : {"svd", "whitened-svd", "nsvd", "joint-latents", "low-rank-sparse"})
            for (const char* structure : {"factors", "block-identity"})
                for (const char* allocation : {"uniform", "marginal-loss"})
                    QTest::addRow("%s %s %s", method, structure, allocation)
                        << QString::fromUtf8(method) << QString::fromUtf8(structure) << QString::fromUtf8(allocation);
    }
    /// The way of a window: curves, a planner, totals; then the run of the same recipe.
    void whatIsPlannedIsWhatARunGives()
    {
        QFETCH(QString, method);
        QFETCH(QString, structure);
        QFETCH(QString, allocation);
        const std::filesystem::path path = m_folder.path().toStdString();
        Recipe recipe;
        recipe.model = m_model.checkpoint().path();
        recipe.method = method.toStdString();
        recipe.structure = structureFromName(structure.toStdString());
        recipe.allocation = allocation.toStdString();
        recipe.keptRatio = 0.65;
        recipe.storage = DType::BF16;
        recipe.ranks = {{"model.layers.2.mlp.down_proj", 60}, {"model.layers.0.self_attn.q_proj", 5}};
        recipe.calibration = m_windows;

        std::vector<AllocationItem> items;
        std::vector<std::optional<std::size_t>> byHand;
        std::vector<const LinearInfo*> linears;
        for (const LinearInfo& info : m_model.linears())
            linears.push_back(&info);
        std::vector<std::vector<double>> losses;
        for (const auto& positions : rankedTogether(m_model, findMethod(recipe.method), linears)) {
            std::vector<const LinearInfo*> together;
            std::vector<double> sum;
            for (const std::size_t position : positions) {
                const LinearInfo& info = *linears[position];
                together.push_back(&info);
                const TapStatistics statistics = m_statistics->load(info.tap);
                losses.push_back(
                    analyseLinear(m_model, *m_device, findMethod(recipe.method), {}, info, &statistics, false).loss);
                sum.resize(losses.back().size());
                for (std::size_t rank = 0; rank < sum.size(); ++rank)
                    sum[rank] += losses.back()[rank];
            }
            AllocationItem item = itemOf(together);
            item.setRelativeLoss(std::move(sum));
            items.push_back(std::move(item));
            const auto rank = recipe.ranks.find(together.front()->name);
            byHand.push_back(rank != recipe.ranks.end() ? std::optional(rank->second) : std::nullopt);
        }
        const RankPlanner planner(storedStructure(recipe), std::move(items));
        const AllocationPlan plan = planner.plan(recipe.allocation, recipe.keptRatio, byHand);
        std::vector<LinearCost> costs;
        for (const LinearInfo& info : m_model.linears()) {
            const AllocatedRank& rank = plan.ranks[info.index];
            costs.push_back(linearCost(info, rank.stored(), recipe.storage,
                                       relativeLoss(losses[info.index], rank.structure, rank.rank)));
        }
        const PlanTotals totals = planTotals(modelTotals(m_model), costs);

        Store store(path / (method + structure + allocation).toStdString());
        const RunResult result = runRecipe(recipe, store, {.cache = path / "cache"}, {});
        QVERIFY(result.calibrationReused);
        for (const LinearInfo& info : m_model.linears()) {
            QCOMPARE(plan.ranks[info.index].rank, result.linears[info.index].rank);
            QCOMPARE(plan.ranks[info.index].structure, result.linears[info.index].structure);
        }
        QCOMPARE(totals.keptRatio, result.keptRatio);
        QCOMPARE(totals.wholeModelParameters, result.parameters);
        QCOMPARE(totals.wholeModelRatio, result.wholeModelRatio);
        QCOMPARE(totals.bytes, result.bytes);
        // nsvd plans with a curve that is exact at some ranks only; the others' differ by the threads of BLAS alone.
        const double expected = meanPredictedLoss(result.linears);
        // low-rank-sparse plans with three alternations in place of ten, in proportion between six ranks: 0.11 is met.
        const double bound = method == u"nsvd" ? 0.02 : method == u"low-rank-sparse" ? 0.15 : 1e-9;
        QVERIFY2(std::abs(totals.relativeLoss - expected) <= bound * expected,
                 qPrintable(QStringLiteral("%1 planned, %2 measured").arg(totals.relativeLoss).arg(expected)));
        if (bound > 0.02)
            qInfo("%g planned, %g measured", totals.relativeLoss, expected);
        QCOMPARE(meanPredictedLoss(store.run(result.id).result.linears), expected);
    }

    void energyIsCumulative()
    {
        const std::vector<double> energy = cumulativeEnergy(std::vector<double>{2.0, 1.0, 1.0});
        QCOMPARE(energy, (std::vector<double>{4.0 / 6.0, 5.0 / 6.0, 1.0}));
        QCOMPARE(cumulativeEnergy(std::vector<double>{0.0, 0.0}), (std::vector<double>{1.0, 1.0}));
        QVERIFY(cumulativeEnergy({}).empty());
    }

private:
    std::vector<const LinearInfo*> firstTwoBlocks() const
    {
        std::vector<const LinearInfo*> linears;
        for (const LinearInfo& info : m_model.linears())
            if (info.block < 2)
                linears.push_back(&info);
        return linears;
    }

    QTemporaryDir m_folder;
    WindowOptions m_windows{.text = demo / "stories-calibration.txt", .length = 64, .count = 8};
    Model m_model = Model::open(demo / "stories260K");
    std::shared_ptr<const Device> m_device = makeCpuDevice(1);
    std::optional<CalibrationSet> m_statistics;
};

QTEST_GUILESS_MAIN(TestSpectra)
#include "tst_spectra.moc"
