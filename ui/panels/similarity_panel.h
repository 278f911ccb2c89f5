#pragma once

#include "ui/models/similarity_plot.h"
#include "ui/session/session.h"

#include <QWidget>

class QComboBox;
class QLabel;
class QListWidget;
class QPushButton;
class QSpinBox;
class QToolButton;

namespace rankwright::ui {

class PlotWidget;

/// Whether what is calibrated holds elsewhere: how alike the inputs of the linears are on the calibration text and on
/// other texts, block by block. Dropped files are added to the texts.
class SimilarityPanel : public QWidget
{
    Q_OBJECT

public:
    explicit SimilarityPanel(Session& session, QWidget* parent = nullptr);

    PlotWidget* plot() const { return m_plot; }
    /// Adds texts to compare with; those that are there already are left out.
    void addTexts(const QStringList& files);

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void build();
    void chooseTexts();
    void compare();
    void refresh();
    void refreshState();
    void refreshSites();

    Session& m_session;
    QListWidget* m_texts;
    QToolButton* m_remove;
    QSpinBox* m_directions;
    QPushButton* m_compare;
    QComboBox* m_measure;
    QComboBox* m_site;
    PlotWidget* m_plot;
    QLabel* m_figures;
    QLabel* m_state;
    QString m_problem; ///< why nothing was started
};

} // namespace rankwright::ui
