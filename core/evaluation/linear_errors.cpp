#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/calibration/moment_sums.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/evaluation_memory.h"
#include "core/model/forward_buffers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

bool sameMatrix(const Matrix<float>& a, const Matrix<float>& b)
{
    return a.rows() == b.rows() && a.columns() == b.columns() && std::ranges::equal(a.span(), b.span());
}

bool sameWeights(const LinearWeights& a, const LinearWeights& b)
{
    if (a.structure() != b.structure() || a.bias != b.bias || a.sparse != b.sparse)
        return false;
    if (const auto* dense = std::get_if<DenseWeights>(&a.form))
        return sameMatrix(dense->W, std::get<DenseWeights>(b.form).W);
    if (const auto* factors = std::get_if<FactorWeights>(&a.form)) {
        const auto& others = std::get<FactorWeights>(b.form);
        return sameMatrix(factors->B, others.B) && sameMatrix(factors->A, others.A);
    }
    if (std::holds_alternative<SharedLatentWeights>(a.form))
        return sameWeights(withOwnLatents(a), withOwnLatents(b));
    const auto& identity = std::get<BlockIdentityWeights>(a.form);
    const auto& others = std::get<BlockIdentityWeights>(b.form);
    return identity.pivots == others.pivots && sameMatrix(identity.B, others.B) && sameMatrix(identity.A2, others.A2);
}

/// The linear x -> (W - W_hat) x + (b - b_hat), the difference made in float64.
LinearWeights difference(const Device& device, const LinearWeights& original, const LinearWeights& other)
{
    const Matrix<double> W_hat = expandLinear(device, other);
    Matrix<float> D(W_hat.rows(), W_hat.columns());
    if (const auto* dense = std::get_if<DenseWeights>(&original.form)) {
        for (std::size_t i = 0; i < D.size(); ++i)
            D.data()[i] = static_cast<float>(static_cast<double>(dense->W.data()[i]) - W_hat.data()[i]);
    } else {
        const Matrix<double> W = expandLinear(device, original);
        for (std::size_t i = 0; i < D.size(); ++i)
            D.data()[i] = static_cast<float>(W.data()[i] - W_hat.data()[i]);
    }
    LinearWeights result;
    if (original.bias != other.bias) {
        result.bias.resize(D.rows());
        for (std::size_t i = 0; i < D.rows(); ++i)
            result.bias[i] =
                (original.bias.empty() ? 0.0F : original.bias[i]) - (other.bias.empty() ? 0.0F : other.bias[i]);
    }
    result.form = DenseWeights{std::move(D)};
    return result;
}

double sumOfSquares(ConstMatrixView<float> Y)
{
    double sum = 0;
    for (std::size_t row = 0; row < Y.rows; ++row) {
        for (const float value : Y.rowSpan(row))
            sum += static_cast<double>(value) * static_cast<double>(value);
    }
    return sum;
}

class LinearErrors
{
public:
    LinearErrors(const Model& original, const Model& other, const Device& device, std::size_t windows,
                 std::size_t length, const PassOptions& options)
        : m_original(original)
        , m_other(other)
        , m_device(device)
        , m_outputs(original.linears().size(), windows)
        , m_errors(original.linears().size(), windows)
        , m_changed(original.linears().size())
        , m_options(options)
    {
        const EvaluationMemory memory = linearErrorMemory(original, length);
        m_options.threads = fittingThreads(original, memory, length, options);
        m_workers = std::vector<Worker>(std::min(m_options.threads, windows));
        const std::size_t limit = effectiveMemoryLimit(options);
        const std::size_t expansion = expansionBytes(original);
        const std::size_t left = limit - memory.shared - m_options.threads * memory.worker;
        m_expansions = std::clamp<std::size_t>(std::min(limit / 4, left + expansion) / expansion, 1, m_options.threads);
        std::size_t widest = 0;
        for (const LinearInfo& info : original.linears())
            widest = std::max(widest, info.shape.rows);
        m_options.memoryLimit = limit - 2 * largestBlockBytes(original) - m_expansions * expansion -
                                m_workers.size() * 2 * rowsPerCall * widest * sizeof(float);
    }

    /// What the pass of the original model may use beside this object.
    const PassOptions& remaining() const { return m_options; }

    /// `weights` must live until the windows have passed the block.
    void enterBlock(std::size_t block, const BlockWeights& weights)
    {
        m_weights = &weights;
        m_differences = {};
        auto others = m_other.loadBlock(block)->linears;
        const std::span<const LinearInfo> linears = m_original.linears(block);
        parallelFor(linears.size(), m_expansions, [&](std::size_t position, std::size_t) {
            const LinearInfo& info = linears[position];
            const auto role = static_cast<std::size_t>(info.role);
            if (!sameWeights(m_weights->linear(info.role), *others[role])) {
                m_differences[role] = std::make_shared<const LinearWeights>(
                    difference(m_device, m_weights->linear(info.role), *others[role]));
                m_changed[info.index] = 1;
            }
            others[role].reset();
        });
    }

