#include "core/allocation/rank_planner.h"
#include "core/base/error.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <queue>
#include <random>
#include <thread>

using namespace rankwright;

namespace {

using Locks = std::vector<std::optional<std::size_t>>;

/// The points of one linear as plain numbers: what a rank costs (never more than dense) and loses.
struct Point
{
    std::size_t rank;
    std::size_t cost;
    double loss;
};

std::vector<Point> pointsOf(StructureKind kind, const AllocationItem& item)
{
    const std::size_t m = item.shape.rows;
    const std::size_t n = item.shape.columns;
    std::vector<Point> points;
    for (std::size_t r = 1; r <= std::min(m, n); ++r) {
        const std::size_t cost = kind == StructureKind::Factors ? r * (m + n) : r * (m + n) - r * r;
        if (cost < m * n)
            points.push_back({r, cost, item.weight * item.loss[r]});
    }
    points.push_back({std::min(m, n), m * n, item.weight * item.loss.back()});
    return points;
}

std::size_t costOf(StructureKind kind, const AllocationItem& item, std::size_t rank)
{
    const std::vector<Point> points = pointsOf(kind, item);
    const auto found = std::find_if(points.begin(), points.end(), [&](const Point& p) { return p.rank == rank; });
    return found == points.end() ? points.back().cost : found->cost;
}

struct Step
{
    double slope = 0.0;
    std::size_t item = 0;
    std::size_t target = 0; ///< index of a point
    bool operator<(const Step& other) const { return slope != other.slope ? slope < other.slope : item > other.item; }
};

/// The steepest step from a point that a budget allows, the longest of equals.
std::optional<Step> steepest(const std::vector<Point>& points, std::size_t from, std::size_t budget, std::size_t item)
{
    std::optional<Step> best;
    for (std::size_t to = from + 1; to < points.size() && points[to].cost - points[from].cost <= budget; ++to) {
        const double slope =
            (points[from].loss - points[to].loss) / static_cast<double>(points[to].cost - points[from].cost);
        if (slope > 0.0 && (!best || slope >= best->slope))
            best = Step{slope, item, to};
    }
    return best;
}

/// Greedy by marginal loss with a priority queue and nothing prepared: ranks, or nothing if the budget is too small.
std::optional<std::vector<std::size_t>> plainGreedy(StructureKind kind, double ratio,
                                                    const std::vector<AllocationItem>& items, const Locks& locks)
{
    std::vector<std::vector<Point>> points;
    std::vector<std::size_t> at(items.size(), 0);
    std::size_t dense = 0;
    std::size_t spent = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        points.push_back(pointsOf(kind, items[i]));
        dense += items[i].shape.parameters();
        spent += locks[i] ? costOf(kind, items[i], *locks[i]) : points[i][0].cost;
    }
    const auto allowed =
        static_cast<std::size_t>(std::floor(ratio * static_cast<double>(dense) * (1.0 + 1e-12) + 1e-9));
    if (spent > allowed)
        return std::nullopt;
    std::size_t budget = allowed - spent;
    std::priority_queue<Step> queue;
    const auto offer = [&](std::size_t i) {
        if (const auto step = steepest(points[i], at[i], budget, i))
            queue.push(*step);
    };
    for (std::size_t i = 0; i < items.size(); ++i)
        if (!locks[i])
            offer(i);
    while (!queue.empty()) {
        const Step step = queue.top();
        queue.pop();
        const std::size_t price = points[step.item][step.target].cost - points[step.item][at[step.item]].cost;
        if (price <= budget) {
            budget -= price;
            at[step.item] = step.target;
        }
        offer(step.item);
    }
    std::vector<std::size_t> ranks;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::size_t rank = locks[i].value_or(points[i][at[i]].rank);
        ranks.push_back(costOf(kind, items[i], rank) == items[i].shape.parameters() ? items[i].shape.fullRank() : rank);
    }
    return ranks;
}

enum class Curve { Smooth, Noisy, Rough, Steps };

std::vector<double> randomCurve(std::mt19937& random, Curve kind, std::size_t full)
{
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<double> loss(full + 1, 0.0);
    const double decay = 0.7 + 0.3 * uniform(random);
    for (std::size_t r = full; r-- > 0;) {
        const double energy = std::pow(decay, static_cast<double>(r));
        switch (kind) {
        case Curve::Smooth:
            loss[r] = loss[r + 1] + energy;
            break;
        case Curve::Noisy:
            loss[r] = loss[r + 1] + energy * uniform(random);
            break;
        case Curve::Rough:
            loss[r] = uniform(random);
            break;
        case Curve::Steps: // small whole numbers: many equal slopes and flat parts
            loss[r] = loss[r + 1] + static_cast<double>(random() % 3);
            break;
        }
    }
    return loss;
}

