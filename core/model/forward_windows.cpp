#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/elementwise.h"
#include "core/model/architecture.h"
#include "core/model/forward_buffers.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>

namespace rankwright {

std::size_t effectiveMemoryLimit(const PassOptions& options)
{
    return options.memoryLimit != 0 ? options.memoryLimit : physicalMemory() / 4 * 3;
}

std::size_t effectiveThreads(const PassOptions& options)
{
    // OpenBLAS has memory for so many threads that call it at once, and fails beyond.
    constexpr std::size_t most = 256;
    if (options.threads > most)
        throw Error(ErrorKind::InvalidArgument, fmt::format("threads: {}, at most {}", options.threads, most));
    return options.threads != 0 ? options.threads : std::min(processorCount(), most);
}

namespace {

constexpr std::string_view stageName = "forward";

/// How many windows go through the blocks together, and how much of their states is held in memory.
struct PassPlan
{
    std::size_t batch = 1;
    std::size_t statesInMemory = 0; ///< bytes
};

std::size_t scratchBytes(const ModelConfig& config, std::size_t length, bool observed)
{
    const std::size_t rows = observed ? length : std::min(length, rowsPerCall);
    const std::size_t keys = config.keyValueHeads * config.headWidth;
    const std::size_t scores = config.heads / config.keyValueHeads * queriesPerCall * length;
    return (rows * floatsPerRow(config) + 2 * length * keys + scores + Head::chunkRows * config.vocabularySize) *
           sizeof(float);
}

/// Batches bring every block in again; states past the memory are written and read for every block. The one that moves
/// fewer bytes is taken.
PassPlan planPass(const Model& model, std::size_t windows, std::size_t length, std::size_t threads, std::size_t limit,
                  bool observed)
{
    const ModelConfig& config = model.config();
    const std::size_t state = length * config.hiddenSize * sizeof(float);
    const std::size_t allBlocks = model.linearParameterCount() * sizeof(float);
    const std::size_t head = holdsHead(config, limit) ? headBytes(config) : threads * headPartBytes(config);
    const std::size_t fixed = allBlocks / config.blocks + head + threads * scratchBytes(config, length, observed);
    const std::size_t available = limit > fixed ? limit - fixed : 0;
    const std::size_t fitting = std::max(threads, available / state);
    if (fitting >= windows)
        return {.batch = windows, .statesInMemory = windows * state};
    const std::size_t reload = (windows + fitting - 1) / fitting * allBlocks;
    const std::size_t spill = allBlocks + 2 * (windows - fitting) * config.blocks * state;
    if (spill < reload)
        return {.batch = windows, .statesInMemory = fitting * state};
    return {.batch = fitting, .statesInMemory = fitting * state};
}

void checkWindows(const Model& model, std::span<const std::vector<std::int32_t>> windows)
{
    const std::size_t length = windows.front().size();
    const ErrorContext where{.file = model.checkpoint().path()};
    if (length == 0)
        throw Error(ErrorKind::InvalidArgument, "a window holds no tokens", where);
    if (length > model.config().contextLength)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("windows of {} tokens exceed the context of {}; take shorter windows", length,
                                model.config().contextLength),
                    where);
    for (const std::vector<std::int32_t>& window : windows) {
        if (window.size() != length)
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("windows of {} and {} tokens cannot be run together", length, window.size()),
                        where);
    }
}

} // namespace

void forwardWindows(const Model& model, const Device& device, std::span<const std::vector<std::int32_t>> windows,
                    const PassOptions& options, const TaskContext& context,
                    const std::function<void(std::size_t, std::size_t, ConstMatrixView<float>, ForwardScratch&)>& visit,
                    const WindowTapObserver& observer, const BlockObserver& blockObserver)
{
    if (windows.empty())
        return;
    checkWindows(model, windows);
    const ModelConfig& config = model.config();
    const std::size_t length = windows.front().size();
    const std::size_t threads = effectiveThreads(options);
    const PassPlan plan = planPass(model, windows.size(), length, std::min(threads, windows.size()),
                                   effectiveMemoryLimit(options), static_cast<bool>(observer));
    const BlasThreads oneBlasThread(1);
    const RotaryTable rotary = makeRotaryTable(config, length);
    const bool oneByOne = plan.batch > 1 || threads == 1;
    const std::size_t workers = oneByOne ? std::min(threads, plan.batch) : 1;
    std::vector<ForwardScratch> scratch;
    for (std::size_t worker = 0; worker < workers; ++worker)
        scratch.emplace_back(oneByOne ? 1 : threads);
    std::vector<Matrix<float>> loaded(workers);
    HiddenStates states(plan.batch, length, config.hiddenSize, plan.statesInMemory, options.scratchFolder);
    std::atomic<std::size_t> done{0};
    const std::size_t total = windows.size() * config.blocks;

    for (std::size_t batch = 0; batch < windows.size(); batch += plan.batch) {
        const std::size_t count = std::min(plan.batch, windows.size() - batch);
        for (std::size_t block = 0; block < config.blocks; ++block) {
            context.checkStop();
            const std::shared_ptr<const BlockWeights> weights = model.loadBlock(block);
            if (blockObserver)
                blockObserver(block, *weights);
            const std::string item = fmt::format("block {} of {}", block + 1, config.blocks);
            parallelFor(count, workers, [&](std::size_t index, std::size_t worker) {
                context.checkStop();
                const std::size_t window = batch + index;
                MatrixView<float> hidden;
                if (block == 0) {
                    hidden = states.buffer(index, loaded[worker]);
                    model.embed(windows[window], hidden);
                } else {
                    hidden = states.load(index, loaded[worker]);
                }
                BlockOptions blockOptions;
                if (observer)
                    blockOptions.observer = [&](TapSite site, ConstMatrixView<float> X) {
                        observer(block, window, worker, site, X);
                    };
                forwardBlock(device, config, *weights, rotary, hidden, scratch[worker], blockOptions);
                if (!allFinite(std::span<const float>(hidden.data, hidden.rows * hidden.columns)))
                    throw Error(ErrorKind::NonFinite,
                                fmt::format("activations stop being finite in {} (window {})", blockName(config, block),
                                            window),
                                {.file = model.checkpoint().path()});
                states.store(index, hidden);
                context.report(std::string(stageName), item, ++done, total);
            });
        }
        parallelFor(count, workers, [&](std::size_t index, std::size_t worker) {
            context.checkStop();
            visit(batch + index, worker, states.load(index, loaded[worker]), scratch[worker]);
        });
    }
}

} // namespace rankwright
