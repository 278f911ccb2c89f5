#include "core/compute/blas_check.h"
#include "tests/benchmarks/support.h"

#include <cstdio>
#include <exception>

int main(int argc, char** argv)
{
    using namespace rankwright;
    try {
        ensureCorrectBlas(argv);
        const DeviceInfo info = benchmarks::cpu().info();
        benchmark::AddCustomContext("processor", info.name);
        benchmark::AddCustomContext("blas", info.library);
        benchmark::AddCustomContext("threads", std::to_string(info.threads));
        benchmarks::addRates();
        benchmarks::addLayers();
        benchmarks::addStages();
        benchmarks::addForward();
        benchmarks::addInput();
        benchmarks::addPipeline();
        benchmarks::addPlanning();
        benchmarks::addWholeModel();
        benchmark::Initialize(&argc, argv);
        if (benchmark::ReportUnrecognizedArguments(argc, argv))
            return 2;
        benchmark::RunSpecifiedBenchmarks();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
