#include "ui/plots/axis_scale.h"

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QString superscript(int exponent)
{
    static constexpr char16_t digits[] = u"\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
    QString result = exponent < 0 ? u"\u207b"_s : QString();
    for (const QChar digit : QString::number(std::abs(exponent)))
        result += QChar(digits[digit.digitValue()]);
    return result;
}

QString withoutTrailingZeros(QString number)
{
    if (!number.contains(u'.'))
        return number;
    while (number.endsWith(u'0'))
        number.chop(1);
    if (number.endsWith(u'.'))
        number.chop(1);
    return number == u"-0"_s ? u"0"_s : number;
}

/// The least of 1, 2, 5 times a power of ten that is not below `step`.
double niceStep(double step)
{
    const double power = std::pow(10.0, std::floor(std::log10(step)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= step * (1.0 - 1e-9))
            return factor * power;
    }
    return 10.0 * power;
}

QString tickLabel(double value, double step, double largest)
{
    if (largest >= 1e7 || step < 1e-6)
        return formatValue(value, largest > 0.0 ? 2 + static_cast<int>(std::ceil(std::log10(largest / step))) : 3);
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    return QString::number(value, 'f', decimals);
}

} // namespace

bool isShowable(double value, bool logarithmic)
{
    return std::isfinite(value) && (!logarithmic || value > 0.0);
}

double toAxis(double value, bool logarithmic)
{
    return logarithmic ? std::log10(value) : value;
}

double fromAxis(double position, bool logarithmic)
{
    return logarithmic ? std::pow(10.0, position) : position;
}

QVector<AxisTick> linearTicks(const AxisView& view, int most, bool integer)
{
    QVector<AxisTick> ticks;
    if (!(view.length() > 0.0) || most < 1)
        return ticks;
    double step = niceStep(view.length() / most);
    if (integer)
        step = std::max(step, 1.0);
    const double largest = std::max(std::abs(view.lower), std::abs(view.upper));
    const double slack = 1e-9 * view.length();
    // By index, so that no error adds up and a tick at 0 is 0.
    const double first = std::ceil((view.lower - slack) / step);
    const auto count = static_cast<int>(std::floor((view.upper + slack) / step) - first) + 1;
    for (int i = 0; i < count; ++i) {
        const double value = (first + i) * step;
        ticks.append({value, tickLabel(value, step, largest)});
    }
    return ticks;
}

QVector<AxisTick> logarithmicTicks(const AxisView& view, int most)
{
    QVector<AxisTick> ticks;
    if (!(view.length() > 0.0) || most < 1)
        return ticks;
    const int firstPower = static_cast<int>(std::ceil(view.lower - 1e-9));
    const int lastPower = static_cast<int>(std::floor(view.upper + 1e-9));
    const int powers = lastPower - firstPower + 1;

    if (powers < 2 && view.length() < 0.7) {
        // Less than about five-fold: round values as on a linear axis serve better than powers.
        const AxisView values{fromAxis(view.lower, true), fromAxis(view.upper, true)};
        ticks = linearTicks(values, most, false);
        for (AxisTick& tick : ticks)
            tick.position = std::log10(tick.position);
        return ticks;
    }

    const bool plain = firstPower >= -4 && lastPower <= 5;
    const int step = std::max(1, (powers + most - 1) / most);
    const bool fine = powers <= 2 && most >= 3 * powers;
    for (int power = firstPower - 1; power <= lastPower; ++power) {
        if (step > 1) {
            if (power >= firstPower && power % step == 0)
                ticks.append({static_cast<double>(power), u"10"_s + superscript(power)});
            continue;
        }
        for (int factor = 1; factor < 10; ++factor) {
            const double position = power + std::log10(factor);
            if (position < view.lower - 1e-9 || position > view.upper + 1e-9)
                continue;
            QString label;
            if (factor == 1)
                label = plain ? formatValue(std::pow(10.0, power)) : u"10"_s + superscript(power);
            else if (fine && (factor == 2 || factor == 5))
                label = formatValue(factor * std::pow(10.0, power), 2);
            ticks.append({position, label});
        }
    }
    return ticks;
}

QString formatValue(double value, int digits)
{
    if (std::isnan(value))
        return u"nan"_s;
    if (std::isinf(value))
        return value > 0.0 ? u"\u221e"_s : u"-\u221e"_s;
    if (value == 0.0)
        return u"0"_s;
    // Through the rounded number, so that 9.9999996 counts as 10.
    const QString scientific = QString::number(value, 'e', std::max(0, digits - 1));
    const qsizetype separator = scientific.indexOf(u'e');
    const int exponent = scientific.mid(separator + 1).toInt();
    if (exponent >= -4 && exponent < std::max(digits, 6))
        return withoutTrailingZeros(QString::number(value, 'f', std::max(0, digits - 1 - exponent)));
    return withoutTrailingZeros(scientific.left(separator)) + u"\u00d710"_s + superscript(exponent);
}

namespace {

/// Where a view of this length can begin at most: not before the axis does, which rounding could bring about.
double lastLower(const AxisView& full, double length)
{
    return std::max(full.lower, full.upper - length);
}

} // namespace

AxisView zoomed(const AxisView& view, const AxisView& full, double anchor, double factor, double smallest)
{
    const double length = std::min(std::max(view.length() * factor, smallest), full.length());
    const double share = view.length() > 0.0 ? std::clamp((anchor - view.lower) / view.length(), 0.0, 1.0) : 0.5;
    const double lower = std::clamp(anchor - share * length, full.lower, lastLower(full, length));
    return {lower, lower + length};
}

AxisView moved(const AxisView& view, const AxisView& full, double distance)
{
    const double length = view.length();
    if (length >= full.length())
        return full;
    const double lower = std::clamp(view.lower + distance, full.lower, lastLower(full, length));
    return {lower, lower + length};
}

AxisView clamped(const AxisView& view, const AxisView& full)
{
    const AxisView inside{std::max(view.lower, full.lower), std::min(view.upper, full.upper)};
    return inside.length() > 0.0 ? inside : full;
}

} // namespace rankwright::ui
