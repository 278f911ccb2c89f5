#pragma once

#include "core/evaluation/forecast.h"
#include "core/experiment/recipe.h"
#include "ui/session/background.h"
#include "ui/session/document.h"
#include "ui/session/run_store.h"

#include <QObject>
#include <QString>

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rankwright::ui {

/// What forecasts of the recipe's method on its evaluation texts rest on: the perplexity of the open model as it is,
/// and the measured runs of the store. Both are read in the background, again whenever the store changed; a forecast
/// itself takes microseconds, so that it follows a slider.
class ForecastService : public QObject
{
    Q_OBJECT

public:
    /// One evaluation text of the recipe.
    struct Text
    {
        QString name;
        double original = std::numeric_limits<double>::quiet_NaN(); ///< perplexity; NaN where it is not measured yet
        std::shared_ptr<const Forecaster> forecaster;               ///< null where it is not measured yet
        QString problem;                                            ///< why the text cannot be read; empty where it can
    };

    explicit ForecastService(RunStore& runs, QObject* parent = nullptr);

    void setDocument(DocumentPtr document);
    /// Takes method and evaluation texts.
    void setRecipe(const Recipe& recipe);

    /// In the order of the recipe; empty while they are read.
    const std::vector<Text>& texts() const { return m_texts; }
    bool reading() const { return m_reading; }

signals:
    void changed();

private:
    /// Texts that were cut into windows already, with the fingerprint of these.
    using KnownWindows = std::vector<std::pair<WindowOptions, std::string>>;
    struct Found;

    static Found look(const Document& document, const std::vector<EvaluationText>& evaluations,
                      const std::string& method, const Store& store, const std::vector<RunSummary>& runs,
                      KnownWindows known, const TaskContext& context);
    void start();
    void read();

    RunStore& m_runs;
    DocumentPtr m_document;
    std::string m_method;
    std::vector<EvaluationText> m_evaluations;
    std::vector<Text> m_texts;
    KnownWindows m_known; ///< of the open model
    bool m_reading = false;
    LatestRequest m_request;
    Background m_background{1};
};

} // namespace rankwright::ui
