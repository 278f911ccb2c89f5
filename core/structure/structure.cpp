#include "core/structure/structure.h"

#include "core/base/error.h"
#include "core/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <limits>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, 4> kNames{"dense", "factors", "block-identity", "shared-latent"};

/// Parameters that an index of S counts as: those of 8 and 16 bits one, of 32 two.
std::size_t indexWeight(LinearShape shape)
{
    return indexType(shape.columns) == DType::I32 ? 2 : 1;
}

/// The largest rank of at most `budget` parameters, 0 where there is none. Parameters grow with the rank up to
/// min(m, n) for all structures.
std::size_t largestRank(Structure structure, LinearShape shape, std::size_t budget)
{
    std::size_t fits = 0;
    std::size_t tooMany = shape.fullRank() + 1;
    while (tooMany - fits > 1) {
        const std::size_t middle = fits + (tooMany - fits) / 2;
        (parameterCount(structure, shape, middle) <= budget ? fits : tooMany) = middle;
    }
    return fits;
}

} // namespace

std::string_view structureName(StructureKind kind)
{
    return kNames[static_cast<std::size_t>(kind)];
}

StructureKind structureFromName(std::string_view name)
{
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found != kNames.end())
        return static_cast<StructureKind>(found - kNames.begin());
    throw Error(ErrorKind::InvalidArgument, fmt::format("unknown structure \"{}\"{}", name, knownNames(name, kNames)));
}

StoredRank Structure::at(LinearShape shape, std::size_t rank) const
{
    return {.structure = kind,
            .rank = rank,
            .entries = kind == StructureKind::Dense ? 0 : sparseEntries(shape, rank, sparseShare)};
}

DType indexType(std::size_t columns)
{
    if (columns <= std::numeric_limits<std::uint8_t>::max())
        return DType::U8;
    return columns <= std::numeric_limits<std::int16_t>::max() ? DType::I16 : DType::I32;
}

std::size_t sparseParameters(LinearShape shape, std::size_t entries)
{
    if (entries == 0)
        return 0;
    const std::size_t index = indexWeight(shape);
    return entries * (1 + index) + shape.rows * index;
}

std::size_t sparseEntries(LinearShape shape, std::size_t rank, double share)
{
    if (!(share > 0.0))
        return 0;
    const std::size_t index = indexWeight(shape);
    const double factors = static_cast<double>(rank * (shape.rows + shape.columns));
    // Shares such as 0.2 are not exact in binary: a budget that should be a whole number must not lose one.
    const double budget = share / (1.0 - share) * factors * (1.0 + 1e-12) - static_cast<double>(shape.rows * index);
    const double entries = std::floor(budget / static_cast<double>(1 + index));
    return static_cast<std::size_t>(std::clamp(entries, 0.0, static_cast<double>(shape.parameters())));
}

std::size_t parameterCount(StoredRank stored, LinearShape shape)
{
    const std::size_t rank = stored.rank;
    const std::size_t sparse = sparseParameters(shape, stored.entries);
    switch (stored.structure) {
    case StructureKind::Factors:
        return rank * (shape.rows + shape.columns) + sparse;
    case StructureKind::BlockIdentity:
        return rank * (shape.rows + shape.columns - rank) + sparse;
    case StructureKind::SharedLatent:
        return rank * shape.rows + sparse;
    case StructureKind::Dense:
        break;
    }
    return shape.parameters();
}

std::size_t parameterCount(Structure structure, LinearShape shape, std::size_t rank)
{
    return parameterCount(structure.at(shape, rank), shape);
}

std::size_t storedBytes(StoredRank stored, LinearShape shape, DType dtype)
{
    const std::size_t pivots =
        stored.structure == StructureKind::BlockIdentity ? stored.rank * sizeof(std::int32_t) : 0;
    const std::size_t entries = stored.structure == StructureKind::Dense ? 0 : stored.entries;
    const std::size_t factors = parameterCount(StoredRank{stored.structure, stored.rank}, shape);
    const std::size_t indices = entries > 0 ? bytesFor(indexType(shape.columns), entries + shape.rows) : 0;
    return bytesFor(dtype, factors) + bytesFor(dtype, entries) + indices + pivots;
}

std::size_t storedBytes(Structure structure, LinearShape shape, std::size_t rank, DType dtype)
{
    return storedBytes(structure.at(shape, rank), shape, dtype);
}

std::size_t rankForKeptRatio(Structure structure, LinearShape shape, double keptRatio)
{
    if (!(keptRatio > 0.0 && keptRatio <= 1.0))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("kept ratio {} is outside (0, 1]: give the share of parameters to keep", keptRatio));
    if (structure.kind == StructureKind::Dense)
        return shape.fullRank();
    // Ratios such as 0.7 are not exact in binary: a budget that should be a whole number must not lose one.
    const double parameters = static_cast<double>(shape.parameters());
    const auto budget = static_cast<std::size_t>(std::floor(keptRatio * parameters * (1.0 + 1e-12) + 1e-9));
    return std::max<std::size_t>(largestRank(structure, shape, budget), 1);
}

std::size_t breakEvenRank(Structure structure, LinearShape shape)
{
    if (structure.kind == StructureKind::Dense)
        return shape.fullRank();
    return largestRank(structure, shape, shape.parameters());
}

} // namespace rankwright
