#include "core/decomposition/method_list.h"
#include "tests/benchmarks/lapack_way.h"
#include "tests/benchmarks/support.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright::benchmarks {

namespace {

/// One linear with statistics as language models have them: variances of channels fall off along mixed directions, and
/// two massive channels stand out.
struct Layer
{
    LinearProblem problem;
    TapStatistics statistics;
    std::size_t rank = 0;

    explicit Layer(LinearShape shape)
        : rank(rankForKeptRatio(StructureKind::Factors, shape, 0.8))
    {
        const BlasThreads threads(cpu().info().threads);
        const std::size_t n = shape.columns;
        const std::size_t tokens = 2 * n;
        Matrix<float> factors = normalMatrix(tokens, n, 1);
        for (std::size_t t = 0; t < tokens; ++t)
            for (std::size_t j = 0; j < n; ++j)
                factors(t, j) /= std::sqrt(static_cast<float>(j + 1));
        const Matrix<float> mixing = normalMatrix(n, n, 2);
        Matrix<float> X = normalMatrix(tokens, n, 3);
        cpu().gemm(Transpose::No, Transpose::No, 1.0F, factors.view(), mixing.view(), 0.05F, X.view());
        for (std::size_t t = 0; t < tokens; ++t) {
            X(t, 7) *= 300.0F;
            X(t, 100) *= 800.0F;
        }
        statistics.tokens = tokens;
        statistics.sum.assign(n, 0.0);
        statistics.sumAbs.assign(n, 1.0);
        statistics.secondMoment = Matrix<double>(n, n);
        cpu().addSecondMoment(X.view(), statistics.secondMoment.view());
        mirrorUpperToLower(statistics.secondMoment.view());

        const std::size_t k = shape.fullRank() / 2;
        const Matrix<float> left = normalMatrix(shape.rows, k, 4);
        Matrix<float> right = normalMatrix(k, n, 5);
        for (std::size_t i = 0; i < k; ++i)
            for (std::size_t j = 0; j < n; ++j)
                right(i, j) /= std::sqrt(static_cast<float>(i + 1));
        Matrix<float> W = normalMatrix(shape.rows, n, 6);
        cpu().gemm(Transpose::No, Transpose::No, 0.02F, left.view(), right.view(), 0.02F, W.view());
        problem.name = fmt::format("{}x{}", shape.rows, shape.columns);
        problem.W = convertMatrix<double>(W);
        problem.statistics = &statistics;
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;
};

/// The layer of a group, made when its first benchmark runs.
std::shared_ptr<const Layer> layerOf(LinearShape shape)
{
    static std::shared_ptr<const Layer> current;
    if (!current || LinearShape{current->problem.W.rows(), current->problem.W.columns()} != shape)
        current = std::make_shared<const Layer>(shape);
    return current;
}

std::unique_ptr<Analysis> analyse(const Layer& layer)
{
    return whitenedSvd().analyze(cpu(), layer.problem, {});
}

using Way = std::function<Factorisation(const Layer&)>;

/// Times one way and reports the loss of its factors, relative to ||W X||_F^2.
void wholeWay(benchmark::State& state, LinearShape shape, const Way& way)
{
    const std::shared_ptr<const Layer> layer = layerOf(shape);
    const BlasThreads threads(cpu().info().threads);
    Factorisation factors;
    for (auto _ : state)
        factors = way(*layer);
    state.counters["loss"] = relativeLoss(layer->problem, factors);
    state.counters["rank"] = static_cast<double>(layer->rank);
    // W C, the upper half of (W C) W^T and a tridiagonalisation, an eigenproblem and a back-transformation of
    // 9 k^3 (methods 0.1), the r rows of A = B^T W.
    const auto m = static_cast<double>(shape.rows);
    const auto n = static_cast<double>(shape.columns);
    const double k = std::min(m, n);
    state.counters["flop"] = 2 * k * n * n + k * k * n + 9 * k * k * k + 2 * k * n * static_cast<double>(layer->rank);
}

void anotherRank(benchmark::State& state, LinearShape shape)
{
    const std::shared_ptr<const Layer> layer = layerOf(shape);
    const BlasThreads threads(cpu().info().threads);
    const std::unique_ptr<Analysis> analysis = analyse(*layer);
    for (auto _ : state)
        benchmark::DoNotOptimize(analysis->factorize(layer->rank / 2));
    state.counters["byte"] = 2 * sizeof(double) * static_cast<double>((shape.rows + shape.columns) * (layer->rank / 2));
}

} // namespace

void addLayers()
{
    for (const LinearShape shape : {LinearShape{576, 576}, LinearShape{768, 768}, LinearShape{768, 3072},
                                    LinearShape{3072, 768}, LinearShape{2048, 2048}}) {
        const std::string name = fmt::format("layer/{}x{}/", shape.rows, shape.columns);
        add(name + "rankwright", [shape](benchmark::State& state) {
            wholeWay(state, shape, [](const Layer& layer) { return analyse(layer)->factorize(layer.rank); });
        });
        add(name + "anotherRank", [shape](benchmark::State& state) { anotherRank(state, shape); });
        add(name + "lapack", [shape](benchmark::State& state) {
            wholeWay(state, shape, [](const Layer& layer) {
                return lapackWay(layer.problem.W, layer.statistics.secondMoment, layer.rank);
            });
        });
        add(name + "svdLlm", [shape](benchmark::State& state) {
            wholeWay(state, shape, [](const Layer& layer) {
                return svdLlmWay<float>(layer.problem.W, layer.statistics.secondMoment, layer.rank);
            });
        });
    }
}

} // namespace rankwright::benchmarks
