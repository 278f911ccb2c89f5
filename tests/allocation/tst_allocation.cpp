#include "core/allocation/allocation.h"
#include "core/base/error.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

using namespace rankwright;

namespace {

/// Tail sums of a decaying spectrum, as whitened SVD gives them: convex.
std::vector<double> tailCurve(std::size_t fullRank, double decay, double scale)
{
    std::vector<double> loss(fullRank + 1);
    for (std::size_t r = fullRank; r-- > 0;)
        loss[r] = loss[r + 1] + scale * std::pow(decay, static_cast<double>(r));
    return loss;
}

AllocationItem itemOf(const std::string& name, LinearShape shape, double decay, double scale)
{
    AllocationItem item{name, shape, tailCurve(shape.fullRank(), decay, scale), 1.0, std::nullopt};
    for (std::size_t r = 0; r < shape.fullRank(); ++r)
        item.singularValues.push_back(std::sqrt(item.loss[r] - item.loss[r + 1]));
    item.blockInfluence = 0.2;
    return item;
}

double planLoss(const std::vector<AllocationItem>& items, const AllocationPlan& plan)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < items.size(); ++i)
        sum += items[i].weight * items[i].loss[plan.ranks[i].rank];
    return sum;
}

/// Least loss of all rank combinations within a budget; a rank that costs as much as W counts as dense.
double exhaustiveLoss(StructureKind structure, const std::vector<AllocationItem>& items, std::size_t budget)
{
    double best = INFINITY;
    std::vector<std::size_t> ranks(items.size(), 1);
    const std::function<void(std::size_t, std::size_t, double)> visit = [&](std::size_t i, std::size_t spent,
                                                                            double loss) {
        if (spent > budget)
            return;
        if (i == items.size()) {
            best = std::min(best, loss);
            return;
        }
        const LinearShape shape = items[i].shape;
        for (std::size_t r = 1; r <= shape.fullRank(); ++r) {
            const std::size_t cost = parameterCount(structure, shape, r);
            if (cost < shape.parameters())
                visit(i + 1, spent + cost, loss + items[i].weight * items[i].loss[r]);
        }
        visit(i + 1, spent + shape.parameters(), loss + items[i].weight * items[i].loss[shape.fullRank()]);
    };
    visit(0, 0, 0.0);
    return best;
}

ErrorKind kindOfFailure(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::Internal;
}

} // namespace

