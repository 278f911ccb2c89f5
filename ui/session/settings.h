#pragma once

#include <QByteArray>
#include <QString>
#include <QStringList>

namespace rankwright::ui {

/// What the window remembers of itself, in the user's configuration.
class Settings
{
public:
    static QStringList recentModels();
    /// To the front; at most nine are kept.
    static void addRecentModel(const QString& path);
    static void removeRecentModel(const QString& path);

    static QByteArray value(const QString& key);
    static void setValue(const QString& key, const QByteArray& value);
    static QString text(const QString& key, const QString& otherwise = {});
    static void setText(const QString& key, const QString& value);
};

} // namespace rankwright::ui
