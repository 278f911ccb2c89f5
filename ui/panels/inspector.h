#pragma once

#include "ui/session/session.h"

#include <QTextBrowser>
#include <QTimer>

namespace rankwright::ui {

/// Everything known of the current linear.
class Inspector : public QTextBrowser
{
    Q_OBJECT

public:
    explicit Inspector(Session& session, QWidget* parent = nullptr);

protected:
    void showEvent(QShowEvent* event) override;

private:
    void refresh();
    QString content() const;

    Session& m_session;
    QString m_shown;
    QTimer m_soon;
};

} // namespace rankwright::ui
