#pragma once

#include <QObject>

class QDBusVariant;

namespace rankwright::ui {

/// The light or dark wish of the desktop as its portal tells it (org.freedesktop.portal.Settings). Never waits; says
/// nothing where there is no portal.
class DesktopScheme final : public QObject
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(DesktopScheme)

public:
    explicit DesktopScheme(QObject* parent = nullptr);

    /// Asks once and listens from then on; `changed` follows when the portal answers.
    void request();

signals:
    void changed(bool dark);

private slots:
    void settingChanged(const QString& group, const QString& key, const QDBusVariant& value);

private:
    bool m_listening = false;
};

} // namespace rankwright::ui
