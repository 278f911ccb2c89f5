#pragma once

#include "ui/session/session.h"

#include <QTimer>
#include <QWidget>

class QComboBox;
class QLabel;
class QListWidget;

namespace rankwright::ui {

class PlotWidget;

/// Singular values, loss against rank and cumulative energy of the selected linears: several methods on the current
/// one, or one method over several linears. The rank of the plan is a marker that can be dragged.
class SpectrumPanel : public QWidget
{
    Q_OBJECT

public:
    enum class Quantity { Loss, SingularValues, Energy, Nats };

    explicit SpectrumPanel(Session& session, QWidget* parent = nullptr);

    PlotWidget* plot() const { return m_plot; }
    void setQuantity(Quantity quantity);
    Quantity quantity() const;
    /// Which methods are drawn, by name.
    void setMethods(const QStringList& names);
    QStringList methods() const;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    struct Curve
    {
        AnalysisKey key;
        int linear = 0;
        QString name;
    };

    /// As many rows as the methods need at this width.
    void showAllMethods();
    void request();
    void refresh();
    void refreshSoon();
    void refreshMarker();
    std::vector<Curve> curves() const;
    AnalysisKey keyOf(const QString& method) const;
    QString unavailable(const QString& method) const;

    Session& m_session;
    QComboBox* m_quantity;
    QListWidget* m_methods;
    QLabel* m_figures;
    PlotWidget* m_plot;
    QTimer m_soon;
    std::vector<int> m_shown;
    int m_shownQuantity = -1;
};

} // namespace rankwright::ui
