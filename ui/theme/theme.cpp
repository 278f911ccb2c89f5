#include "ui/theme/theme.h"

#include "ui/theme/colours.h"
#include "ui/theme/desktop_scheme.h"

#include <QApplication>
#include <QPainter>
#include <QPointer>
#include <QProxyStyle>
#include <QStyleOption>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

struct Shades
{
    QRgb window, base, alternate, text, quiet, button, accent, onAccent, link, visited, tip, border;
};

QPalette makePalette(const Shades& shades)
{
    const QColor window(shades.window);
    const QColor text(shades.text);
    const QColor button(shades.button);
    const QColor border(shades.border);
    const bool dark = text.lightnessF() > window.lightnessF();

    QPalette palette;
    palette.setColor(QPalette::Window, window);
    palette.setColor(QPalette::WindowText, text);
    palette.setColor(QPalette::Base, QColor(shades.base));
    palette.setColor(QPalette::AlternateBase, QColor(shades.alternate));
    palette.setColor(QPalette::Text, text);
    palette.setColor(QPalette::PlaceholderText, QColor(shades.quiet));
    palette.setColor(QPalette::Button, button);
    palette.setColor(QPalette::ButtonText, text);
    palette.setColor(QPalette::BrightText, dark ? QColor(Qt::white) : QColor(Qt::black));
    palette.setColor(QPalette::Highlight, QColor(shades.accent));
    palette.setColor(QPalette::HighlightedText, QColor(shades.onAccent));
    palette.setColor(QPalette::Link, QColor(shades.link));
    palette.setColor(QPalette::LinkVisited, QColor(shades.visited));
    palette.setColor(QPalette::ToolTipBase, QColor(shades.tip));
    palette.setColor(QPalette::ToolTipText, text);
    palette.setColor(QPalette::Light, dark ? mixed(button, Qt::white, 0.10) : QColor(Qt::white));
    palette.setColor(QPalette::Midlight, dark ? mixed(button, Qt::white, 0.05) : mixed(button, Qt::white, 0.5));
    palette.setColor(QPalette::Mid, border);
    palette.setColor(QPalette::Dark, dark ? mixed(window, Qt::black, 0.35) : mixed(border, Qt::black, 0.15));
    palette.setColor(QPalette::Shadow, dark ? QColor(0, 0, 0) : mixed(border, Qt::black, 0.55));

    const QColor faint = mixed(window, text, 0.45);
    for (const QPalette::ColorRole role :
         {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText, QPalette::PlaceholderText})
        palette.setColor(QPalette::Disabled, role, faint);
    palette.setColor(QPalette::Disabled, QPalette::Base, window);
    palette.setColor(QPalette::Disabled, QPalette::Highlight, mixed(window, text, 0.20));
    palette.setColor(QPalette::Disabled, QPalette::HighlightedText, mixed(window, text, 0.70));
    return palette;
}

/// Fusion draws the frame of a box that can be ticked darker than the window, which nobody sees on a dark one.
class WorkbenchStyle : public QProxyStyle
{
public:
    WorkbenchStyle()
        : QProxyStyle(u"Fusion"_s)
    {}

    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override
    {
        QProxyStyle::drawPrimitive(element, option, painter, widget);
        const bool box = element == PE_IndicatorCheckBox || element == PE_IndicatorItemViewItemCheck;
        if ((!box && element != PE_IndicatorRadioButton) || !isDark(option->palette))
            return;
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->setPen(mixed(option->palette.color(QPalette::Base), option->palette.color(QPalette::Text), 0.45));
        painter->setBrush(Qt::NoBrush);
        const QRectF frame = QRectF(option->rect).adjusted(0.5, 0.5, -0.5, -0.5);
        if (box)
            painter->drawRect(frame);
        else
            painter->drawEllipse(frame);
        painter->restore();
    }
};

/// One per process: follows the desktop's wish while the appearance is System and the platform has no palette of its
/// own.
class SystemFollower : public QObject
{
public:
    explicit SystemFollower(QApplication& application)
        : QObject(&application)
        , m_application(&application)
    {
        setObjectName(u"rankwright-system-follower"_s);
        QObject::connect(&m_scheme, &DesktopScheme::changed, this, [this](bool dark) {
            if (m_active)
                m_application->setPalette(dark ? darkPalette() : lightPalette());
        });
    }

    void setActive(bool active)
    {
        m_active = active;
        if (active)
            m_scheme.request();
    }

private:
    QApplication* m_application;
    DesktopScheme m_scheme;
    bool m_active = false;
};

SystemFollower& systemFollower(QApplication& application)
{
    static QPointer<SystemFollower> follower;
    if (follower.isNull())
        follower = new SystemFollower(application);
    return *follower;
}

} // namespace

QPalette lightPalette()
{
    return makePalette({.window = 0xfff3f4f6,
                        .base = 0xffffffff,
                        .alternate = 0xfff7f8fa,
                        .text = 0xff1d2127,
                        .quiet = 0xff5f6772,
                        .button = 0xffebedf0,
                        .accent = 0xff2563b0,
                        .onAccent = 0xffffffff,
                        .link = 0xff1d5fa8,
                        .visited = 0xff6a4a9c,
                        .tip = 0xffffffff,
                        .border = 0xffc3c8cf});
}

QPalette darkPalette()
{
    return makePalette({.window = 0xff202327,
                        .base = 0xff181a1d,
                        .alternate = 0xff1d2023,
                        .text = 0xffe4e7eb,
                        .quiet = 0xff9aa3ae,
                        .button = 0xff2c3036,
                        .accent = 0xff3a74bd,
                        .onAccent = 0xffffffff,
                        .link = 0xff7fb2f0,
                        .visited = 0xffb79be6,
                        .tip = 0xff2c3036,
                        .border = 0xff454b54});
}

bool isDark(const QPalette& palette)
{
    return palette.color(QPalette::WindowText).lightnessF() > palette.color(QPalette::Window).lightnessF();
}

void applyAppearance(QApplication& application, Appearance appearance)
{
    // A new style polishes every widget again: only once.
    if (dynamic_cast<const WorkbenchStyle*>(QApplication::style()) == nullptr)
        QApplication::setStyle(new WorkbenchStyle);
    switch (appearance) {
    case Appearance::Light:
        systemFollower(application).setActive(false);
        QApplication::setPalette(lightPalette());
        return;
    case Appearance::Dark:
        systemFollower(application).setActive(false);
        QApplication::setPalette(darkPalette());
        return;
    case Appearance::System:
        break;
    }

    QApplication::setPalette(QPalette());
    const QPalette platform = QApplication::palette();
    const QPalette fallback = QApplication::style()->standardPalette();
    const bool platformHasTheme = platform.color(QPalette::Window) != fallback.color(QPalette::Window) ||
                                  platform.color(QPalette::WindowText) != fallback.color(QPalette::WindowText) ||
                                  platform.color(QPalette::Highlight) != fallback.color(QPalette::Highlight);
    if (!platformHasTheme)
        QApplication::setPalette(lightPalette());
    systemFollower(application).setActive(!platformHasTheme);
}

} // namespace rankwright::ui
