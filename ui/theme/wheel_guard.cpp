#include "ui/theme/wheel_guard.h"

#include <QAbstractSpinBox>
#include <QComboBox>
#include <QEvent>

namespace rankwright::ui {

namespace {

QWidget* asBox(QObject* object)
{
    const bool isBox = qobject_cast<QAbstractSpinBox*>(object) || qobject_cast<QComboBox*>(object);
    return isBox ? static_cast<QWidget*>(object) : nullptr;
}

} // namespace

bool WheelGuard::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() == QEvent::Polish) {
        if (QWidget* box = asBox(watched); box && box->focusPolicy() == Qt::WheelFocus)
            box->setFocusPolicy(Qt::StrongFocus);
    } else if (event->type() == QEvent::Wheel) {
        if (QWidget* box = asBox(watched); box && !box->hasFocus()) {
            event->ignore(); // goes on to what it stands in
            return true;
        }
    }
    return QObject::eventFilter(watched, event);
}

} // namespace rankwright::ui