std::vector<AllocationItem> randomItems(std::mt19937& random, Curve kind, std::size_t count, std::size_t largest)
{
    std::vector<AllocationItem> items(count);
    for (std::size_t i = 0; i < count; ++i) {
        items[i].name = std::to_string(i);
        items[i].shape = {1 + random() % largest, 1 + random() % largest};
        items[i].loss = randomCurve(random, kind, items[i].shape.fullRank());
        if (kind != Curve::Steps)
            items[i].weight = std::uniform_real_distribution<double>(0.1, 2.0)(random);
        items[i].singularValues.resize(items[i].shape.fullRank());
        for (double& value : items[i].singularValues)
            value = std::uniform_real_distribution<double>(0.0, 3.0)(random);
        std::sort(items[i].singularValues.rbegin(), items[i].singularValues.rend());
        items[i].block = i / 3;
        items[i].blockInfluence = 0.1 * static_cast<double>(i / 3);
        items[i].role = std::string(i % 2 + 1, 'q');
    }
    return items;
}

Locks randomLocks(std::mt19937& random, const std::vector<AllocationItem>& items)
{
    Locks locks(items.size());
    for (std::size_t i = 0; i < items.size(); ++i)
        if (random() % 4 == 0)
            locks[i] = 1 + random() % items[i].shape.fullRank();
    return locks;
}

void compare(const AllocationPlan& a, const AllocationPlan& b)
{
    QCOMPARE(a.keptParameters, b.keptParameters);
    QCOMPARE(a.denseParameters, b.denseParameters);
    QCOMPARE(a.keptRatio, b.keptRatio);
    QCOMPARE(a.ranks.size(), b.ranks.size());
    for (std::size_t i = 0; i < a.ranks.size(); ++i) {
        QCOMPARE(a.ranks[i].name, b.ranks[i].name);
        QCOMPARE(a.ranks[i].rank, b.ranks[i].rank);
        QCOMPARE(a.ranks[i].structure, b.ranks[i].structure);
        QCOMPARE(a.ranks[i].keptParameters, b.ranks[i].keptParameters);
        QCOMPARE(a.ranks[i].note, b.ranks[i].note);
    }
}

std::optional<ErrorKind> kindOfFailure(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error.kind();
    }
    return std::nullopt;
}

} // namespace

