#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace rankwright {

namespace {

spdlog::logger& logger()
{
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto created = spdlog::stderr_color_mt("rankwright");
        created->set_pattern("%^%l%$: %v");
        return created;
    }();
    return *instance;
}

} // namespace

void logInfo(const std::string& message)
{
    logger().info("{}", message);
}

void logWarning(const std::string& message)
{
    logger().warn("{}", message);
}

void logError(const std::string& message)
{
    logger().error("{}", message);
}

void setLogQuiet(bool quiet)
{
    logger().set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

} // namespace rankwright
