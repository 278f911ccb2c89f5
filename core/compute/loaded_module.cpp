#include "core/compute/loaded_module.h"

#include "core/base/error.h"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <fstream>
#include <string_view>

namespace rankwright {

namespace {

/// True if the file is a 64-bit ELF file that holds all bytes its segments map.
bool holdsItsSegments(const std::filesystem::path& file)
{
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    std::ifstream stream(file, std::ios::binary);
    Elf64_Ehdr header = {};
    if (error || !stream.read(reinterpret_cast<char*>(&header), sizeof(header)))
        return false;
    const std::string_view magic(reinterpret_cast<const char*>(header.e_ident), SELFMAG);
    if (magic != std::string_view(ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size)
        return false;
    stream.seekg(static_cast<std::streamoff>(header.e_phoff));
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment = {};
        if (!stream.read(reinterpret_cast<char*>(&segment), sizeof(segment)))
            return false;
        if (segment.p_filesz > size || segment.p_offset > size - segment.p_filesz)
            return false;
    }
    return header.e_phnum > 0;
}

std::string text(const char* field, std::size_t capacity)
{
    const std::string_view all(field, capacity);
    return std::string(all.substr(0, all.find('\0')));
}

} // namespace

LoadedModule::LoadedModule(const std::filesystem::path& file)
    : m_file(file)
{
    if (!holdsItsSegments(file))
        fail("is not a complete shared library");
    void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr)
        fail(fmt::format("cannot be loaded: {}", ::dlerror()));
    const unsigned abi = symbol<RankwrightDeviceAbi>(handle, "rankwright_device_abi")();
    if (abi != RANKWRIGHT_DEVICE_ABI)
        fail(fmt::format("has interface version {}, this program has {}; build both from one source", abi,
                         RANKWRIGHT_DEVICE_ABI));
    m_description = symbol<RankwrightDeviceModuleDescription>(handle, "rankwright_device_module_description");
    m_count = symbol<RankwrightDeviceCount>(handle, "rankwright_device_count");
    m_describe = symbol<RankwrightDeviceDescribe>(handle, "rankwright_device_describe");
    m_create = symbol<RankwrightDeviceCreate>(handle, "rankwright_device_create");
    m_lastError = symbol<RankwrightDeviceLastError>(handle, "rankwright_device_last_error");
}

template <typename Function>
Function* LoadedModule::symbol(void* handle, const char* name) const
{
    void* address = ::dlsym(handle, name);
    if (address == nullptr)
        fail(fmt::format("lacks the function {}", name));
    return reinterpret_cast<Function*>(address);
}

void LoadedModule::fail(const std::string& what) const
{
    throw Error(ErrorKind::Unsupported, "device module " + what, {.file = m_file});
}

std::string LoadedModule::description() const
{
    const char* description = m_description();
    return description != nullptr ? description : "";
}

int LoadedModule::count() const
{
    constexpr int most = 1024;
    const int devices = m_count();
    if (devices < 0 || devices > most) {
        const char* reason = m_lastError();
        fail(fmt::format("reports {} devices: {}", devices, reason != nullptr ? reason : "no reason given"));
    }
    return devices;
}

DeviceInfo LoadedModule::describe(int index) const
{
    RankwrightDeviceDescription description = {};
    if (m_describe(index, &description) != 0) {
        const char* reason = m_lastError();
        fail(fmt::format("cannot describe device {}: {}", index, reason != nullptr ? reason : "no reason given"));
    }
    DeviceInfo info;
    info.id = text(description.id, sizeof(description.id));
    info.name = text(description.name, sizeof(description.name));
    info.library = text(description.library, sizeof(description.library));
    info.memoryTotal = description.memoryTotal;
    info.memoryFree = description.memoryFree;
    return info;
}

std::shared_ptr<const Device> LoadedModule::create(int index, std::size_t threads) const
{
    const Device* device = m_create(index, threads);
    if (device == nullptr) {
        const char* reason = m_lastError();
        fail(fmt::format("cannot open device {}: {}", index, reason != nullptr ? reason : "no reason given"));
    }
    return std::shared_ptr<const Device>(device);
}

} // namespace rankwright
