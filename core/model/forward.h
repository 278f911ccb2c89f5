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

/// Cosines and sines of the rotary embedding, positions x headWidth/2.
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

/// Reusable buffers of forwardBlock(); one per thread.
class ForwardScratch
{
public:
    ForwardScratch();
    ~ForwardScratch();
    ForwardScratch(ForwardScratch&&) noexcept;
    ForwardScratch& operator=(ForwardScratch&&) noexcept;

    struct Buffers;
    Buffers& buffers() { return *m_buffers; }

private:
    std::unique_ptr<Buffers> m_buffers;
};

/// What forwardBlock() does beside the forward pass.
struct BlockOptions
{
    TapObserver observer = {};
    std::optional<TapSite> stopAt = {}; ///< return after the observer of this site; hidden is then unspecified
    KeyValueCache* cache = nullptr;     ///< positions continue after cache->length, which is advanced
};

/// hidden (T x hiddenSize) <- block(hidden): causal attention with rotary embedding and grouped queries, SwiGLU,
/// pre-norm residuals. Attention goes by head and by blocks of query rows, so that no T x T matrix exists.
void forwardBlock(const Device& device, const ModelConfig& config, const BlockWeights& weights,
                  const RotaryTable& rotary, MatrixView<float> hidden, ForwardScratch& scratch,
                  const BlockOptions& options = {});

/// The hidden states of many windows, in memory or, past the budget, in an unlinked temporary file.
class HiddenStates
{
public:
    /// `memoryLimit` bytes may be held in memory; the spill file lies in `folder`.
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
    /// Puts back what load() gave.
    void store(std::size_t window, ConstMatrixView<float> states);

private:
    struct Data;
    std::unique_ptr<Data> m_data;
};

/// Logits in chunks of rows: final norm, then the head; `visit(first, logits)` gets up to 256 rows (rows x vocabulary)
/// starting at position `first`. The head is held in float32 by `Head` once for all windows.
class Head
{
public:
    Head(const Model& model, const Device& device);
    void logits(ConstMatrixView<float> hidden, ForwardScratch& scratch,
                const std::function<void(std::size_t first, MatrixView<float> logits)>& visit) const;
    std::size_t bytes() const;

private:
    const Device& m_device;
    float m_epsilon;
    std::vector<float> m_norm;
    Matrix<float> m_weights;
};

/// How a pass over windows may use the machine.
struct PassOptions
{
    std::size_t threads = 0;                       ///< 0: all processors; each works on a window with one BLAS thread
    std::size_t memoryLimit = 0;                   ///< bytes for weights and states, 0: three quarters of the machine
    std::filesystem::path scratchFolder = {};      ///< for spilled states; empty: the system's temporary folder
};

/// Runs windows of equal length through all blocks, block by block (each block's weights are brought in once per batch
/// of windows that fits the budget), then calls `visit(window, hidden)` for every window in ascending order of batches;
/// within a batch `visit` runs on several threads. Throws Error(NonFinite) naming the block where activations stop
/// being finite.
void forwardWindows(const Model& model, const Device& device, std::span<const std::vector<std::int32_t>> windows,
                    const PassOptions& options, const TaskContext& context,
                    const std::function<void(std::size_t window, std::size_t worker, ConstMatrixView<float> hidden,
                                             ForwardScratch& scratch)>& visit);

} // namespace rankwright
