#include "core/experiment/process_identity.h"

#include <array>
#include <cctype>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <unistd.h>

namespace rankwright {

namespace {

std::string readSmall(const std::string& path)
{
    std::ifstream stream(path);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::string bootId()
{
    std::string text = readSmall("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.pop_back();
    return text.empty() ? "unknown" : text;
}

std::string processNamespace()
{
    std::array<char, 128> target{};
    const ssize_t length = ::readlink("/proc/self/ns/pid", target.data(), target.size());
    return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : "unknown";
}

/// Clock ticks from boot to the start of a process: field 22 of /proc/PID/stat; "unknown" if there is no such process.
std::string startTime(const std::string& process)
{
    const std::string text = readSmall("/proc/" + process + "/stat");
    const std::size_t nameEnd = text.rfind(')'); // the name in field 2 may hold spaces and brackets
    if (nameEnd == std::string::npos)
        return "unknown";
    std::istringstream fields(text.substr(nameEnd + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i)
        fields >> field;
    return fields ? field : "unknown";
}

} // namespace

std::string processIdentity()
{
    const std::string process = std::to_string(::getpid());
    return fmt::format("{} {} {} {}", bootId(), processNamespace(), process, startTime(process));
}

bool processMayLive(const std::string& identity)
{
    std::istringstream parts(identity);
    std::string boot;
    std::string space;
    std::string process;
    std::string start;
    if (!(parts >> boot >> space >> process >> start))
        return true;
    if (boot != bootId())
        return false;
    if (space != processNamespace())
        return true;
    return startTime(process) == start;
}

} // namespace rankwright
