#include "cli_process.h"

#include "core/base/file.h"

#include <QTest>

using rankwright::Json;

Json CliResult::json() const
{
    const std::string text = out.toStdString();
    const Json value = Json::parse(text, nullptr, false);
    return value.is_object() && text.ends_with('\n') ? value : Json();
}

QStringList CliResult::errors() const
{
    QStringList found;
    for (const QString& line : QString::fromUtf8(err).split(QLatin1Char('\n')))
        if (line.startsWith(u"error: "_s))
            found.push_back(line);
    return found;
}

QByteArray CliResult::all() const
{
    return "exit code " + QByteArray::number(code) + "\n" + out.right(4000) + err.right(4000);
}

CliHome::CliHome()
    : m_path(m_folder.path().toStdString())
{}

QProcessEnvironment CliHome::environment() const
{
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert(u"XDG_DATA_HOME"_s, toQ(file("data")));
    environment.insert(u"XDG_CACHE_HOME"_s, toQ(file("cache")));
    environment.insert(u"DEMO"_s, QStringLiteral(RANKWRIGHT_DEMO));
    const auto programs = std::filesystem::path(RANKWRIGHT_CLI).parent_path().string();
    environment.insert(u"PATH"_s, toQ(programs) + u":"_s + environment.value(u"PATH"_s));
    return environment;
}

void CliHome::start(QProcess& process, const QStringList& arguments) const
{
    process.setProcessEnvironment(environment());
    process.setWorkingDirectory(toQ(m_path.string()));
    process.start(QStringLiteral(RANKWRIGHT_CLI), arguments);
}

CliResult CliHome::finish(QProcess& process) const
{
    process.closeWriteChannel();
    CliResult result;
    if (!process.waitForFinished(120'000)) {
        process.kill();
        process.waitForFinished();
        result.err = "the program did not end in two minutes\n";
        return result;
    }
    result.code = process.exitCode();
    result.crashed = process.exitStatus() == QProcess::CrashExit;
    result.out = process.readAllStandardOutput();
    result.err = process.readAllStandardError();
    return result;
}

CliResult CliHome::run(const QStringList& arguments) const
{
    QProcess process;
    start(process, arguments);
    return finish(process);
}

CliResult CliHome::shell(const QString& line) const
{
    QProcess process;
    process.setProcessEnvironment(environment());
    process.setWorkingDirectory(toQ(m_path.string()));
    process.start(u"bash"_s, {u"-c"_s, line});
    return finish(process);
}

QString operator""_s(const char16_t* text, std::size_t size)
{
    return QString::fromUtf16(text, static_cast<qsizetype>(size));
}

QString toQ(const std::string& text)
{
    return QString::fromStdString(text);
}

QString demoModel()
{
    return QStringLiteral(RANKWRIGHT_DEMO "/stories260K");
}

QString calibrationText()
{
    return QStringLiteral(RANKWRIGHT_DEMO "/stories-calibration.txt");
}

QString heldOutText()
{
    return QStringLiteral(RANKWRIGHT_DEMO "/stories-heldout.txt");
}

QStringList smallCalibration(int windows)
{
    return {u"--calibration-text"_s,    calibrationText(),       u"--calibration-window"_s, u"64"_s,
            u"--calibration-windows"_s, QString::number(windows)};
}

QStringList compressCall(const QString& method, const QString& keep, const QStringList& more)
{
    return QStringList{u"compress"_s, demoModel(), u"--method"_s, method, u"--keep"_s, keep} + smallCalibration() +
           more;
}

std::map<std::string, std::string> contentOf(const std::filesystem::path& folder)
{
    std::map<std::string, std::string> content;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file())
            content[entry.path().lexically_relative(folder).string()] = rankwright::readFile(entry.path());
    return content;
}

QString difference(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b)
{
    QString names;
    for (const auto* side : {&a, &b})
        for (const auto& [name, content] : *side) {
            const auto& other = side == &a ? b : a;
            const auto found = other.find(name);
            if (found == other.end() || found->second != content)
                names += toQ(name) + QLatin1Char(' ');
        }
    return names;
}
