#pragma once

#include "core/calibration/windows.h"
#include "core/model/forward.h"

#include <vector>

namespace rankwright {

/// How far each block turns the hidden states: s = 1 - mean over the tokens of all windows of cos(x_in, x_out), in
/// [0, 2], x_in and x_out the residual stream before and after the block (MoDeGPT, arXiv 2408.09632; methods 25.5). A
/// state of zeros counts as turned by a right angle. Holds the states of all windows, so take few. Results do not
/// depend on threads. Throws Error(NonFinite) naming the block where states stop being finite, Error(InvalidArgument)
/// for no tokens.
std::vector<double> evaluateBlockInfluence(const Model& model, const Device& device, const TokenWindows& windows,
                                           const PassOptions& options, const TaskContext& context);

} // namespace rankwright
