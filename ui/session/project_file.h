#pragma once

#include "core/base/json.h"

#include <QString>

#include <filesystem>

namespace rankwright::ui {

// What the window keeps of a model between sessions: plans, recipe, what was selected. One file per model path under
// the folder of the store.

std::filesystem::path projectFile(const std::filesystem::path& dataFolder, const QString& modelPath);
/// Null if there is none or it cannot be read.
Json readProject(const std::filesystem::path& file);
/// Throws Error(Io).
void writeProject(const std::filesystem::path& file, const Json& project);

} // namespace rankwright::ui
