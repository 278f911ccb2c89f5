#pragma once

#include "core/model/model.h"
#include "ui/plots/plot_data.h"
#include "ui/session/similarity_study.h"

#include <QString>

#include <optional>

namespace rankwright::ui {

enum class SimilarityMeasure {
    Cosine, ///< of the vectors of mean |x|
    Overlap ///< of the first principal directions
};

/// "q, k, v": the linears of a block that read a site.
QString siteTitle(const Model& model, TapSite site);

/// Similarity against the block: a curve for each text at one site, or without `site` for each text and site.
PlotData plotSimilarity(const SimilarityStudy& study, const Model& model, SimilarityMeasure measure,
                        std::optional<TapSite> site);

/// Mean and deviation over the blocks for each text: at one site, or without `site` over all.
QString similarityFigures(const SimilarityStudy& study, const Model& model, SimilarityMeasure measure,
                          std::optional<TapSite> site);

} // namespace rankwright::ui
