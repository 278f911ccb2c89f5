#include "core/compute/device_registry.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/compute/cpu_info.h"
#include "core/compute/device.h"
#include "core/compute/loaded_module.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace rankwright {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> moduleFolders()
{
    if (const char* folder = std::getenv("RANKWRIGHT_DEVICE_MODULES"); folder != nullptr && *folder != '\0')
        return {folder};
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (error)
        return {};
    return {program.parent_path().parent_path() / "lib" / "rankwright", program.parent_path()};
}

std::vector<fs::path> moduleFiles()
{
    std::vector<fs::path> files;
    for (const fs::path& folder : moduleFolders()) {
        std::vector<fs::path> here;
        std::error_code error;
        for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
            const std::string name = entry->path().filename().string();
            if (name.starts_with("librankwright_device_") && name.ends_with(".so"))
                here.push_back(fs::absolute(entry->path()));
        }
        std::ranges::sort(here);
        files.insert(files.end(), here.begin(), here.end());
    }
    return files;
}

/// A module of that file, or null; every file is loaded, and complained about, once.
std::shared_ptr<const LoadedModule> loadModule(const fs::path& file)
{
    static std::mutex mutex;
    static std::map<fs::path, std::shared_ptr<const LoadedModule>> loaded;
    const std::lock_guard lock(mutex);
    const auto known = loaded.find(file);
    if (known != loaded.end())
        return known->second;
    auto& module = loaded[file];
    try {
        module = std::make_shared<LoadedModule>(file);
    } catch (const Error& error) {
        logWarning(error.what());
    }
    return module;
}

/// Calls visit(module, device index, device) for every device of every module until it answers true.
template <typename Visitor>
void visitModuleDevices(const Visitor& visit)
{
    std::vector<std::string> ids = {"cpu"};
    for (const fs::path& file : moduleFiles()) {
        const auto module = loadModule(file);
        if (!module)
            continue;
        try {
            const int count = module->count();
            for (int index = 0; index < count; ++index) {
                const DeviceInfo info = module->describe(index);
                if (info.id.empty() || std::ranges::find(ids, info.id) != ids.end()) {
                    logWarning(fmt::format("{}: device {} is left out, its id \"{}\" is empty or taken", file.string(),
                                           index, info.id));
                    continue;
                }
                ids.push_back(info.id);
                if (visit(*module, index, info))
                    return;
            }
        } catch (const Error& error) {
            logWarning(error.what());
        }
    }
}

} // namespace

std::vector<DeviceModuleInfo> listDeviceModules()
{
    std::vector<DeviceModuleInfo> modules;
    for (const fs::path& file : moduleFiles()) {
        const auto module = loadModule(file);
        if (!module)
            continue;
        try {
            modules.push_back({file, module->description(), module->count()});
        } catch (const Error& error) {
            logWarning(error.what());
        }
    }
    return modules;
}

std::vector<DeviceInfo> listDevices()
{
    std::vector<DeviceInfo> devices = {makeCpuDevice()->info()};
    visitModuleDevices([&](const LoadedModule&, int, const DeviceInfo& info) {
        devices.push_back(info);
        return false;
    });
    return devices;
}

std::shared_ptr<const Device> openDevice(const std::string& id, std::size_t threads)
{
    if (id == "cpu")
        return makeCpuDevice(threads);
    std::string known = "cpu";
    const LoadedModule* owner = nullptr;
    int found = 0;
    visitModuleDevices([&](const LoadedModule& module, int index, const DeviceInfo& info) {
        known += ", " + info.id;
        if (info.id != id)
            return false;
        owner = &module;
        found = index;
        return true;
    });
    if (owner == nullptr)
        throw Error(ErrorKind::NotFound, fmt::format("there is no device \"{}\"; known are: {}", id, known));
    return owner->create(found, threads);
}

} // namespace rankwright
