#include "core/base/log.h"

#include <mutex>
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

std::mutex sinkMutex;
std::function<void(LogLevel, const std::string&)> extraSink;

void pass(LogLevel level, const std::string& message)
{
    const std::lock_guard lock(sinkMutex);
    if (extraSink)
        extraSink(level, message);
}

} // namespace

void setLogSink(std::function<void(LogLevel, const std::string&)> sink)
{
    const std::lock_guard lock(sinkMutex);
    extraSink = std::move(sink);
}

void logInfo(const std::string& message)
{
    logger().info("{}", message);
    pass(LogLevel::Info, message);
}

void logWarning(const std::string& message)
{
    logger().warn("{}", message);
    pass(LogLevel::Warning, message);
}

void logError(const std::string& message)
{
    logger().error("{}", message);
    pass(LogLevel::Error, message);
}

void setLogQuiet(bool quiet)
{
    logger().set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

} // namespace rankwright
