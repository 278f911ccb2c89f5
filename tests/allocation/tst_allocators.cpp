#include "core/allocation/allocation.h"
#include "core/base/error.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace rankwright;

namespace {

/// 4 blocks of q (30 x 30) and down (20 x 60), spectra decaying at different rates.
std::vector<AllocationItem> model()
{
    std::vector<AllocationItem> items;
    for (std::size_t block = 0; block < 4; ++block)
        for (const bool down : {false, true}) {
            AllocationItem item;
            item.name = std::to_string(items.size());
            item.shape = down ? LinearShape{20, 60} : LinearShape{30, 30};
            item.block = block;
            item.role = down ? "down" : "q";
            const std::size_t full = item.shape.fullRank();
            const double decay = 0.80 + 0.04 * static_cast<double>(block);
            for (std::size_t i = 0; i < full; ++i)
                item.singularValues.push_back(5.0 * std::pow(decay, static_cast<double>(i)));
            std::vector<double> loss(full + 1);
            for (std::size_t r = full; r-- > 0;)
                loss[r] = loss[r + 1] + std::pow(item.singularValues[r], 2);
            item.setRelativeLoss(loss);
            items.push_back(item);
        }
    return items;
}

std::vector<std::size_t> ranksOf(const AllocationPlan& plan)
{
    std::vector<std::size_t> ranks;
    for (const AllocatedRank& rank : plan.ranks)
        ranks.push_back(rank.rank);
    return ranks;
}

std::size_t denseOf(const std::vector<AllocationItem>& items)
{
    std::size_t sum = 0;
    for (const AllocationItem& item : items)
        sum += item.shape.parameters();
    return sum;
}

/// What factors of a rank cost; dense where they save nothing.
std::size_t costOf(const AllocationItem& item, std::size_t rank)
{
    return std::min(rank * (item.shape.rows + item.shape.columns), item.shape.parameters());
}

} // namespace

/// The published allocators against their formulas, worked out here by plain loops.
class TestAllocators : public QObject
{
    Q_OBJECT

private slots:
    void registryDescribesEveryAllocator()
    {
        QCOMPARE(allocators().front().name, std::string_view("uniform"));
        QVERIFY(!allocators().front().needsAnalyses());
        for (const Allocator& allocator : allocators()) {
            QVERIFY(!allocator.description.empty() && !allocator.source.empty());
            QCOMPARE(&findAllocator(allocator.name), &allocator);
            // What is said not to be needed is not needed; what is, is asked for.
            std::vector<AllocationItem> items = model();
            for (AllocationItem& item : items) {
                if (!allocator.needsLosses)
                    item.loss.clear();
                if (!allocator.needsSingularValues)
                    item.singularValues.clear();
                if (allocator.needsBlockInfluence)
                    item.blockInfluence = 0.1 * static_cast<double>(item.block);
            }
            const AllocationPlan plan = allocate(allocator.name, StructureKind::Factors, 0.6, items);
            QVERIFY(plan.keptParameters <= static_cast<std::size_t>(0.6 * static_cast<double>(plan.denseParameters)));
            // No allocator leaves much of the budget: less than a rank or a tenth of every linear.
            QVERIFY2(plan.keptRatio > 0.5, std::string(allocator.name).c_str());
            if (allocator.needsAnalyses() || allocator.needsBlockInfluence) {
                for (AllocationItem& item : items) {
                    item.loss.clear();
                    item.singularValues.clear();
                    item.blockInfluence = std::numeric_limits<double>::quiet_NaN();
                }
                QVERIFY_THROWS_EXCEPTION(Error, allocate(allocator.name, StructureKind::Factors, 0.6, items));
            }
        }
        QVERIFY_THROWS_EXCEPTION(Error, findAllocator("by-tipe"));
    }

    /// Eight blocks of two equal linears. Half of the parameters of two blocks are 1/8 of all: at 0.875, two pay and
    /// the others stay dense, the first or the last ones; below 0.5 all pay half and then, in turn, more.
    void lillamaLowersBlockAfterBlock()
    {
        std::vector<AllocationItem> items;
        for (std::size_t block = 0; block < 8; ++block)
            for (const char* role : {"q", "up"})
                items.push_back(
                    {.name = role + std::to_string(block), .shape = {64, 64}, .loss = {}, .rank = {}, .block = block});
        const auto shares = [&](const char* allocator, double ratio) {
            std::vector<double> result;
            for (const AllocatedRank& rank : allocate(allocator, StructureKind::Factors, ratio, items).ranks)
                result.push_back(static_cast<double>(rank.keptParameters) / 4096.0);
            return result;
        };
        const std::vector<double> bottom = shares("lillama-bottom", 0.875);
        const std::vector<double> half(4, 0.5);
        QVERIFY(std::equal(half.begin(), half.end(), bottom.begin()));
        QVERIFY(std::all_of(bottom.begin() + 4, bottom.end(), [](double share) { return share == 1.0; }));
        const std::vector<double> top = shares("lillama-top", 0.875);
        QVERIFY(std::equal(half.begin(), half.end(), top.rbegin()));
        QVERIFY(std::all_of(top.begin(), top.begin() + 12, [](double share) { return share == 1.0; }));
        const std::vector<double> low = shares("lillama-bottom", 0.4);
        QVERIFY(low.front() < 0.25 && low.back() == 0.5);
    }

