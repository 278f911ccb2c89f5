#pragma once

#include <QIcon>
#include <QStringList>

namespace rankwright::ui {

/// The names that icon() knows, e.g. "open", "run", "reset-zoom".
QStringList iconNames();

/// Own line icon in the colour of the application's palette at the time it is drawn, sharp at every scale. An unknown
/// name gives a null icon.
QIcon icon(const QString& name);

} // namespace rankwright::ui
