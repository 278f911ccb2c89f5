#pragma once

#include "core/base/progress.h"
#include "core/calibration/windows.h"
#include "core/model/forward.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// Raw sums over the tokens of one tap, x of width n.
struct TapStatistics
{
    std::size_t tokens = 0;
    Matrix<double> secondMoment; ///< C = sum x x^T, n x n, symmetric and filled; of the compressed prefix's x where
                                 ///< statistics are sequential
    std::vector<double> sum;     ///< sum x
    std::vector<double> sumAbs;  ///< sum |x|
    Matrix<double> crossMoment;  ///< anchored only: sum x x_hat^T (dense x, compressed x_hat), n x n, else empty
    Matrix<double> denseSecondMoment; ///< anchored only: sum x x^T of the dense model, else empty
    std::vector<double> weightSquares =
        {};                       ///< gradients only: per input channel j of the linear, the sum over windows and
                                  ///< outputs i of (d loss / d W_ij)^2, loss summed over the window; n values
    std::vector<double> denseSum; ///< anchored only: sum x of the dense model, else empty
    Matrix<double> weightInputs =
        {}; ///< gradients with CurvatureOptions::weightMoments only, else empty: with V (m x n) the gradient of the
            ///< loss of one window with respect to W, the sum over windows of V^T V, n x n
    Matrix<double> weightOutputs = {}; ///< likewise of V V^T, m x m
};

/// Figures of a tap that are shown without loading its matrix.
struct TapSummary
{
    std::size_t tokens = 0;
    std::size_t width = 0; ///< n
    double trace = 0.0;
    double frobenius = 0.0;
    double meanNorm = 0.0;        ///< Euclidean norm of the mean input
    std::size_t deadChannels = 0; ///< channels that are zero in every token
    double spread = -1.0; ///< curvature only: relative standard error of the trace over groups of windows, -1: unknown
    std::size_t weightSquares = 0; ///< curvature only: how many TapStatistics::weightSquares there are
    bool weightMoments = false;    ///< curvature only: whether there are TapStatistics::weightInputs and weightOutputs
};

/// Finished statistics of a model on a text, of the inputs of taps or (calibrateCurvature) of the gradients of linears,
/// which then stand in the place of taps: one file per tap under a folder named by the fingerprint.
class CalibrationSet
{
public:
    /// Throws Error(NotFound) if the folder is not a finished set, Error(Mismatch) if its name is not the fingerprint
    /// inside, Error(Corrupt) if files are missing or damaged.
    static CalibrationSet open(const std::filesystem::path& folder);

    const std::string& fingerprint() const { return m_fingerprint; }
    const std::filesystem::path& folder() const { return m_folder; }
    std::size_t windows() const { return m_windows; }
    std::size_t windowLength() const { return m_windowLength; }
    std::size_t tokens() const { return m_windows * m_windowLength; }
    const std::vector<TapSummary>& summaries() const { return m_summaries; } ///< by tap index
    /// Throws Error(InvalidArgument) for a tap beyond the last, Error(Corrupt) if the file is damaged.
    TapStatistics load(std::size_t tap) const;
    bool reused() const { return m_reused; }

private:
    friend CalibrationSet findOrMakeSet(const std::filesystem::path&, std::size_t, const TaskContext&,
                                        const std::function<void(const std::filesystem::path&)>&);
    std::string m_fingerprint;
    std::filesystem::path m_folder;
    std::size_t m_windows = 0;
    std::size_t m_windowLength = 0;
    std::vector<TapSummary> m_summaries;
    bool m_reused = false;
};

/// Key of a model: weights and configuration. Throws as calibrationFingerprint().
std::string modelFingerprint(const Model& model);
/// Key of a set: weights, configuration, windows and the version of the statistics code. Throws Error(InvalidArgument)
/// if linears of the model are replaced: statistics of other weights have no key.
std::string calibrationFingerprint(const Model& model, const TokenWindows& windows);

/// Statistics of every tap of the dense model, streamed block by block under the memory limit (site by site where the
/// sums of a block do not fit), written to `cache`/FINGERPRINT or reused from there. The folder appears when it is
/// whole; of several processes that compute the same set the first wins and the others use its files. Sums depend
/// neither on the number of threads nor on the limit. Notes "fewTokens" (a width above the number of tokens: singular
/// second moments) and "deadChannels", also where the set is reused. Throws Error(NonFinite) naming the tap where
/// activations, or float32 sums of their squares, stop being finite; Error(Memory) if the limit is below the weights of
/// one block and the sums of one site; Error(Cancelled).
CalibrationSet calibrate(const Model& model, const Device& device, const TokenWindows& windows,
                         const std::filesystem::path& cache, const PassOptions& options, const TaskContext& context);

/// How statistics relate to linears that are already compressed.
enum class SequentialMode {
    Dense,      ///< statistics of the dense model for all linears
    Compressed, ///< inputs produced by the compressed prefix, target W x_hat
    Anchored,   ///< inputs of the compressed prefix, target the dense output W x (AA-SVD)
    Update,     ///< factors of the dense statistics, then B by least squares on inputs of the compressed prefix, target
                ///< W x_hat (the update of SVD-LLM v1)
    Alternate   ///< the same, and A and B in turn (adaComp of AdaSVD)
};
/// All modes, in the order they are offered.
inline constexpr std::array sequentialModes{SequentialMode::Dense, SequentialMode::Compressed, SequentialMode::Anchored,
                                            SequentialMode::Update, SequentialMode::Alternate};
/// Whether factors are made on dense statistics and then fitted again to inputs of the compressed prefix.
constexpr bool refitsFactors(SequentialMode mode)
{
    return mode == SequentialMode::Update || mode == SequentialMode::Alternate;
}
std::string_view sequentialModeName(SequentialMode mode);
SequentialMode sequentialModeFromName(std::string_view name);

/// Statistics of taps in the order of the forward pass while the linears before them are being replaced.
class SequentialStatistics
{
public:
    /// `mode` is not Dense; Anchored carries a second, dense stream of hidden states.
    SequentialStatistics(const Model& model, const Device& device, const TokenWindows& windows, SequentialMode mode,
                         const PassOptions& options);
    ~SequentialStatistics();

    /// Statistics of the next tap, given the weights its block has now: `current` holds compressed linears for the
    /// sites already done and dense ones after. Taps must come in ascending order; sites may be left out. Throws as
    /// calibrate(), Error(Internal) for a tap of another block or out of order.
    TapStatistics collect(const TapInfo& tap, const BlockWeights& current, const TaskContext& context);
    /// Moves the streams past the next block: the dense one through its dense weights, the other through `compressed`.
    void advance(std::size_t block, const BlockWeights& compressed, const TaskContext& context);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace rankwright
