#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/bytes.h"
#include "core/compute/device.h"
#include "core/compute/device_registry.h"

namespace rankwright::cli {

namespace {

Json toJson(const std::vector<DeviceInfo>& devices, const std::vector<DeviceModuleInfo>& modules)
{
    Json list = Json::array();
    for (const DeviceInfo& device : devices)
        list.push_back({{"id", device.id},
                        {"name", device.name},
                        {"library", device.library},
                        {"threads", device.threads},
                        {"memoryTotal", device.memoryTotal},
                        {"memoryFree", device.memoryFree}});
    Json loaded = Json::array();
    for (const DeviceModuleInfo& module : modules)
        loaded.push_back(
            {{"file", module.file.string()}, {"description", module.description}, {"devices", module.devices}});
    return {{"devices", std::move(list)}, {"modules", std::move(loaded)}};
}

std::string toText(const std::vector<DeviceInfo>& devices, const std::vector<DeviceModuleInfo>& modules)
{
    Table table({{"id", Table::Align::Left},
                 {"name", Table::Align::Left},
                 {"library", Table::Align::Left},
                 {"threads"},
                 {"memory"},
                 {"free"}});
    for (const DeviceInfo& device : devices)
        table.row({device.id, device.name, device.library, std::to_string(device.threads),
                   formatBytes(device.memoryTotal), formatBytes(device.memoryFree)});
    std::string result = table.text();
    for (const DeviceModuleInfo& module : modules)
        result += "\nmodule " + oneLine(module.file.string()) + ": " + oneLine(module.description) + '\n';
    return result;
}

} // namespace

void addDevices(CLI::App& app, Session& session)
{
    CLI::App* command = addVerb(app, session, "devices", "The devices that can compute here",
                                "Example:\n"
                                "  rankwright-cli devices");
    command->callback([&session] {
        session.work = [&session] {
            const std::vector<DeviceInfo> devices = listDevices();
            const std::vector<DeviceModuleInfo> modules = listDeviceModules();
            if (session.json)
                session.out.json(toJson(devices, modules));
            else
                session.out.write(toText(devices, modules));
        };
    });
}

} // namespace rankwright::cli
