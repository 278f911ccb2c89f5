#pragma once

#include <string>

namespace rankwright {

/// Messages for people go to standard error; never to standard output, which belongs to results.
void logInfo(const std::string& message);
void logWarning(const std::string& message);
void logError(const std::string& message);
/// Shows only warnings and errors.
void setLogQuiet(bool quiet);

} // namespace rankwright
