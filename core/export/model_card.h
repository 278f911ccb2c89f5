#pragma once

#include "core/export/exported_weights.h"

#include <string>
#include <vector>

namespace rankwright {

/// What a model card states beside ExportOptions::card.
struct CardFacts
{
    ExportedParameters parameters;
    ModelConfig stock;                 ///< ExportedWeights::stockConfig()
    Json structures;                   ///< ExportedWeights::structures()
    std::size_t factored = 0;          ///< linears in factors
    std::string tokenizer;             ///< sentence of exportTokenizer()
    std::vector<std::string> licences; ///< copied files
    std::string statedLicence;
};

/// README.md of an export: what was compressed and how, parameters and figures with their measure, licence, and how to
/// load the folder.
std::string modelCard(const Model& model, const ExportOptions& options, const CardFacts& facts);

} // namespace rankwright
