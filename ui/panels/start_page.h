#pragma once

#include "ui/session/session.h"

#include <QWidget>

class QLabel;
class QListWidget;

namespace rankwright::ui {

/// What is shown while no model is open: recent models, ways to open one, and what the machine offers.
class StartPage : public QWidget
{
    Q_OBJECT

public:
    explicit StartPage(Session& session, QWidget* parent = nullptr);

    void refresh();

signals:
    void openFolderRequested();
    void openFileRequested();
    void openRequested(const QString& path);

private:
    void askMachine();

    QListWidget* m_recent;
    QLabel* m_noRecent;
    QLabel* m_machine;
    QLabel* m_state;
    Background m_background{1};
};

/// Folder of the demo model; empty where the resources are not there.
QString demoModel();
/// A text file beside the demo model.
QString demoText(const QString& name);

} // namespace rankwright::ui
