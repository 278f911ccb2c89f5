#pragma once

#include "tests/ui/other_program.h"
#include "ui/main_window.h"

#include <QApplication>
#include <QTemporaryDir>
#include <QTest>

#include <filesystem>
#include <functional>
#include <memory>

namespace rankwright::ui {

/// The real window on a store, cache and settings of its own.
class WindowFixture
{
public:
    WindowFixture();

    MainWindow& window() { return *m_window; }
    Session& session() { return m_window->session(); }
    std::filesystem::path folder() const { return m_folder.path().toStdString(); }
    SessionPlaces places() const;

    /// Closes the window and opens another one on the same places, as the next start of the program does.
    void restart();
    /// Drops a file or folder on the window, as a file manager does.
    void drop(const QString& path);
    /// Opens a model by drop and waits until it is there.
    void openModel(const QString& path);
    /// Opens stories260K with a recipe of whitened SVD that calibrates on 8 windows of 64 tokens; its statistics are
    /// not there yet.
    void openDemoToCalibrate();
    /// Runs a recipe through rankwright-cli on the window's store. Nothing where it does not start.
    std::unique_ptr<OtherProgram> startElsewhere(const Recipe& recipe) const;

    template <typename Widget>
    Widget* find(const char* name)
    {
        return m_window->findChild<Widget*>(QString::fromLatin1(name));
    }

private:
    void show();

    QTemporaryDir m_folder;
    std::unique_ptr<MainWindow> m_window;
};

/// Waits at most `seconds` for `done`, with events running, with a sanitizer sanitizerSlowdown times as long. False
/// where it did not come true.
bool waitUntil(const std::function<bool()>& done, int seconds = 60);

QString demoFolder();

} // namespace rankwright::ui
