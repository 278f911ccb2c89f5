#pragma once

#include "core/model/forward.h"

#include <cstddef>

namespace rankwright {

/// Bytes that an evaluation takes at any limit; states of more windows than memory holds go to a file.
struct EvaluationMemory
{
    std::size_t shared = 0;  ///< once: weights of a block, heads that are held
    std::size_t worker = 0;  ///< of every thread
    bool holdsHeads = false; ///< else every thread reads them part by part

    /// With one thread.
    std::size_t least() const { return shared + worker; }
    /// The limit with which a Head does as `holdsHeads` says.
    std::size_t headLimit() const { return holdsHeads ? 0 : 1; }
};

/// Of evaluatePerplexity() on windows of `length` tokens under a limit in bytes.
EvaluationMemory perplexityMemory(const Model& model, std::size_t length, std::size_t memoryLimit);
/// Of evaluateDivergence() and compareTokens().
EvaluationMemory divergenceMemory(const Model& original, const Model& other, std::size_t length,
                                  std::size_t memoryLimit);
/// Bytes in which evaluateLinearErrors() expands the factors of one linear: their product and their own conversion.
std::size_t expansionBytes(const Model& model);
/// Of evaluateLinearErrors(), with one expansion.
EvaluationMemory linearErrorMemory(const Model& model, std::size_t length);

/// The threads of `options`, or as many as fit into its memory limit. Throws Error(Memory) naming model, windows and
/// both sizes where one does not.
std::size_t fittingThreads(const Model& model, const EvaluationMemory& memory, std::size_t length,
                           const PassOptions& options);

} // namespace rankwright
