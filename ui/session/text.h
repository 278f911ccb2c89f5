#pragma once

#include <QString>

#include <filesystem>
#include <string>
#include <string_view>

namespace rankwright::ui {

// The engine speaks UTF-8 and paths, the window speaks QString.

QString toQString(std::string_view utf8);
QString toQString(const std::string& utf8);
QString toQString(const char* utf8);
QString toQString(const std::filesystem::path& path);
std::filesystem::path toPath(const QString& path);

/// A path as it is shown and typed: "~" stands for the home folder.
QString shownPath(const QString& path);
QString pathFromShown(const QString& shown);

} // namespace rankwright::ui
