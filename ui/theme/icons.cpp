#include "ui/theme/icons.h"

#include <QDir>
#include <QFile>
#include <QGuiApplication>
#include <QIconEngine>
#include <QPainter>
#include <QPalette>
#include <QPixmapCache>
#include <QSvgRenderer>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

const auto folder = u":/rankwright/icons"_s;

/// Draws an SVG whose strokes are "currentColor" in the colour the palette has for the mode.
class PaletteIconEngine final : public QIconEngine
{
public:
    PaletteIconEngine(QString name, QByteArray source)
        : m_name(std::move(name))
        , m_source(std::move(source))
    {}

    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State /*state*/) override
    {
        QByteArray coloured = m_source;
        coloured.replace("currentColor", colourFor(mode).name().toLatin1());
        QSvgRenderer renderer(coloured);
        const int side = std::min(rect.width(), rect.height());
        const QRectF square(rect.x() + 0.5 * (rect.width() - side), rect.y() + 0.5 * (rect.height() - side), side,
                            side);
        renderer.render(painter, square);
    }

    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override
    {
        const QString key = u"rankwright-icon/%1/%2x%3/%4"_s.arg(m_name)
                                .arg(size.width())
                                .arg(size.height())
                                .arg(colourFor(mode).name());
        QPixmap result;
        if (QPixmapCache::find(key, &result))
            return result;
        result = QPixmap(size);
        result.fill(Qt::transparent);
        QPainter painter(&result);
        painter.setRenderHint(QPainter::Antialiasing);
        paint(&painter, QRect(QPoint(), size), mode, state);
        painter.end();
        QPixmapCache::insert(key, result);
        return result;
    }

    QString iconName() override { return m_name; }
    QIconEngine* clone() const override { return new PaletteIconEngine(m_name, m_source); }

private:
    static QColor colourFor(QIcon::Mode mode)
    {
        const QPalette palette = QGuiApplication::palette();
        switch (mode) {
        case QIcon::Disabled:
            return palette.color(QPalette::Disabled, QPalette::ButtonText);
        case QIcon::Selected:
            return palette.color(QPalette::Active, QPalette::HighlightedText);
        case QIcon::Normal:
        case QIcon::Active:
        default:
            return palette.color(QPalette::Active, QPalette::ButtonText);
        }
    }

    QString m_name;
    QByteArray m_source;
};

} // namespace

QStringList iconNames()
{
    QStringList names = QDir(folder).entryList({u"*.svg"_s}, QDir::Files, QDir::Name);
    for (QString& name : names)
        name.chop(4);
    return names;
}

QIcon icon(const QString& name)
{
    QFile file(folder + u'/' + name + u".svg"_s);
    if (!file.open(QIODevice::ReadOnly))
        return {};
    return QIcon(new PaletteIconEngine(name, file.readAll()));
}

} // namespace rankwright::ui