class TestRankPlanner : public QObject
{
    Q_OBJECT

private slots:
    void equalsThePlainGreedy_data()
    {
        QTest::addColumn<int>("curve");
        QTest::newRow("smooth") << static_cast<int>(Curve::Smooth);
        QTest::newRow("noisy") << static_cast<int>(Curve::Noisy);
        QTest::newRow("rough") << static_cast<int>(Curve::Rough);
        QTest::newRow("equal steps") << static_cast<int>(Curve::Steps);
    }
    void equalsThePlainGreedy()
    {
        QFETCH(int, curve);
        std::mt19937 random(static_cast<unsigned>(curve) + 1);
        int planned = 0;
        int refused = 0;
        for (int round = 0; round < 150; ++round) {
            const auto items = randomItems(random, static_cast<Curve>(curve), 1 + random() % 12, 48);
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const RankPlanner planner(kind, items);
                // One planner, many plans: nothing of a plan may stay for the next.
                for (int plan = 0; plan < 12; ++plan) {
                    const Locks locks = plan % 3 == 0 ? Locks(items.size()) : randomLocks(random, items);
                    const double ratio = plan == 0 ? 1.0 : std::uniform_real_distribution<double>(0.02, 1.0)(random);
                    const auto expected = plainGreedy(kind, ratio, items, locks);
                    if (!expected) {
                        QCOMPARE(kindOfFailure([&] { planner.plan("marginal-loss", ratio, locks); }),
                                 ErrorKind::InvalidArgument);
                        ++refused;
                        continue;
                    }
                    const AllocationPlan result = planner.plan("marginal-loss", ratio, locks);
                    for (std::size_t i = 0; i < items.size(); ++i)
                        QCOMPARE(result.ranks[i].rank, expected->at(i));
                    ++planned;
                }
            }
        }
        QVERIFY(planned > 1000 && refused > 100);
    }

    void isWhatAllocateGives()
    {
        std::mt19937 random(11);
        for (int round = 0; round < 60; ++round) {
            auto items = randomItems(random, Curve::Noisy, 1 + random() % 10, 40);
            const Locks locks = randomLocks(random, items);
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const RankPlanner unlocked(kind, items);
                auto locked = items;
                for (std::size_t i = 0; i < items.size(); ++i)
                    locked[i].rank = locks[i];
                const RankPlanner own(kind, locked);
                for (const std::string_view allocator : allocatorNames())
                    for (const double ratio : {0.6, 0.9, 1.0}) {
                        if (ratio < unlocked.leastKeptRatio(locks))
                            continue;
                        const AllocationPlan expected = allocate(allocator, kind, ratio, locked);
                        compare(unlocked.plan(allocator, ratio, locks), expected);
                        compare(own.plan(allocator, ratio), expected);
                        compare(own.plan(allocator, 1.0, Locks(items.size())), allocate(allocator, kind, 1.0, items));
                    }
            }
        }
    }

    void planOfDenseOnlyIsNotWorse()
    {
        // More to spend never costs more loss where every step has one price.
        std::mt19937 random(5);
        std::vector<AllocationItem> items;
        for (int i = 0; i < 6; ++i)
            items.push_back({std::to_string(i), {24, 24}, randomCurve(random, Curve::Smooth, 24), 1.0, {}});
        const RankPlanner planner(StructureKind::Factors, items);
        double before = INFINITY;
        for (int percent = 10; percent <= 40; ++percent) {
            const AllocationPlan plan = planner.plan("marginal-loss", percent / 100.0);
            double loss = 0.0;
            for (std::size_t i = 0; i < items.size(); ++i)
                loss += items[i].loss[plan.ranks[i].rank];
            QVERIFY(loss <= before);
            before = loss;
        }
    }

    void theLeastRatioIsAccepted()
    {
        std::mt19937 random(3);
        int above = 0;
        for (int round = 0; round < 400; ++round) {
            const auto items = randomItems(random, Curve::Noisy, 1 + random() % 9, 60);
            const Locks locks = randomLocks(random, items);
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const RankPlanner planner(kind, items);
                const double least = planner.leastKeptRatio(locks);
                if (least > 1.0) {
                    ++above;
                    continue;
                }
                for (const std::string_view allocator : allocatorNames()) {
                    const AllocationPlan plan = planner.plan(allocator, least, locks);
                    QCOMPARE(plan.keptRatio, least);
                    QCOMPARE(kindOfFailure([&] { planner.plan(allocator, least * (1.0 - 1e-9), locks); }),
                             ErrorKind::InvalidArgument);
                }
            }
        }
        QCOMPARE(above, 0); // ranks past break-even are stored dense, so nothing costs more than dense
        QCOMPARE(RankPlanner(StructureKind::Factors, {}).leastKeptRatio({}), 0.0);
    }

    void oneRankByHand()
    {
        const RankPlanner planner(StructureKind::Factors, {{"a", {20, 30}, {}, 1.0, {}}});
        const AllocatedRank low = planner.setByHand(0, 7);
        compare({{low}, 600, 350, 350.0 / 600.0}, planner.plan("uniform", 0.99, Locks{7}));
        const AllocatedRank high = planner.setByHand(0, 13);
        QCOMPARE(high.structure, StructureKind::Dense);
        QCOMPARE(high.rank, std::size_t{20});
        QCOMPARE(high.keptParameters, std::size_t{600});
        QCOMPARE(kindOfFailure([&] { planner.setByHand(0, 0); }), ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] { planner.setByHand(0, 21); }), ErrorKind::InvalidArgument);
    }

    void curvesAreNeededWhereTheyDecide()
    {
        std::mt19937 random(4);
        auto items = randomItems(random, Curve::Smooth, 3, 30);
        items[1].loss.clear();
        items[2].loss.back() = std::nan("");
        const RankPlanner planner(StructureKind::Factors, items);
        QCOMPARE(planner.plan("uniform", 1.0).ranks.size(), std::size_t{3});
        QCOMPARE(kindOfFailure([&] { planner.plan("marginal-loss", 1.0); }), ErrorKind::InvalidArgument);
        QCOMPARE(planner.plan("marginal-loss", 1.0, Locks{{}, 1, 1}).ranks[1].rank, std::size_t{1});
        QCOMPARE(kindOfFailure([&] { planner.plan("uniform", 1.0, Locks(2)); }), ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] { planner.plan("best", 1.0); }), ErrorKind::InvalidArgument);
    }

    void plansFromSeveralThreads()
    {
        std::mt19937 random(8);
        const auto items = randomItems(random, Curve::Noisy, 30, 60);
        const RankPlanner planner(StructureKind::Factors, items);
        std::vector<AllocationPlan> expected;
        for (int percent = 30; percent < 100; ++percent)
            expected.push_back(planner.plan("marginal-loss", percent / 100.0));
        std::vector<std::vector<AllocationPlan>> plans(3);
        {
            std::vector<std::jthread> threads;
            for (auto& own : plans)
                threads.emplace_back([&] {
                    for (int percent = 30; percent < 100; ++percent)
                        own.push_back(planner.plan("marginal-loss", percent / 100.0));
                });
        }
        for (const auto& own : plans)
            for (std::size_t i = 0; i < own.size(); ++i)
                compare(own[i], expected[i]);
    }
};

QTEST_GUILESS_MAIN(TestRankPlanner)
#include "tst_rank_planner.moc"
