#include "core/decomposition/objective.h"

#include "core/base/error.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <utility>

namespace rankwright {

namespace {

bool allFinite(const Matrix<double>& matrix)
{
    return rankwright::allFinite(matrix.span());
}

void requireSquare(const LinearProblem& problem, const Matrix<double>& matrix, const char* what)
{
    const std::size_t n = problem.W.columns();
    if (matrix.rows() != n || matrix.columns() != n)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("{} is {}x{} but the linear is {}x{}: these statistics are of another tap", what,
                                matrix.rows(), matrix.columns(), problem.W.rows(), n),
                    {.tensor = problem.name});
    if (!allFinite(matrix))
        throw Error(ErrorKind::NonFinite,
                    fmt::format("{} of the linear's inputs has values that are not finite: check the calibration text "
                                "and the weights before this linear",
                                what),
                    {.tensor = problem.name});
}

/// Bounds the rank of C by what can be seen without decomposing it, and notes it.
std::size_t statisticsRank(const LinearProblem& problem, const TapStatistics& statistics, bool centred,
                           std::vector<NumericEvent>& events)
{
    const Matrix<double>& C = statistics.secondMoment;
    const std::size_t n = C.rows();
    std::size_t dead = 0;
    for (std::size_t j = 0; j < n; ++j)
        dead += C(j, j) <= 0.0 ? 1 : 0;
    const std::size_t tokens = centred ? statistics.tokens - 1 : statistics.tokens;
    const std::size_t bound = std::min(tokens, n - dead);
    if (bound < n)
        events.push_back({"singularStatistics", problem.name,
                          fmt::format("input statistics have rank {} at most, of {} channels ({} tokens, {} channels "
                                      "always zero): directions never seen are kept by the size of their weights",
                                      bound, n, statistics.tokens, dead),
                          static_cast<double>(bound)});
    return bound;
}

/// V = W + W (Cx - C_hat) (C_hat + ridge diag(C_hat))^+: on directions the inputs never take it stays W, and X_hat = X
/// gives W itself.
void anchor(const Device& device, const LinearProblem& problem, const TapStatistics& statistics, double ridge,
            Objective& objective)
{
    const Matrix<double>& W = problem.W;
    Matrix<double> shift = statistics.crossMoment;
    for (std::size_t i = 0; i < shift.size(); ++i)
        shift.data()[i] -= statistics.secondMoment.data()[i];
    Matrix<double> change(W.columns(), W.rows());
    device.gemm(Transpose::Yes, Transpose::Yes, 1.0, shift.view(), W.view(), 0.0, change.view());
    solveSemidefinite(device, statistics.secondMoment, objective.rankBound, change, problem.name, objective.events,
                      ridge);
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t j = 0; j < W.columns(); ++j)
            objective.target(i, j) += change(j, i);

    Matrix<double> departure = W;
    for (std::size_t i = 0; i < departure.size(); ++i)
        departure.data()[i] -= objective.target.data()[i];
    objective.residual = Matrix<double>(W.rows(), W.columns());
    device.gemm(Transpose::No, Transpose::No, 1.0, W.view(), shift.view(), 0.0, objective.residual.view());
    device.gemm(Transpose::No, Transpose::No, 1.0, departure.view(), statistics.secondMoment.view(), 1.0,
                objective.residual.view());
    objective.constant = measureLoss(device, W, objective.target, &statistics);
}

