#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QComboBox;

namespace rankwright::ui {

class HeatMap;

/// Block x role map of planned rank, losses, or the difference between two runs.
class ErrorMapPanel : public QWidget
{
    Q_OBJECT

public:
    enum class Quantity { Rank, Kept, Predicted, Measured, Difference };

    explicit ErrorMapPanel(Session& session, QWidget* parent = nullptr);

    HeatMap* map() const { return m_map; }
    void setQuantity(Quantity quantity);
    /// The run that the difference is against.
    void setOther(std::int64_t run);

protected:
    void showEvent(QShowEvent* event) override;

private:
    double value(int linear) const;
    QString title() const;
    /// Whether the losses of the run shown and of the other are of one unit.
    bool comparable() const;
    void rebuild();
    void refresh();
    void refreshRuns();
    void markSelection();
    Quantity quantity() const;
    int linearAt(int row, int column) const;

    Session& m_session;
    QComboBox* m_quantity;
    QComboBox* m_other;
    HeatMap* m_map;
    std::vector<std::vector<int>> m_cells; ///< linear by block and role of the model
    std::vector<double> m_otherLosses;     ///< relative measured loss of the other run, by linear
    std::int64_t m_otherRun = 0;
    std::string m_otherMethod;
    bool m_stale = false; ///< changed while hidden
    LatestRequest m_fetching;
};

} // namespace rankwright::ui
