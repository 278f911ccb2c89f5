#include "core/allocation/plan_totals.h"
#include "core/allocation/rank_planner.h"
#include "tests/benchmarks/support.h"

#include <cmath>
#include <random>

namespace rankwright::benchmarks {

namespace {

constexpr std::size_t linears = 224; // a model of 7 billion parameters: 32 blocks of 7
constexpr std::size_t width = 4096;

/// Tail sums of decaying squares; noisy ones have hulls with few, uneven corners.
std::vector<AllocationItem> modelItems(bool noisy)
{
    std::mt19937 random(1);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<AllocationItem> items(linears);
    for (std::size_t i = 0; i < linears; ++i) {
        const double decay = 0.5 + uniform(random);
        std::vector<double> loss(width + 1);
        for (std::size_t r = width; r-- > 0;) {
            const double energy = std::pow(static_cast<double>(r + 1), -decay);
            loss[r] = loss[r + 1] + (noisy ? energy * uniform(random) : energy);
        }
        items[i].name = std::to_string(i);
        items[i].shape = {width, width};
        items[i].setRelativeLoss(std::move(loss));
    }
    return items;
}

/// A plan after the other, as a slider asks for them: ratios 0.2 to 0.95, a fifth of the linears set by hand.
void plan(benchmark::State& state, const std::string& allocator, bool noisy, StructureKind structure)
{
    const RankPlanner planner(structure, modelItems(noisy));
    std::vector<std::optional<std::size_t>> byHand(linears);
    for (std::size_t i = 0; i < linears; i += 5)
        byHand[i] = 300;
    double ratio = 0.2;
    for (auto _ : state) {
        benchmark::DoNotOptimize(planner.plan(allocator, ratio, byHand));
        ratio = ratio > 0.95 ? 0.2 : ratio + 0.0137;
    }
}

void build(benchmark::State& state)
{
    const std::vector<AllocationItem> items = modelItems(true);
    for (auto _ : state)
        benchmark::DoNotOptimize(RankPlanner(StructureKind::Factors, items));
}

void totals(benchmark::State& state)
{
    const LinearInfo linear{.name = "linear", .shape = {width, width}, .rank = width};
    std::vector<LinearCost> costs(linears, linearCost(linear, {StructureKind::Factors, 1000}, DType::BF16, 0.1));
    std::size_t rank = 0;
    for (auto _ : state) {
        rank = rank % 2000 + 1;
        costs[rank % linears] = linearCost(linear, {StructureKind::Factors, rank}, DType::BF16, 0.1);
        benchmark::DoNotOptimize(planTotals({linears * width * width, 4 * linears * width * width}, costs));
    }
}

} // namespace

void addPlanning()
{
    for (const bool noisy : {false, true}) {
        const std::string curves = noisy ? "noisy" : "smooth";
        add("plan/marginal-loss/" + curves,
            [noisy](benchmark::State& state) { plan(state, "marginal-loss", noisy, StructureKind::Factors); });
        add("plan/marginal-loss-block-identity/" + curves,
            [noisy](benchmark::State& state) { plan(state, "marginal-loss", noisy, StructureKind::BlockIdentity); });
    }
    add("plan/uniform", [](benchmark::State& state) { plan(state, "uniform", false, StructureKind::Factors); });
    add("plan/prepare", build);
    add("plan/totals", totals);
}

} // namespace rankwright::benchmarks
