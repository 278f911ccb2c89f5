#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QCheckBox;
class QLineEdit;
class QSortFilterProxyModel;

namespace rankwright::ui {

/// Numeric events, filtered by text and by the linears that are selected.
class HealthPanel : public QWidget
{
    Q_OBJECT

public:
    explicit HealthPanel(Session& session, QWidget* parent = nullptr);

private:
    void refilter();

    Session& m_session;
    QLineEdit* m_filter;
    QCheckBox* m_selectedOnly;
    QSortFilterProxyModel* m_proxy;
};

} // namespace rankwright::ui
