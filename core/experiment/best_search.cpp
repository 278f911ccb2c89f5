#include "core/experiment/best_search.h"

#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/evaluation/evaluation.h"
#include "core/experiment/run_job.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>

namespace rankwright {

namespace {

/// One thing to change.
struct Variation
{
    std::string change;
    std::function<void(Recipe&)> apply;
};

void setParameter(Recipe& recipe, const std::string& name, double value)
{
    const auto found = std::ranges::find(recipe.parameters, name, &std::pair<std::string, double>::first);
    if (found == recipe.parameters.end())
        recipe.parameters.emplace_back(name, value);
    else
        found->second = value;
}

/// Cheap ones first, so that a short search meets them: sequential modes run the text again block by block.
std::vector<Variation> variations()
{
    // With the parameters that the other method has too, such as the damping.
    const auto method = [](std::string name) {
        return [name = std::move(name)](Recipe& recipe) {
            recipe.method = name;
            const std::vector<ParameterInfo> known = findMethod(name).parameters();
            std::erase_if(recipe.parameters, [&](const auto& parameter) {
                return std::ranges::find(known, parameter.first, &ParameterInfo::name) == known.end();
            });
        };
    };
    const auto sequential = [](SequentialMode mode) { return [mode](Recipe& recipe) { recipe.sequential = mode; }; };
    const auto parameter = [](std::string name, double value) {
        return [name = std::move(name), value](Recipe& recipe) { setParameter(recipe, name, value); };
    };
    const auto ridge = [](Recipe& recipe) {
        recipe.sequential = SequentialMode::Anchored;
        setParameter(recipe, std::string(anchorRidgeParameter), 0.3);
    };
    return {{"damping 0.1", parameter("damping", 0.1)},
            {"damping 0.001", parameter("damping", 0.001)},
            {"shrinkage 0.01", parameter("shrinkage", 0.01)},
            {"shrinkage 0.1", parameter("shrinkage", 0.1)},
            {"shrinkage 0.3", parameter("shrinkage", 0.3)},
            {"method curvature-latents", method("curvature-latents")},
            {"sequential anchored", sequential(SequentialMode::Anchored)},
            {"sequential anchored, ridge 0.3", ridge},
            {"sequential update", sequential(SequentialMode::Update)},
            {"sequential compressed", sequential(SequentialMode::Compressed)},
            {"method nsvd", method("nsvd")},
            {"method whitened-svd", method("whitened-svd")}};
}

void requireOptions(const Recipe& start, const SearchOptions& options)
{
    const auto refuse = [](const std::string& message) {
        throw Error(ErrorKind::InvalidArgument, "search for the best recipe: " + message);
    };
    if (!start.calibration)
        refuse("it needs a calibration text and a number of windows of it");
    if (options.windows == 0)
        refuse("0 held-out windows; at least one is needed");
    if (!(options.seconds > 0.0))
        refuse(fmt::format("a time limit of {} s; it is above 0", options.seconds));
    if (options.perplexityRatio && !(*options.perplexityRatio > 1.0))
        refuse(fmt::format("a perplexity of {} times the dense one; it is above 1", *options.perplexityRatio));
    validateRecipe(start);
    Recipe withHeldOut = start;
    withHeldOut.heldOutWindows = options.windows;
    validateWindowLimits(withHeldOut);
}

/// Several texts in a sequential mode, say, or latents shared by linears that are not all chosen: no trial.
bool isPossible(const Recipe& recipe, const Model& model)
{
    try {
        validateRecipe(recipe);
        requirePossible(recipe, model);
        return true;
    } catch (const Error&) {
        return false;
    }
}

/// The texts whose windows after those calibrated on a search scores.
std::vector<WindowOptions> scoredTexts(const Recipe& start)
{
    std::vector<WindowOptions> texts{*start.calibration};
    for (const WeightedText& text : start.moreCalibrations)
        texts.push_back(text.windows);
    return texts;
}

struct HeldOut
{
    std::string name;
    TokenWindows windows;
    double denseNll = 0.0; ///< mean per token
};

double meanNll(const PerplexityResult& result)
{
    return std::log(result.perplexity);
}

class Search
{
public:
    Search(const Recipe& base, const SearchOptions& options, Store& store, const RunPlaces& places,
           const TaskContext& context)
        : m_options(options)
        , m_store(store)
        , m_places(places)
        , m_context(context)
        , m_model(Model::open(base.model))
        , m_device(openDevice(base.device, base.threads))
        , m_pass{.threads = base.threads, .memoryLimit = base.memoryLimit, .scratchFolder = {}}
        , m_start(searchStart(base))
    {
        requireOptions(m_start, m_options);
    }