class TestAllocation : public QObject
{
    Q_OBJECT

private slots:
    void uniformIsTheFormulaOfThePapers()
    {
        const std::vector<AllocationItem> items{
            {"q", {576, 576}, {}, 1.0, {}}, {"k", {192, 576}, {}, 1.0, {}}, {"up", {1536, 576}, {}, 1.0, {}}};
        for (const double ratio : {0.9, 0.8, 0.6, 0.33}) {
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const AllocationPlan plan = allocate("uniform", kind, ratio, items);
                for (std::size_t i = 0; i < items.size(); ++i) {
                    QCOMPARE(plan.ranks[i].rank, rankForKeptRatio(kind, items[i].shape, ratio));
                    QCOMPARE(plan.ranks[i].structure, kind);
                    QCOMPARE(plan.ranks[i].keptParameters, parameterCount(kind, items[i].shape, plan.ranks[i].rank));
                    QVERIFY(plan.ranks[i].note.empty());
                }
                QVERIFY(plan.keptRatio <= ratio);
            }
        }
        QCOMPARE(allocate("uniform", StructureKind::Factors, 0.8, items).ranks[0].rank, std::size_t{230});
        QCOMPARE(allocate("uniform", StructureKind::BlockIdentity, 0.8, items).ranks[0].rank, std::size_t{318});
    }

    void greedyEqualsExhaustiveSearch()
    {
        // Equal shapes: every step costs the same, so greedy is optimal for every budget that dense does not reach.
        const std::vector<AllocationItem> equal{itemOf("a", {8, 8}, 0.5, 9.0), itemOf("b", {8, 8}, 0.8, 2.0),
                                                itemOf("c", {8, 8}, 0.9, 1.0)};
        const std::vector<AllocationItem> mixed{itemOf("a", {8, 8}, 0.5, 9.0), itemOf("b", {6, 12}, 0.8, 2.0),
                                                itemOf("c", {10, 5}, 0.7, 3.0)};
        for (const auto* items : {&equal, &mixed})
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity})
                for (int percent = 40; percent <= 100; ++percent) {
                    const AllocationPlan plan = allocate("marginal-loss", kind, percent / 100.0, *items);
                    const std::size_t budget = plan.denseParameters * static_cast<std::size_t>(percent) / 100;
                    const double reached = planLoss(*items, plan);
                    QVERIFY(reached >= exhaustiveLoss(kind, *items, budget) - 1e-12);
                    // Hull steps taken in order are optimal for what they spend, and the one that no longer fits, at
                    // most one linear made dense from rank 1, is all that can be missing.
                    const std::size_t dearest = 72 - 16;
                    const double best = exhaustiveLoss(kind, *items, budget - std::min(budget, dearest));
                    QVERIFY2(reached <= best + 1e-12, qPrintable(QString::number(percent)));
                }
        // Every rank costs 24 parameters and dense (144) saves no more than rank 5: greedy is exactly optimal.
        std::vector<AllocationItem> steps{itemOf("a", {12, 12}, 0.5, 9.0), itemOf("b", {12, 12}, 0.8, 2.0),
                                          itemOf("c", {12, 12}, 0.9, 1.0)};
        for (AllocationItem& item : steps)
            std::fill(item.loss.begin() + 6, item.loss.end(), item.loss[5]);
        for (std::size_t budget = 72; budget <= 360; ++budget) {
            const AllocationPlan plan =
                allocate("marginal-loss", StructureKind::Factors, static_cast<double>(budget) / 432.0, steps);
            QVERIFY(std::abs(planLoss(steps, plan) - exhaustiveLoss(StructureKind::Factors, steps, budget)) < 1e-12);
        }
    }

    void whatIsSpentIsSpentWell()
    {
        // At its own cost a plan of hull steps alone is optimal; filling up may only lower the loss further.
        const std::vector<AllocationItem> items{itemOf("a", {7, 9}, 0.6, 5.0), itemOf("b", {9, 7}, 0.75, 2.0),
                                                itemOf("c", {8, 8}, 0.9, 1.0)};
        const std::size_t dense = 7 * 9 + 9 * 7 + 64;
        // All three cost 16 per rank: every budget is reached by equal steps until dense pays.
        for (std::size_t budget = 48; budget < 48 + 16 * 5; ++budget) {
            const AllocationPlan plan = allocate("marginal-loss", StructureKind::Factors,
                                                 static_cast<double>(budget) / static_cast<double>(dense), items);
            QVERIFY(plan.keptParameters <= budget);
            QVERIFY(plan.keptParameters + 16 > budget);
        }
    }

    void budgetIsNeverExceeded()
    {
        std::mt19937 generator(7);
        std::uniform_int_distribution<std::size_t> size(1, 40);
        std::uniform_int_distribution<std::size_t> count(1, 12);
        std::uniform_real_distribution<double> uniform(0.0, 1.0);
        int planned = 0;
        for (int round = 0; round < 600; ++round) {
            std::vector<AllocationItem> items(count(generator));
            for (std::size_t i = 0; i < items.size(); ++i) {
                AllocationItem& item = items[i];
                item.name = std::to_string(i);
                item.shape = {size(generator), size(generator)};
                item.weight = uniform(generator);
                // Rough curves, not even monotone: allocators must not trust them.
                item.loss.resize(item.shape.fullRank() + 1);
                for (double& value : item.loss)
                    value = uniform(generator);
                for (std::size_t r = 0; r < item.shape.fullRank(); ++r)
                    item.singularValues.push_back(uniform(generator));
                std::sort(item.singularValues.rbegin(), item.singularValues.rend());
                item.block = i / 2;
                item.blockInfluence = 0.1 * static_cast<double>(item.block);
                item.role = i % 3 == 0 ? "q" : "down";
                if (uniform(generator) < 0.2)
                    item.rank = 1 + static_cast<std::size_t>(uniform(generator) *
                                                             static_cast<double>(item.shape.fullRank() - 1));
            }
            const double ratio = 0.05 + 0.95 * uniform(generator);
            for (const std::string_view allocator : allocatorNames())
                for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                    AllocationPlan plan;
                    try {
                        plan = allocate(allocator, kind, ratio, items);
                    } catch (const Error& error) {
                        QCOMPARE(error.kind(), ErrorKind::InvalidArgument);
                        continue;
                    }
                    ++planned;
                    std::size_t kept = 0;
                    for (std::size_t i = 0; i < items.size(); ++i) {
                        const AllocatedRank& rank = plan.ranks[i];
                        QVERIFY(rank.rank >= 1 && rank.rank <= items[i].shape.fullRank());
                        QCOMPARE(rank.keptParameters, parameterCount(rank.structure, items[i].shape, rank.rank));
                        QVERIFY(rank.keptParameters <= items[i].shape.parameters());
                        if (items[i].rank && rank.structure != StructureKind::Dense)
                            QCOMPARE(rank.rank, *items[i].rank);
                        kept += rank.keptParameters;
                    }
                    QCOMPARE(plan.keptParameters, kept);
                    QVERIFY(static_cast<double>(kept) <= ratio * static_cast<double>(plan.denseParameters) + 1e-6);
                }
        }
        QVERIFY(planned > 1000);
    }

    void everythingIsDenseAtRatioOne()
    {
        std::vector<AllocationItem> items{itemOf("a", {20, 30}, 0.9, 1.0), itemOf("b", {30, 10}, 0.9, 1.0)};
        items[1].blockInfluence = 0.4;
        for (const std::string_view allocator : allocatorNames())
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const AllocationPlan plan = allocate(allocator, kind, 1.0, items);
                QCOMPARE(plan.keptParameters, plan.denseParameters);
                for (const AllocatedRank& rank : plan.ranks)
                    QCOMPARE(rank.structure, StructureKind::Dense);
            }
    }

    void surplusOfDenseLinearsGoesBack()
    {
        // The first linear is worth everything: it is stored dense at m n, not at a rank above break-even.
        std::vector<AllocationItem> items{itemOf("precious", {16, 16}, 0.99, 1000.0), itemOf("b", {16, 16}, 0.5, 1.0),
                                          itemOf("c", {16, 16}, 0.5, 1.0)};
        const AllocationPlan plan = allocate("marginal-loss", StructureKind::Factors, 0.7, items);
        QCOMPARE(plan.ranks[0].structure, StructureKind::Dense);
        QCOMPARE(plan.ranks[0].rank, std::size_t{16});
        QCOMPARE(plan.ranks[0].keptParameters, std::size_t{256});
        QVERIFY(QString::fromStdString(plan.ranks[0].note).contains(QStringLiteral("break-even rank 8")));
        QVERIFY(plan.ranks[1].rank >= 4 && plan.ranks[2].rank >= 4);
    }

    void ranksSetByHandCountFirst()
    {
        std::vector<AllocationItem> items{itemOf("a", {20, 20}, 0.9, 1.0), itemOf("b", {20, 20}, 0.9, 1.0),
                                          itemOf("c", {20, 20}, 0.9, 1.0)};
        items[1].rank = 3;
        for (const std::string_view allocator : allocatorNames()) {
            const AllocationPlan plan = allocate(allocator, StructureKind::Factors, 0.5, items);
            QCOMPARE(plan.ranks[1].rank, std::size_t{3});
            QCOMPARE(plan.ranks[1].note, std::string("set by hand"));
            // 600 parameters, 120 by hand: 480 for the others, six ranks of 40 each or one dense and one of rank 2.
            QCOMPARE(plan.keptParameters, std::size_t{600});
            if (allocator == "uniform")
                QVERIFY(plan.ranks[0].rank == 6 && plan.ranks[2].rank == 6);
        }
        items[1].rank = 15;
        const AllocationPlan plan = allocate("uniform", StructureKind::Factors, 0.5, items);
        QCOMPARE(plan.ranks[1].structure, StructureKind::Dense);
        QCOMPARE(plan.ranks[1].rank, std::size_t{20});
        QVERIFY(QString::fromStdString(plan.ranks[1].note).startsWith(QStringLiteral("set by hand; stored dense")));
        QCOMPARE(plan.ranks[0].rank, std::size_t{2});
        items[1].rank = 21;
        QCOMPARE(kindOfFailure([&] { allocate("uniform", StructureKind::Factors, 0.5, items); }),
                 ErrorKind::InvalidArgument);
    }

    /// Linears over one A are one item, and its parts cost what that item costs.
    void linearsThatShareHaveOneRank()
    {
        std::vector<AllocationItem> items{itemOf("a", {20, 20}, 0.9, 1.0), itemOf("b + c + d", {36, 20}, 0.9, 1.0)};
        items[1].sharing = {{"b", {20, 20}}, {"c", {8, 20}}, {"d", {8, 20}}};
        for (const std::string_view allocator : allocatorNames())
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const AllocationPlan plan = allocate(allocator, kind, 0.6, items);
                QCOMPARE(plan.ranks.size(), std::size_t{4});
                QCOMPARE(plan.denseParameters, std::size_t{1120});
                std::size_t kept = 0;
                for (const AllocatedRank& rank : plan.ranks)
                    kept += rank.keptParameters;
                QCOMPARE(kept, plan.keptParameters);
                QVERIFY(kept <= 672);
                const std::size_t r = plan.ranks[1].rank;
                QCOMPARE(plan.ranks[1].name, std::string("b"));
                for (const std::size_t i : {2UL, 3UL})
                    QCOMPARE(plan.ranks[i].rank, r);
                if (plan.ranks[1].structure == StructureKind::Dense) {
                    QCOMPARE(plan.ranks[3].keptParameters, std::size_t{160});
                    continue;
                }
                QCOMPARE(plan.ranks[1].structure, kind);
                QCOMPARE(plan.ranks[1].keptParameters, kind == StructureKind::Factors ? r * 40 : r * (40 - r));
                QCOMPARE(plan.ranks[2].structure, StructureKind::SharedLatent);
                QCOMPARE(plan.ranks[2].keptParameters, r * 8);
            }
        items[1].rank = 13; // more than two of its linears have rows: 36 * 20 / 56 = 12.9 would save nothing
        const AllocationPlan dense = allocate("uniform", StructureKind::Factors, 0.9, items);
        for (const std::size_t i : {1UL, 2UL, 3UL})
            QCOMPARE(dense.ranks[i].structure, StructureKind::Dense);
        items[1].rank = 12;
        const AllocationPlan plan = allocate("uniform", StructureKind::Factors, 0.9, items);
        QCOMPARE(plan.ranks[3].rank, std::size_t{12});
        QCOMPARE(plan.ranks[3].keptParameters, std::size_t{96});
        QCOMPARE(plan.ranks[3].note, std::string("set by hand"));
    }

    void weightsMoveRanks()
    {
        std::vector<AllocationItem> items{itemOf("a", {32, 32}, 0.9, 1.0), itemOf("b", {32, 32}, 0.9, 1.0)};
        AllocationPlan plan = allocate("marginal-loss", StructureKind::Factors, 0.5, items);
        QCOMPARE(plan.ranks[0].rank, plan.ranks[1].rank);
        items[0].weight = 4.0;
        plan = allocate("marginal-loss", StructureKind::Factors, 0.5, items);
        // 0.9^d = 1/4 at d = 13.2: the thresholds of the two are 13 ranks apart.
        const auto apart = static_cast<int>(plan.ranks[0].rank) - static_cast<int>(plan.ranks[1].rank);
        QVERIFY(apart >= 12 && apart <= 14);
    }

    void wrongCallsAreRefused()
    {
        std::vector<AllocationItem> items{itemOf("a", {4, 4}, 0.9, 1.0)};
        for (const double ratio : {0.0, -1.0, 1.5, std::nan("")})
            QCOMPARE(kindOfFailure([&] { allocate("uniform", StructureKind::Factors, ratio, items); }),
                     ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] { allocate("unifrm", StructureKind::Factors, 0.5, items); }),
                 ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] { allocate("uniform", StructureKind::Factors, 0.3, items); }),
                 ErrorKind::InvalidArgument);
        items[0].loss.pop_back();
        QCOMPARE(kindOfFailure([&] { allocate("marginal-loss", StructureKind::Factors, 0.6, items); }),
                 ErrorKind::InvalidArgument);
        items[0].loss.push_back(std::nan(""));
        QCOMPARE(kindOfFailure([&] { allocate("marginal-loss", StructureKind::Factors, 0.6, items); }),
                 ErrorKind::InvalidArgument);
        QVERIFY(allocate("uniform", StructureKind::Factors, 0.5, {}).ranks.empty());
    }
};

QTEST_GUILESS_MAIN(TestAllocation)
#include "tst_allocation.moc"
