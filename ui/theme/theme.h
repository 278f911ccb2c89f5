#pragma once

#include <QPalette>

class QApplication;

namespace rankwright::ui {

enum class Appearance { System, Light, Dark };

QPalette lightPalette();
QPalette darkPalette();

/// True when text is lighter than what it stands on.
bool isDark(const QPalette& palette);

/// Sets Fusion and the palette. System keeps the platform's own palette where it has one; elsewhere it asks the desktop
/// portal (org.freedesktop.appearance, color-scheme) without waiting, starts light, and follows later changes.
void applyAppearance(QApplication& application, Appearance appearance);

} // namespace rankwright::ui
