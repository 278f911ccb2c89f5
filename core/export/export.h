#pragma once

#include "core/base/json.h"
#include "core/model/forward.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

enum class ExportFormat {
    Factored, ///< factors + modeling file: smaller; transformers needs trust_remote_code
    Dense     ///< the product of the factors in the stock layout: loads anywhere, saves nothing
};
/// "factored", "dense".
std::string_view exportFormatName(ExportFormat format);
/// Throws Error(InvalidArgument) listing the known names.
ExportFormat exportFormatFromName(std::string_view name);

struct ExportOptions
{
    ExportFormat format = ExportFormat::Factored;
    DType dtype = DType::F32;                       ///< F32, F16 or BF16, of every weight written
    std::size_t shardBytes = std::size_t{4} << 30U; ///< largest safetensors file
    /// What the model card states; every key is optional: method, methodTitle, source, parameters, model, structure,
    /// allocation, sequential, targetKeptRatio, keptRatio, wholeModelRatio, linears, storage, fingerprint, calibration
    /// (object), evaluations (list of objects with text, window, windows, originalPerplexity, compressedPerplexity).
    /// Other keys are listed as they are.
    Json card = {};
    std::size_t threads = 0;     ///< 0: all processors; the result does not depend on it
    std::size_t memoryLimit = 0; ///< bytes, 0: three quarters of the machine
};

struct ExportResult
{
    std::filesystem::path folder;
    std::vector<std::string> files; ///< names, sorted
    std::size_t bytes = 0;          ///< all files
    std::size_t weightBytes = 0;    ///< safetensors files
    /// Reopened export against the model in memory on 16 tokens, over the largest |logit|.
    double largestLogitDifference = 0.0;
};

/// The largest relative logit difference with which exportModel() accepts its own result: 1e-4 in F32, 0.02 in F16 and
/// 0.1 in BF16, where rounding the weights to 11 and 8 bits changes the logits of a sound export.
double exportLogitBound(DType dtype);

/// Writes `model` (with its replaced linears) as a Hugging Face folder: safetensors shards with index, config.json,
/// generation_config.json, tokenizer and licence files (copied; for GGUF an equivalent tokenizer.json), the modeling
/// file of resources/python (factored), README.md as model card. Weights pass through memory one block at a time.
/// The folder appears only when it is whole and the reopened export gave the same logits within exportLogitBound();
/// equal input gives equal bytes.
/// Throws Error(InvalidArgument) for a folder that exists and is not empty or for wrong options, Error(Unsupported) for
/// a model that the format cannot hold, Error(NonFinite) naming a tensor that does not fit the dtype, Error(Mismatch)
/// if the logits differ, Error(Io or Cancelled); then nothing is left.
ExportResult exportModel(const Model& model, const Device& device, const std::filesystem::path& folder,
                         const ExportOptions& options, const TaskContext& context);

} // namespace rankwright
