#include "ui/models/similarity_plot.h"

#include "ui/session/text.h"

#include <QCoreApplication>
#include <QStringList>

namespace rankwright::ui {

namespace {

struct SimilarityTexts
{
    Q_DECLARE_TR_FUNCTIONS(SimilarityTexts)
};

double TapSimilarity::*fieldOf(SimilarityMeasure measure)
{
    return measure == SimilarityMeasure::Cosine ? &TapSimilarity::cosine : &TapSimilarity::overlap;
}

QString nameOf(const std::filesystem::path& text)
{
    return toQString(text.filename());
}

} // namespace

QString siteTitle(const Model& model, TapSite site)
{
    QStringList roles;
    for (const LinearInfo& linear : model.linears(0))
        if (siteOf(linear.role) == site)
            roles.append(toQString(roleName(linear.role)));
    return roles.join(QStringLiteral(", "));
}

PlotData plotSimilarity(const SimilarityStudy& study, const Model& model, SimilarityMeasure measure,
                        std::optional<TapSite> site)
{
    PlotData data;
    data.title = SimilarityTexts::tr("Inputs on %1 and on other texts").arg(nameOf(study.recipe.calibration->text));
    data.x.title = SimilarityTexts::tr("block");
    data.x.integer = true;
    data.y.title = measure == SimilarityMeasure::Cosine
                       ? SimilarityTexts::tr("cosine of mean |x|")
                       : SimilarityTexts::tr("shared part of %1 principal directions").arg(study.directions);
    for (std::size_t text = 0; text < study.texts.size(); ++text) {
        for (std::size_t each = 0; each < siteCount; ++each) {
            const auto drawn = static_cast<TapSite>(each);
            if (site && drawn != *site)
                continue;
            PlotSeries series;
            series.markers = true;
            series.name = nameOf(study.texts[text]);
            if (!site)
                series.name += QStringLiteral(": ") + siteTitle(model, drawn);
            for (const TapInfo& tap : model.taps())
                if (tap.site == drawn)
                    series.points.append(
                        {static_cast<double>(tap.block), study.taps[text][tap.index].*fieldOf(measure)});
            data.series.append(series);
        }
    }
    return data;
}

QString similarityFigures(const SimilarityStudy& study, const Model& model, SimilarityMeasure measure,
                          std::optional<TapSite> site)
{
    QStringList figures;
    for (std::size_t text = 0; text < study.texts.size(); ++text) {
        std::vector<double> values;
        for (const TapInfo& tap : model.taps())
            if (!site || tap.site == *site)
                values.push_back(study.taps[text][tap.index].*fieldOf(measure));
        const Spread spread = spreadOf(values);
        figures.append(SimilarityTexts::tr("%1: %2 ± %3")
                           .arg(nameOf(study.texts[text]))
                           .arg(spread.mean, 0, 'f', 4)
                           .arg(spread.deviation, 0, 'f', 4));
    }
    return figures.join(QStringLiteral("   "));
}

} // namespace rankwright::ui
