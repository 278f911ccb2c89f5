#include "ui/theme/colours.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QTest>

#include <algorithm>
#include <array>
#include <cmath>

using namespace rankwright::ui;
using namespace Qt::StringLiterals;

namespace {

std::array<double, 3> linearised(const QColor& colour)
{
    std::array<double, 3> result{};
    const std::array channels{colour.red(), colour.green(), colour.blue()};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const double v = channels[channel] / 255.0;
        result[channel] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
    }
    return result;
}

/// Y of CIE XYZ under D65.
double luminanceOf(const std::array<double, 3>& rgb)
{
    return 0.2126729 * rgb[0] + 0.7151522 * rgb[1] + 0.0721750 * rgb[2];
}

double f(double t)
{
    return t > 216.0 / 24389.0 ? std::cbrt(t) : (24389.0 / 27.0 * t + 16.0) / 116.0;
}

/// CIE L*a*b* under D65.
std::array<double, 3> lab(const std::array<double, 3>& rgb)
{
    const double x = (0.4124564 * rgb[0] + 0.3575761 * rgb[1] + 0.1804375 * rgb[2]) / 0.95047;
    const double z = (0.0193339 * rgb[0] + 0.1191920 * rgb[1] + 0.9503041 * rgb[2]) / 1.08883;
    const double y = luminanceOf(rgb);
    return {116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))};
}