/// Sets the means of the bias update. Throws as makeObjective().
BiasUpdate makeBiasUpdate(const LinearProblem& problem)
{
    const TapStatistics& statistics = *problem.statistics;
    const std::size_t n = problem.W.columns();
    const std::vector<double>& denseSum = statistics.crossMoment.empty() ? statistics.sum : statistics.denseSum;
    if (statistics.tokens == 0 || statistics.sum.size() != n || denseSum.size() != n)
        throw Error(
            ErrorKind::Mismatch,
            fmt::format("updating the bias needs the mean of {} input channels, statistics hold {} of {} tokens", n,
                        statistics.sum.size(), statistics.tokens),
            {.tensor = problem.name});
    if (!rankwright::allFinite(statistics.sum) || !rankwright::allFinite(denseSum))
        throw Error(ErrorKind::NonFinite, "the mean input has values that are not finite", {.tensor = problem.name});
    if (!problem.bias.empty() && problem.bias.size() != problem.W.rows())
        throw Error(ErrorKind::Internal, fmt::format("{} biases of {} outputs", problem.bias.size(), problem.W.rows()),
                    {.tensor = problem.name});
    const auto tokens = static_cast<double>(statistics.tokens);
    BiasUpdate update{statistics.sum, std::vector<double>(problem.W.rows())};
    for (double& value : update.inputMean)
        value /= tokens;
    for (std::size_t i = 0; i < problem.W.rows(); ++i) {
        const double b = problem.bias.empty() ? 0.0 : static_cast<double>(problem.bias[i]);
        update.outputMean[i] = b + std::inner_product(denseSum.begin(), denseSum.end(), problem.W.row(i), 0.0) / tokens;
    }
    return update;
}

/// The smallest eigenvalue of L L^T or little more, by inverse iteration. Small pivots need not show that it is small.
double smallestEigenvalue(const Device& device, const Matrix<double>& L)
{
    constexpr int steps = 8;
    Matrix<double> x(L.rows(), 1);
    for (std::size_t i = 0; i < x.rows(); ++i) // any start that no eigenvector is likely to be orthogonal to
        x(i, 0) = std::sin(static_cast<double>(i) + 1.0);
    double value = std::numeric_limits<double>::infinity();
    for (int step = 0; step < steps; ++step) {
        const double norm = std::sqrt(std::inner_product(x.span().begin(), x.span().end(), x.span().begin(), 0.0));
        for (double& each : x.span())
            each /= norm;
        device.solveLower(Transpose::No, L, x.view());
        value = 1.0 / std::inner_product(x.span().begin(), x.span().end(), x.span().begin(), 0.0); // of L^-1 x
        device.solveLower(Transpose::Yes, L, x.view());
    }
    return value;
}

/// No eigenvalue is larger.
double largestRowSum(const Matrix<double>& S)
{
    double largest = 0.0;
    for (std::size_t i = 0; i < S.rows(); ++i)
        largest = std::max(largest, std::accumulate(S.row(i), S.row(i) + S.columns(), 0.0,
                                                    [](double sum, double value) { return sum + std::abs(value); }));
    return largest;
}

/// What float32 rounding can leave of the second moment of a channel that is zero: a millionth of the median channel,
/// squared. Among positive ones, so that massive and dead channels do not move it.
double silentMoment(const Matrix<double>& C)
{
    constexpr double rounding = 1e-6;
    std::vector<double> moments;
    for (std::size_t j = 0; j < C.rows(); ++j)
        if (C(j, j) > 0.0)
            moments.push_back(C(j, j));
    if (moments.empty())
        return 0.0;
    const auto median = moments.begin() + static_cast<std::ptrdiff_t>(moments.size() / 2);
    std::ranges::nth_element(moments, median);
    return rounding * rounding * *median;
}

} // namespace

