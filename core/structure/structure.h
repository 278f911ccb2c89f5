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

/// How the factors of a linear of rank r are stored. Factors and BlockIdentity may have a sparse S beside them.
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

/// What a linear is stored as, in factors beside a sparse S of `entries` entries (W_hat = B A + S).
struct StoredRank
{
    StructureKind structure = StructureKind::Dense;
    std::size_t rank = 0;    ///< means nothing where dense
    std::size_t entries = 0; ///< of S; 0 where dense

    bool operator==(const StoredRank&) const = default;
};

/// What linears are to be stored as, at any rank: the kind of their factors and, for methods that have a sparse S, the
/// share of S in the parameters of plain factors and S together.
struct Structure
{
    StructureKind kind = StructureKind::Factors;
    double sparseShare = 0.0; ///< in [0, 1)

    Structure() = default;
    Structure(StructureKind factors, double share = 0.0) // NOLINT(google-explicit-constructor): mostly there is no S
        : kind(factors)
        , sparseShare(share)
    {}
    /// What a linear is stored as at a rank: its S has sparseEntries() entries.
    StoredRank at(LinearShape shape, std::size_t rank) const;
    bool operator==(const Structure&) const = default;
};

/// Type of the column numbers and row counts of an S with n columns: U8, I16 or I32, the smallest that holds n.
DType indexType(std::size_t columns);

/// Parameters that S adds: every stored number counts, the value and the column of an entry and the count of a row, one
/// that takes 32 bits twice. So 2 k + m for n up to 32767, 3 k + 2 m beyond; 0 where S has no entries. In 16-bit
/// storage that is what S takes, with n > 255.
std::size_t sparseParameters(LinearShape shape, std::size_t entries);

/// Entries of S at a rank: as many as have at most share / (1 - share) r (m + n) parameters, never more than m n.
std::size_t sparseEntries(LinearShape shape, std::size_t rank, double share);

/// Parameters stored (the rank is ignored for Dense). Indices of a block identity are not parameters.
std::size_t parameterCount(StoredRank stored, LinearShape shape);
std::size_t parameterCount(Structure structure, LinearShape shape, std::size_t rank);

/// Bytes stored with weights of `dtype`, with all indices: the int32 ones of a block identity, those of S in
/// indexType().
std::size_t storedBytes(StoredRank stored, LinearShape shape, DType dtype);
std::size_t storedBytes(Structure structure, LinearShape shape, std::size_t rank, DType dtype);

/// The largest rank, at least 1 and at most min(m, n), whose parameters are within keptRatio m n.
/// Throws Error(InvalidArgument) for a ratio outside (0, 1].
std::size_t rankForKeptRatio(Structure structure, LinearShape shape, double keptRatio);

/// The largest rank that stores no more than the dense linear: floor(m n / (m + n)) for Factors, min(m, n) for
/// BlockIdentity, fewer with an S. Above it a linear is stored dense or clamped.
std::size_t breakEvenRank(Structure structure, LinearShape shape);

} // namespace rankwright