    void observe(const TapInfo& tap, std::size_t window, std::size_t worker, ConstMatrixView<float> X)
    {
        for (const std::size_t index : tap.linears) {
            const LinearInfo& info = m_original.linears()[index];
            const auto role = static_cast<std::size_t>(info.role);
            if (!m_differences[role])
                continue;
            m_outputs(index, window) = squaredOutput(m_weights->linear(static_cast<Role>(role)), X, m_workers[worker]);
            m_errors(index, window) = squaredOutput(*m_differences[role], X, m_workers[worker]);
            if (!std::isfinite(m_outputs(index, window)) || !std::isfinite(m_errors(index, window)))
                throw Error(ErrorKind::NonFinite, fmt::format("the output is not finite in window {}", window),
                            {.file = m_other.checkpoint().path(), .tensor = info.name});
        }
    }

    std::vector<LinearErrorResult> results() const
    {
        std::vector<LinearErrorResult> results;
        for (const LinearInfo& info : m_original.linears()) {
            LinearErrorResult& result = results.emplace_back();
            result.name = info.name;
            if (!m_changed[info.index])
                continue;
            const auto total = [&](const Matrix<double>& sums) {
                return std::accumulate(sums.row(info.index), sums.row(info.index) + sums.columns(), 0.0);
            };
            if (const double error = total(m_errors); error > 0)
                result.relativeError = std::sqrt(error / total(m_outputs));
        }
        return results;
    }

private:
    struct Worker
    {
        LinearScratch linear;
        Matrix<float> Y;
    };

    double squaredOutput(const LinearWeights& weights, ConstMatrixView<float> X, Worker& worker) const
    {
        double sum = 0;
        for (std::size_t first = 0; first < X.rows; first += rowsPerCall) {
            const std::size_t rows = std::min(rowsPerCall, X.rows - first);
            worker.Y.reshape(rows, weights.shape().rows);
            applyLinear(m_device, weights, X.rowRange(first, rows), worker.Y.view(), worker.linear);
            sum += sumOfSquares(worker.Y.view());
        }
        return sum;
    }

    const Model& m_original;
    const Model& m_other;
    const Device& m_device;
    Matrix<double> m_outputs; ///< linears x windows, squared norms of Y
    Matrix<double> m_errors;  ///< linears x windows, squared norms of Y - Y_hat
    std::vector<Worker> m_workers;
    std::vector<char> m_changed; ///< by linear; bytes, as roles of a block are set by different threads
    std::size_t m_expansions = 1;
    PassOptions m_options;
    const BlockWeights* m_weights = nullptr;                                   ///< of the current block
    std::array<std::shared_ptr<const LinearWeights>, roleCount> m_differences; ///< null where nothing changed
};

void requireSameLinears(const Model& original, const Model& other)
{
    const ErrorContext where{.file = other.checkpoint().path()};
    if (original.linears().size() != other.linears().size())
        throw Error(ErrorKind::Mismatch,
                    fmt::format("models of {} and {} linears cannot be compared", original.linears().size(),
                                other.linears().size()),
                    where);
    for (std::size_t i = 0; i < original.linears().size(); ++i) {
        const LinearInfo& a = original.linears()[i];
        const LinearInfo& b = other.linears()[i];
        if (a.name != b.name || a.shape != b.shape)
            throw Error(ErrorKind::Mismatch,
                        fmt::format("{} of {}x{} cannot be compared with {} of {}x{}", a.name, a.shape.rows,
                                    a.shape.columns, b.name, b.shape.rows, b.shape.columns),
                        where);
    }
}

} // namespace

std::vector<LinearErrorResult> evaluateLinearErrors(const Model& original, const Model& other, const Device& device,
                                                    const TokenWindows& windows, const PassOptions& options,
                                                    const TaskContext& context)
{
    if (windows.ids.empty() || windows.ids.front().empty())
        throw Error(ErrorKind::InvalidArgument, "errors of linears need at least one window; take more text");
    requireSameLinears(original, other);
    LinearErrors errors(original, other, device, windows.ids.size(), windows.ids.front().size(), options);
    forwardWindows(
        original, device, windows.ids, errors.remaining(), context,
        [](std::size_t, std::size_t, ConstMatrixView<float>, ForwardScratch&) {},
        [&](std::size_t block, std::size_t window, std::size_t worker, TapSite site, ConstMatrixView<float> X) {
            errors.observe(original.taps()[block * siteCount + static_cast<std::size_t>(site)], window, worker, X);
        },
        [&](std::size_t block, const BlockWeights& weights) { errors.enterBlock(block, weights); });
    return errors.results();
}

} // namespace rankwright
