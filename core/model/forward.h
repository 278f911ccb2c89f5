#pragma once

#include "core/base/progress.h"
#include "core/model/model.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace rankwright {

/// Called with the input X (T x width) of a site, before the linears of that site run.
using TapObserver = std::function<void(TapSite site, ConstMatrixView<float> X)>;

/// Angle per position of the pairs (j, j + headWidth/2) of a head, radians, scaling applied; empty where positions are
/// not rotary.
std::vector<float> rotaryFrequencies(const ModelConfig& config);

/// Cosines and sines of the rotary embedding, positions x headWidth/2; no columns where positions are not rotary.
struct RotaryTable
{
    Matrix<float> cosines;
    Matrix<float> sines;
};
RotaryTable makeRotaryTable(const ModelConfig& config, std::size_t positions);

/// Keys (rotated) and values of one block for the positions seen so far.
struct KeyValueCache
{
    Matrix<float> keys;   ///< capacity x (keyValueHeads headWidth)
    Matrix<float> values; ///< capacity x (keyValueHeads headWidth)
    std::size_t length = 0;
};

/// Reusable buffers of forwardBlock() and Head; one per thread that works on a window.
class ForwardScratch
{
public:
    /// `threads` may be used inside one call; results do not depend on it.
    explicit ForwardScratch(std::size_t threads = 1);
    ~ForwardScratch();
    ForwardScratch(ForwardScratch&&) noexcept;
    ForwardScratch& operator=(ForwardScratch&&) noexcept;

    struct Buffers;
    Buffers& buffers() { return *m_buffers; }
    std::size_t threads() const { return m_threads; }

private:
    std::size_t m_threads;
    std::unique_ptr<Buffers> m_buffers;
};

/// What the backward pass needs of a forward pass, T rows each.
struct BlockTrace
{
    Matrix<float> attentionInput;
    Matrix<float> plainQueries; ///< before query norm; empty without one
    Matrix<float> plainKeys;    ///< before key norm; empty without one
    Matrix<float> queries;      ///< not rotated
    Matrix<float> keys;         ///< rotated
    Matrix<float> values;
    Matrix<float> mixed;
    Matrix<float> middle; ///< hidden states between attention and MLP
    Matrix<float> mlpInput;
    Matrix<float> gate; ///< before activation; empty without gates
    Matrix<float> up;   ///< before activation where there are no gates
    Matrix<float> inner;
};

/// What forwardBlock() does beside the forward pass.
struct BlockOptions
{
    TapObserver observer = {};
    std::optional<TapSite> stopAt = {}; ///< return after the observer of this site; hidden is then unspecified
    KeyValueCache* cache = nullptr;     ///< positions continue after cache->length, which is advanced
    BlockTrace* trace = nullptr;        ///< filled; without a cache
};

/// hidden (T x hiddenSize) <- block(hidden): causal attention with grouped queries and the MLP, residuals around both
/// and norms before them, as `config` says. Attention goes by head and by blocks of query rows, so that no T x T matrix
/// exists. `rotary` must reach the last position. BLAS calls are expected to use one thread (BlasThreads); parallel
/// work is scratch.threads().
void forwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                  const RotaryTable& rotary, MatrixView<float> hidden, ForwardScratch& scratch,
                  const BlockOptions& options = {});

/// The hidden states of many windows, in memory or, past the budget, in an unlinked temporary file.
class HiddenStates
{
public:
    /// As many windows as fit into `memoryLimit` bytes are held in memory, the others in a file without a name in
    /// `folder` (the system's temporary folder where empty). Throws Error(Io) where the file cannot be made.
    HiddenStates(std::size_t windows, std::size_t length, std::size_t width, std::size_t memoryLimit,
                 const std::filesystem::path& folder);
    ~HiddenStates();
    HiddenStates(HiddenStates&&) noexcept;
    HiddenStates& operator=(HiddenStates&&) noexcept;

    std::size_t windows() const;
    std::size_t length() const;
    std::size_t width() const;
    bool spilled() const;
    /// The states of a window; `scratch` holds them where they come from the file. Safe for different windows at once.
    MatrixView<float> load(std::size_t window, Matrix<float>& scratch) const;
    /// Where a window's states can be written before they are stored for the first time; content is unspecified.
    MatrixView<float> buffer(std::size_t window, Matrix<float>& scratch) const;
    /// Puts back what load() or buffer() gave.
    void store(std::size_t window, ConstMatrixView<float> states);

private:
    struct Data;
    std::unique_ptr<Data> m_data;
};

