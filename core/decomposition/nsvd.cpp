#include "core/decomposition/method_list.h"
#include "core/decomposition/preset.h"
#include "core/decomposition/projection_kernel.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>

namespace rankwright {

namespace {

struct Split
{
    std::size_t first = 0;  ///< k1, whitened
    std::size_t second = 0; ///< k2, plain
};

Split splitRank(std::size_t rank, double share)
{
    if (rank <= 1)
        return {rank, 0};
    const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(rank)));
    const std::size_t first = std::min(wanted, rank - 1);
    return {first, rank - first};
}

/// In the full whitened basis U: M = U^T V for the target V, K = M M^T and E = M C M^T (+ what an anchored objective
/// adds). Stage 1 keeps the first k1 directions; the residual is the rest of M, and the best plain approximation of
/// rank k2 of it projects on the largest eigenvectors v_j of the trailing block of K. All directions are orthonormal,
/// so W_hat is again an orthogonal projection of the target and its loss is exact:
/// sum_{i > k1} e_i - sum_{j <= k2} v_j^T E v_j.
class NestedAnalysis final : public Analysis
{
public:
    NestedAnalysis(const Device& device, Objective objective, ProjectionBasis basis, double share, bool interpolative)
        : m_device(device)
        , m_share(share)
        , m_interpolative(interpolative)
        , m_vectors(std::move(basis.vectors))
        , m_coordinates(std::move(basis.coordinates))
        , m_plainMoments(m_vectors.rows(), m_vectors.rows())
        , m_moments(m_vectors.rows(), m_vectors.rows())
    {
        device.gram(Transpose::No, m_coordinates.view(), m_plainMoments.view());
        Matrix<double> weighted(m_coordinates.rows(), m_coordinates.columns());
        device.gemm(Transpose::No, Transpose::No, 1.0, m_coordinates.view(), objective.secondMoment->view(), 0.0,
                    weighted.view());
        if (!objective.residual.empty())
            device.gemm(Transpose::No, Transpose::No, 2.0, m_vectors.view(), objective.residual.view(), 1.0,
                        weighted.view());
        device.gemm(Transpose::No, Transpose::Yes, 1.0, weighted.view(), m_coordinates.view(), 0.0, m_moments.view());
        std::vector<double> energies(m_moments.rows());
        for (std::size_t i = 0; i < energies.size(); ++i)
            energies[i] = m_moments(i, i);
        m_firstStage = tailSums(energies, objective.constant);

        m_shape = {objective.target.rows(), objective.target.columns()};
        m_totalEnergy = m_firstStage.front();
        m_singularValues = std::move(basis.singularValues);
        m_events = std::move(objective.events);
        m_bias = std::move(objective.bias);
    }

    double loss(std::size_t rank) const override
    {
        requireRank(m_shape, rank, true);
        const Split split = splitRank(rank, m_share);
        if (split.second == 0)
            return m_firstStage[rank];
        {
            const std::lock_guard lock(m_mutex);
            const auto known = m_cache.find(rank);
            if (known != m_cache.end())
                return known->second;
        }
        const double value = std::max(m_firstStage[split.first] - savings(split).back(), 0.0);
        const std::lock_guard lock(m_mutex);
        m_cache.emplace(rank, value);
        return value;
    }

    std::vector<double> lossAtEveryRank() const override
    {
        std::vector<double> losses = m_firstStage;
        const std::size_t full = m_shape.fullRank();
        // Ranks that share a first stage share its eigenproblem: the second stages are nested.
        for (std::size_t last = full; last >= 2;) {
            const Split split = splitRank(last, m_share);
            const std::vector<double> saved = savings(split);
            for (; last >= 2 && splitRank(last, m_share).first == split.first; --last)
                losses[last] = std::max(m_firstStage[split.first] - saved[last - split.first - 1], 0.0);
        }
        return losses;
    }

    bool planningIsExact() const override { return false; }

