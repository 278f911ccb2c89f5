#include "tests/ui/other_program.h"

#include "ui/session/text.h"

#include <QElapsedTimer>
#include <QFile>
#include <QProcessEnvironment>
#include <QTest>

#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

namespace rankwright::ui {

using namespace Qt::StringLiterals;

namespace {

std::vector<QByteArray> encoded(const QStringList& texts)
{
    std::vector<QByteArray> bytes;
    bytes.reserve(static_cast<std::size_t>(texts.size()));
    for (const QString& text : texts)
        bytes.push_back(QFile::encodeName(text));
    return bytes;
}

/// As exec() takes them; the texts have to stay.
std::vector<char*> pointers(std::vector<QByteArray>& texts)
{
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (QByteArray& text : texts)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

QByteArray contentOf(const std::filesystem::path& path)
{
    QFile file(toQString(path));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

} // namespace

OtherProgram::OtherProgram(std::filesystem::path folder)
    : m_folder(std::move(folder))
{
    std::filesystem::create_directories(m_folder);
}

OtherProgram::~OtherProgram()
{
    kill();
}

bool OtherProgram::start(const QString& program, const QStringList& arguments)
{
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    const std::filesystem::path programs = std::filesystem::path(RANKWRIGHT_CLI).parent_path();
    environment.insert(u"PATH"_s, toQString(programs) + u":"_s + environment.value(u"PATH"_s));
    environment.insert(u"XDG_CACHE_HOME"_s, toQString(m_folder / "cache"));
    std::vector<QByteArray> variables = encoded(environment.toStringList());
    // env looks for the program in the path that it is given.
    std::vector<QByteArray> words = encoded(QStringList{u"/usr/bin/env"_s, program} + arguments);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const auto goesTo = [&](int stream, const char* name) {
        posix_spawn_file_actions_addopen(&actions, stream, (m_folder / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                         0600);
    };
    goesTo(STDOUT_FILENO, "output");
    goesTo(STDERR_FILENO, "errors");
    const int failure = posix_spawn(&m_process, words.front().constData(), &actions, nullptr, pointers(words).data(),
                                    pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        m_process = 0;
    return failure == 0;
}

bool OtherProgram::ended(int options)
{
    if (m_process != 0 && ::waitpid(m_process, &m_status, options) == m_process)
        m_process = 0;
    return m_process == 0;
}

bool OtherProgram::succeeded(int seconds)
{
    QElapsedTimer timer;
    timer.start();
    while (!ended(WNOHANG) && timer.elapsed() < 1000 * seconds)
        QTest::qSleep(10);
    return m_process == 0 && WIFEXITED(m_status) && WEXITSTATUS(m_status) == 0;
}

void OtherProgram::kill()
{
    if (m_process != 0)
        ::kill(m_process, SIGKILL);
    ended(0);
}

QByteArray OtherProgram::output() const
{
    return contentOf(m_folder / "output");
}

QByteArray OtherProgram::errors() const
{
    return contentOf(m_folder / "errors");
}

} // namespace rankwright::ui
