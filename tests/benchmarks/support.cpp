#include "tests/benchmarks/support.h"

#include <cerrno>
#include <cstdlib>
#include <random>

namespace rankwright::benchmarks {

const Device& cpu()
{
    static const std::shared_ptr<const Device> device = makeCpuDevice();
    return *device;
}

benchmark::internal::Benchmark* add(const std::string& name, const std::function<void(benchmark::State&)>& body)
{
    return benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
}

benchmark::internal::Benchmark* addThreaded(const std::string& name, const std::function<void(benchmark::State&)>& body)
{
    return add(name, body)->MeasureProcessCPUTime();
}

Matrix<float> normalMatrix(std::size_t rows, std::size_t columns, unsigned seed)
{
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    Matrix<float> result(rows, columns);
    for (float& value : result.span())
        value = normal(generator);
    return result;
}

const std::optional<Model>& smolLm2()
{
    static const std::optional<Model> model = [] {
        const char* file = std::getenv("RANKWRIGHT_SMOLLM2");
        return file != nullptr ? std::optional(Model::open(file)) : std::nullopt;
    }();
    return model;
}

std::vector<std::vector<std::int32_t>> randomWindows(const Model& model, std::size_t count, std::size_t length)
{
    std::mt19937 generator(1);
    std::uniform_int_distribution<std::int32_t> token(0, static_cast<std::int32_t>(model.config().vocabularySize) - 1);
    std::vector<std::vector<std::int32_t>> windows(count, std::vector<std::int32_t>(length));
    for (std::vector<std::int32_t>& window : windows)
        for (std::int32_t& id : window)
            id = token(generator);
    return windows;
}

double forwardFlops(const Model& model, std::size_t length)
{
    const ModelConfig& config = model.config();
    const auto tokens = static_cast<double>(length);
    double weights = 0;
    for (const LinearInfo& linear : model.linears())
        weights += static_cast<double>(linear.shape.parameters());
    const auto channels = static_cast<double>(config.blocks * config.heads * config.headWidth);
    return 2 * weights * tokens + 4 * channels * tokens * (tokens + 1) / 2;
}

double headFlops(const Model& model)
{
    return 2 * static_cast<double>(model.config().vocabularySize * model.config().hiddenSize);
}

double momentFlops(const Model& model)
{
    double flops = 0;
    for (const TapInfo& tap : model.taps())
        flops += static_cast<double>(tap.width * (tap.width + 1));
    return flops;
}

TemporaryFolder::TemporaryFolder()
{
    std::string name = (std::filesystem::temp_directory_path() / "rankwright-benchmark-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw std::filesystem::filesystem_error("mkdtemp", std::error_code(errno, std::generic_category()));
    m_path = name;
}

TemporaryFolder::~TemporaryFolder()
{
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
}

} // namespace rankwright::benchmarks