    /// Exact at about 24 ranks; between them the share of the first stage's loss that one direction of the second takes
    /// off is linear in the rank.
    std::vector<double> planningCurve() const override
    {
        constexpr std::size_t points = 22;
        const std::size_t full = m_shape.fullRank();
        std::vector<std::size_t> exact{1, std::min<std::size_t>(2, full), full};
        for (std::size_t i = 1; i <= points; ++i)
            exact.push_back(std::max<std::size_t>(1, full * i / (points + 1)));
        // Towards full rank the loss falls steeply, and the eigenproblems are small.
        for (std::size_t missing = 1; missing * (points + 1) < full; missing += 1 + missing / 2)
            exact.push_back(full - missing);
        std::sort(exact.begin(), exact.end());
        exact.erase(std::unique(exact.begin(), exact.end()), exact.end());

        const auto savedShare = [&](std::size_t rank) {
            const Split split = splitRank(rank, m_share);
            const double before = m_firstStage[split.first];
            return split.second == 0 || before <= 0.0 ? 0.0
                                                      : (1.0 - loss(rank) / before) / static_cast<double>(split.second);
        };
        std::vector<double> curve(full + 1);
        curve[0] = m_totalEnergy;
        curve[1] = loss(1);
        double left = savedShare(exact.front());
        for (std::size_t i = 1; i < exact.size(); ++i) {
            const double right = savedShare(exact[i]);
            const std::size_t width = exact[i] - exact[i - 1];
            for (std::size_t step = 1; step < width; ++step) {
                const double way = static_cast<double>(step) / static_cast<double>(width);
                const Split split = splitRank(exact[i - 1] + step, m_share);
                const double saved = ((1.0 - way) * left + way * right) * static_cast<double>(split.second);
                curve[exact[i - 1] + step] = m_firstStage[split.first] * (1.0 - std::clamp(saved, 0.0, 1.0));
            }
            curve[exact[i]] = loss(exact[i]);
            left = right;
        }
        for (std::size_t rank = 1; rank <= full; ++rank)
            curve[rank] = std::min(curve[rank], curve[rank - 1]);
        return curve;
    }

    Factorisation factorize(std::size_t rank) const override
    {
        requireRank(m_shape, rank, false);
        const Split split = splitRank(rank, m_share);
        const std::size_t trailing = m_vectors.rows() - split.first;
        Matrix<double> kept(rank, m_shape.rows);
        std::copy_n(m_vectors.data(), split.first * m_shape.rows, kept.data());
        Factorisation result{Matrix<double>(m_shape.rows, rank), Matrix<double>(rank, m_shape.columns)};
        std::copy_n(m_coordinates.data(), split.first * m_shape.columns, result.A.data());
        if (split.second > 0) {
            const Matrix<double> second = secondStage(split);
            m_device.gemm(Transpose::No, Transpose::No, 1.0, second.view(),
                          m_vectors.view().rowRange(split.first, trailing), 0.0,
                          kept.view().rowRange(split.first, split.second));
            m_device.gemm(Transpose::No, Transpose::No, 1.0, second.view(),
                          m_coordinates.view().rowRange(split.first, trailing), 0.0,
                          result.A.view().rowRange(split.first, split.second));
        }
        for (std::size_t i = 0; i < m_shape.rows; ++i)
            for (std::size_t k = 0; k < rank; ++k)
                result.B(i, k) = kept(k, i);
        m_bias.apply(result);
        return result;
    }

private:
    /// An orthonormal frame of the second stage, k2 rows in the coordinates of the trailing directions: the largest
    /// eigenvectors of their block of K, or the span of the columns that a pivoted QR chooses (an interpolative
    /// decomposition: its coefficients are the least-squares ones, so it projects on that span; methods 2.4).
    Matrix<double> secondStage(Split split) const
    {
        const std::size_t size = m_plainMoments.rows() - split.first;
        if (m_interpolative)
            return chosenColumns(split);
        Matrix<double> block(size, size);
        for (std::size_t i = 0; i < size; ++i)
            std::copy_n(m_plainMoments.row(split.first + i) + split.first, size, block.row(i));
        return m_device.symmetricEigen(std::move(block), split.second).vectors;
    }