    void byTypeIsTheFormulaInsideARole()
    {
        std::vector<AllocationItem> items = model();
        const double kept = 0.7;
        const AllocationPlan plan = allocate("by-type", StructureKind::Factors, kept, items);
        for (const char* role : {"q", "down"}) {
            std::vector<double> losses;
            std::vector<std::size_t> members;
            for (std::size_t i = 0; i < items.size(); ++i)
                if (items[i].role == role) {
                    members.push_back(i);
                    losses.push_back(items[i].loss[rankForKeptRatio(StructureKind::Factors, items[i].shape, kept)]);
                }
            std::vector<double> sorted = losses;
            std::sort(sorted.begin(), sorted.end());
            const double median = 0.5 * (sorted[1] + sorted[2]);
            double sum = 0.0;
            std::vector<double> v;
            for (const double loss : losses)
                sum += v.emplace_back(1.0 / std::log(std::exp(1.0) + loss / median));
            for (std::size_t j = 0; j < members.size(); ++j) {
                const double removed = 4.0 * (1.0 - kept) * v[j] / sum;
                QVERIFY(removed < 0.9);
                const std::size_t expected =
                    rankForKeptRatio(StructureKind::Factors, items[members[j]].shape, 1.0 - removed);
                QVERIFY(plan.ranks[members[j]].rank == expected);
            }
            // More loss, more kept.
            QVERIFY(plan.ranks[members[3]].rank > plan.ranks[members[0]].rank);
        }
        // Losses below e, where 1 / ln(loss) changes sign: only their relation counts.
        std::vector<AllocationItem> scaled = items;
        for (AllocationItem& item : scaled)
            for (double& value : item.loss)
                value *= 1e-7;
        QCOMPARE(ranksOf(allocate("by-type", StructureKind::Factors, kept, scaled)), ranksOf(plan));
    }

    /// phi_i = L R softmax(-s / 0.15)_i of L equal blocks, R the share to remove.
    void blockInfluenceIsMoDeGPTsSoftmax()
    {
        std::vector<AllocationItem> items = model();
        const std::vector<double> influence{0.30, 0.05, 0.10, 0.22};
        for (AllocationItem& item : items)
            item.blockInfluence = influence[item.block];
        const double kept = 0.8;
        const AllocationPlan plan = allocate("modegpt", StructureKind::Factors, kept, items);
        double sum = 0.0;
        for (const double s : influence)
            sum += std::exp(-s / 0.15);
        for (std::size_t i = 0; i < items.size(); ++i) {
            const double removed = 4.0 * (1.0 - kept) * std::exp(-influence[items[i].block] / 0.15) / sum;
            QVERIFY(removed < 0.8);
            QCOMPARE(plan.ranks[i].rank, rankForKeptRatio(StructureKind::Factors, items[i].shape, 1.0 - removed));
        }
        QVERIFY(plan.ranks[0].rank > plan.ranks[2].rank); // the block that turns the states most keeps most
    }

    /// A block gives up at most 0.8 of itself; what that leaves is taken from the others, in their proportion.
    void blockInfluenceSharesOutWhatABlockCannotGive()
    {
        std::vector<AllocationItem> items = model();
        const std::vector<double> influence{0.0, 0.3, 0.3, 0.6};
        for (AllocationItem& item : items)
            item.blockInfluence = influence[item.block];
        const double kept = 0.6;
        const double before = 4.0 * 0.4 / (1.0 + 2.0 * std::exp(-2.0) + std::exp(-4.0));
        QVERIFY(before > 0.8);
        const double factor = (4.0 * 0.4 - 0.8) / (2.0 * std::exp(-2.0) + std::exp(-4.0));
        const std::vector<double> removed{0.8, std::min(0.8, factor * std::exp(-2.0)),
                                          std::min(0.8, factor * std::exp(-2.0)), factor * std::exp(-4.0)};
        QVERIFY(removed[1] < 0.8);
        const AllocationPlan plan = allocate("modegpt", StructureKind::Factors, kept, items);
        for (std::size_t i = 0; i < items.size(); ++i)
            QCOMPARE(plan.ranks[i].rank,
                     rankForKeptRatio(StructureKind::Factors, items[i].shape, 1.0 - removed[items[i].block]));
    }

