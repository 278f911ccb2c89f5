#pragma once

#include "core/experiment/store.h"
#include "core/export/export.h"

#include <cstddef>
#include <filesystem>

namespace rankwright {

/// Throws Error(InvalidArgument) where an export to `out` would find something there, Error(Io) where the folder that
/// it or its parents would be made in is none or cannot be written; empty: no export. Makes nothing.
void requireFreeTarget(const std::filesystem::path& out);

/// What the model card of an export states of a run. `calibrationWindows` are those that were used; 0: not known.
Json runCard(const Recipe& recipe, const RunResult& result, std::size_t calibrationWindows);

/// Where and how a kept run is exported.
struct RunExport
{
    std::filesystem::path folder;
    ExportFormat format = ExportFormat::Factored;
    DType dtype = DType::F32;
    PassOptions pass = {};
};

/// Exports a finished run of the store and records the folder there, where the store can be written. Throws
/// Error(NotFound) for an unknown run, Error(InvalidArgument) for one that is not finished, Error(Mismatch) if the
/// weights of the model are not those of the run any more, and what exportModel() and runLinears() throw.
ExportResult exportRun(Store& store, std::int64_t run, const RunExport& target, const Device& device,
                       const TaskContext& context);

} // namespace rankwright
