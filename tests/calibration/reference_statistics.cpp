#include "reference_statistics.h"

#include "core/base/json.h"
#include "core/calibration/statistics.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

class Comparison
{
public:
    void number(const std::string& what, double value, double expected, double scale)
    {
        if (!(std::abs(value - expected) <= 1e-4 * scale))
            m_text += fmt::format("{}: {} instead of {}\n", what, value, expected);
    }
    void number(const std::string& what, double value, double expected)
    {
        number(what, value, expected, std::abs(expected));
    }
    void fail(const std::string& what) { m_text += what + "\n"; }
    const std::string& text() const { return m_text; }

private:
    std::string m_text;
};

void compareLinear(const std::string& name, const TapStatistics& statistics, const TapSummary& summary,
                   const Json& expected, Comparison& comparison)
{
    comparison.number(name + " tokens", static_cast<double>(summary.tokens), expected["tokens"].get<double>(), 0.0);
    comparison.number(name + " trace", summary.trace, expected["trace"].get<double>());
    comparison.number(name + " frobenius", summary.frobenius, expected["frobenius"].get<double>());
    comparison.number(name + " meanNorm", summary.meanNorm, expected["mean_norm"].get<double>());
    const Matrix<double>& C = statistics.secondMoment;
    for (std::size_t i = 0; i < 3; ++i) {
        // Products of different channels cancel; what they are measured by is the size of the products.
        for (std::size_t j = 0; j < 3; ++j)
            comparison.number(fmt::format("{} corner {},{}", name, i, j), C(i, j),
                              expected["corner"][i][j].get<double>(), std::sqrt(C(i, i) * C(j, j)));
    }
    for (std::size_t i = 0; i < 4; ++i)
        comparison.number(fmt::format("{} sumAbs {}", name, i), statistics.sumAbs[i],
                          expected["sum_abs_first4"][i].get<double>());
}

} // namespace

std::string compareStatistics(const std::filesystem::path& path, const std::filesystem::path& text,
                              const std::string& reference, const std::filesystem::path& cache)
{
    const Json json = readJson(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "reference" / reference);
    const Json& protocol = json["protocol"];
    const Model model = Model::open(path);
    WindowOptions options;
    options.text = text;
    options.rows = protocol.value("rows", false);
    options.length = protocol["window"].get<std::size_t>();
    options.count = json["statistics"]["windows"].get<std::size_t>();
    const TokenWindows windows = makeWindows(*model.tokenizer(), options, {});
    const CalibrationSet set = calibrate(model, *makeCpuDevice(), windows, cache, {}, {});
    Comparison comparison;
    const Json& linears = json["statistics"]["linears"];
    if (linears.size() != model.linears().size())
        comparison.fail(fmt::format("{} linears instead of {}", model.linears().size(), linears.size()));
    for (const TapInfo& tap : model.taps()) {
        const TapStatistics statistics = set.load(tap.index);
        for (const std::size_t linear : tap.linears) {
            const std::string& name = model.linears()[linear].name;
            if (linears.contains(name))
                compareLinear(name, statistics, set.summaries()[tap.index], linears[name], comparison);
            else
                comparison.fail("no reference for " + name);
        }
    }
    return comparison.text();
}

} // namespace rankwright
