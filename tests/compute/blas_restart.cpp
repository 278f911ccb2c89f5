#include "core/base/error.h"
#include "core/compute/blas_check.h"
#include "core/compute/device.h"

#include <cstdio>
#include <cstdlib>
#include <string>

// blas_restart KERNEL: behaves as if every kernel but KERNEL computed wrongly, and prints what it ended with.
int main(int argc, char** argv)
{
    if (argc != 2)
        return 2;
    const std::string right = argv[1];
    try {
        rankwright::ensureCorrectBlas(argv, [&]() -> std::optional<std::string> {
            const char* kernel = std::getenv("OPENBLAS_CORETYPE");
            if (kernel != nullptr && right == kernel)
                return std::nullopt;
            return "pretended fault";
        });
    } catch (const rankwright::Error& error) {
        std::printf("%s\n", error.what());
        return 1;
    }
    const char* tried = std::getenv("RANKWRIGHT_BLAS_TRIED");
    std::printf("%s after %s\n", rankwright::makeCpuDevice()->info().library.c_str(), tried != nullptr ? tried : "");
    return 0;
}