    void weloreCountsAboveOneThreshold()
    {
        const std::vector<AllocationItem> items = model();
        for (const double kept : {0.3, 0.6, 0.85}) {
            const AllocationPlan plan = allocate("welore", StructureKind::Factors, kept, items);
            const auto budget = static_cast<std::size_t>(kept * static_cast<double>(denseOf(items)));
            // Every threshold that changes a count: the best of those within the budget, by a plain loop.
            std::vector<double> thresholds;
            const auto scaled = [&](const AllocationItem& item, std::size_t i) {
                return (item.singularValues[i] - item.singularValues.back()) /
                       (item.singularValues.front() - item.singularValues.back());
            };
            for (const AllocationItem& item : items)
                for (std::size_t i = 0; i < item.singularValues.size(); ++i)
                    thresholds.push_back(scaled(item, i));
            std::vector<std::size_t> best;
            std::size_t bestCost = 0;
            for (const double threshold : thresholds) {
                std::vector<std::size_t> ranks;
                std::size_t cost = 0;
                for (const AllocationItem& item : items) {
                    std::size_t count = 0;
                    for (std::size_t i = 0; i < item.singularValues.size(); ++i)
                        count += scaled(item, i) >= threshold ? 1 : 0;
                    cost += costOf(item, count);
                    ranks.push_back(costOf(item, count) == item.shape.parameters() ? item.shape.fullRank() : count);
                }
                if (cost <= budget && cost > bestCost) {
                    best = ranks;
                    bestCost = cost;
                }
            }
            QCOMPARE(plan.keptParameters, bestCost);
            QCOMPARE(ranksOf(plan), best);
        }
    }

    void strsTakesTheLastCutWithinTheBudget_data()
    {
        QTest::addColumn<QString>("allocator");
        QTest::addColumn<int>("lowest");
        QTest::newRow("of relative losses") << QStringLiteral("strs-loss") << 1;
        QTest::newRow("of perplexities") << QStringLiteral("strs") << 4;
    }
    void strsTakesTheLastCutWithinTheBudget()
    {
        QFETCH(QString, allocator);
        QFETCH(int, lowest);
        const std::vector<AllocationItem> items = model();
        for (const double kept : {lowest == 1 ? 0.35 : 0.45, 0.6, 0.9}) {
            const auto budget = static_cast<std::size_t>(kept * static_cast<double>(denseOf(items)));
            // A cut is a sensitivity: every linear takes its smallest ratio of less, by a plain loop over all of them.
            std::vector<std::pair<double, std::size_t>> all;
            const auto rankAt = [&](const AllocationItem& item, int tenths) {
                return tenths == 10 ? item.shape.fullRank()
                                    : rankForKeptRatio(StructureKind::Factors, item.shape, tenths / 10.0);
            };
            std::vector<double> cuts{INFINITY};
            for (const AllocationItem& item : items)
                for (int tenths = lowest; tenths < 10; ++tenths)
                    cuts.push_back(item.weight * item.loss[rankAt(item, tenths)]);
            std::sort(cuts.rbegin(), cuts.rend());
            std::size_t bestCost = 0;
            for (const double cut : cuts) {
                std::size_t cost = 0;
                for (const AllocationItem& item : items) {
                    int smallest = 10;
                    for (int tenths = 9; tenths >= lowest; --tenths)
                        if (item.weight * item.loss[rankAt(item, tenths)] < cut)
                            smallest = tenths;
                    cost += costOf(item, rankAt(item, smallest));
                }
                if (cost > budget)
                    break;
                bestCost = cost;
            }
            QCOMPARE(allocate(allocator.toStdString(), StructureKind::Factors, kept, items).keptParameters, bestCost);
        }
    }

    /// A perplexity can fall where a linear is compressed: such a ratio is taken before any that costs something, and
    /// the linear itself stays behind every cut.
    void strsTakesRatiosThatHelpFirst()
    {
        std::vector<AllocationItem> items = model();
        for (std::size_t i = 0; i < items.size(); ++i)
            items[i].setLossInNats(std::vector<double>(items[i].shape.fullRank() + 1, i < 2 ? -3.0 : 0.1));
        const AllocationPlan plan = allocate("strs", StructureKind::Factors, 0.9, items);
        for (std::size_t i = 0; i < items.size(); ++i)
            QCOMPARE(plan.ranks[i].structure, i < 2 ? StructureKind::Factors : StructureKind::Dense);
    }

    /// Below the ratios that were measured there is nothing to choose by.
    void strsBelowItsRatiosIsUniform()
    {
        const std::vector<AllocationItem> items = model();
        QCOMPARE(ranksOf(allocate("strs", StructureKind::Factors, 0.35, items)),
                 ranksOf(allocate("uniform", StructureKind::Factors, 0.35, items)));
    }

    void partialLayersLeaveTheFirstBlocksDense()
    {
        const std::vector<AllocationItem> items = model();
        const AllocationPlan plan = allocate("partial-layers", StructureKind::Factors, 0.8, items);
        for (std::size_t i = 0; i < items.size(); ++i) {
            // R_l = N R / K with N = 4, K = 2.
            const std::size_t expected = items[i].block < 2
                                             ? items[i].shape.fullRank()
                                             : rankForKeptRatio(StructureKind::Factors, items[i].shape, 0.6);
            QCOMPARE(plan.ranks[i].rank, expected);
        }
        // Two blocks cannot give six tenths of all: three do.
        const AllocationPlan more = allocate("partial-layers", StructureKind::Factors, 0.4, items);
        QCOMPARE(more.ranks[1].structure, StructureKind::Dense);
        QCOMPARE(more.ranks[2].rank, rankForKeptRatio(StructureKind::Factors, items[2].shape, 0.2));
    }
};

QTEST_GUILESS_MAIN(TestAllocators)
#include "tst_allocators.moc"
