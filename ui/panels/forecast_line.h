#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QLabel;
class QPushButton;

namespace rankwright::ui {

/// The perplexity that the ranks of the plan are expected to give on each evaluation text, with its spread and what it
/// rests on, live; or what is missing for it, with a button where a measurement is.
class ForecastLine : public QWidget
{
    Q_OBJECT

public:
    explicit ForecastLine(Session& session, QWidget* parent = nullptr);

private:
    void refresh();
    /// What no text can be forecast without; empty where all of it is there.
    QString missing() const;
    QString sentence(const ForecastService::Text& text) const;

    Session& m_session;
    QLabel* m_label;
    QPushButton* m_measure;
};

} // namespace rankwright::ui
