#include "core/allocation/allocation.h"

#include "core/allocation/rank_planner.h"
#include "core/base/error.h"
#include "core/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace rankwright {

void AllocationItem::setRelativeLoss(std::vector<double> curve)
{
    loss = std::move(curve);
    weight = !loss.empty() && loss.front() > 0.0 ? 1.0 / loss.front() : 0.0;
}

void AllocationItem::setLossInNats(std::vector<double> curve)
{
    loss = std::move(curve);
    weight = 1.0;
}

std::span<const Allocator> allocators()
{
    static constexpr std::array<Allocator, 11> all{
        {{"uniform", "The same share of its parameters for every linear.",
          "SVD-LLM, ASVD, NSVD and others; the largest rank within the share"},
         {"marginal-loss", "Every parameter goes where it lowers the relative loss most; dense where that pays.",
          "water-filling on the loss curves, as in most global allocations (LatentLLM's included, inferred)", true},
         {"curvature",
          "Every parameter goes where it lowers the loss of the model most, in nats; dense where that pays.",
          "water-filling on Kronecker-factored curvature, 1/2 tr(G D A D^T) per token", true, false, true},
         {"by-type",
          "Linears of one role share their part of the budget by 1 / ln(e + loss / median loss of the role).",
          "SVD-LLM v2, arXiv 2503.12340; its 1 / ln(loss) fails for losses below e and depends on their scale, so "
          "losses are taken over the median; at most 0.9 of a linear is removed",
          true},
         {"welore",
          "One threshold on singular values scaled to [0, 1] in each linear; dense where factors save nothing.",
          "WeLore (with method svd as published), threshold by bisection on the budget", false, true},
         {"strs-loss",
          "Each linear takes the smallest kept ratio of 0.1, ..., 0.9, 1 whose relative loss is below one threshold.",
          "the search of ASVD (arXiv 2312.05821) with relative losses in place of perplexities", true},
         {"strs",
          "Each linear takes the smallest kept ratio of 0.4, ..., 0.9, 1 at which the model, with this linear alone "
          "compressed, stays below one perplexity; measured once, then kept.",
          "the search of ASVD (arXiv 2312.05821), its cut by a plain scan", true, false, false, true},
         {"modegpt",
          "Blocks that turn the hidden states less give up more, by a softmax of 1 - cos of the states before and "
          "after; measured in a run.",
          "the global sparsity of MoDeGPT (arXiv 2408.09632), temperature 0.15, at most 0.8 of a block removed", false,
          false, false, false, true},
         {"partial-layers", "The first blocks stay dense, the last half of them (more where needed) pays for all.",
          "ResSVD / ERC-SVD, R_l = N R / K; K is not chosen by calibration here"},
         {"lillama-bottom", "The first blocks give up parameters first, down to half of them, then the next.",
          "Lillama's rank search 'bottom' (arXiv 2412.16719), in sixteenths of each linear instead of steps of 256 "
          "ranks"},
         {"lillama-top", "The last blocks give up parameters first, down to half of them, then those before.",
          "Lillama's rank search 'top' (arXiv 2412.16719), in sixteenths of each linear instead of steps of 256 "
          "ranks"}}};
    return all;
}

std::vector<std::string_view> allocatorNames()
{
    std::vector<std::string_view> names;
    for (const Allocator& allocator : allocators())
        names.push_back(allocator.name);
    return names;
}

const Allocator& findAllocator(std::string_view name)
{
    const std::span<const Allocator> known = allocators();
    const auto found = std::ranges::find(known, name, &Allocator::name);
    if (found != known.end())
        return *found;
    const std::vector<std::string_view> names = allocatorNames();
    throw Error(ErrorKind::InvalidArgument, fmt::format("unknown allocation \"{}\"{}", name, knownNames(name, names)));
}

AllocationPlan allocate(std::string_view allocator, Structure structure, double keptRatio,
                        const std::vector<AllocationItem>& items)
{
    return RankPlanner(structure, items).plan(allocator, keptRatio);
}

} // namespace rankwright
