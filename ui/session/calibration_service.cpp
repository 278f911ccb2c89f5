#include "ui/session/calibration_service.h"

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

Found look(const Document& document, const WindowOptions& options, const std::optional<CurvatureOptions>& curvature,
           const std::filesystem::path& cache, const TaskContext& context)
{
    Found found;
    auto windows = std::make_shared<const TokenWindows>(makeWindows(*document.model.tokenizer(), options, context));
    found.set = openSet(cache / calibrationFingerprint(document.model, *windows));
    if (curvature)
        found.gradients = openSet(cache / curvatureFingerprint(document.model, *windows, *curvature));
    found.windows = std::move(windows);
    return found;
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

void CalibrationService::setOptions(const std::optional<WindowOptions>& options,
                                    const std::optional<CurvatureOptions>& curvature)
{
    if (sameWindows(options, m_options) && curvature == m_curvature)
        return;
    m_options = options;
    m_curvature = curvature;
    read();
}

void CalibrationService::refresh()
{
    read();
}

void CalibrationService::read()
{
    const std::stop_token stop = m_reading.next();
    m_windows.reset();
    m_set.reset();
    m_gradients.reset();
    m_failure = {};
    if (!m_document || !m_options || m_options->text.empty()) {
        m_state = State::None;
        emit changed();
        return;
    }
    m_state = State::Reading;
    emit changed();
    m_background.run(
        this, stop,
        [document = m_document, options = *m_options, curvature = m_curvature, cache = m_cache, stop] {
            return look(*document, options, curvature, cache, {.stop = stop});
        },
        [this](const Outcome<Found>& outcome) {
            if (outcome) {
                m_windows = outcome->windows;
                m_set = outcome->set;
                m_gradients = outcome->gradients;
                m_state = m_set && (m_gradients || !m_curvature) ? State::Ready : State::Missing;
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
