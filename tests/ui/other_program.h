#pragma once

#include <QByteArray>
#include <QStringList>

#include <filesystem>
#include <sys/types.h>

namespace rankwright::ui {

/// A program that runs beside the window. rankwright-cli is in its path; its cache and what it prints are in a folder
/// of its own. QProcess would do, but its child shares this program's memory until it starts the other, and the thread
/// sanitizer, which stops looking in a child, then stops in both.
class OtherProgram
{
public:
    explicit OtherProgram(std::filesystem::path folder);
    /// Kills what still runs.
    ~OtherProgram();
    OtherProgram(const OtherProgram&) = delete;
    OtherProgram& operator=(const OtherProgram&) = delete;

    /// False where it does not start.
    bool start(const QString& program, const QStringList& arguments);
    /// Whether it ended with code 0; waits for that, at most `seconds`.
    bool succeeded(int seconds = 120);
    void kill();
    pid_t processId() const { return m_process; }
    QByteArray output() const;
    QByteArray errors() const;

private:
    bool ended(int options);

    std::filesystem::path m_folder;
    pid_t m_process = 0;
    int m_status = -1;
};

} // namespace rankwright::ui
