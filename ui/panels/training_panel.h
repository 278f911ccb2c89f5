#pragma once

#include "ui/models/training_plot.h"
#include "ui/session/session.h"

#include <QTimer>
#include <QWidget>

class QComboBox;
class QLabel;

namespace rankwright::ui {

class PlotWidget;

/// Losses of the training that goes on, or of the run that is shown, against the step.
class TrainingPanel : public QWidget
{
    Q_OBJECT

public:
    explicit TrainingPanel(Session& session, QWidget* parent = nullptr);

    PlotWidget* plot() const { return m_plot; }

protected:
    void showEvent(QShowEvent* event) override;

private:
    void refresh();
    TrainingChoice chosen() const;

    Session& m_session;
    QComboBox* m_choice;
    QLabel* m_state;
    PlotWidget* m_plot;
    std::vector<TrainingChoice> m_choices;
    bool m_following = true; ///< the latest stage, until the user chooses
    QTimer m_soon;
};

} // namespace rankwright::ui
