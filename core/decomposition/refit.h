#pragma once

#include "core/decomposition/objective.h"

namespace rankwright {

/// Factors after least squares on other inputs than they were made for.
struct Refit
{
    Factorisation factorisation; ///< B with orthonormal columns
    double loss = 0.0;           ///< on those inputs, with the updated bias where there is one; in the method's measure
    double totalEnergy = 0.0;    ///< loss of W_hat = 0
};

/// B = W C A^T (A C A^T)^+, the least ||W X - B A X||_F for the A of `start`, C of the problem's statistics (SVD-LLM
/// v1's update, methods 5b: the target is the dense layer on the same inputs). A sparse S of `start` stays: W - S then
/// takes the place of W. With `alternations` > 1 then A = B^+ W,
/// which is the best A for any C (methods 0.1), and B again, until a round lowers the loss by less than 1e-4 of it
/// (adaComp of AdaSVD, methods 14). The squared error falls with every step. That B is the best in any metric of
/// outputs, so that methods with gradients may be fitted again too; the A is not, so `alternations` is 1 for them.
/// Throws as makeObjective(); statistics must not be anchored.
Refit refitFactors(const Device& device, const Method& method, const LinearProblem& problem,
                   const MethodParameters& parameters, const Factorisation& start, std::size_t alternations);

/// `start` with its factors fitted again by refitFactors() to the problem's statistics, which must outlive the
/// analysis: losses and total energy are on those. Every rank asked for is a fit of its own.
std::unique_ptr<Analysis> refitAnalysis(const Device& device, const Method& method, LinearProblem problem,
                                        MethodParameters parameters, std::unique_ptr<Analysis> start,
                                        std::size_t alternations);

} // namespace rankwright
