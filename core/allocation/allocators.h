#pragma once

#include "core/allocation/rank_costs.h"

namespace rankwright {

/// Items whose ranks are to be raised from the least ones, and what they may cost in all.
struct AllocationTask
{
    const RankCosts& costs;
    Structure structure;
    const std::vector<AllocationItem>& items;
    std::vector<std::size_t> open; ///< items that are not set by hand
    double budget = 0.0;           ///< parameters of the open items
};

/// Every open item gets the same share of its parameters; those too small for it keep their least rank, and their
/// excess is taken from the others.
void raiseUniformly(const AllocationTask& task, std::vector<std::size_t>& ranks);
/// methods 25.3, of the losses at the uniform rank.
void raiseByType(const AllocationTask& task, std::vector<std::size_t>& ranks);
/// methods 25.4.
void raiseBySpectrum(const AllocationTask& task, std::vector<std::size_t>& ranks);
/// methods 25.2 with weighted losses for sensitivities, of kept ratios lowestTenths / 10, ..., 0.9, 1. A budget below
/// the lowest of them is shared out uniformly.
void raiseByThreshold(const AllocationTask& task, int lowestTenths, std::vector<std::size_t>& ranks);
/// Lillama's rank search (methods 3.4): all linears are dense at first, and give up a sixteenth of their parameters
/// after the other, down to half, block by block from the first (or `fromLast`) on, until the budget is kept; where
/// that is not enough, once more down to nothing.
void lowerBlockByBlock(const AllocationTask& task, bool fromLast, std::vector<std::size_t>& ranks);
/// methods 25.5: the removed share of a block is proportional to exp(-influence / 0.15), at most 0.8. Throws
/// Error(InvalidArgument) naming an item whose influence is not known.
void raiseByBlockInfluence(const AllocationTask& task, std::vector<std::size_t>& ranks);
/// methods 25.11.
void raiseLastBlocks(const AllocationTask& task, std::vector<std::size_t>& ranks);

} // namespace rankwright