double distance(const std::array<double, 3>& a, const std::array<double, 3>& b)
{
    return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

double contrast(const QColor& a, const QColor& b)
{
    const double first = luminanceOf(linearised(a)) + 0.05;
    const double second = luminanceOf(linearised(b)) + 0.05;
    return std::max(first, second) / std::min(first, second);
}

using Matrix3 = std::array<std::array<double, 3>, 3>;

std::array<double, 3> seenThrough(const Matrix3& matrix, const std::array<double, 3>& rgb)
{
    std::array<double, 3> result{};
    for (std::size_t row = 0; row < 3; ++row)
        result[row] = std::clamp(matrix[row][0] * rgb[0] + matrix[row][1] * rgb[1] + matrix[row][2] * rgb[2], 0.0, 1.0);
    return result;
}

// Machado, Oliveira, Fernandes (2009), severity 1.
constexpr Matrix3 plainSight{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
constexpr Matrix3 protanopia{
    {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix3 deuteranopia{
    {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}};
constexpr Matrix3 tritanopia{
    {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}};

} // namespace

class TestPlotsTheme : public QObject
{
    Q_OBJECT

private slots:
    void palettesHaveContrast()
    {
        QVERIFY(!isDark(lightPalette()));
        QVERIFY(isDark(darkPalette()));
        for (const QPalette& palette : {lightPalette(), darkPalette()}) {
            const auto between = [&palette](QPalette::ColorRole a, QPalette::ColorRole b) {
                return contrast(palette.color(a), palette.color(b));
            };
            QVERIFY(between(QPalette::WindowText, QPalette::Window) >= 7.0);
            QVERIFY(between(QPalette::Text, QPalette::Base) >= 7.0);
            QVERIFY(between(QPalette::Text, QPalette::AlternateBase) >= 7.0);
            QVERIFY(between(QPalette::ButtonText, QPalette::Button) >= 7.0);
            QVERIFY(between(QPalette::ToolTipText, QPalette::ToolTipBase) >= 7.0);
            QVERIFY(between(QPalette::HighlightedText, QPalette::Highlight) >= 4.5);
            QVERIFY(between(QPalette::PlaceholderText, QPalette::Base) >= 4.5);
            QVERIFY(between(QPalette::Link, QPalette::Base) >= 4.5);
            QVERIFY(between(QPalette::LinkVisited, QPalette::Base) >= 4.5);
            QVERIFY(contrast(palette.color(QPalette::Disabled, QPalette::WindowText),
                             palette.color(QPalette::Window)) >= 2.5);
        }
    }

    void seriesColoursAreSeenAndToldApart()
    {
        for (const bool dark : {false, true}) {
            const QPalette palette = dark ? darkPalette() : lightPalette();
            for (int index = 0; index < seriesColourCount; ++index) {
                QVERIFY(contrast(seriesColour(index, dark), palette.color(QPalette::Base)) >= 3.0);
                QCOMPARE(seriesColour(index + seriesColourCount, dark), seriesColour(index, dark));
            }
            for (const Matrix3& sight : {plainSight, protanopia, deuteranopia, tritanopia}) {
                for (int a = 0; a < seriesColourCount; ++a) {
                    for (int b = a + 1; b < seriesColourCount; ++b) {
                        const double apart = distance(lab(seenThrough(sight, linearised(seriesColour(a, dark)))),
                                                      lab(seenThrough(sight, linearised(seriesColour(b, dark)))));
                        // 2.3 is a just noticeable difference.
                        QVERIFY2(apart > 10.0, qPrintable(u"%1 and %2 are %3 apart"_s.arg(a).arg(b).arg(apart)));
                    }
                }
            }
        }
        // What repeats in colour differs in the pen, and within one round every marker is another.
        QVERIFY(seriesStyle(0).pen != seriesStyle(seriesColourCount).pen);
        for (int index = 1; index < seriesColourCount; ++index)
            QVERIFY(seriesStyle(index).marker != seriesStyle(index - 1).marker);
    }

    void sequentialMapRisesInLightness()
    {
        constexpr int steps = 255;
        double before = lab(linearised(colourMap(0.0)))[0];
        std::array<double, 3> beforeLab = lab(linearised(colourMap(0.0)));
        double shortest = 1e9;
        double longest = 0.0;
        double walked = 0.0;
        for (int step = 1; step <= steps; ++step) {
            const std::array<double, 3> now = lab(linearised(colourMap(static_cast<double>(step) / steps)));
            QVERIFY(now[0] > before);
            before = now[0];
            walked += distance(now, beforeLab);
            beforeLab = now;
            if (step % 15 == 0) {
                shortest = std::min(shortest, walked);
                longest = std::max(longest, walked);
                walked = 0.0;
            }
        }
        // Even steps: CIE L*a*b* is not OKLab, so not equal ones.
        QVERIFY2(longest < 2.2 * shortest, qPrintable(u"%1 to %2"_s.arg(shortest).arg(longest)));
        QCOMPARE(colourMap(-1.0), colourMap(0.0));
        QCOMPARE(colourMap(2.0), colourMap(1.0));
    }

    void divergingMapIsPalestInTheMiddleAndBalanced()
    {
        for (int step = 1; step <= 50; ++step) {
            const double t = step / 50.0;
            const double left = lab(linearised(divergingColour(-t)))[0];
            const double right = lab(linearised(divergingColour(t)))[0];
            QVERIFY(left < lab(linearised(divergingColour(-t + 0.02)))[0]);
            QVERIFY(right < lab(linearised(divergingColour(t - 0.02)))[0]);
            QVERIFY(std::abs(left - right) < 6.0);
        }
        const QColor middle = divergingColour(0.0);
        QVERIFY(std::max({middle.red(), middle.green(), middle.blue()}) -
                    std::min({middle.red(), middle.green(), middle.blue()}) <=
                2);
        QVERIFY(divergingColour(-1.0).blue() > divergingColour(-1.0).red());
        QVERIFY(divergingColour(1.0).red() > divergingColour(1.0).blue());
    }

    void appearanceSetsThePalette()
    {
        applyAppearance(*qApp, Appearance::Dark);
        QVERIFY(isDark(QApplication::palette()));
        applyAppearance(*qApp, Appearance::Light);
        QVERIFY(!isDark(QApplication::palette()));
        applyAppearance(*qApp, Appearance::System);
        QVERIFY(contrast(QApplication::palette().color(QPalette::WindowText),
                         QApplication::palette().color(QPalette::Window)) > 7.0);
    }

    void iconsTakeThePaletteAndTheScale()
    {
        const QStringList wanted{u"open"_s, u"run"_s,  u"calibrate"_s,  u"export"_s, u"cancel"_s, u"lock"_s,
                                 u"undo"_s, u"redo"_s, u"reset-zoom"_s, u"copy"_s,   u"save"_s};
        for (const QString& name : wanted) {
            QVERIFY2(iconNames().contains(name), qPrintable(name));
            for (const Appearance appearance : {Appearance::Light, Appearance::Dark}) {
                applyAppearance(*qApp, appearance);
                const QColor ink = QApplication::palette().color(QPalette::ButtonText);
                const QPixmap pixmap = icon(name).pixmap(QSize(24, 24), 2.0);
                QCOMPARE(pixmap.size(), QSize(48, 48));
                const QImage image = pixmap.toImage();
                int inked = 0;
                for (int y = 0; y < 48; ++y) {
                    for (int x = 0; x < 48; ++x) {
                        const QColor there = image.pixelColor(x, y);
                        if (there.alpha() < 250)
                            continue;
                        QVERIFY(std::abs(there.lightness() - ink.lightness()) < 8);
                        ++inked;
                    }
                }
                QVERIFY2(inked > 80, qPrintable(name));
            }
        }
        QVERIFY(icon(u"no such icon"_s).isNull());
    }
};

QTEST_MAIN(TestPlotsTheme)
#include "tst_plots_theme.moc"
