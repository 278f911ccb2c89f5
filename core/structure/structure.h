#pragma once

#include "core/tensor/dtype.h"

#include <cstddef>
#include <string_view>

namespace rankwright {

/// Shape of a linear y = W x: W has `rows` (m, outputs) and `columns` (n, inputs).
struct LinearShape
{
    std::size_t rows = 0;
    std::size_t columns = 0;

    std::size_t parameters() const { return rows * columns; }
    /// min(m, n).
    std::size_t fullRank() const { return rows < columns ? rows : columns; }
    bool operator==(const LinearShape&) const = default;
};

/// How a linear of rank r is stored.
enum class StructureKind {
    Dense,         ///< W itself: m n parameters
    Factors,       ///< B A, B of m x r and A of r x n: r (m + n) parameters
    BlockIdentity, ///< B A with an identity in r chosen columns of A: r (m + n) - r^2 parameters and r indices
                   ///< (LatentLLM's junction; methods: any factorisation, gauge GL(r))
    SharedLatent   ///< B, with the A that the first linear of the same input has: r m parameters
};

/// "dense", "factors", "block-identity", "shared-latent".
std::string_view structureName(StructureKind kind);
/// Throws Error(InvalidArgument) listing the known names.
StructureKind structureFromName(std::string_view name);

/// Parameters stored at a rank (the rank is ignored for Dense). Indices of a block identity are not parameters.
std::size_t parameterCount(StructureKind kind, LinearShape shape, std::size_t rank);

/// Bytes stored at a rank with weights of `dtype`, the int32 indices of a block identity included.
std::size_t storedBytes(StructureKind kind, LinearShape shape, std::size_t rank, DType dtype);

/// The largest rank, at least 1 and at most min(m, n), whose parameters are within keptRatio m n.
/// Throws Error(InvalidArgument) for a ratio outside (0, 1].
std::size_t rankForKeptRatio(StructureKind kind, LinearShape shape, double keptRatio);

/// The largest rank that stores no more than the dense linear: floor(m n / (m + n)) for Factors, min(m, n) for
/// BlockIdentity. Above it a linear is stored dense or clamped.
std::size_t breakEvenRank(StructureKind kind, LinearShape shape);

} // namespace rankwright
