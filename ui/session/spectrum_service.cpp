#include "ui/session/spectrum_service.h"

#include "core/base/parallel.h"
#include "core/compute/stoppable_device.h"

#include <algorithm>

namespace rankwright::ui {

SpectrumService::SpectrumService(QObject* parent)
    : QObject(parent)
    , m_workers(static_cast<int>(processorCount()))
    , m_background(m_workers)
{}

SpectrumService::~SpectrumService()
{
    m_documentStop.request_stop();
}

void SpectrumService::setDocument(DocumentPtr document)
{
    m_documentStop.request_stop();
    m_documentStop = std::stop_source();
    m_document = std::move(document);
    m_calibrations.clear();
    m_results.clear();
    m_counts.clear();
    m_urgent.clear();
    m_waiting.clear();
    m_known.clear();
    m_running = 0;
}

void SpectrumService::addCalibration(std::shared_ptr<const CalibrationSet> calibration)
{
    m_calibrations[calibration->fingerprint()] = std::move(calibration);
}

SpectrumPtr SpectrumService::find(const AnalysisKey& key, int linear) const
{
    const auto found = m_results.find(key);
    if (found == m_results.end() || linear < 0 || linear >= static_cast<int>(found->second.size()))
        return nullptr;
    return found->second[static_cast<std::size_t>(linear)];
}

int SpectrumService::count(const AnalysisKey& key) const
{
    const auto found = m_counts.find(key);
    return found == m_counts.end() ? 0 : found->second;
}

bool SpectrumService::satisfied(const Task& task) const
{
    const SpectrumPtr known = find(task.key, task.linear);
    return known && (known->exact || !task.exact);
}

void SpectrumService::request(const AnalysisKey& key, const std::vector<int>& linears, Urgency urgency)
{
    if (!m_document)
        return;
    const bool urgent = urgency != Urgency::Later;
    if (urgency == Urgency::Now) {
        for (const Task& task : m_urgent)
            m_known.erase(task);
        m_urgent.clear();
    }
    for (const int linear : linears) {
        const Task task{key, linear, urgent};
        if (satisfied(task) || m_known.contains(task))
            continue;
        m_known.insert(task);
        (urgent ? m_urgent : m_waiting).push_back(task);
    }
    dispatch();
}

void SpectrumService::insert(const AnalysisKey& key, SpectrumPtr spectrum)
{
    if (!m_document)
        return;
    const auto linear = static_cast<int>(spectrum->linear);
    auto& results = m_results[key];
    results.resize(m_document->model.linears().size());
    SpectrumPtr& slot = results[spectrum->linear];
    if (!slot)
        ++m_counts[key];
    if (!slot || !slot->exact)
        slot = std::move(spectrum);
    emit ready(key, linear);
}

void SpectrumService::cancelWaiting()
{
    for (const auto* queue : {&m_urgent, &m_waiting})
        for (const Task& task : *queue)
            m_known.erase(task);
    m_urgent.clear();
    m_waiting.clear();
}

void SpectrumService::setBusy(bool busy)
{
    m_busy = busy;
    dispatch();
}

void SpectrumService::dispatch()
{
    // A run has the processors; what is looked at still gets one.
    const int workers = m_busy ? 1 : m_workers;
    while (m_running < workers && (!m_urgent.empty() || (!m_waiting.empty() && !m_busy))) {
        std::deque<Task>& queue = m_urgent.empty() ? m_waiting : m_urgent;
        const Task task = queue.front();
        queue.pop_front();
        if (satisfied(task))
            m_known.erase(task);
        else
            start(task);
    }
}

std::shared_ptr<const CalibrationSet> SpectrumService::calibration(const std::string& fingerprint) const
{
    const auto found = m_calibrations.find(fingerprint);
    return found == m_calibrations.end() ? nullptr : found->second;
}

void SpectrumService::start(const Task& task)
{
    ++m_running;
    m_background.run(
        this, m_documentStop.get_token(),
        [document = m_document, task, inputs = calibration(task.key.calibration),
         outputs = calibration(task.key.gradients), stop = m_documentStop.get_token()] {
            const Method& method = findMethod(task.key.method);
            const LinearInfo& info = document->model.linears()[static_cast<std::size_t>(task.linear)];
            std::optional<TapStatistics> statistics;
            if (inputs)
                statistics.emplace(inputs->load(statisticsTap(document->model, method, info)));
            const auto device = makeStoppableDevice(makeCpuDevice(1), stop);
            return std::make_shared<const LinearSpectrum>(
                analyseLinear(document->model, *device, method, task.key.parameters, info,
                              statistics ? &*statistics : nullptr, task.exact, outputs.get()));
        },
        [this, task](Outcome<SpectrumPtr> outcome) {
            --m_running;
            if (outcome) {
                m_known.erase(task);
                insert(task.key, *outcome);
            } else {
                emit failed(task.key, task.linear, outcome.failure);
            }
            dispatch();
        });
}

} // namespace rankwright::ui