void solveSemidefinite(const Device& device, const Matrix<double>& C, std::size_t rankBound, Matrix<double>& R,
                       const std::string& name, std::vector<NumericEvent>& events, double ridge)
{
    const std::size_t n = C.rows();
    const double silence = silentMoment(C);
    std::vector<double> scale(n);
    for (std::size_t j = 0; j < n; ++j)
        scale[j] = C(j, j) > silence ? 1.0 / std::sqrt(C(j, j)) : 0.0;
    Matrix<double> correlation(n, n);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            correlation(i, j) = scale[i] * C(i, j) * scale[j];
    for (std::size_t i = 0; i < n; ++i)
        correlation(i, i) += ridge;
    const auto scaleRows = [&] {
        for (std::size_t i = 0; i < n; ++i)
            for (double& value : R.view().rowSpan(i))
                value *= scale[i];
    };
    scaleRows();
    // Second moments are sums of float32 products: below this share of the largest eigenvalue they are rounding,
    // whether or not a Cholesky factor exists.
    constexpr double relativeCut = 1e-7;
    if (rankBound == n || ridge > 0.0) {
        try {
            const Matrix<double> L = device.cholesky(correlation);
            if (smallestEigenvalue(device, L) > relativeCut * largestRowSum(correlation)) {
                device.solveLower(Transpose::No, L, R.view());
                device.solveLower(Transpose::Yes, L, R.view());
                scaleRows();
                return;
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Numeric)
                throw;
        }
    }
    const SymmetricEigen eigen = device.symmetricEigen(std::move(correlation));
    std::size_t kept = 0;
    while (kept < rankBound && eigen.values[kept] > relativeCut * eigen.values.front())
        ++kept;
    if (kept < n)
        events.push_back({"pseudoInverse", name,
                          fmt::format("input statistics inverted on their {} largest of {} directions", kept, n),
                          static_cast<double>(kept)});
    const ConstMatrixView<double> Q = eigen.vectors.view().rowRange(0, kept);
    Matrix<double> coordinates(kept, R.columns());
    if (kept > 0)
        device.gemm(Transpose::No, Transpose::No, 1.0, Q, R.view(), 0.0, coordinates.view());
    for (std::size_t i = 0; i < kept; ++i)
        for (double& value : coordinates.view().rowSpan(i))
            value /= eigen.values[i];
    std::fill(R.span().begin(), R.span().end(), 0.0);
    if (kept > 0)
        device.gemm(Transpose::Yes, Transpose::No, 1.0, Q, coordinates.view(), 0.0, R.view());
    scaleRows();
}

void BiasUpdate::apply(Factorisation& factorisation) const
{
    if (inputMean.empty())
        return;
    const Matrix<double>& A = factorisation.A;
    std::vector<double> latent(A.rows());
    for (std::size_t k = 0; k < A.rows(); ++k)
        latent[k] = std::inner_product(inputMean.begin(), inputMean.end(), A.row(k), 0.0);
    factorisation.bias = outputMean;
    for (std::size_t i = 0; i < outputMean.size(); ++i)
        factorisation.bias[i] -= std::inner_product(latent.begin(), latent.end(), factorisation.B.row(i), 0.0);
    const SparseMatrix<double>& S = factorisation.sparse;
    for (std::size_t i = 0; i < S.rows(); ++i)
        for (std::size_t e = S.begin(i); e < S.end(i); ++e)
            factorisation.bias[i] -= S.values[e] * inputMean[S.column[e]];
}

TapStatistics centredStatistics(const TapStatistics& statistics)
{
    const auto tokens = static_cast<double>(statistics.tokens);
    const auto centre = [&](Matrix<double>& moment, const std::vector<double>& left, const std::vector<double>& right) {
        for (std::size_t i = 0; i < moment.rows(); ++i)
            for (std::size_t j = 0; j < moment.columns(); ++j)
                moment(i, j) -= left[i] * right[j] / tokens;
    };
    TapStatistics result = statistics;
    centre(result.secondMoment, statistics.sum, statistics.sum);
    if (!statistics.crossMoment.empty()) {
        centre(result.crossMoment, statistics.denseSum, statistics.sum);
        centre(result.denseSecondMoment, statistics.denseSum, statistics.denseSum);
    }
    return result;
}

ParameterInfo biasUpdateInfo()
{
    return {std::string(biasUpdateParameter),
            "1: centre the statistics and change the bias so that mean outputs stay (adds a bias where there is none)",
            0.0,
            0.0,
            1.0,
            true};
}

ParameterInfo anchorRidgeInfo()
{
    return {
        std::string(anchorRidgeParameter),
        "Sequential mode anchored: added to the inputs' second moment where the target is fitted, as a share of its "
        "diagonal; holds the target near the weights where tokens are few",
        0.0,
        0.0,
        1e3,
        false};
}

