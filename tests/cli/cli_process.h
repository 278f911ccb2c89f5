#pragma once

#include "core/base/json.h"

#include <QProcess>
#include <QStringList>
#include <QTemporaryDir>
#include <filesystem>
#include <map>
#include <string>

/// What one call of the program gave.
struct CliResult
{
    int code = -1;
    bool crashed = false;
    QByteArray out;
    QByteArray err;

    /// Standard output as the one JSON object it must be; null where it is anything else.
    rankwright::Json json() const;
    /// Lines of standard error that begin with "error: ".
    QStringList errors() const;
    /// For messages of failed checks.
    QByteArray all() const;
};

/// A folder with stores and caches of its own, where rankwright-cli is called.
class CliHome
{
public:
    CliHome();

    std::filesystem::path path() const { return m_path; }
    std::string file(const std::string& name) const { return (m_path / name).string(); }
    QProcessEnvironment environment() const;

    CliResult run(const QStringList& arguments) const;
    /// A line for bash, with rankwright-cli in PATH and $DEMO as the demo folder.
    CliResult shell(const QString& line) const;
    /// Starts without waiting for the end.
    void start(QProcess& process, const QStringList& arguments) const;

private:
    CliResult finish(QProcess& process) const;

    QTemporaryDir m_folder;
    std::filesystem::path m_path;
};

QString operator""_s(const char16_t* text, std::size_t size);
QString toQ(const std::string& text);

/// QCOMPARE of two JSON values.
#define QCOMPARE_JSON(actual, expected)                                                                                \
    QCOMPARE(toQ(rankwright::Json(actual).dump()), toQ(rankwright::Json(expected).dump()))

/// Paths of the demo model and its texts.
QString demoModel();
QString calibrationText();
QString heldOutText();

/// Options for a small calibration on the demo texts.
QStringList smallCalibration(int windows = 8);
/// compress MODEL --method M --keep R and a small calibration.
QStringList compressCall(const QString& method, const QString& keep, const QStringList& more = {});

/// Relative path and content of every file below a folder.
std::map<std::string, std::string> contentOf(const std::filesystem::path& folder);
/// The names of the files that differ; empty where none does.
QString difference(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b);
