#include "core/base/file.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/paths.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace rankwright {

namespace {

[[noreturn]] void throwIo(const std::string& action, const std::filesystem::path& path, int code)
{
    throw Error(ErrorKind::Io, action + ": " + std::strerror(code), {.file = path});
}

std::filesystem::path temporaryName(const std::filesystem::path& path)
{
    static std::atomic<unsigned> counter{0};
    return path.parent_path() / fmt::format(".{}.{}-{}.partial", path.filename().string(), ::getpid(), counter++);
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

/// A lock on a folder that ends with this process; -1 where another holds it or the file system has none.
int lockFolder(const std::filesystem::path& folder)
{
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        ::close(descriptor);
        return -1;
    }
    return descriptor;
}

/// Removes temporary folders for `path` whose lock nobody holds. They must be of an hour ago and more: one that was
/// made just now may get its lock in this moment, and not every shared file system shows the locks of other machines.
void removeLeftovers(const std::filesystem::path& path)
{
    const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    const std::string start = fmt::format(".{}.", path.filename().string());
    std::error_code failure;
    std::vector<std::filesystem::path> found;
    for (std::filesystem::directory_iterator entry(folderOf(path), failure), end; !failure && entry != end;
         entry.increment(failure)) {
        const std::string name = entry->path().filename().string();
        // What stands between is "PROCESS-NUMBER", see temporaryName(): another target's name may begin with this
        // one's.
        if (name.starts_with(start) && name.ends_with(".partial") &&
            name.find_first_not_of("0123456789-", start.size()) == name.size() - std::strlen(".partial"))
            found.push_back(entry->path());
    }
    for (const std::filesystem::path& folder : found) {
        const auto changed = std::filesystem::last_write_time(folder, failure);
        if (failure || changed > old)
            continue;
        if (const int lock = lockFolder(folder); lock >= 0) {
            std::filesystem::remove_all(folder, failure);
            ::close(lock);
        }
    }
}

bool isMountPoint(const std::filesystem::path& folder)
{
    struct statx status = {};
    return ::statx(AT_FDCWD, folder.c_str(), 0, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
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

std::filesystem::path freeFolder(const std::filesystem::path& path)
{
    std::filesystem::path folder = path.has_filename() ? path : path.parent_path();
    std::error_code failure;
    if (std::filesystem::is_symlink(folder, failure)) {
        const std::filesystem::path target = std::filesystem::canonical(folder, failure);
        if (failure)
            throw Error(ErrorKind::InvalidArgument,
                        "is a link that leads nowhere (" + failure.message() + "); choose another name",
                        {.file = folder});
        folder = target;
    }
    if (!isPresent(folder))
        return folder;
    if (!std::filesystem::is_directory(folder, failure) || !std::filesystem::is_empty(folder, failure))
        throw Error(ErrorKind::InvalidArgument, "exists and is not an empty folder; choose another name",
                    {.file = folder});
    if (isMountPoint(folder))
        throw Error(ErrorKind::InvalidArgument,
                    "is where a file system is mounted, which no folder can take the place of; name a new one in it",
                    {.file = folder});
    return folder;
}

AtomicFolder::AtomicFolder(const std::filesystem::path& path)
    : m_path(freeFolder(path))
    , m_temporary(temporaryName(m_path))
{
    createFolders(folderOf(m_path));
    removeLeftovers(m_path);
    std::error_code failure;
    if (!std::filesystem::create_directory(m_temporary, failure))
        throw Error(ErrorKind::Io, "cannot create a folder here: " + failure.message(), {.file = m_path});
    m_lock = lockFolder(m_temporary);
}

AtomicFolder::~AtomicFolder()
{
    if (!m_committed) {
        std::error_code ignored;
        std::filesystem::remove_all(m_temporary, ignored);
    }
    if (m_lock >= 0)
        ::close(m_lock);
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
