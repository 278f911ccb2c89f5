#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QDoubleSpinBox;
class QLabel;
class QSlider;

namespace rankwright::ui {

/// The model in a line, the kept ratio of the whole plan with what it costs and loses, and the forecast, live.
class OverviewBar : public QWidget
{
    Q_OBJECT

public:
    explicit OverviewBar(Session& session, QWidget* parent = nullptr);

    QSlider* slider() const { return m_slider; }

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void refreshModel();
    void refreshTotals();

    Session& m_session;
    QLabel* m_name;
    QLabel* m_model; ///< elided where there is no room
    QSlider* m_slider;
    QDoubleSpinBox* m_ratio;
    QLabel* m_kept;
    QLabel* m_whole;
    QLabel* m_bytes;
    QLabel* m_loss;
    bool m_syncing = false;
};

} // namespace rankwright::ui
