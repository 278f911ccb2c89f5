#pragma once

#include <QPlainTextEdit>

namespace rankwright::ui {

/// Messages of the program. Lines may be added from any thread.
class LogPanel : public QPlainTextEdit
{
    Q_OBJECT

public:
    explicit LogPanel(QWidget* parent = nullptr);
    ~LogPanel() override;

    void add(const QString& text);
};

} // namespace rankwright::ui
