#pragma once

#include <QColor>
#include <Qt>

namespace rankwright::ui {

/// A colour in OKLCH (B. Ottosson, 2020: "A perceptual color space for image processing"): lightness in [0, 1], chroma
/// from 0, hue in degrees.
struct Oklch
{
    double lightness = 0.0;
    double chroma = 0.0;
    double hue = 0.0;
};

/// The sRGB colour; a chroma outside the gamut is reduced until the colour is inside, lightness and hue stay.
QColor toColor(const Oklch& colour);

/// WCAG 2 contrast ratio of two opaque colours, in [1, 21].
double contrastRatio(const QColor& a, const QColor& b);

/// `amount` of `over` on `under`: 0 is `under`, 1 is `over`. Mixed in sRGB.
QColor mixed(const QColor& under, const QColor& over, double amount);

enum class MarkerShape { Circle, Square, Diamond, TriangleUp, TriangleDown, Plus, Cross, Star };

/// How a curve looks besides its colour, so that nothing depends on colour alone.
struct SeriesStyle
{
    Qt::PenStyle pen = Qt::SolidLine;
    MarkerShape marker = MarkerShape::Circle;
};

inline constexpr int seriesColourCount = 8;

/// Categorical colours, told apart under protanopia, deuteranopia and tritanopia too, with a contrast of at least 3:1
/// on the background of the theme they are for. Indices repeat after seriesColourCount; seriesStyle then differs.
QColor seriesColour(int index, bool dark);
SeriesStyle seriesStyle(int index);

/// Sequential colours for `value` in [0, 1] (clamped), from dark violet over teal to pale yellow, of even steps in
/// lightness.
QColor colourMap(double value);

/// Diverging colours for `value` in [-1, 1] (clamped): blue, near white at 0, orange.
QColor divergingColour(double value);

} // namespace rankwright::ui
