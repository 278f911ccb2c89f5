#include "ui/theme/colours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace rankwright::ui {

namespace {

using Rgb = std::array<double, 3>;

Rgb toLinearRgb(const Oklch& colour)
{
    const double angle = colour.hue * std::numbers::pi / 180.0;
    const double a = colour.chroma * std::cos(angle);
    const double b = colour.chroma * std::sin(angle);
    const double l = std::pow(colour.lightness + 0.3963377774 * a + 0.2158037573 * b, 3.0);
    const double m = std::pow(colour.lightness - 0.1055613458 * a - 0.0638541728 * b, 3.0);
    const double s = std::pow(colour.lightness - 0.0894841775 * a - 1.2914855480 * b, 3.0);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

bool insideGamut(const Rgb& rgb)
{
    constexpr double slack = 1e-4;
    return std::all_of(rgb.begin(), rgb.end(), [](double v) { return v >= -slack && v <= 1.0 + slack; });
}

double encoded(double linear)
{
    const double v = std::clamp(linear, 0.0, 1.0);
    return v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1.0 / 2.4) - 0.055;
}

double decoded(double srgb)
{
    return srgb <= 0.04045 ? srgb / 12.92 : std::pow((srgb + 0.055) / 1.055, 2.4);
}

double luminance(const QColor& colour)
{
    return 0.2126 * decoded(colour.redF()) + 0.7152 * decoded(colour.greenF()) + 0.0722 * decoded(colour.blueF());
}

// Found by a search for the largest smallest difference in OKLab, over plain sight and the three dichromacies of
// Machado et al. (2009), with the contrast as a bound.
constexpr std::array<Oklch, seriesColourCount> onLight{{{0.373, 0.170, 263.1},
                                                        {0.660, 0.154, 67.8},
                                                        {0.642, 0.092, 182.0},
                                                        {0.360, 0.163, 343.2},
                                                        {0.593, 0.158, 301.7},
                                                        {0.372, 0.116, 97.2},
                                                        {0.489, 0.115, 223.5},
                                                        {0.518, 0.104, 39.5}}};
constexpr std::array<Oklch, seriesColourCount> onDark{{{0.860, 0.065, 272.2},
                                                       {0.661, 0.170, 50.5},
                                                       {0.774, 0.159, 162.7},
                                                       {0.736, 0.168, 328.0},
                                                       {0.552, 0.153, 294.9},
                                                       {0.796, 0.170, 103.7},
                                                       {0.602, 0.098, 204.9},
                                                       {0.552, 0.113, 19.8}}};

} // namespace

QColor toColor(const Oklch& colour)
{
    Oklch inside = colour;
    if (!insideGamut(toLinearRgb(inside))) {
        double low = 0.0;
        double high = colour.chroma;
        for (int step = 0; step < 20; ++step) {
            inside.chroma = 0.5 * (low + high);
            (insideGamut(toLinearRgb(inside)) ? low : high) = inside.chroma;
        }
        inside.chroma = low;
    }
    const Rgb rgb = toLinearRgb(inside);
    return QColor::fromRgb(static_cast<int>(std::lround(255.0 * encoded(rgb[0]))),
                           static_cast<int>(std::lround(255.0 * encoded(rgb[1]))),
                           static_cast<int>(std::lround(255.0 * encoded(rgb[2]))));
}

double contrastRatio(const QColor& a, const QColor& b)
{
    const double first = luminance(a) + 0.05;
    const double second = luminance(b) + 0.05;
    return std::max(first, second) / std::min(first, second);
}

QColor mixed(const QColor& under, const QColor& over, double amount)
{
    const auto blend = [amount](float from, float to) { return from + static_cast<float>(amount) * (to - from); };
    return QColor::fromRgbF(blend(under.redF(), over.redF()), blend(under.greenF(), over.greenF()),
                            blend(under.blueF(), over.blueF()));
}

QColor seriesColour(int index, bool dark)
{
    // Asked for with every bar and curve that is painted.
    static const auto colours = [] {
        std::array<std::array<QColor, seriesColourCount>, 2> all;
        std::ranges::transform(onLight, all[0].begin(), toColor);
        std::ranges::transform(onDark, all[1].begin(), toColor);
        return all;
    }();
    return colours[dark ? 1 : 0][static_cast<std::size_t>(std::max(index, 0) % seriesColourCount)];
}

SeriesStyle seriesStyle(int index)
{
    constexpr std::array pens{Qt::SolidLine, Qt::DashLine, Qt::DashDotLine, Qt::DotLine};
    const int place = std::max(index, 0);
    return {pens[static_cast<std::size_t>(place / seriesColourCount) % pens.size()],
            static_cast<MarkerShape>(place % seriesColourCount)};
}

QColor colourMap(double value)
{
    const double t = std::clamp(value, 0.0, 1.0);
    // Everywhere inside the gamut: where the chroma is cut off the eye sees an edge.
    const double fromMiddle = 2.0 * t - 1.0;
    return toColor({0.22 + 0.73 * t, 0.087 + 0.027 * fromMiddle * fromMiddle, 300.0 - 195.0 * t});
}

QColor divergingColour(double value)
{
    const double t = std::clamp(value, -1.0, 1.0);
    const double strength = std::abs(t);
    return toColor({0.965 - 0.475 * strength, 0.125 * strength, t < 0.0 ? 255.0 : 48.0});
}

} // namespace rankwright::ui
