// What Session starts: runs, calibrations, and runs that go on.
#include "core/experiment/run_texts.h"
#include "ui/session/session.h"
#include "ui/session/text.h"

namespace rankwright::ui {

QString Session::problemWith(const Recipe& recipe) const
{
    if (!m_document)
        return tr("Open a model first.");
    try {
        validateRecipe(recipe);
        requireContext(recipe, m_document->model);
    } catch (const Error& error) {
        return toQString(error.what());
    }
    return {};
}

QString Session::startRun()
{
    const Recipe now = recipe();
    QString wrong = problemWith(now);
    if (wrong.isEmpty() && m_plan.waiting() && wantsGradients() && !m_calibration.gradients())
        wrong = tr("The allocation waits for gradients: calibrate first.");
    if (wrong.isEmpty() && m_plan.waiting())
        wrong = tr("The allocation waits for the losses of all linears: %1 of %2 are known.")
                    .arg(m_plan.known())
                    .arg(m_document->model.linears().size());
    if (wrong.isEmpty() && !m_plan.problem().isEmpty())
        wrong = m_plan.problem();
    if (wrong.isEmpty())
        m_jobs.addCompression(now);
    return wrong;
}

QString Session::startCalibration()
{
    Recipe now = recipe();
    now.forecast = wantsGradients();
    if (!m_document)
        return tr("Open a model first.");
    if (!now.calibration || now.calibration->text.empty())
        return tr("Choose a calibration text first.");
    m_jobs.addCalibration(now);
    return {};
}

QString Session::startMeasuring()
{
    const Recipe now = recipe();
    if (!m_document)
        return tr("Open a model first.");
    if (now.evaluations.empty())
        return tr("Choose a text to evaluate on first.");
    m_jobs.addMeasurement(now);
    return {};
}

QString Session::startComparison(const std::vector<std::filesystem::path>& texts, std::size_t directions)
{
    const Recipe now = recipe();
    if (!m_document)
        return tr("Open a model first.");
    if (!now.calibration || now.calibration->text.empty())
        return tr("Choose a calibration text first.");
    if (texts.empty())
        return tr("Add a text to compare with first.");
    m_jobs.addComparison(now, texts, directions);
    return {};
}

void Session::resumeRun(std::int64_t run)
{
    m_runs.fetch(run, this, {}, [this](const Outcome<RunRecord>& outcome) {
        if (!outcome) {
            emit problem(outcome.failure);
            return;
        }
        try {
            m_jobs.addCompression(recipeFromJson(outcome->recipe, {}));
        } catch (...) {
            emit problem(currentFailure());
        }
    });
}

} // namespace rankwright::ui
