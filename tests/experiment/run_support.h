#pragma once

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/runner.h"

#include <QString>
#include <QTemporaryDir>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

// What tests of runs on the demo model share.

namespace rankwright {

inline const std::filesystem::path demo = RANKWRIGHT_DEMO;
inline constexpr std::size_t demoLinears = 35;

/// A folder with a store and a cache of its own.
struct Place
{
    QTemporaryDir folder;
    std::filesystem::path path = folder.path().toStdString();
    Store store{path / "experiments.sqlite"};

    RunResult run(const Recipe& recipe, const TaskContext& context = {}, const RunObserver& observer = {})
    {
        return runRecipe(recipe, store, {.cache = path / "cache"}, context, observer);
    }
};

inline Recipe demoRecipe(const std::string& method = "whitened-svd")
{
    Recipe recipe;
    recipe.name = "demo";
    recipe.model = demo / "stories260K";
    recipe.method = method;
    recipe.keptRatio = 0.7;
    recipe.threads = 2;
    recipe.calibration = WindowOptions{.text = demo / "stories-calibration.txt", .length = 64, .count = 8};
    return recipe;
}

inline EvaluationText heldOutStories(std::size_t windows = 8)
{
    return {"held-out stories", {.text = demo / "stories-heldout.txt", .length = 64, .count = windows}};
}

inline std::optional<Error> errorOf(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

/// Name and content of every file of a run's folder.
inline std::map<std::string, std::string> contentOf(const std::filesystem::path& folder)
{
    std::map<std::string, std::string> result;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        result[entry.path().filename().string()] = readFile(entry.path());
    return result;
}

/// The names of the files that differ.
inline QString difference(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b)
{
    QString result;
    for (const auto* side : {&a, &b}) {
        for (const auto& [name, content] : *side) {
            const auto other = (side == &a ? b : a).find(name);
            if (other == (side == &a ? b : a).end() || other->second != content)
                result += QString::fromStdString(name) + QLatin1Char(' ');
        }
    }
    return result;
}

} // namespace rankwright
