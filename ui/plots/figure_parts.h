#pragma once

#include "ui/theme/colours.h"

#include <QColor>
#include <QFont>
#include <QPalette>
#include <QPointF>
#include <QRectF>
#include <QString>
#include <QStringList>

class QPainter;

namespace rankwright::ui {

/// The colours of every figure, taken from a palette.
struct FigureColours
{
    explicit FigureColours(const QPalette& palette);

    bool dark = false;
    QColor background;
    QColor text;
    QColor quiet;
    QColor grid;
    QColor minorGrid;
    QColor axis;
    QColor accent;
    QColor panel;
    QColor panelBorder;
};

/// The fonts of every figure, from the widget's font.
struct FigureFonts
{
    explicit FigureFonts(const QFont& font);

    QFont title;
    QFont text;
    QFont ticks;
};

/// A marker of about `size` across, filled where the shape has an inside.
void paintMarkerShape(QPainter& painter, MarkerShape shape, const QPointF& centre, double size, const QColor& colour);

/// A rounded panel with lines of text at `anchor`, moved so that it stays inside `bounds`; returns where it lies. For a
/// value under the pointer.
QRectF paintHint(QPainter& painter, const FigureColours& colours, const QFont& font, const QStringList& lines,
                 const QPointF& anchor, const QRectF& bounds);

/// The size of such a panel.
QSizeF hintSize(const QFont& font, const QStringList& lines);

/// Text centred in the middle of an area where there is nothing else to see.
void paintEmptyText(QPainter& painter, const FigureColours& colours, const QFont& font, const QString& text,
                    const QRectF& area);

} // namespace rankwright::ui
