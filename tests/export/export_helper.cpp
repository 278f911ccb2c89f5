// Exports in a process of its own, for the tests that kill it, take its disk away or measure its memory.
// export_helper FOLDER [FILE-SIZE-LIMIT]: the demo model with replaced linears.
// export_helper --peak MODEL FOLDER MEMORY-LIMIT: MODEL as it is, dense; prints the peak resident memory in bytes.
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "tests/export/export_support.h"

#include <csignal>
#include <iostream>
#include <sys/resource.h>

int main(int argc, char** argv)
{
    using namespace rankwright;
    if (argc == 5) {
        const Model model = Model::open(argv[2]);
        const ExportOptions options{.format = ExportFormat::Dense, .memoryLimit = std::stoul(argv[4])};
        exportModel(model, *makeCpuDevice(), argv[3], options, {});
        std::cout << peakResidentMemory() << std::endl;
        return 0;
    }
    if (argc > 2) {
        // A write past the limit then fails as on a full disk, instead of ending the process.
        std::signal(SIGXFSZ, SIG_IGN);
        const auto bytes = static_cast<rlim_t>(std::stoul(argv[2]));
        const rlimit limit{bytes, bytes};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0)
            return 3;
    }
    try {
        const auto device = makeCpuDevice(1);
        const Model model = Model::open(std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K");
        const exporting::Replacements replacements(model, device);
        exportModel(model.withLinears(replacements.source()), *device, argv[1], {}, {});
        std::cout << "done" << std::endl;
        return 0;
    } catch (const Error& error) {
        std::cerr << errorKindName(error.kind()) << ": " << error.what() << std::endl;
        return 1;
    }
}