/// Logits in chunks of rows: final norm, then the head. The head is held in float32 by `Head` once for all windows, or,
/// where it would take more than a third of `memoryLimit` (0: no limit), read again for every chunk of rows.
class Head
{
public:
    /// Rows of one chunk.
    static constexpr std::size_t chunkRows = 256;

    /// `device` must outlive the head. Throws Error(NonFinite) naming the tensor.
    Head(const Model& model, const Device& device, std::size_t memoryLimit = 0);
    /// Logits (rows x vocabulary) of the positions [first, first + chunkRows) of `hidden`, fewer at its end. They lie
    /// in `scratch` until its next use. Throws Error(NonFinite) if a logit is not finite.
    MatrixView<float> chunk(ConstMatrixView<float> hidden, std::size_t first, ForwardScratch& scratch) const;
    /// `visit(first, logits)` for the chunks of all positions, in order.
    void logits(ConstMatrixView<float> hidden, ForwardScratch& scratch,
                const std::function<void(std::size_t first, MatrixView<float> logits)>& visit) const;
    /// Rows [first, first + dLogits.rows) of `gradient`, of the loss with respect to `hidden`, from the gradient with
    /// respect to the logits of these rows.
    void backward(ConstMatrixView<float> hidden, std::size_t first, ConstMatrixView<float> dLogits,
                  MatrixView<float> gradient, ForwardScratch& scratch) const;
    /// Bytes held.
    std::size_t bytes() const;
    /// Bytes that chunk() leaves in a scratch of one thread for `rows` positions.
    std::size_t chunkBytes(std::size_t rows) const;

private:
    /// `visit(begin, weights, worker)` for parts of the vocabulary, on `threads` threads; weights.row(i) is of entry
    /// begin + i.
    void forParts(ForwardScratch& scratch, std::size_t threads,
                  const std::function<void(std::size_t begin, ConstMatrixView<float> weights)>& visit) const;

    const Device& m_device;
    Model m_model;
    NormWeights m_norm;
    Matrix<float> m_weights;
};

/// How a pass over windows may use the machine.
struct PassOptions
{
    std::size_t threads = 0;                  ///< 0: all processors; each works on a window with one BLAS thread
    std::size_t memoryLimit = 0;              ///< bytes for weights and states, 0: three quarters of the machine
    std::filesystem::path scratchFolder = {}; ///< for spilled states; empty: the system's temporary folder
};

/// The limit in bytes: options.memoryLimit, or three quarters of the machine.
std::size_t effectiveMemoryLimit(const PassOptions& options);
/// options.threads, or all processors, at most 256. Throws Error(InvalidArgument) where more are asked for.
std::size_t effectiveThreads(const PassOptions& options);

/// Called with the input of a site of a block while a window passes it.
using WindowTapObserver = std::function<void(std::size_t block, std::size_t window, std::size_t worker, TapSite site,
                                             ConstMatrixView<float> X)>;

/// Called with the weights of a block before windows run through it; they live until all have. A block comes again with
/// every batch of windows. Other threads wait, and BLAS uses one thread.
using BlockObserver = std::function<void(std::size_t block, const BlockWeights& weights)>;

/// Runs windows of equal length through all blocks, block by block (each block's weights are brought in once per batch
/// of windows that fits the budget; where it costs less, states are spilled instead), then calls `visit(window,
/// hidden)` for every window in ascending order of batches; within a batch `visit` and `observer` run on several
/// threads, with `worker` < effectiveThreads(). A single window is spread over the threads instead. Results do not
/// depend on threads and memory limit. Throws Error(NonFinite) naming the block where activations stop being finite,
/// Error(InvalidArgument) for windows of unequal length or longer than the context.
void forwardWindows(const Model& model, const Device& device, std::span<const std::vector<std::int32_t>> windows,
                    const PassOptions& options, const TaskContext& context,
                    const std::function<void(std::size_t window, std::size_t worker, ConstMatrixView<float> hidden,
                                             ForwardScratch& scratch)>& visit,
                    const WindowTapObserver& observer = {}, const BlockObserver& blockObserver = {});

} // namespace rankwright
