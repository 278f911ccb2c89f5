#include "core/evaluation/paired_logits.h"

#include "core/base/error.h"
#include "core/evaluation/evaluation_memory.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

namespace {

double logNormaliser(std::span<const float> logits, double largest)
{
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - largest);
    return std::log(sum);
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
    /// `memory` fits the limit of `options`.
    OriginalLogits(const Model& model, const Device& device, std::span<const std::vector<std::int32_t>> windows,
                   const EvaluationMemory& memory, const PassOptions& options)
        : m_model(model)
        , m_device(device)
        , m_windows(windows)
        , m_options(options)
        , m_limit(effectiveMemoryLimit(options))
        , m_statesBytes(std::min({m_limit / 4, m_limit - memory.least(), stateBytes() * windows.size()}))
        , m_states(windows.size(), length(), model.config().hiddenSize, m_statesBytes, options.scratchFolder)
        , m_head(model, device, memory.headLimit())
    {
        // Threads may take half of the memory: the more of them, the fewer states of the passes it holds.
        const std::size_t left = std::min(m_limit / 2, m_limit - m_statesBytes - memory.shared);
        m_options.threads = std::clamp<std::size_t>(left / memory.worker, 1, effectiveThreads(options));
    }

    void run(const TaskContext& context)
    {
        PassOptions options = m_options;
        options.memoryLimit = m_limit > m_statesBytes + m_head.bytes() ? m_limit - m_statesBytes - m_head.bytes() : 1;
        forwardWindows(m_model, m_device, m_windows, options, context,
                       [&](std::size_t window, std::size_t, ConstMatrixView<float> hidden, ForwardScratch&) {
                           m_states.store(window, hidden);
                       });
        m_workers = std::vector<Worker>(std::min(m_options.threads, m_windows.size()));
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

    std::size_t length() const { return m_windows.front().size(); }
    std::size_t stateBytes() const { return length() * m_model.config().hiddenSize * sizeof(float); }

    const Model& m_model;
    const Device& m_device;
    std::span<const std::vector<std::int32_t>> m_windows;
    PassOptions m_options;
    std::size_t m_limit;
    std::size_t m_statesBytes;
    HiddenStates m_states;
    Head m_head;
    std::vector<Worker> m_workers;
};

} // namespace

void requireSameVocabulary(const Model& model, const Model& other)
{
    if (model.config().vocabularySize != other.config().vocabularySize)
        throw Error(ErrorKind::Mismatch,
                    fmt::format("vocabularies of {} and {} tokens cannot be compared", model.config().vocabularySize,
                                other.config().vocabularySize),
                    {.file = other.checkpoint().path()});
}

void forEachLogitPair(const Model& original, const Model& other, const Device& device,
                      std::span<const std::vector<std::int32_t>> windows, const PassOptions& options,
                      const TaskContext& context, const LogitVisitor& visit)
{
    if (windows.empty() || windows.front().empty())
        throw Error(ErrorKind::InvalidArgument, "a comparison of predictions needs at least one token; take more text");
    requireSameVocabulary(original, other);
    const std::size_t steps = windows.size() * original.config().blocks;
    const std::size_t allSteps = steps + windows.size() * other.config().blocks;
    const std::size_t length = windows.front().size();
    const EvaluationMemory memory = divergenceMemory(original, other, length, effectiveMemoryLimit(options));
    static_cast<void>(fittingThreads(other, memory, length, options));
    OriginalLogits reference(original, device, windows, memory, options);
    reference.run(partOfProgress(context, 0, allSteps));

    PassOptions remaining = reference.remaining();
    // A model with replaced linears shares the head of the one it was made from.
    std::optional<Head> ownHead;
    if (&other.checkpoint() != &original.checkpoint()) {
        ownHead.emplace(other, device, memory.headLimit());
        remaining.memoryLimit -= std::min(remaining.memoryLimit - 1, ownHead->bytes());
    }
    const Head& head = ownHead ? *ownHead : reference.head();
    forwardWindows(other, device, windows, remaining, partOfProgress(context, steps, allSteps),
                   [&](std::size_t window, std::size_t worker, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       const ConstMatrixView<float> originalHidden = reference.load(window, worker);
                       for (std::size_t first = 0; first < hidden.rows; first += Head::chunkRows) {
                           context.checkStop();
                           const MatrixView<float> p =
                               reference.chunk(originalHidden, first, worker, scratch.threads());
                           visit(window, first, p, head.chunk(hidden, first, scratch));
                       }
                   });
}

RowComparison compareRows(std::span<const float> x, std::span<const float> y)
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
    const double logX = std::log(sum);
    const double logY = logNormaliser(y, largestY);
    return {.kl = weighted / sum - (logX - logY),
            .sameTop = topX - x.begin() == topY - y.begin(),
            .originalNormaliser = largestX + logX,
            .otherNormaliser = largestY + logY};
}

} // namespace rankwright