    SearchResult run()
    {
        openTexts();
        if (!tryRecipe("start", m_start))
            throw Error(ErrorKind::Numeric,
                        "search for the best recipe: the first trial failed for its numbers, see "
                        "its run in the store",
                        {.file = m_start.model});
        choose(0);
        m_result.end = "everything was tried";
        for (const Variation& variation : variations()) {
            Recipe recipe = best().recipe;
            variation.apply(recipe);
            if (recipeToJson(recipe) == recipeToJson(best().recipe) || !isPossible(recipe, m_model))
                continue;
            if (!timeForAnother())
                break;
            if (tryRecipe(variation.change, recipe) && m_result.trials.back().score < best().score)
                choose(m_result.trials.size() - 1);
        }
        if (m_options.perplexityRatio)
            narrow(std::log(*m_options.perplexityRatio));
        m_result.seconds = m_watch.seconds();
        return std::move(m_result);
    }

private:
    void openTexts()
    {
        const std::string fingerprint = modelFingerprint(m_model);
        for (const WindowOptions& text : scoredTexts(m_start)) {
            HeldOut& heldOut = m_heldOut.emplace_back();
            heldOut.name = text.text.filename().string();
            heldOut.windows = windowsAfter(*m_model.tokenizer(), text, m_options.windows, m_context);
            heldOut.denseNll =
                meanNll(densePerplexity(m_model, *m_device, heldOut.windows, m_store, fingerprint, m_pass, m_context));
        }
    }

    const SearchTrial& best() const { return m_result.trials[m_result.best]; }

    bool timeForAnother()
    {
        double longest = 0.0;
        for (const SearchTrial& trial : m_result.trials)
            longest = std::max(longest, trial.seconds);
        if (m_watch.seconds() + longest <= m_options.seconds)
            return true;
        m_result.end = fmt::format("the time limit of {:.0f} s", m_options.seconds);
        return false;
    }

    /// Runs a recipe and scores it. False where it failed for its numbers.
    bool tryRecipe(const std::string& change, Recipe recipe)
    {
        m_context.report("search", change, m_result.trials.size(), variations().size() + 1);
        const Stopwatch watch;
        recipe.name = fmt::format("search: {}", change);
        SearchTrial trial;
        trial.change = change;
        trial.recipe = recipe;
        try {
            const RunResult result = runRecipe(recipe, m_store, m_places, m_context);
            trial.run = result.id;
            trial.keptRatio = result.keptRatio;
            const Model compressed = m_model.withLinears(runLinears(result.folder, result.fingerprint));
            for (const HeldOut& text : m_heldOut) {
                const double more =
                    meanNll(evaluatePerplexity(compressed, *m_device, text.windows, m_pass, m_context)) - text.denseNll;
                trial.ratios.emplace_back(text.name, std::exp(more));
                trial.score += more / static_cast<double>(m_heldOut.size());
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Numeric && error.kind() != ErrorKind::NonFinite)
                throw;
            m_context.note({"trialFailed", "", fmt::format("{}: {}", change, error.what()), 0.0});
            return false;
        }
        trial.seconds = watch.seconds();
        m_store.setTags(trial.run, "search");
        m_store.setNotes(trial.run, fmt::format("{}: held-out perplexity times {:.4f}", change, std::exp(trial.score)));
        m_result.trials.push_back(std::move(trial));
        return true;
    }

    void choose(std::size_t trial)
    {
        m_result.best = trial;
        m_result.trials[trial].better = true;
    }

