#include "core/structure/structure.h"

#include "core/base/error.h"
#include "core/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fmt/ranges.h>

namespace rankwright {

namespace {

constexpr std::array<std::string_view, 4> kNames{"dense", "factors", "block-identity", "shared-latent"};

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
    throw Error(ErrorKind::InvalidArgument, fmt::format("unknown structure \"{}\", did you mean \"{}\"? Known: {}",
                                                        name, nearestName(name, kNames), fmt::join(kNames, ", ")));
}

std::size_t parameterCount(StructureKind kind, LinearShape shape, std::size_t rank)
{
    switch (kind) {
    case StructureKind::Factors:
        return rank * (shape.rows + shape.columns);
    case StructureKind::BlockIdentity:
        return rank * (shape.rows + shape.columns - rank);
    case StructureKind::SharedLatent:
        return rank * shape.rows;
    case StructureKind::Dense:
        break;
    }
    return shape.parameters();
}

std::size_t storedBytes(StructureKind kind, LinearShape shape, std::size_t rank, DType dtype)
{
    const std::size_t indices = kind == StructureKind::BlockIdentity ? rank * sizeof(std::int32_t) : 0;
    return bytesFor(dtype, parameterCount(kind, shape, rank)) + indices;
}

std::size_t rankForKeptRatio(StructureKind kind, LinearShape shape, double keptRatio)
{
    if (!(keptRatio > 0.0 && keptRatio <= 1.0))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("kept ratio {} is outside (0, 1]: give the share of parameters to keep", keptRatio));
    if (kind == StructureKind::Dense)
        return shape.fullRank();
    // Ratios such as 0.7 are not exact in binary: a budget that should be a whole number must not lose one.
    const double parameters = static_cast<double>(shape.parameters());
    const auto budget = static_cast<std::size_t>(std::floor(keptRatio * parameters * (1.0 + 1e-12) + 1e-9));
    // Parameters grow with the rank up to min(m, n) for both structures.
    std::size_t fits = 0;
    std::size_t tooMany = shape.fullRank() + 1;
    while (tooMany - fits > 1) {
        const std::size_t middle = fits + (tooMany - fits) / 2;
        (parameterCount(kind, shape, middle) <= budget ? fits : tooMany) = middle;
    }
    return std::max<std::size_t>(fits, 1);
}

std::size_t breakEvenRank(StructureKind kind, LinearShape shape)
{
    if (kind == StructureKind::Factors && shape.rows + shape.columns > 0)
        return shape.parameters() / (shape.rows + shape.columns);
    return shape.fullRank();
}

} // namespace rankwright
