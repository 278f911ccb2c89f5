#include "core/decomposition/low_rank_sparse.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace rankwright {

namespace {

/// What the channels that inputs use have in C, in the middle; 1 where they use none.
double usualMoment(const Matrix<double>& C)
{
    std::vector<double> used;
    for (std::size_t j = 0; j < C.rows(); ++j) {
        if (C(j, j) > 0.0)
            used.push_back(C(j, j));
    }
    if (used.empty())
        return 1.0;
    const auto middle = used.begin() + static_cast<std::ptrdiff_t>(used.size() / 2);
    std::nth_element(used.begin(), middle, used.end());
    return *middle;
}

/// The diagonal of D, see LowRankSparse.
std::vector<double> majorant(const Device& device, const Matrix<double>& C, double proximal)
{
    const std::size_t n = C.rows();
    std::vector<double> diagonal(n);
    for (std::size_t j = 0; j < n; ++j)
        diagonal[j] = C(j, j);
    const double largest = *std::max_element(diagonal.begin(), diagonal.end());
    if (largest <= 0.0)
        return std::vector<double>(n, proximal);
    // Where rounding alone is left of a channel, its row is of no use for the eigenvalue.
    constexpr double unused = 1e-12;
    for (double& value : diagonal)
        value = std::max(value, unused * largest);
    Matrix<double> scaled(n, n);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            scaled(i, j) = C(i, j) / std::sqrt(diagonal[i] * diagonal[j]);
    // A little more than the eigenvalue, which has a rounding error.
    const double lambda = device.symmetricEigen(std::move(scaled), 1).values.front() * (1.0 + 1e-9);
    for (double& value : diagonal)
        value = lambda * value + proximal;
    return diagonal;
}

/// S with the `entries` entries of S + G D^{-1} that are largest in |Y_ij| D_jj^{1/2}; the earlier of equal ones.
SparseMatrix<double> largestEntries(const SparseMatrix<double>& S, const Matrix<double>& G,
                                    const std::vector<double>& metric, std::size_t entries)
{
    Matrix<double> Y = G;
    std::vector<double> root(metric.size());
    std::transform(metric.begin(), metric.end(), root.begin(), [](double value) { return std::sqrt(value); });
    for (std::size_t i = 0; i < Y.rows(); ++i)
        for (std::size_t j = 0; j < Y.columns(); ++j)
            Y(i, j) /= metric[j];
    addSparse(S, 1.0, Y.view());
    std::vector<double> size(Y.size());
    for (std::size_t i = 0; i < Y.rows(); ++i)
        for (std::size_t j = 0; j < Y.columns(); ++j)
            size[i * Y.columns() + j] = std::abs(Y(i, j)) * root[j];
    std::vector<double> order = size;
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(entries - 1);
    std::nth_element(order.begin(), last, order.end(), std::greater<>());
    const double edge = *last;
    auto atEdge = static_cast<std::ptrdiff_t>(entries) -
                  std::count_if(size.begin(), size.end(), [&](double value) { return value > edge; });

    SparseMatrix<double> result{.columns = Y.columns(), .rowStart = {0}, .column = {}, .values = {}};
    result.rowStart.reserve(Y.rows() + 1);
    result.column.reserve(entries);
    result.values.reserve(entries);
    for (std::size_t i = 0; i < Y.rows(); ++i) {
        for (std::size_t j = 0; j < Y.columns(); ++j) {
            const double value = size[i * Y.columns() + j];
            if (value < edge || (value == edge && atEdge-- <= 0))
                continue;
            result.column.push_back(static_cast<std::uint32_t>(j));
            result.values.push_back(Y(i, j));
        }
        result.rowStart.push_back(result.values.size());
    }
    return result;
}

void takeFactors(const ProjectionBasis& basis, std::size_t rank, LowRankSparseParts& parts)
{
    Factorisation factors = leadingFactors(basis.vectors, basis.coordinates, rank);
    parts.B = std::move(factors.B);
    parts.A = std::move(factors.A);
}

} // namespace

struct LowRankSparse::State
{
    LowRankSparseParts parts;
    Matrix<double> error;    ///< W - B A - S
    Matrix<double> gradient; ///< error C
};

LowRankSparse::LowRankSparse(const Device& device, const Matrix<double>& W, const Matrix<double>& C,
                             std::size_t rankBound)
    : m_device(device)
    , m_W(W)
    , m_C(C)
    , m_rankBound(rankBound)
    , m_proximal(proximalShare * usualMoment(C))
    , m_metric(majorant(device, C, m_proximal))
    , m_start(projectionBasis(device, W, {.secondMoment = &C, .scale = {}, .rankBound = rankBound}))
{}

