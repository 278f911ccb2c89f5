#include "ui/session/calibration_service.h"

#include "core/experiment/run_calibration.h"
#include "ui/session/text.h"

#include <algorithm>
#include <tuple>

namespace rankwright::ui {

namespace {

struct Found
{
    std::shared_ptr<const TokenWindows> windows;
    std::shared_ptr<const CalibrationSet> set;
    std::shared_ptr<const CalibrationSet> gradients;
};

/// Null where there is none. A damaged set is made again by the next calibration.
std::shared_ptr<const CalibrationSet> openSet(const std::filesystem::path& folder)
{
    try {
        return std::make_shared<const CalibrationSet>(CalibrationSet::open(folder));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::Corrupt)
            throw;
        return nullptr;
    }
}

Found look(const Document& document, const Recipe& recipe, bool wantsGradients, const std::filesystem::path& cache,
           const TaskContext& context)
{
    const RunCalibration calibration(recipe, document.model, context);
    return {.windows = std::make_shared<const TokenWindows>(calibration.windows()),
            .set = openSet(cache / calibration.fingerprint()),
            .gradients = wantsGradients ? openSet(cache / calibration.gradientsFingerprint()) : nullptr};
}

auto key(const WindowOptions& options)
{
    return std::tie(options.text, options.rows, options.length, options.count, options.order, options.seed,
                    options.bosPerWindow);
}

} // namespace

bool sameWindows(const std::optional<WindowOptions>& a, const std::optional<WindowOptions>& b)
{
    return a.has_value() == b.has_value() && (!a || key(*a) == key(*b));
}

CalibrationService::CalibrationService(std::filesystem::path cache, QObject* parent)
    : QObject(parent)
    , m_cache(std::move(cache))
{}

void CalibrationService::setDocument(DocumentPtr document)
{
    m_document = std::move(document);
    read();
}

void CalibrationService::setRecipe(const Recipe& recipe, bool wantsGradients)
{
    const auto same = [](const WeightedText& a, const WeightedText& b) {
        return a.weight == b.weight && sameWindows(a.windows, b.windows);
    };
    if (sameWindows(recipe.calibration, m_recipe.calibration) &&
        curvatureOptions(recipe) == curvatureOptions(m_recipe) && wantsGradients == m_wantsGradients &&
        std::ranges::equal(recipe.moreCalibrations, m_recipe.moreCalibrations, same))
        return;
    m_recipe = recipe;
    m_wantsGradients = wantsGradients;
    read();
}

void CalibrationService::refresh()
{
    if (m_state != State::Ready)
        read();
}

void CalibrationService::read()
{
    const std::stop_token stop = m_reading.next();
    m_windows.reset();
    m_set.reset();
    m_gradients.reset();
    m_failure = {};
    if (!m_document || !m_recipe.calibration || m_recipe.calibration->text.empty()) {
        m_state = State::None;
        emit changed();
        return;
    }
    m_state = State::Reading;
    emit changed();
    m_background.run(
        this, stop,
        [document = m_document, recipe = m_recipe, wantsGradients = m_wantsGradients, cache = m_cache, stop] {
            return look(*document, recipe, wantsGradients, cache, {.stop = stop});
        },
        [this](const Outcome<Found>& outcome) {
            if (outcome) {
                m_windows = outcome->windows;
                m_set = outcome->set;
                m_gradients = outcome->gradients;
                m_state = m_set && (m_gradients || !m_wantsGradients) ? State::Ready : State::Missing;
            } else {
                m_failure = outcome.failure;
                m_state = State::Failed;
            }
            emit changed();
        });
}

void CalibrationService::previewWindow(std::size_t window, std::size_t tokens, QObject* receiver,
                                       const std::function<void(const QString&)>& then)
{
    if (!m_windows || window >= m_windows->ids.size())
        return;
    m_background.run(
        receiver, m_previewing.next(),
        [document = m_document, windows = m_windows, window, tokens] {
            const std::span<const std::int32_t> ids = windows->ids[window];
            return toQString(document->model.tokenizer()->decode(ids.first(std::min(tokens, ids.size()))));
        },
        [then](const Outcome<QString>& text) { then(text ? *text : text.failure.message); });
}

} // namespace rankwright::ui
