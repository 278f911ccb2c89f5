#pragma once

#include <QString>
#include <QVector>

namespace rankwright::ui {

/// Bounds of an axis in the space it is drawn in: values, or their decimal logarithms on a logarithmic axis.
struct AxisView
{
    double lower = 0.0;
    double upper = 1.0;

    double length() const { return upper - lower; }
    bool operator==(const AxisView&) const = default;
};

/// True when an axis can show the value: finite, and above 0 on a logarithmic axis.
bool isShowable(double value, bool logarithmic);

double toAxis(double value, bool logarithmic);
double fromAxis(double position, bool logarithmic);

/// A tick at `position` (axis space). Minor ticks have no label.
struct AxisTick
{
    double position = 0.0;
    QString label;
};

/// Ticks at 1, 2 or 5 times a power of ten, at most about `most` of them, at least 1 apart on an integer axis.
QVector<AxisTick> linearTicks(const AxisView& view, int most, bool integer);

/// Ticks at powers of ten, with minor ones between; where fewer than three powers are seen also at other round values.
QVector<AxisTick> logarithmicTicks(const AxisView& view, int most);

/// A number for reading: `digits` significant ones, no trailing zeros, a power of ten for very large and very small
/// values.
QString formatValue(double value, int digits = 5);

/// The view made `factor` times as long around `anchor` (axis space), at least `smallest` and at most `full`, inside
/// `full`.
AxisView zoomed(const AxisView& view, const AxisView& full, double anchor, double factor, double smallest);

/// The view moved by `distance` (axis space) as far as `full` allows.
AxisView moved(const AxisView& view, const AxisView& full, double distance);

/// The part of the view inside `full`; all of `full` where nothing is left or a bound is not finite.
AxisView clamped(const AxisView& view, const AxisView& full);

} // namespace rankwright::ui