LowRankSparseParts LowRankSparse::solve(std::size_t rank, std::size_t entries, std::size_t iterations) const
{
    const std::size_t m = m_W.rows();
    const std::size_t n = m_W.columns();
    State state;
    LowRankSparseParts& parts = state.parts;
    takeFactors(m_start, rank, parts);
    parts.S = {.columns = n, .rowStart = std::vector<std::size_t>(m + 1), .column = {}, .values = {}};
    measure(state);
    if (entries == 0)
        return std::move(state.parts);
    for (std::size_t iteration = 0; iteration < iterations; ++iteration) {
        improveSparse(state, std::min(entries, m * n));
        measure(state);
        if (iteration + 1 < iterations)
            improveFactors(state);
        else
            finish(state, rank);
        measure(state);
    }
    return std::move(state.parts);
}

Matrix<double> LowRankSparse::remainder(const SparseMatrix<double>& S) const
{
    Matrix<double> T = m_W;
    addSparse(S, -1.0, T.view());
    return T;
}

void LowRankSparse::measure(State& state) const
{
    state.error = remainder(state.parts.S);
    m_device.gemm(Transpose::No, Transpose::No, -1.0, state.parts.B.view(), state.parts.A.view(), 1.0,
                  state.error.view());
    state.gradient = product(m_device, Transpose::No, state.error, Transpose::No, m_C);
    state.parts.objective.push_back(std::max(
        std::inner_product(state.error.span().begin(), state.error.span().end(), state.gradient.span().begin(), 0.0),
        0.0));
}

void LowRankSparse::improveSparse(State& state, std::size_t entries) const
{
    SparseMatrix<double> next = largestEntries(state.parts.S, state.gradient, m_metric, entries);
    for (std::size_t row = 0; row < next.rows(); ++row)
        if (next.end(row) > next.begin(row))
            fitRow(state, row, next);
    state.parts.S = std::move(next);
}

void LowRankSparse::fitRow(const State& state, std::size_t row, SparseMatrix<double>& next) const
{
    // In coordinates of the metric, so that channels of any size are alike. The proximal term about the gradient step
    // keeps the system definite where inputs are dependent, and the step one that raises nothing.
    constexpr double least = 1e-9;
    const SparseMatrix<double>& S = state.parts.S;
    const std::size_t first = next.begin(row);
    const std::size_t count = next.end(row) - first;
    const std::uint32_t* places = next.column.data() + first;
    std::vector<double> root(count);
    for (std::size_t a = 0; a < count; ++a)
        root[a] = std::sqrt(m_metric[places[a]]);
    Matrix<double> block(count, count);
    Matrix<double> values(count, 1);
    for (std::size_t a = 0; a < count; ++a) {
        const double* moments = m_C.row(places[a]);
        for (std::size_t b = 0; b < count; ++b)
            block(a, b) = moments[places[b]] / (root[a] * root[b]);
        const double proximal = least + m_proximal / (root[a] * root[a]);
        block(a, a) += proximal;
        // Row `row` of (W - B A) C, from the gradient at the S of before.
        double right = state.gradient(row, places[a]);
        for (std::size_t e = S.begin(row); e < S.end(row); ++e)
            right += S.values[e] * moments[S.column[e]];
        values(a, 0) = right / root[a] + proximal * root[a] * next.values[first + a];
    }
    try {
        m_device.solvePositiveDefinite(std::move(block), values.view());
    } catch (const Error& error) {
        // The gradient step stands.
        if (error.kind() != ErrorKind::Numeric)
            throw;
        return;
    }
    for (std::size_t a = 0; a < count; ++a)
        next.values[first + a] = values(a, 0) / root[a];
}

void LowRankSparse::improveFactors(State& state) const
{
    const Matrix<double> T = remainder(state.parts.S);
    const Matrix<double> weighted = product(m_device, Transpose::No, m_C, Transpose::Yes, state.parts.A);
    state.parts.B = m_device.qr(product(m_device, Transpose::No, T, Transpose::No, weighted)).Q;
    state.parts.A = product(m_device, Transpose::Yes, state.parts.B, Transpose::No, T);
}

void LowRankSparse::finish(State& state, std::size_t rank) const
{
    const ProjectionBasis basis = projectionBasis(m_device, remainder(state.parts.S),
                                                  {.secondMoment = &m_C, .scale = {}, .rankBound = m_rankBound});
    takeFactors(basis, rank, state.parts);
}

} // namespace rankwright
