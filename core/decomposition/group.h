#pragma once

#include "core/decomposition/method.h"
#include "core/model/model.h"

#include <optional>

namespace rankwright {

/// How the heads of a block read queries, keys and values. Query head i uses key/value head i keyValueHeads / heads.
struct AttentionGeometry
{
    std::size_t heads = 1;
    std::size_t keyValueHeads = 1;
    std::size_t headWidth = 1;
    /// Radians per position of the coordinates (j, j + headWidth/2) of a head, headWidth/2 of them; empty where
    /// positions do not turn queries and keys.
    std::vector<double> frequencies;
    std::size_t context = 1;   ///< tokens that attention can reach
    bool queryKeyNorm = false; ///< queries and keys are normed after their projection
};
AttentionGeometry attentionGeometry(const ModelConfig& config);

/// One linear of a group.
struct GroupMember
{
    Role role = Role::Q;
    /// Statistics only where the linear reads the tap of the group's first linear, else null.
    LinearProblem problem;
};

/// Linears of one block that a method treats together, in the order of Method::groups().
struct GroupProblem
{
    std::vector<GroupMember> members;
    AttentionGeometry attention;
};

/// What a linear is replaced by.
struct Replacement
{
    Matrix<double> W;        ///< m x n
    std::vector<float> bias; ///< m values, or empty for none
};

/// The expensive part for a group. Losses are squared errors of what the linears of the group make together. The
/// device must outlive the analysis; the problem need not. All calls may be made from several threads.
class GroupAnalysis
{
public:
    virtual ~GroupAnalysis() = default;
    /// One linear truncated while the others stay whole: singular values of its mode, exact losses, factors. The sum of
    /// these losses over the linears of the group bounds the joint loss at the same ranks; allocators plan with them.
    /// totalEnergy() is that of the group. Lives as long as the group's analysis.
    virtual const Analysis& member(std::size_t index) const = 0;
    /// Factors of all linears for a rank each (1 .. min(m, n)); none for a linear that stays as it is. Throws
    /// Error(InvalidArgument) for another rank.
    virtual std::vector<std::optional<Factorisation>>
    factorize(std::span<const std::optional<std::size_t>> ranks) const = 0;
    /// The joint loss of these replacements (none: the linear stays as it is), evaluated from the values themselves in
    /// float64 and split over the linears, which sums to the joint loss: for keys and values what replacing them alone
    /// loses, for queries and outputs what replacing them adds.
    virtual std::vector<double> losses(std::span<const std::optional<Replacement>> replacements) const = 0;
};

/// Linears of one input, in the order of the group under one another, analysed as one linear of (sum of m) x n, so that
/// all have the same A. What Analysis says is of them together; the loss is the sum of theirs.
class SharedAnalysis : public Analysis
{
public:
    /// Loss of one of the linears at rank 0 .. min(sum of m, n) of all, in the measure of the method.
    virtual const std::vector<double>& memberLosses(std::size_t index) const = 0;
    /// The same in nats per token. `problem` is the one that was analysed, its member `index` with gradients. Throws
    /// Error(InvalidArgument) without.
    virtual std::vector<double> memberNats(const Device& device, const GroupProblem& problem,
                                           std::size_t index) const = 0;
};

} // namespace rankwright
