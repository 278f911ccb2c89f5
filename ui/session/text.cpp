#include "ui/session/text.h"

#include <QDir>
#include <QFile>

namespace rankwright::ui {

QString toQString(std::string_view utf8)
{
    return QString::fromUtf8(utf8.data(), static_cast<qsizetype>(utf8.size()));
}

QString toQString(const std::string& utf8)
{
    return QString::fromStdString(utf8);
}

QString toQString(const char* utf8)
{
    return QString::fromUtf8(utf8);
}

QString toQString(const std::filesystem::path& path)
{
    return QFile::decodeName(path.c_str());
}

std::filesystem::path toPath(const QString& path)
{
    return {QFile::encodeName(path).toStdString()};
}

QString shownPath(const QString& path)
{
    const QString home = QDir::homePath();
    if (home == QDir::rootPath() || !(path == home || path.startsWith(home + u'/')))
        return path;
    return u'~' + path.mid(home.size());
}

QString pathFromShown(const QString& shown)
{
    if (shown != u'~' && !shown.startsWith(QStringLiteral("~/")))
        return shown;
    return QDir::homePath() + shown.mid(1);
}

} // namespace rankwright::ui
