#include "ui/session/settings.h"

#include <QSettings>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr int recentLimit = 9;

} // namespace

QStringList Settings::recentModels()
{
    return QSettings().value(u"recentModels"_s).toStringList();
}

void Settings::addRecentModel(const QString& path)
{
    QStringList recent = recentModels();
    recent.removeAll(path);
    recent.prepend(path);
    QSettings().setValue(u"recentModels"_s, QStringList(recent.mid(0, recentLimit)));
}

void Settings::removeRecentModel(const QString& path)
{
    QStringList recent = recentModels();
    recent.removeAll(path);
    QSettings().setValue(u"recentModels"_s, recent);
}

QByteArray Settings::value(const QString& key)
{
    return QSettings().value(key).toByteArray();
}

void Settings::setValue(const QString& key, const QByteArray& value)
{
    QSettings().setValue(key, value);
}

QString Settings::text(const QString& key, const QString& otherwise)
{
    return QSettings().value(key, otherwise).toString();
}

void Settings::setText(const QString& key, const QString& value)
{
    QSettings().setValue(key, value);
}

} // namespace rankwright::ui
