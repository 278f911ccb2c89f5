#pragma once

#include "core/evaluation/evaluation.h"

#include <functional>
#include <vector>

namespace rankwright {

/// Other forms of one linear, none where it is not tried.
using ProbeSource = std::function<std::vector<LinearWeights>(const LinearInfo& linear)>;
/// What the model gives with the form of this number in the place of the linear.
using ProbeVisitor = std::function<void(const LinearInfo& linear, std::size_t form, const PerplexityResult& result)>;

/// For every form of every linear the perplexity of the model with it alone replaced, as evaluatePerplexity() of
/// Model::withLinears() gives it (equal bits). The blocks below a linear run once for all: (blocks - block) / blocks of
/// a forward pass and the head for each. Forms of one block go through those above it together, as many as a quarter of
/// the memory limit holds, but those of one linear at least. Holds the hidden states of all windows, so take few.
/// Source and visitor are called on the caller's thread, in the order of the model. Throws Error(NonFinite) naming the
/// linear.
void evaluateProbes(const Model& model, const Device& device, const TokenWindows& windows, const PassOptions& options,
                    const TaskContext& context, const ProbeSource& source, const ProbeVisitor& visit);

} // namespace rankwright
