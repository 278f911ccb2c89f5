#include "ui/panels/log_panel.h"

#include "core/base/log.h"
#include "ui/session/text.h"
#include "ui/threads/handover.h"

#include <QTime>

namespace rankwright::ui {

namespace {

constexpr int mostLines = 5000;

QString levelText(LogLevel level)
{
    switch (level) {
    case LogLevel::Info:
        return LogPanel::tr("info");
    case LogLevel::Warning:
        return LogPanel::tr("warning");
    case LogLevel::Error:
        return LogPanel::tr("error");
    }
    return {};
}

} // namespace

LogPanel::LogPanel(QWidget* parent)
    : QPlainTextEdit(parent)
{
    setObjectName(QStringLiteral("log"));
    setAccessibleName(tr("Log"));
    setReadOnly(true);
    setMaximumBlockCount(mostLines);
    setFrameShape(QFrame::NoFrame);
    setLogSink([this](LogLevel level, const std::string& message) {
        callLater(this,
                  [this, line = QString(levelText(level) + QStringLiteral(": ") + toQString(message))] { add(line); });
    });
}

LogPanel::~LogPanel()
{
    setLogSink({});
}

void LogPanel::add(const QString& text)
{
    appendPlainText(QTime::currentTime().toString(QStringLiteral("HH:mm:ss ")) + text);
}

} // namespace rankwright::ui
