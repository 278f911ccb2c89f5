#include "ui/panels/forecast_line.h"

#include "ui/models/run_columns.h"
#include "ui/panels/elided_label.h"
#include "ui/session/text.h"

#include <QHBoxLayout>
#include <QPushButton>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// Of a forecast: more would claim what no forecast knows.
constexpr int digits = 4;

} // namespace

ForecastLine::ForecastLine(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_label(new ElidedLabel)
    , m_measure(new QPushButton(tr("&Measure")))
{
    m_label->setObjectName(u"forecast"_s);
    m_measure->setObjectName(u"measureOriginal"_s);
    m_measure->setToolTip(tr("Perplexity of the model as it is on the evaluation texts, which forecasts start from"));
    QSizePolicy kept = m_measure->sizePolicy();
    kept.setRetainSizeWhenHidden(true); // the views below do not jump
    m_measure->setSizePolicy(kept);
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(12);
    layout->addWidget(m_label, 1);
    layout->addWidget(m_measure);

    const RankPlan& plan = session.plan();
    connect(&plan, &RankPlan::changed, this, &ForecastLine::refresh);
    connect(&plan, &RankPlan::lossReady, this, &ForecastLine::refresh);
    connect(&session.recipeState(), &RecipeState::changed, this, &ForecastLine::refresh);
    connect(&session, &Session::modelOpened, this, &ForecastLine::refresh);
    connect(&session.calibration(), &CalibrationService::changed, this, &ForecastLine::refresh);
    connect(&session.forecasts(), &ForecastService::changed, this, &ForecastLine::refresh);
    connect(&session.jobs(), &JobQueue::changed, this, &ForecastLine::refresh);
    connect(m_measure, &QPushButton::clicked, this, [this] { m_session.startMeasuring(); });
    refresh();
}

QString ForecastLine::missing() const
{
    const Recipe& recipe = m_session.recipeState().recipe();
    const CalibrationService& calibration = m_session.calibration();
    const RankPlan& plan = m_session.plan();
    if (!findMethod(recipe.method).groups().empty() && !findMethod(recipe.method).sharesLatents())
        return tr("No forecast: what %1 costs is known after a run only").arg(toQString(recipe.method));
    if (recipe.evaluations.empty())
        return tr("No forecast: add an evaluation text to the recipe");
    if (!recipe.calibration)
        return tr("No forecast: choose a calibration text, tick gradients and calibrate");
    if (!m_session.wantsGradients())
        return tr("No forecast: tick gradients in the recipe and calibrate");
    if (calibration.state() == CalibrationService::State::Reading)
        return tr("Forecast: reading the calibration text ...");
    if (!calibration.set() || !calibration.gradients())
        return tr("No forecast: there are no gradients yet, calibrate first");
    if (!std::isfinite(plan.nats()))
        return tr("Forecast: waits for the losses, %1 of %2 are known")
            .arg(plan.known())
            .arg(m_session.document()->model.linears().size());
    if (!m_session.runs().store())
        return tr("No forecast: the store of experiments is not open");
    return {};
}

QString ForecastLine::sentence(const ForecastService::Text& text) const
{
    if (!text.problem.isEmpty())
        return tr("No forecast on %1: %2").arg(text.name, text.problem);
    if (!text.forecaster)
        return tr("No forecast on %1: the perplexity of the original is not measured yet").arg(text.name);
    const Forecast forecast = text.forecaster->at(m_session.plan().nats());
    if (!std::isfinite(forecast.perplexity))
        return tr("No forecast on %1: with a perplexity of %2 the model has nothing to lose")
            .arg(text.name, perplexityText(text.original, digits));
    const Recipe& recipe = m_session.recipeState().recipe();
    QString state = toQString(forecastState(forecast));
    if (distillationOf(recipe) || recipe.recovery)
        state += tr("; before training");
    if (recipe.sequential != SequentialMode::Dense)
        state += tr("; as with dense statistics");
    return tr("Forecast on %1: perplexity %2 (%3 to %4), originally %5; %6")
        .arg(text.name, perplexityText(forecast.perplexity, digits), perplexityText(forecast.low, digits),
             perplexityText(forecast.high, digits), perplexityText(text.original, digits), state);
}

void ForecastLine::refresh()
{
    if (!m_session.document())
        return;
    const std::vector<ForecastService::Text>& texts = m_session.forecasts().texts();
    QStringList sentences;
    if (const QString first = missing(); !first.isEmpty())
        sentences.append(first);
    else if (texts.empty())
        sentences.append(tr("Forecast: reading the evaluation texts ..."));
    else
        for (const ForecastService::Text& text : texts)
            sentences.append(sentence(text));
    m_label->setText(sentences.join(u"   "_s));
    sentences.append(tr("Nine of ten runs lie in the range in brackets."));
    m_label->setToolTip(sentences.join(u'\n'));

    const auto& jobs = m_session.jobs().jobs();
    m_measure->setVisible(std::ranges::any_of(
        texts, [](const ForecastService::Text& text) { return text.problem.isEmpty() && !text.forecaster; }));
    m_measure->setEnabled(
        std::ranges::none_of(jobs, [](const Job& job) { return job.kind == JobKind::Measure && !job.over(); }));
}

} // namespace rankwright::ui
