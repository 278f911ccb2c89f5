#include "core/base/file.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace rankwright {

namespace {

[[noreturn]] void throwIo(const std::string& action, const std::filesystem::path& path, int code)
{
    throw Error(ErrorKind::Io, action + ": " + std::strerror(code), {.file = path});
}

std::filesystem::path temporaryName(const std::filesystem::path& path)
{
    static std::atomic<unsigned> counter{0};
    std::filesystem::path base = path.has_filename() ? path : path.parent_path();
    return base.parent_path() / fmt::format(".{}.{}-{}.partial", base.filename().string(), ::getpid(), counter++);
}

void syncPath(const std::filesystem::path& path, int flags)
{
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
    if (descriptor < 0)
        throwIo("cannot open to sync", path, errno);
    const int result = ::fsync(descriptor);
    const int code = errno;
    ::close(descriptor);
    // Some file systems cannot sync a folder and say EINVAL; the rename is then as durable as they make it.
    if (result != 0 && code != EINVAL)
        throwIo("cannot sync", path, code);
}

std::filesystem::path folderOf(const std::filesystem::path& path)
{
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

} // namespace

std::string readFile(const std::filesystem::path& path)
{
    const MappedFile file(path);
    const auto bytes = file.bytes();
    if (bytes.empty())
        return {};
    std::string content(bytes.size(), '\0');
    std::memcpy(content.data(), bytes.data(), bytes.size());
    return content;
}

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : m_path(path)
    , m_temporary(temporaryName(path))
{
    m_descriptor = ::open(m_temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (m_descriptor < 0)
        throwIo("cannot create", path, errno);
}

AtomicFile::~AtomicFile()
{
    if (m_descriptor >= 0) {
        ::close(m_descriptor);
        ::unlink(m_temporary.c_str());
    }
}

void AtomicFile::write(std::span<const std::byte> bytes)
{
    const std::byte* next = bytes.data();
    std::size_t left = bytes.size();
    while (left > 0) {
        const ssize_t written = ::write(m_descriptor, next, left);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            throwIo("cannot write", m_path, errno);
        }
        next += written;
        left -= static_cast<std::size_t>(written);
    }
}

void AtomicFile::write(std::string_view text)
{
    write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit()
{
    if (::fsync(m_descriptor) != 0)
        throwIo("cannot sync", m_path, errno);
    const int closed = ::close(m_descriptor);
    const int code = errno;
    m_descriptor = -1;
    if (closed != 0 || ::rename(m_temporary.c_str(), m_path.c_str()) != 0) {
        const int failure = closed != 0 ? code : errno;
        ::unlink(m_temporary.c_str());
        throwIo("cannot finish", m_path, failure);
    }
    syncPath(folderOf(m_path), O_RDONLY | O_DIRECTORY);
}

void writeFileAtomically(const std::filesystem::path& path, std::string_view content)
{
    AtomicFile file(path);
    file.write(content);
    file.commit();
}

AtomicFolder::AtomicFolder(const std::filesystem::path& path)
    : m_path(path.has_filename() ? path : path.parent_path())
    , m_temporary(temporaryName(path))
{
    std::error_code failure;
    if (std::filesystem::exists(m_path, failure)) {
        if (!std::filesystem::is_directory(m_path, failure) || !std::filesystem::is_empty(m_path, failure))
            throw Error(ErrorKind::InvalidArgument, "exists and is not an empty folder; choose another name",
                        {.file = m_path});
    }
    createFolders(folderOf(m_path));
    if (!std::filesystem::create_directory(m_temporary, failure))
        throw Error(ErrorKind::Io, "cannot create a folder here: " + failure.message(), {.file = m_path});
}

AtomicFolder::~AtomicFolder()
{
    if (!m_committed) {
        std::error_code ignored;
        std::filesystem::remove_all(m_temporary, ignored);
    }
}

void AtomicFolder::commit()
{
    for (const auto& entry : std::filesystem::recursive_directory_iterator(m_temporary))
        syncPath(entry.path(), entry.is_directory() ? O_RDONLY | O_DIRECTORY : O_RDONLY);
    syncPath(m_temporary, O_RDONLY | O_DIRECTORY);
    if (::rename(m_temporary.c_str(), m_path.c_str()) != 0)
        throwIo("cannot finish", m_path, errno);
    m_committed = true;
    syncPath(folderOf(m_path), O_RDONLY | O_DIRECTORY);
}

void createFolders(const std::filesystem::path& path)
{
    std::error_code failure;
    std::filesystem::create_directories(path, failure);
    if (failure)
        throw Error(ErrorKind::Io, "cannot create folder: " + failure.message(), {.file = path});
}

} // namespace rankwright
