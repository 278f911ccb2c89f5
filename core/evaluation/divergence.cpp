#include "core/base/error.h"
#include "core/evaluation/evaluation.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

/// What two rows of logits say about each other.
struct RowDivergence
{
    double kl = 0.0;
    bool sameTop = false;
};

double logNormaliser(std::span<const float> logits, double largest)
{
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - largest);
    return std::log(sum);
}

/// KL(p || q) = sum_i p_i (x_i - y_i) - (log Z_x - log Z_y) for p = softmax(x), q = softmax(y).
RowDivergence compareRows(std::span<const float> x, std::span<const float> y)
{
    const auto topX = std::max_element(x.begin(), x.end());
    const auto topY = std::max_element(y.begin(), y.end());
    const auto largestX = static_cast<double>(*topX);
    const auto largestY = static_cast<double>(*topY);
    double sum = 0;
    double weighted = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double shiftedX = static_cast<double>(x[i]) - largestX;
        const double weight = std::exp(shiftedX);
        sum += weight;
        weighted += weight * (shiftedX - (static_cast<double>(y[i]) - largestY));
    }
    return {.kl = weighted / sum - (std::log(sum) - logNormaliser(y, largestY)),
            .sameTop = topX - x.begin() == topY - y.begin()};
}

/// `context` whose progress counts on from `before` to `total`.
TaskContext partOfProgress(const TaskContext& context, std::size_t before, std::size_t total)
{
    TaskContext part = context;
    if (context.progress)
        part.progress = [inner = context.progress, before, total](const Progress& progress) {
            Progress shifted = progress;
            shifted.done += before;
            shifted.total = total;
            inner(shifted);
        };
    return part;
}

/// The last hidden states of the original model, and its logits from them.
class OriginalLogits
{
public:
    OriginalLogits(const Model& model, const Device& device, const TokenWindows& windows, const PassOptions& options)
        : m_model(model)
        , m_device(device)
        , m_windows(windows)
        , m_options(options)
        , m_limit(effectiveMemoryLimit(options))
        , m_statesBytes(std::min(m_limit / 4, stateBytes() * windows.ids.size()))
        , m_states(windows.ids.size(), length(), model.config().hiddenSize, m_statesBytes, options.scratchFolder)
        , m_head(model, device, m_limit - m_statesBytes)
    {
        // Logits of both models may take half of the memory; where they are large, fewer threads work on them.
        const std::size_t perWorker = 2 * m_head.chunkBytes(length()) + stateBytes();
        m_options.threads = std::clamp<std::size_t>(m_limit / 2 / perWorker, 1, effectiveThreads(options));
    }

    void run(const TaskContext& context)
    {
        PassOptions options = m_options;
        options.memoryLimit = m_limit > m_statesBytes + m_head.bytes() ? m_limit - m_statesBytes - m_head.bytes() : 1;
        forwardWindows(m_model, m_device, m_windows.ids, options, context,
                       [&](std::size_t window, std::size_t, ConstMatrixView<float> hidden, ForwardScratch&) {
                           m_states.store(window, hidden);
                       });
        m_workers = std::vector<Worker>(std::min(m_options.threads, m_windows.ids.size()));
    }

    /// What the other model's pass may use beside this object.
    PassOptions remaining() const
    {
        const std::size_t used =
            m_statesBytes + m_head.bytes() + m_workers.size() * (m_head.chunkBytes(length()) + stateBytes());
        PassOptions options = m_options;
        options.memoryLimit = m_limit > used ? m_limit - used : 1;
        return options;
    }

    const Head& head() const { return m_head; }
    /// For calls of chunk() by one worker.
    ConstMatrixView<float> load(std::size_t window, std::size_t worker)
    {
        return m_states.load(window, m_workers[worker].states);
    }
    MatrixView<float> chunk(ConstMatrixView<float> hidden, std::size_t first, std::size_t worker, std::size_t threads)
    {
        ForwardScratch& scratch = m_workers[worker].scratch;
        if (scratch.threads() != threads)
            scratch = ForwardScratch(threads);
        return m_head.chunk(hidden, first, scratch);
    }

private:
    struct Worker
    {
        ForwardScratch scratch;
        Matrix<float> states;
    };

    std::size_t length() const { return m_windows.ids.front().size(); }
    std::size_t stateBytes() const { return length() * m_model.config().hiddenSize * sizeof(float); }

    const Model& m_model;
    const Device& m_device;
    const TokenWindows& m_windows;
    PassOptions m_options;
    std::size_t m_limit;
    std::size_t m_statesBytes;
    HiddenStates m_states;
    Head m_head;
    std::vector<Worker> m_workers;
};

} // namespace

DivergenceResult evaluateDivergence(const Model& original, const Model& other, const Device& device,
                                    const TokenWindows& windows, const PassOptions& options, const TaskContext& context)
{
    if (windows.ids.empty() || windows.ids.front().empty())
        throw Error(ErrorKind::InvalidArgument, "a divergence needs at least one window; take more text");
    if (original.config().vocabularySize != other.config().vocabularySize)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("vocabularies of {} and {} tokens cannot be compared", original.config().vocabularySize,
                                other.config().vocabularySize),
                    {.file = other.checkpoint().path()});
    const std::size_t count = windows.ids.size();
    const std::size_t steps = count * original.config().blocks;
    const std::size_t allSteps = steps + count * other.config().blocks;
    OriginalLogits reference(original, device, windows, options);
    reference.run(partOfProgress(context, 0, allSteps));

    const PassOptions remaining = reference.remaining();
    // A model with replaced linears shares the head of the one it was made from.
    std::optional<Head> ownHead;
    if (&other.checkpoint() != &original.checkpoint())
        ownHead.emplace(other, device, effectiveMemoryLimit(remaining));
    const Head& head = ownHead ? *ownHead : reference.head();
    DivergenceResult result;
    result.windowKl.resize(count);
    std::vector<std::size_t> agreed(count);
    forwardWindows(other, device, windows.ids, remaining, partOfProgress(context, steps, allSteps),
                   [&](std::size_t window, std::size_t worker, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       const ConstMatrixView<float> originalHidden = reference.load(window, worker);
                       double sum = 0;
                       for (std::size_t first = 0; first < hidden.rows; first += Head::chunkRows) {
                           context.checkStop();
                           const MatrixView<float> p =
                               reference.chunk(originalHidden, first, worker, scratch.threads());
                           const MatrixView<float> q = head.chunk(hidden, first, scratch);
                           for (std::size_t row = 0; row < q.rows; ++row) {
                               const RowDivergence divergence = compareRows(p.rowSpan(row), q.rowSpan(row));
                               sum += divergence.kl;
                               agreed[window] += divergence.sameTop ? 1 : 0;
                           }
                       }
                       result.windowKl[window] = sum;
                   });

    const auto length = static_cast<double>(windows.ids.front().size());
    result.positions = count * windows.ids.front().size();
    const auto positions = static_cast<double>(result.positions);
    result.klDivergence = std::accumulate(result.windowKl.begin(), result.windowKl.end(), 0.0) / positions;
    const std::size_t same = std::accumulate(agreed.begin(), agreed.end(), std::size_t{0});
    result.topOneAgreement = static_cast<double>(same) / positions;
    if (count > 1) {
        double squares = 0;
        for (const double kl : result.windowKl)
            squares += std::pow(kl / length - result.klDivergence, 2.0);
        result.klStandardError = std::sqrt(squares / static_cast<double>(count - 1) / static_cast<double>(count));
    }
    return result;
}

} // namespace rankwright
