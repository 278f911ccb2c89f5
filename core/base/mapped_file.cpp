#include "core/base/mapped_file.h"

#include "core/base/error.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace rankwright {

MappedFile::MappedFile(const std::filesystem::path& path)
    : m_path(path)
{
    // Without O_NONBLOCK a named pipe would wait for a writer before it can be refused.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) {
        const int code = errno;
        throw Error(code == ENOENT ? ErrorKind::NotFound : ErrorKind::Io,
                    std::string("cannot open: ") + std::strerror(code), {.file = path});
    }
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        throw Error(ErrorKind::Io, "not a regular file", {.file = path});
    }
    m_size = static_cast<std::size_t>(status.st_size);
    if (m_size > 0) {
        void* address = ::mmap(nullptr, m_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        const int code = errno;
        ::close(descriptor);
        if (address == MAP_FAILED)
            throw Error(ErrorKind::Io, std::string("cannot map: ") + std::strerror(code), {.file = path});
        m_data = static_cast<const std::byte*>(address);
    } else {
        ::close(descriptor);
    }
}

MappedFile::~MappedFile()
{
    unmap();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : m_path(std::move(other.m_path))
    , m_data(std::exchange(other.m_data, nullptr))
    , m_size(std::exchange(other.m_size, 0))
{}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept
{
    if (this != &other) {
        unmap();
        m_path = std::move(other.m_path);
        m_data = std::exchange(other.m_data, nullptr);
        m_size = std::exchange(other.m_size, 0);
    }
    return *this;
}

void MappedFile::release(std::span<const std::byte> range) const
{
    if (range.empty())
        return;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto offset = static_cast<std::size_t>(range.data() - m_data);
    const std::size_t first = (offset + page - 1) / page * page;
    const std::size_t last = (offset + range.size()) / page * page;
    if (last > first)
        ::madvise(const_cast<std::byte*>(m_data) + first, last - first, MADV_DONTNEED);
}

void MappedFile::unmap()
{
    if (m_data != nullptr)
        ::munmap(const_cast<std::byte*>(m_data), m_size);
    m_data = nullptr;
    m_size = 0;
}

} // namespace rankwright
