#pragma once

#include "core/calibration/statistics.h"

namespace rankwright {

/// Of which tokens the negative log-likelihood is that gradients are taken of.
enum class GradientLabels {
    Sampled, ///< drawn from the model itself: the true Fisher, in expectation the Gauss-Newton matrix
    Text     ///< the text's own next tokens: the empirical Fisher
};
/// "sampled", "text".
std::string_view gradientLabelsName(GradientLabels labels);
/// Throws Error(InvalidArgument) listing the known names.
GradientLabels gradientLabelsFromName(std::string_view name);

struct CurvatureOptions
{
    GradientLabels labels = GradientLabels::Sampled;
    std::uint64_t seed = 0;     ///< of the drawn labels
    bool weightMoments = false; ///< also TapStatistics::weightInputs and weightOutputs, at about twice the cost

    bool operator==(const CurvatureOptions&) const = default;
};

/// What curvature statistics take.
struct CurvatureEstimate
{
    double operations = 0.0;    ///< floating-point, multiplications and additions
    std::size_t memory = 0;     ///< bytes with one thread, least
    std::size_t disk = 0;       ///< bytes of the set
    std::size_t spillBytes = 0; ///< hidden states of all blocks: in memory where they fit, else in a file
};
CurvatureEstimate estimateCurvature(const Model& model, std::size_t windows, std::size_t windowLength,
                                    bool weightMoments = false);

/// Key of a set: weights, windows, options and the version of the code.
std::string curvatureFingerprint(const Model& model, const TokenWindows& windows, const CurvatureOptions& curvature);

/// Sums over tokens of g g^T for every linear of the dense model, g (width m) the gradient of the summed negative
/// log-likelihood of a window with respect to the linear's output at that token (Kronecker-factored curvature, Martens
/// and Grosse 2015: with A = mean of x x^T and G = mean of g g^T over tokens, a change D of W costs 1/2 tr(G D A D^T)
/// nats per token to second order). Entries are by LinearInfo::index, TapStatistics holding g in place of x; the last
/// token of a window has no label but counts as a token. TapStatistics::weightSquares hold the row-wise Fisher of the
/// weights, a sample being a window, and with CurvatureOptions::weightMoments its two partial traces, see gfwsvd.
/// TapSummary::spread tells how certain a trace is.
/// Two passes: up, keeping the input of every block (in memory or in a file), and down from the head, activations
/// computed again block by block. Written to `cache`/FINGERPRINT or reused from there, as calibrate() does; results
/// depend neither on threads nor on the memory limit. Throws as calibrate().
CalibrationSet calibrateCurvature(const Model& model, const Device& device, const TokenWindows& windows,
                                  const CurvatureOptions& curvature, const std::filesystem::path& cache,
                                  const PassOptions& options, const TaskContext& context);

} // namespace rankwright
