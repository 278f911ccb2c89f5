#include "reference_gradients.h"

#include "core/base/json.h"
#include "core/calibration/curvature.h"
#include "tests/support/plain_gradients.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

namespace {

class Comparison
{
public:
    /// 1e-3 of `scale`: float32 forward and backward passes of two programs.
    void number(const std::string& what, double value, double expected, double scale)
    {
        if (!(std::abs(value - expected) <= 1e-3 * scale))
            m_text += fmt::format("{}: {} instead of {}\n", what, value, expected);
    }
    const std::string& text() const { return m_text; }

private:
    std::string m_text;
};

double frobenius(const Matrix<double>& A)
{
    double squares = 0.0;
    for (const double value : A.span())
        squares += value * value;
    return std::sqrt(squares);
}

} // namespace

std::string compareGradients(const std::filesystem::path& path, const std::filesystem::path& text,
                             const std::string& reference, const std::filesystem::path& cache)
{
    const Json json = readJson(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "reference" / reference);
    const Json& protocol = json["protocol"];
    const Model model = Model::open(path);
    WindowOptions options;
    options.text = text;
    options.rows = protocol["rows"].get<bool>();
    options.length = protocol["window"].get<std::size_t>();
    options.count = protocol["windows"].get<std::size_t>();
    const TokenWindows windows = makeWindows(*model.tokenizer(), options, {});
    const auto device = makeCpuDevice();
    const CalibrationSet set =
        calibrateCurvature(model, *device, windows, {.labels = GradientLabels::Text}, cache, {}, {});
    std::map<std::string, LinearGradient> gradients;
    double loss = 0.0;
    const bool weights = protocol["window"].get<std::size_t>() * model.linearParameterCount() < (1U << 30U);
    if (weights)
        for (const std::vector<std::int32_t>& ids : windows.ids)
            loss += addGradients(model, *device, ids, gradients);
    Comparison comparison;
    if (weights)
        comparison.number("summed nll", loss, json["summed_nll"].get<double>(), loss);
    for (const auto& [name, expected] : json["linears"].items()) {
        const TapSummary& summary = set.summaries()[model.linear(name).index];
        const auto number = [&](const char* key) { return expected[key].template get<double>(); };
        comparison.number(name + " tokens", static_cast<double>(summary.tokens), number("tokens"), 0.0);
        comparison.number(name + " trace", summary.trace, number("trace"), number("trace"));
        comparison.number(name + " frobenius", summary.frobenius, number("frobenius"), number("frobenius"));
        const TapStatistics statistics = set.load(model.linear(name).index);
        const Matrix<double>& G = statistics.secondMoment;
        // Products of different channels cancel; what they are measured by is the size of the products.
        for (std::size_t i = 0; i < 3; ++i)
            for (std::size_t j = 0; j < 3; ++j)
                comparison.number(fmt::format("{} corner {},{}", name, i, j), G(i, j),
                                  expected["corner"][i][j].get<double>(), std::sqrt(G(i, i) * G(j, j)));
        if (!weights)
            continue;
        const Matrix<double>& gradient = gradients.at(name).weight;
        const double norm = number("weight_gradient_frobenius");
        comparison.number(name + " weight gradient", frobenius(gradient), norm, norm);
        for (std::size_t i = 0; i < 3; ++i)
            for (std::size_t j = 0; j < 3; ++j)
                comparison.number(fmt::format("{} weight gradient {},{}", name, i, j), gradient(i, j),
                                  expected["weight_gradient_corner"][i][j].get<double>(),
                                  norm / std::sqrt(static_cast<double>(gradient.rows())));
    }
    return comparison.text();
}

} // namespace rankwright
