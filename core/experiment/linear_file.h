#pragma once

#include "core/experiment/run_result.h"
#include "core/model/model.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// One finished linear of a run, as its file keeps it.
struct LinearRecord
{
    LinearOutcome outcome;                ///< without seconds, resumed and held-out error, which no file keeps
    std::optional<LinearWeights> weights; ///< nothing where the linear stays as the checkpoint has it
    std::vector<double> singularValues;
};

/// FOLDER/linear-00012.safetensors for the linear at position 12 of Model::linears().
/// `kind` "distilled" or "recovered" for the same linear after a training.
std::filesystem::path linearFile(const std::filesystem::path& folder, std::size_t index,
                                 std::string_view kind = "linear");

/// Writes B and A, or B, A2 and pivots, or B alone (shared latents), in `storage`, S.values likewise with S.columns and
/// S.counts in indexType(), the bias in F32, singularValues in F64, and the outcome and a hash of all values as
/// metadata. Equal input gives equal bytes. The file appears when it is whole and synced.
void writeLinearFile(const std::filesystem::path& file, const std::string& fingerprint, const LinearRecord& record,
                     DType storage);

/// Throws Error(NotFound), Error(Mismatch) for another run's or another linear's file, Error(Corrupt) for anything that
/// does not fit together. Shared latents come without their owner, see SharedLatentWeights.
LinearRecord readLinearFile(const std::filesystem::path& file, const std::string& fingerprint, const LinearInfo& info);

/// readLinearFile() of `kind` "linear" for a linear of `model`, shared latents with their owner, whose file is beside
/// it.
LinearRecord readWholeLinear(const std::filesystem::path& folder, const std::string& fingerprint, const Model& model,
                             const LinearInfo& info);

/// Name, rank, structure, parameters, losses, energy and notes; what a run can give again.
Json outcomeToJson(const LinearOutcome& outcome);

} // namespace rankwright
