#pragma once

#include <functional>
#include <string>

namespace rankwright {

/// Messages for people go to standard error; never to standard output, which belongs to results.
void logInfo(const std::string& message);
void logWarning(const std::string& message);
void logError(const std::string& message);
enum class LogLevel { Info, Warning, Error };
/// Also gives every message to `sink`, from any thread; null: no more.
void setLogSink(std::function<void(LogLevel, const std::string&)> sink);
/// Shows only warnings and errors.
void setLogQuiet(bool quiet);

} // namespace rankwright
