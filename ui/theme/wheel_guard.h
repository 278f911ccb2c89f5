#pragma once

#include <QObject>

namespace rankwright::ui {

/// The wheel over a box of a form scrolls the form: it changes the value only of a box that has the keyboard. Qt gives
/// spin boxes and lists the keyboard by the wheel alone, and so changes whatever is scrolled past.
class WheelGuard : public QObject
{
public:
    /// To be installed on the application.
    using QObject::QObject;

    bool eventFilter(QObject* watched, QEvent* event) override;
};

} // namespace rankwright::ui