Objective makeObjective(const Device& device, const Method& method, const LinearProblem& problem,
                        const MethodParameters& parameters)
{
    checkParameters(method, parameters);
    const bool update = updatesBias(method, parameters);
    const Matrix<double>& W = problem.W;
    if (W.empty())
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("the linear is {}x{}: nothing to decompose", W.rows(), W.columns()),
                    {.tensor = problem.name});
    if (!allFinite(W))
        throw Error(ErrorKind::NonFinite, "weights have values that are not finite: the checkpoint is damaged",
                    {.tensor = problem.name});
    Objective objective;
    objective.target = W;
    objective.rankBound = W.columns();
    if (problem.statistics == nullptr) {
        if (needsStatistics(method, parameters))
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("method {} needs input statistics: calibrate first", method.name()),
                        {.tensor = problem.name});
        return objective;
    }
    requireSquare(problem, problem.statistics->secondMoment, "secondMoment");
    const bool anchored = !problem.statistics->crossMoment.empty();
    if (anchored) {
        if (!method.supportsAnchored())
            throw Error(
                ErrorKind::InvalidArgument,
                fmt::format("method {} has no anchored form: use sequential mode dense or compressed", method.name()),
                {.tensor = problem.name});
        requireSquare(problem, problem.statistics->crossMoment, "crossMoment");
        requireSquare(problem, problem.statistics->denseSecondMoment, "denseSecondMoment");
    }
    if (update) {
        objective.bias = makeBiasUpdate(problem);
        objective.centred = std::make_shared<const TapStatistics>(centredStatistics(*problem.statistics));
    }
    const TapStatistics& statistics = update ? *objective.centred : *problem.statistics;
    objective.secondMoment = &statistics.secondMoment;
    objective.rankBound = statisticsRank(problem, statistics, update, objective.events);
    if (anchored)
        anchor(device, problem, statistics,
               hasParameter(method, anchorRidgeParameter) ? parameterValue(method, parameters, anchorRidgeParameter)
                                                          : 0.0,
               objective);
    return objective;
}

Matrix<double> product(const Device& device, Transpose transposeA, const Matrix<double>& A, Transpose transposeB,
                       const Matrix<double>& B)
{
    Matrix<double> C(transposeA == Transpose::Yes ? A.columns() : A.rows(),
                     transposeB == Transpose::Yes ? B.rows() : B.columns());
    device.gemm(transposeA, transposeB, 1.0, A.view(), B.view(), 0.0, C.view());
    return C;
}

Matrix<double> upperProduct(const Device& device, const Matrix<double>& A, const Matrix<double>& C)
{
    constexpr std::size_t panel = 256;
    const std::size_t n = C.columns();
    Matrix<double> result(A.rows(), n);
    for (std::size_t first = 0; first < n && !A.empty(); first += panel) {
        const std::size_t width = std::min(panel, n - first);
        const MatrixView<double> target = result.view().columnRange(first, width);
        device.gemm(Transpose::No, Transpose::No, 0.5, A.view().columnRange(first, width),
                    C.view().rowRange(first, width).columnRange(first, width), 0.0, target);
        if (first > 0)
            device.gemm(Transpose::No, Transpose::No, 1.0, A.view().columnRange(0, first),
                        C.view().rowRange(0, first).columnRange(first, width), 1.0, target);
    }
    return result;
}

std::vector<double> weightedRowEnergies(const Device& device, const Matrix<double>& A, const Matrix<double>* C)
{
    std::vector<double> energies(A.rows());
    const Matrix<double> weighted = C != nullptr ? upperProduct(device, A, *C) : Matrix<double>();
    const Matrix<double>& other = C != nullptr ? weighted : A;
    const double factor = C != nullptr ? 2.0 : 1.0;
    for (std::size_t i = 0; i < A.rows(); ++i)
        energies[i] = factor * std::inner_product(A.row(i), A.row(i) + A.columns(), other.row(i), 0.0);
    return energies;
}

double weightedProduct(const Device& device, const Matrix<double>& A, const Matrix<double>* C, const Matrix<double>& B)
{
    Matrix<double> weighted = A;
    if (C != nullptr && !A.empty())
        device.gemm(Transpose::No, Transpose::No, 1.0, A.view(), C->view(), 0.0, weighted.view());
    double sum = 0.0;
    for (std::size_t i = 0; i < A.rows(); ++i)
        sum += std::inner_product(B.row(i), B.row(i) + B.columns(), weighted.row(i), 0.0);
    return sum;
}

} // namespace rankwright
