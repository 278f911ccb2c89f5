#pragma once

#include "core/calibration/statistics.h"

#include <array>
#include <atomic>
#include <memory>
#include <span>

namespace rankwright {

/// How much of the machine passes over windows take.
struct PassPlan
{
    std::size_t threads = 1;       ///< workers, each on its own windows
    std::size_t threadsInside = 1; ///< of each worker in the forward pass, where there are few windows
    std::size_t statesBytes = 0;   ///< memory for the hidden states of each stream
    bool siteBySite = false;       ///< one pass per site instead of one per block
};

/// Throws Error(InvalidArgument) if there are no windows, or they differ in length or exceed the context.
void requireWindows(const Model& model, const TokenWindows& windows);

/// Plan for a pass that collects all sites of a block (or, `anchored` or `oneSite`, one site) under the limit of
/// `options`. Throws Error(Memory) if not even one worker with one site fits.
PassPlan planPass(const Model& model, const TokenWindows& windows, const PassOptions& options, bool anchored,
                  bool oneSite);

/// Hidden states of all windows before the first block.
HiddenStates embedWindows(const Model& model, const TokenWindows& windows, const PassPlan& plan,
                          const PassOptions& options);

/// Work of one pass over all windows in one block.
struct BlockPass
{
    std::size_t block = 0;
    const BlockWeights* weights = nullptr;
    HiddenStates* states = nullptr;
    const BlockWeights* denseWeights = nullptr; ///< anchored: the second stream, else null
    HiddenStates* denseStates = nullptr;
    std::vector<TapSite> sites = {}; ///< collected, in the order of the forward pass; one at most where anchored
    bool advance = false;            ///< states become the output of the block; else they stay as they are
    std::string stage = {};          ///< for progress
};

/// Runs passes and sums up what linears get to see. A task is a group of windows of about 1024 tokens: its float32
/// products are made by one worker and added to the float64 sums in the order of the groups, so that results do not
/// depend on threads.
class MomentPass
{
public:
    MomentPass(const Model& model, const Device& device, const TokenWindows& windows, const PassPlan& plan);
    ~MomentPass();

    /// One entry per site of `pass`, second moments filled and checked to be finite.
    std::vector<TapStatistics> run(const BlockPass& pass, const TaskContext& context);
    /// Progress counts windows over this many passes in all.
    void expectPasses(std::size_t passes);

private:
    struct Worker;
    struct Sums;

    void runGroup(const BlockPass& pass, std::size_t group, Worker& worker, std::span<Sums> sums);
    void collectInputs(const BlockPass& pass, std::size_t window, std::size_t position, bool dense, Worker& worker);
    void addSums(const BlockPass& pass, std::size_t site, std::size_t group, std::size_t rows, Worker& worker,
                 Sums& sums);
    void requireFinite(const TapInfo& tap, ConstMatrixView<float> X, std::span<const double> sumAbs,
                       std::size_t firstWindow) const;
    const TapInfo& tapOf(const BlockPass& pass, TapSite site) const;

    const Model& m_model;
    const Device& m_device;
    const TokenWindows& m_windows;
    std::size_t m_length;
    std::size_t m_groupWindows;
    RotaryTable m_rotary;
    std::vector<Worker> m_workers;
    std::atomic<std::size_t> m_done = 0;
    std::size_t m_expected = 0;
};

} // namespace rankwright
