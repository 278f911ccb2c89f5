#pragma once

#include "core/compute/device.h"
#include "core/model/model.h"

#include <benchmark/benchmark.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace rankwright::benchmarks {

// Every benchmark of numerics has a counter "flop" or "byte": the least work that its result needs, per iteration. The
// driver divides it by the time and by the rate of this machine in the same run.

/// The CPU device with all processors.
const Device& cpu();

/// Registers a benchmark timed by the wall clock; its processor time is that of the calling thread.
benchmark::internal::Benchmark* add(const std::string& name, const std::function<void(benchmark::State&)>& body);
/// The same with the processor time of all threads, for work that is not mostly BLAS: its threads spin while they wait.
benchmark::internal::Benchmark* addThreaded(const std::string& name,
                                            const std::function<void(benchmark::State&)>& body);

/// Standard normal values, the same for the same seed.
Matrix<float> normalMatrix(std::size_t rows, std::size_t columns, unsigned seed);

/// SmolLM2 from RANKWRIGHT_SMOLLM2; nothing where it is not set.
const std::optional<Model>& smolLm2();

/// `count` windows of random tokens of the model's vocabulary.
std::vector<std::vector<std::int32_t>> randomWindows(const Model& model, std::size_t count, std::size_t length);

/// Operations of one window through all blocks: two per weight and token, and per block and head two products of
/// T (T + 1) / 2 pairs of headWidth channels.
double forwardFlops(const Model& model, std::size_t length);
/// Operations of the head for one token.
double headFlops(const Model& model);

/// Operations of the second moments of all taps for one token: n (n + 1) each.
double momentFlops(const Model& model);

/// A folder that is removed again.
class TemporaryFolder
{
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

void addRates();
void addLayers();
void addStages();
void addForward();
void addInput();
void addPipeline();
void addPlanning();
void addWholeModel();

} // namespace rankwright::benchmarks
