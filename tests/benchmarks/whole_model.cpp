#include "core/base/parallel.h"
#include "core/calibration/statistics.h"
#include "core/decomposition/method_list.h"
#include "tests/benchmarks/lapack_way.h"
#include "tests/benchmarks/support.h"

#include <algorithm>

namespace rankwright::benchmarks {

namespace {

/// All linears of SmolLM2 with statistics of WikiText-2 validation. Linears go side by side, one thread of BLAS each,
/// as a run takes them; both ways get the weights and the statistics as they are here.
class WholeModel
{
public:
    explicit WholeModel(const Model& model)
        : m_linears(model.linears())
        , m_problems(m_linears.size())
    {
        const TemporaryFolder folder;
        const std::filesystem::path texts = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "texts/wikitext2-raw";
        const CalibrationSet set =
            calibrate(model, cpu(),
                      makeWindows(*model.tokenizer(),
                                  {.text = texts / "wiki.valid.raw", .rows = true, .length = 256, .count = 64}, {}),
                      folder.path(), {}, {});
        m_statistics.reserve(model.taps().size());
        for (std::size_t tap = 0; tap < model.taps().size(); ++tap)
            m_statistics.push_back(set.load(tap));
        for (std::size_t i = 0; i < m_linears.size(); ++i)
            m_problems[i] = {.name = m_linears[i].name,
                             .W = convertMatrix<double>(model.readDense(m_linears[i])),
                             .statistics = &m_statistics[m_linears[i].tap]};
    }
    WholeModel(const WholeModel&) = delete;
    WholeModel& operator=(const WholeModel&) = delete;

    std::size_t size() const { return m_problems.size(); }
    const LinearProblem& problem(std::size_t linear) const { return m_problems[linear]; }
    std::size_t rank(std::size_t linear, double keptRatio) const
    {
        return rankForKeptRatio(StructureKind::Factors, m_linears[linear].shape, keptRatio);
    }
    std::unique_ptr<Analysis> analyse(std::size_t linear) const
    {
        return whitenedSvd().analyze(cpu(), m_problems[linear], {});
    }

private:
    std::vector<LinearInfo> m_linears;
    std::vector<TapStatistics> m_statistics;
    std::vector<LinearProblem> m_problems;
};

const WholeModel* wholeModel(benchmark::State& state)
{
    if (!smolLm2()) {
        state.SkipWithError("RANKWRIGHT_SMOLLM2 is not set");
        return nullptr;
    }
    static const WholeModel model(*smolLm2());
    return &model;
}

/// Calls `body(linear)` for all of them.
void forAll(const WholeModel& model, const std::function<void(std::size_t)>& body)
{
    const BlasThreads threads(1);
    parallelFor(model.size(), processorCount(), [&](std::size_t linear, std::size_t) { body(linear); });
}

void rankwrightWay(benchmark::State& state)
{
    const WholeModel* model = wholeModel(state);
    if (model == nullptr)
        return;
    for (auto _ : state)
        forAll(*model, [&](std::size_t linear) {
            benchmark::DoNotOptimize(model->analyse(linear)->factorize(model->rank(linear, 0.8)));
        });
}

/// The factors of a second ratio from the analyses of the first.
void anotherRatio(benchmark::State& state)
{
    const WholeModel* model = wholeModel(state);
    if (model == nullptr)
        return;
    std::vector<std::unique_ptr<Analysis>> analyses(model->size());
    forAll(*model, [&](std::size_t linear) { analyses[linear] = model->analyse(linear); });
    for (auto _ : state)
        forAll(*model, [&](std::size_t linear) {
            benchmark::DoNotOptimize(analyses[linear]->factorize(model->rank(linear, 0.6)));
        });
}

/// The factors of one linear: W, C and the rank are given.
using Way = Factorisation (*)(const Matrix<double>&, const Matrix<double>&, std::size_t);

void otherWay(benchmark::State& state, Way way)
{
    const WholeModel* model = wholeModel(state);
    if (model == nullptr)
        return;
    const auto factors = [&](std::size_t linear) {
        const LinearProblem& problem = model->problem(linear);
        return way(problem.W, problem.statistics->secondMoment, model->rank(linear, 0.8));
    };
    for (auto _ : state)
        forAll(*model, [&](std::size_t linear) { benchmark::DoNotOptimize(factors(linear)); });
    std::vector<double> excess(model->size());
    forAll(*model, [&](std::size_t linear) {
        const double ours =
            relativeLoss(model->problem(linear), model->analyse(linear)->factorize(model->rank(linear, 0.8)));
        excess[linear] = ours / relativeLoss(model->problem(linear), factors(linear)) - 1.0;
    });
    // Of the linear where Rankwright does worst against it.
    state.counters["excess"] = *std::ranges::max_element(excess);
}

} // namespace

void addWholeModel()
{
    addThreaded("model/rankwright", rankwrightWay)->Iterations(1);
    addThreaded("model/lapack", [](benchmark::State& state) { otherWay(state, lapackWay); })->Iterations(1);
    addThreaded("model/svdLlm64", [](benchmark::State& state) { otherWay(state, svdLlmWay<double>); })->Iterations(1);
    addThreaded("model/anotherRatio", anotherRatio)->Iterations(1);
}

} // namespace rankwright::benchmarks
