// A process of its own for the tests: writes to a store, or runs a recipe, until it ends or is killed.
#include "core/base/error.h"
#include "core/experiment/runner.h"

#include <cstdio>
#include <exception>
#include <string>

using namespace rankwright;

namespace {

int insertRuns(const std::filesystem::path& file, int count)
{
    Store store(file);
    for (int i = 0; i < count; ++i) {
        Recipe recipe;
        recipe.name = "inserted " + std::to_string(i);
        const std::int64_t run = store.beginRun(recipe, {}, "fingerprint");
        LinearOutcome outcome;
        outcome.name = "linear";
        store.recordLinear(run, outcome);
        store.finishRun(run, RunState::Finished, {}, {});
    }
    return 0;
}

/// Leaves a run in state Running, as a killed process does.
int leaveRunning(const std::filesystem::path& file)
{
    Store store(file);
    store.beginRun({}, {}, "fingerprint");
    return 0;
}

int run(const std::filesystem::path& recipe, const std::filesystem::path& file, const std::filesystem::path& cache)
{
    Store store(file);
    runRecipe(recipeFromJson(readJson(recipe), recipe.parent_path()), store, {.cache = cache}, {});
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    try {
        const std::string verb = argc > 2 ? argv[1] : "";
        if (verb == "insert" && argc == 4)
            return insertRuns(argv[2], std::stoi(argv[3]));
        if (verb == "leave" && argc == 3)
            return leaveRunning(argv[2]);
        if (verb == "run" && argc == 5)
            return run(argv[2], argv[3], argv[4]);
        std::fputs("usage: experiment_helper insert STORE COUNT | leave STORE | run RECIPE STORE CACHE\n", stderr);
        return 2;
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "error: %s\n", exception.what());
        return 1;
    }
}
