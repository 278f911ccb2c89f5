#pragma once

#include "core/structure/structure.h"

#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// One of several linears of one input over one A.
struct SharingLinear
{
    std::string name;
    LinearShape shape;
};

/// What gets a rank in a plan: one linear, or linears that share their latents.
struct AllocationItem
{
    std::string name;
    LinearShape shape;
    std::vector<double> loss;                ///< loss at rank 0 .. min(m, n); may be empty for Uniform
    double weight = 1.0;                     ///< multiplies the loss; relative loss: 1 / loss[0]
    std::optional<std::size_t> rank;         ///< set by hand: kept as it is (above break-even: dense)
    std::size_t block = 0;                   ///< for allocators that look at the place in the model
    std::string role = {};                   ///< "q"; linears of one role are compared with each other
    std::vector<double> singularValues = {}; ///< largest first; may be empty for allocators that do not need them
    double blockInfluence = std::numeric_limits<double>::quiet_NaN(); ///< 1 - cos of its block's states; if measured
    /// Linears that share their latents, the one that keeps A first; `shape` is that of all under one another, and so
    /// are losses and singular values. Empty for one linear.
    std::vector<SharingLinear> sharing = {};

    /// Takes a curve in nats, which are the same for all linears.
    void setLossInNats(std::vector<double> curve);
    /// Takes a curve and weighs it by 1 / loss[0] (0 where that is 0), so that losses of all linears count alike.
    void setRelativeLoss(std::vector<double> curve);
};

/// The planned rank of one linear.
struct AllocatedRank
{
    std::string name;
    std::size_t rank = 0;                             ///< min(m, n) where dense, of the whole item
    StructureKind structure = StructureKind::Factors; ///< Dense where the rank is above break-even
    std::size_t entries = 0;                          ///< of a sparse S beside the factors
    std::size_t keptParameters = 0;
    std::string note; ///< why it was clamped, stored dense or set by hand

    StoredRank stored() const { return {.structure = structure, .rank = rank, .entries = entries}; }
};

struct AllocationPlan
{
    std::vector<AllocatedRank> ranks; ///< in the order of the items; linears of one item after each other
    std::size_t denseParameters = 0;
    std::size_t keptParameters = 0;
    double keptRatio = 0.0; ///< kept / dense parameters of the compressed linears
};

/// What an allocator is called, does and comes from, so that windows and command lines can list it.
struct Allocator
{
    std::string_view name;        ///< "marginal-loss"
    std::string_view description; ///< one sentence
    std::string_view source;
    bool needsLosses = false;         ///< AllocationItem::loss of every item that is not set by hand
    bool needsSingularValues = false; ///< AllocationItem::singularValues
    bool needsGradients = false;      ///< losses are nats per token (Analysis::curvatureCurve), and not weighed
    /// Losses are nats per token that the model loses with one linear alone at a rank, measured in a run.
    bool needsPerplexities = false;
    bool needsBlockInfluence = false; ///< AllocationItem::blockInfluence, measured in a run
    /// Whether a run tries the model before ranks are known, which a preview cannot.
    bool needsTrials() const { return needsPerplexities || needsBlockInfluence; }
    /// Whether linears have to be analysed before ranks are known.
    bool needsAnalyses() const { return needsLosses || needsSingularValues; }
    /// Whether ranks follow from shapes and the kept ratio alone.
    bool needsShapesOnly() const { return !needsAnalyses() && !needsTrials(); }
};

/// All allocators, in the order they are offered; the first is the default.
std::span<const Allocator> allocators();
std::vector<std::string_view> allocatorNames();
/// Throws Error(InvalidArgument) naming the nearest and listing all.
const Allocator& findAllocator(std::string_view name);

/// Ranks for keeping `keptRatio` of the parameters of the items, never more than the budget (hand-set ranks count
/// first). uniform: the largest rank within keptRatio m n for every linear. marginal-loss: the rank where the weighted
/// loss saved per parameter falls to one global threshold (methods 25.7); with Factors, linears past break-even are
/// stored dense and the surplus goes back to the pool. The others: allocators.cpp. Deterministic. Throws
/// Error(InvalidArgument) for an unknown allocator, a ratio outside (0, 1], an unknown hand-set name, losses or
/// singular values that the allocator needs and an item lacks, or a budget that rank 1 everywhere exceeds. For many
/// plans of the same items make a RankPlanner.
AllocationPlan allocate(std::string_view allocator, Structure structure, double keptRatio,
                        const std::vector<AllocationItem>& items);

} // namespace rankwright