    Matrix<double> chosenColumns(Split split) const
    {
        const std::size_t size = m_coordinates.rows() - split.first;
        const std::size_t n = m_coordinates.columns();
        Matrix<double> residual(size, n);
        std::copy_n(m_coordinates.row(split.first), residual.size(), residual.data());
        const std::vector<std::size_t> order = m_device.pivotedColumns(residual);
        Matrix<double> chosen(size, split.second);
        for (std::size_t i = 0; i < size; ++i)
            for (std::size_t j = 0; j < split.second; ++j)
                chosen(i, j) = residual(i, order[j]);
        const Matrix<double> Q = m_device.qr(std::move(chosen)).Q;
        Matrix<double> frame(split.second, size);
        for (std::size_t i = 0; i < size; ++i)
            for (std::size_t j = 0; j < split.second; ++j)
                frame(j, i) = Q(i, j);
        return frame;
    }

    /// What the first 1 .. k2 directions of the second stage take off the loss.
    std::vector<double> savings(Split split) const
    {
        const Matrix<double> V = secondStage(split);
        const std::size_t size = V.columns();
        const ConstMatrixView<double> E = m_moments.view().rowRange(split.first, size).columnRange(split.first, size);
        Matrix<double> weighted(V.rows(), size);
        m_device.gemm(Transpose::No, Transpose::No, 1.0, V.view(), E, 0.0, weighted.view());
        std::vector<double> saved(V.rows());
        double sum = 0.0;
        for (std::size_t j = 0; j < V.rows(); ++j) {
            sum += std::inner_product(V.row(j), V.row(j) + size, weighted.row(j), 0.0);
            saved[j] = sum;
        }
        return saved;
    }

    const Device& m_device;
    double m_share;
    bool m_interpolative;
    Matrix<double> m_vectors;      ///< U^T, N x m
    Matrix<double> m_coordinates;  ///< M, N x n
    Matrix<double> m_plainMoments; ///< K
    Matrix<double> m_moments;      ///< E
    std::vector<double> m_firstStage;
    BiasUpdate m_bias;
    mutable std::mutex m_mutex;
    mutable std::map<std::size_t, double> m_cache;
};

class NestedSvd final : public Method
{
public:
    std::string_view name() const override { return "nsvd"; }
    std::string_view title() const override { return "NSVD"; }
    std::string_view description() const override
    {
        return "Whitened SVD for most of the rank, then plain SVD of what it leaves: insurance for unseen inputs.";
    }
    std::string_view source() const override
    {
        return "NSVD, arXiv 2503.17101 (variants I and II); ResSVD with a plain second stage";
    }
    std::vector<std::string_view> aliases() const override { return {"nsvd-i", "nsvd-ii", "res-svd"}; }
    std::vector<ParameterInfo> parameters() const override
    {
        return {{"share", "Share of the rank given to the whitened first stage", 0.95, 0.0, 1.0, false},
                choiceParameter("secondStage", "How the rest of the rank approximates what the first stage leaves",
                                {"svd", "interpolative"}),
                anchorRidgeInfo(),
                biasUpdateInfo()};
    }
    bool needsStatistics() const override { return true; }
    bool supportsAnchored() const override { return true; }

    // About 24 second stages of all sizes up to min(m, n), few vectors of each; as measured.
    double planningEigenproblems() const override { return 1.5; }

    // NSVD-I takes the Cholesky factor of C as the metric of stage 1, NSVD-II the root from its eigenvectors. Any P
    // with P P^T = C gives the same approximation (methods 0.1), so there is nothing to choose.
    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, problem, parameters);
        const InputMetric metric{.secondMoment = objective.secondMoment, .rankBound = objective.rankBound};
        ProjectionBasis basis = projectionBasis(device, objective.target, metric);
        return std::make_unique<NestedAnalysis>(device, std::move(objective), std::move(basis),
                                                parameterValue(*this, parameters, "share"),
                                                parameterValue(*this, parameters, "secondStage") != 0.0);
    }
};

} // namespace

const Method& nestedSvd()
{
    static const NestedSvd method;
    return method;
}

const Method& nestedInterpolative()
{
    static const Preset preset(nestedSvd(),
                               {.name = "nid",
                                .title = "NID",
                                .description =
                                    "Whitened SVD for most of the rank, then columns of what it leaves: NSVD "
                                    "with an interpolative second stage.",
                                .source = "NSVD, arXiv 2503.17101 (NID-I and NID-II; details inferred)",
                                .aliases = {"nid-i", "nid-ii"}},
                               {{"secondStage", 1.0}});
    return preset;
}

} // namespace rankwright
