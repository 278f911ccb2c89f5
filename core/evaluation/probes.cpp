#include "core/evaluation/probes.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/stopwatch.h"
#include "core/evaluation/window_loss.h"

#include <cmath>
#include <memory>
#include <span>

namespace rankwright {

namespace {

class ProbePass
{
public:
    ProbePass(const Model& model, const Device& device, const TokenWindows& windows, const PassOptions& options,
              const TaskContext& context)
        : m_model(model)
        , m_device(device)
        , m_windows(windows.ids)
        , m_context(context)
        , m_limit(effectiveMemoryLimit(options))
        , m_threads(effectiveThreads(options))
        , m_head(model, device, m_limit)
        , m_rotary(makeRotaryTable(model.config(), m_windows.front().size()))
        , m_below(m_windows.size())
    {
        for (std::size_t worker = 0; worker < m_threads; ++worker)
            m_scratch.emplace_back(1);
        for (std::size_t window = 0; window < m_windows.size(); ++window) {
            m_below[window].reshape(m_windows[window].size(), model.config().hiddenSize);
            model.embed(m_windows[window], m_below[window].view());
        }
    }

    void run(const ProbeSource& source, const ProbeVisitor& visit)
    {
        for (std::size_t block = 0; block < m_model.config().blocks; ++block) {
            std::vector<Probe> probes;
            std::size_t bytes = 0;
            for (const LinearInfo& linear : m_model.linears(block)) {
                m_context.checkStop();
                std::size_t form = 0;
                for (LinearWeights& weights : source(linear)) {
                    bytes += weights.bytes() + m_windows.size() * m_below.front().size() * sizeof(float);
                    probes.push_back({.linear = &linear,
                                      .form = form++,
                                      .weights = std::make_shared<const LinearWeights>(std::move(weights))});
                }
                if (bytes >= m_limit / 4) {
                    runTogether(block, probes, visit);
                    probes.clear();
                    bytes = 0;
                }
            }
            runTogether(block, probes, visit);
            forwardAll(*m_model.loadBlock(block), m_below);
        }
    }

private:
    struct Probe
    {
        const LinearInfo* linear = nullptr;
        std::size_t form = 0;
        std::shared_ptr<const LinearWeights> weights;
    };

    /// Probes of one block.
    void runTogether(std::size_t block, const std::vector<Probe>& probes, const ProbeVisitor& visit)
    {
        if (probes.empty())
            return;
        const Stopwatch watch;
        const std::size_t windows = m_windows.size();
        std::vector<Matrix<float>> states(probes.size() * windows);
        std::vector<double> losses(states.size());
        for (std::size_t i = 0; i < states.size(); ++i)
            states[i] = m_below[i % windows];
        for (std::size_t p = 0; p < probes.size(); ++p) {
            const auto replaced = m_model
                                      .withLinears([&probe = probes[p]](const LinearInfo& info) {
                                          return info.index == probe.linear->index ? probe.weights : nullptr;
                                      })
                                      .loadBlock(block);
            forwardAll(*replaced, std::span(states).subspan(p * windows, windows));
        }
        for (std::size_t above = block + 1; above < m_model.config().blocks; ++above)
            forwardAll(*m_model.loadBlock(above), states);
        parallelFor(states.size(), m_threads, [&](std::size_t i, std::size_t worker) {
            try {
                losses[i] = windowLoss(m_head, m_windows[i % windows], states[i].view(), m_scratch[worker], m_context);
                if (!std::isfinite(losses[i]))
                    throw Error(ErrorKind::NonFinite, "the loss of a window is not finite");
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::NonFinite)
                    throw;
                throw Error(ErrorKind::NonFinite, std::string("with this linear alone compressed, ") + error.what(),
                            {.file = m_model.checkpoint().path(), .tensor = probes[i / windows].linear->name});
            }
        });
        const double seconds = watch.seconds() / static_cast<double>(probes.size());
        for (std::size_t p = 0; p < probes.size(); ++p) {
            const auto own = std::span(losses).subspan(p * windows, windows);
            visit(*probes[p].linear, probes[p].form,
                  perplexityOf({own.begin(), own.end()}, m_windows.front().size(), seconds));
        }
    }

    void forwardAll(const BlockWeights& weights, std::span<Matrix<float>> states)
    {
        parallelFor(states.size(), m_threads, [&](std::size_t i, std::size_t worker) {
            m_context.checkStop();
            forwardBlock(m_device, m_model.config(), weights, m_rotary, states[i].view(), m_scratch[worker]);
        });
    }

    const Model& m_model;
    const Device& m_device;
    const std::vector<std::vector<std::int32_t>>& m_windows;
    const TaskContext& m_context;
    std::size_t m_limit;
    std::size_t m_threads;
    Head m_head;
    RotaryTable m_rotary;
    std::vector<ForwardScratch> m_scratch;
    std::vector<Matrix<float>> m_below; ///< hidden states before the present block, by window
};

} // namespace

void evaluateProbes(const Model& model, const Device& device, const TokenWindows& windows, const PassOptions& options,
                    const TaskContext& context, const ProbeSource& source, const ProbeVisitor& visit)
{
    requirePredictedTokens(windows);
    const BlasThreads oneBlasThread(1);
    ProbePass(model, device, windows, options, context).run(source, visit);
}

} // namespace rankwright
