#pragma once

#include "core/calibration/statistics.h"
#include "core/experiment/spectra.h"
#include "ui/session/background.h"
#include "ui/session/document.h"

#include <QObject>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace rankwright::ui {

/// What a spectrum is of: a method with its parameters, on the statistics of a calibration.
struct AnalysisKey
{
    std::string method = "svd";
    MethodParameters parameters = {};
    std::string calibration = {}; ///< fingerprint; empty where the method needs none
    std::string gradients = {};   ///< fingerprint of their statistics, for losses in nats; empty for none

    bool operator==(const AnalysisKey&) const = default;
    bool operator<(const AnalysisKey& other) const
    {
        return std::tie(method, parameters, calibration, gradients) <
               std::tie(other.method, other.parameters, other.calibration, other.gradients);
    }
};

using SpectrumPtr = std::shared_ptr<const LinearSpectrum>;

/// Analyses linears in the background and keeps the results of the open model. What is looked at comes first.
/// Linears are positions in Model::linears().
class SpectrumService : public QObject
{
    Q_OBJECT

public:
    explicit SpectrumService(QObject* parent = nullptr);
    /// Stops what runs.
    ~SpectrumService() override;

    /// Forgets all results and stops what runs. Null closes.
    void setDocument(DocumentPtr document);
    /// Makes statistics, of inputs or of gradients, known under their fingerprint.
    void addCalibration(std::shared_ptr<const CalibrationSet> calibration);

    /// Null where it is not there yet.
    SpectrumPtr find(const AnalysisKey& key, int linear) const;
    /// Number of linears of the key that have a result.
    int count(const AnalysisKey& key) const;

    enum class Urgency {
        Later,  ///< after everything that is looked at
        Now,    ///< before all others, with exact losses; replaces what was wanted now before
        AlsoNow ///< the same beside what is wanted now
    };
    /// Wants results. Known and requested ones are skipped.
    void request(const AnalysisKey& key, const std::vector<int>& linears, Urgency urgency);
    /// Takes a result that was made elsewhere.
    void insert(const AnalysisKey& key, SpectrumPtr spectrum);
    /// Drops what waits; what runs is finished.
    void cancelWaiting();
    /// While a job uses all processors only one linear is analysed at a time.
    void setBusy(bool busy);

signals:
    void ready(const rankwright::ui::AnalysisKey& key, int linear);
    void failed(const rankwright::ui::AnalysisKey& key, int linear, const rankwright::ui::Failure& failure);

private:
    struct Task
    {
        AnalysisKey key;
        int linear = 0;
        bool exact = false;

        bool operator==(const Task&) const = default;
        bool operator<(const Task& other) const
        {
            return std::tie(key, linear, exact) < std::tie(other.key, other.linear, other.exact);
        }
    };

    std::shared_ptr<const CalibrationSet> calibration(const std::string& fingerprint) const;
    bool satisfied(const Task& task) const;
    void dispatch();
    void start(const Task& task);

    DocumentPtr m_document;
    std::stop_source m_documentStop;
    std::map<std::string, std::shared_ptr<const CalibrationSet>> m_calibrations;
    std::map<AnalysisKey, std::vector<SpectrumPtr>> m_results;
    std::map<AnalysisKey, int> m_counts;
    std::deque<Task> m_urgent;
    std::deque<Task> m_waiting;
    std::set<Task> m_known; ///< waiting, running or failed
    int m_running = 0;
    int m_workers;
    bool m_busy = false;
    Background m_background;
};

} // namespace rankwright::ui

Q_DECLARE_METATYPE(rankwright::ui::AnalysisKey)
