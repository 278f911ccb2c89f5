#include "core/export/stock_biases.h"

#include "core/base/error.h"
#include "core/model/architecture.h"

#include <fmt/format.h>

namespace rankwright {

namespace {

bool& biasSwitch(ModelConfig& config, Role role)
{
    if (siteOf(role) == TapSite::AttentionInput)
        return config.queryKeyValueBias;
    return role == Role::O ? config.outputBias : config.mlpBias;
}

/// Whether the stock classes can have the biases of withStockBiases().
bool biasesCanBeStock(const ModelConfig& config)
{
    if (config.architecture == "mistral")
        return !config.queryKeyValueBias && !config.outputBias && !config.mlpBias;
    if (config.architecture == "qwen2")
        return !config.outputBias && !config.mlpBias;
    return config.architecture != "qwen3" || !config.mlpBias;
}

} // namespace

ModelConfig withStockBiases(ModelConfig config)
{
    const bool attention = config.queryKeyValueBias || config.outputBias;
    if (config.architecture == "llama" || config.architecture == "qwen3")
        config.queryKeyValueBias = config.outputBias = attention;
    if (config.architecture == "opt" || config.architecture == "gpt2")
        config.queryKeyValueBias = config.outputBias = config.mlpBias = attention || config.mlpBias;
    return config;
}

ModelConfig stockConfigWith(const ModelConfig& config, std::span<const Role> biased, const std::filesystem::path& file)
{
    ModelConfig stock = config;
    for (const Role role : biased)
        biasSwitch(stock, role) = true;
    stock = withStockBiases(std::move(stock));
    if (biasesCanBeStock(stock))
        return stock;
    if (stock.queryKeyNorm || stock.slidingWindow)
        throw Error(
            ErrorKind::Unsupported,
            fmt::format("linears get biases where {} of transformers{} has none, so that the dense format cannot "
                        "hold them; take the factored format, or a method that adds no bias",
                        architectureOf(stock).causalClass, stock.slidingWindow ? " with its sliding window" : ""),
            {.file = file});
    stock.architecture = "llama";
    return withStockBiases(std::move(stock));
}

} // namespace rankwright
