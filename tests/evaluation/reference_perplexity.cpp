#include "reference_perplexity.h"

#include "core/base/json.h"
#include "core/evaluation/evaluation.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace rankwright {

namespace {

class Comparison
{
public:
    void number(const std::string& what, double value, double expected, double tolerance)
    {
        if (!(std::abs(value - expected) <= tolerance))
            m_text += fmt::format("{}: {} instead of {}\n", what, value, expected);
    }
    void check(bool holds, const std::string& what)
    {
        if (!holds)
            m_text += what + "\n";
    }
    const std::string& text() const { return m_text; }

private:
    std::string m_text;
};

TokenWindows windowsOf(const Model& model, const std::filesystem::path& text, const Json& reference, std::size_t count)
{
    const Json& protocol = reference["protocol"];
    WindowOptions options;
    options.text = text;
    options.rows = protocol.value("rows", false);
    options.bosPerWindow = protocol["bos_per_window"].get<bool>();
    options.length = protocol["window"].get<std::size_t>();
    options.count = count;
    return makeWindows(*model.tokenizer(), options, {});
}

void compareLogits(const Model& model, const Device& device, const std::vector<std::int32_t>& window,
                   const Json& reference, Comparison& comparison)
{
    const Json& chosen = reference["first_window_logits_at"];
    auto positions = chosen["positions"].get<std::vector<std::size_t>>();
    const auto ids = chosen["token_ids"].get<std::vector<std::size_t>>();
    const auto values = chosen["values"].get<std::vector<std::vector<double>>>();
    const Json& top = reference["first_window_last_position_top8"];
    const auto topIds = top["ids"].get<std::vector<std::size_t>>();
    const auto topLogits = top["logits"].get<std::vector<double>>();
    const Matrix<float> logits = windowLogits(model, device, window, positions, {});

    double largest = 0;
    for (const float logit : logits.span())
        largest = std::max(largest, std::abs(static_cast<double>(logit)));
    for (std::size_t i = 0; i < positions.size(); ++i) {
        for (std::size_t j = 0; j < ids.size(); ++j)
            comparison.number(fmt::format("logit of token {} at position {}", ids[j], positions[i]),
                              static_cast<double>(logits(i, ids[j])), values[i][j], 1e-4 * largest);
    }
    std::vector<std::size_t> order(logits.columns());
    std::iota(order.begin(), order.end(), 0);
    const float* last = logits.row(positions.size() - 1);
    std::partial_sort(order.begin(), order.begin() + 8, order.end(),
                      [last](std::size_t a, std::size_t b) { return last[a] > last[b]; });
    order.resize(8);
    comparison.check(order == topIds, "other tokens are the most likely ones after the first window");
    for (std::size_t i = 0; i < topIds.size(); ++i)
        comparison.number(fmt::format("logit of the likely token {}", topIds[i]), static_cast<double>(last[topIds[i]]),
                          topLogits[i], 1e-4 * largest);
}

} // namespace

std::string comparePerplexity(const std::filesystem::path& path, const std::filesystem::path& text,
                              const std::string& name, std::size_t count)
{
    const Json reference = readJson(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "reference" / name);
    const Model model = Model::open(path);
    const std::shared_ptr<const Device> device = makeCpuDevice();
    auto expected = reference["window_nll_sums"].get<std::vector<double>>();
    if (count != 0)
        expected.resize(count);
    const TokenWindows windows = windowsOf(model, text, reference, expected.size());
    const auto firstIds = reference["first_window_first_ids"].get<std::vector<std::int32_t>>();
    Comparison comparison;
    comparison.check(std::equal(firstIds.begin(), firstIds.end(), windows.ids.front().begin()),
                     "the first window has other tokens");
    const PerplexityResult result = evaluatePerplexity(model, *device, windows, {}, {});
    comparison.check(result.windowNll.size() == expected.size(), "another number of windows");
    for (std::size_t i = 0; i < expected.size(); ++i)
        comparison.number(fmt::format("loss of window {}", i), result.windowNll[i], expected[i], 1e-4 * expected[i]);
    const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
    const auto perWindow = reference["predicted_per_window"].get<double>();
    const double perplexity = count != 0 ? std::exp(sum / (static_cast<double>(expected.size()) * perWindow))
                                         : reference["perplexity"].get<double>();
    comparison.number("perplexity", result.perplexity, perplexity, 1e-4 * perplexity);
    compareLogits(model, *device, windows.ids.front(), reference, comparison);
    return comparison.text();
}

} // namespace rankwright