    /// The smallest kept ratio whose score is at most `allowed`, within 0.005 and the time limit.
    void narrow(double allowed)
    {
        constexpr double resolution = 0.005;
        const Recipe recipe = best().recipe;
        const bool within = best().score <= allowed;
        double above = within ? recipe.keptRatio : 1.0;
        double below = within ? 0.0 : recipe.keptRatio;
        double aboveScore = within ? best().score : 0.0;
        double belowScore = within ? std::nan("") : best().score;
        bool found = within;
        while (above - below > resolution && timeForAnother()) {
            Recipe next = recipe;
            next.keptRatio = guess(above, aboveScore, below, belowScore, allowed);
            if (!isPossible(next, m_model)) { // less than rank 1 everywhere
                below = next.keptRatio;
                belowScore = std::nan("");
                continue;
            }
            if (!tryRecipe(fmt::format("kept ratio {:.4f}", next.keptRatio), next))
                break;
            const std::size_t last = m_result.trials.size() - 1;
            const double score = m_result.trials[last].score;
            if (score <= allowed) {
                choose(last);
                found = true;
                above = next.keptRatio;
                aboveScore = score;
            } else {
                below = next.keptRatio;
                belowScore = score;
            }
        }
        if (!found)
            throw Error(ErrorKind::NotFound,
                        fmt::format("no kept ratio was found within the time limit that keeps the perplexity within "
                                    "{:.4f} times the dense one; the largest tried is {:.4f} with {:.4f}",
                                    std::exp(allowed), below, std::exp(belowScore)));
    }

    /// ln(score) is about linear in the kept ratio; where one side is not known, or the step would be tiny, halves.
    static double guess(double above, double aboveScore, double below, double belowScore, double allowed)
    {
        const double middle = 0.5 * (above + below);
        if (!std::isfinite(belowScore) || !(aboveScore > 0.0) || !(belowScore > aboveScore))
            return below > 0.0 ? middle : std::max(0.5 * above, above - 0.1);
        const double way = (std::log(allowed) - std::log(aboveScore)) / (std::log(belowScore) - std::log(aboveScore));
        return above + std::clamp(way, 0.1, 0.9) * (below - above);
    }

    SearchOptions m_options;
    Store& m_store;
    const RunPlaces& m_places;
    TaskContext m_context;
    Model m_model;
    std::shared_ptr<const Device> m_device;
    PassOptions m_pass;
    Recipe m_start;
    std::vector<HeldOut> m_heldOut;
    Stopwatch m_watch;
    SearchResult m_result;
};

} // namespace

Recipe searchStart(const Recipe& base)
{
    Recipe start = base;
    start.method = "curvature-svd";
    start.parameters.clear();
    start.allocation = "curvature";
    start.structure = StructureKind::BlockIdentity;
    start.sequential = SequentialMode::Dense;
    start.evaluations.clear();
    start.heldOutWindows = 0;
    start.forecast = false;
    start.out.clear();
    return start;
}

SearchEstimate estimateSearch(const Recipe& base, const SearchOptions& options, const TaskContext& context)
{
    const Recipe start = searchStart(base);
    requireOptions(start, options);
    const Model model = Model::open(start.model);
    for (const WindowOptions& text : scoredTexts(start))
        static_cast<void>(windowsAfter(*model.tokenizer(), text, options.windows, context));
    SearchEstimate estimate;
    double ofStatistics = 0.0; // seconds
    std::size_t statistics = 0;
    const auto add = [&](const std::string& change, Recipe recipe) {
        for (WindowOptions text : scoredTexts(start)) {
            text.count = options.windows;
            recipe.evaluations.push_back({.name = {}, .windows = text});
        }
        const RunEstimate run = estimateRun(recipe, model);
        double shared = 0.0;
        for (const auto& [stage, seconds] : run.stageSeconds)
            shared += stage == "calibrate" || stage == "curvature" ? seconds : 0.0;
        ofStatistics = std::max(ofStatistics, shared);
        statistics = std::max(statistics, run.statistics);
        estimate.seconds += run.seconds - shared;
        estimate.memory = std::max(estimate.memory, run.memory);
        estimate.disk += run.disk - run.statistics;
        estimate.trials.push_back({change, run});
    };
    add("start", start);
    for (const Variation& variation : variations()) {
        Recipe recipe = start;
        variation.apply(recipe);
        if (recipeToJson(recipe) != recipeToJson(start) && isPossible(recipe, model))
            add(variation.change, recipe);
    }
    estimate.seconds += ofStatistics;
    estimate.disk += statistics;
    return estimate;
}

SearchResult searchBest(const Recipe& base, const SearchOptions& options, Store& store, const RunPlaces& places,
                        const TaskContext& context)
{
    return Search(base, options, store, places, context).run();
}

} // namespace rankwright
