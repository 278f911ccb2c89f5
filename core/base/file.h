#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// Whole content of a file. Throws Error(NotFound or Io).
std::string readFile(const std::filesystem::path& path);

/// A file that appears under its name only when it is whole: written beside it, synced, renamed.
class AtomicFile
{
public:
    /// Creates the temporary file next to `path`. Throws Error(Io).
    explicit AtomicFile(const std::filesystem::path& path);
    /// Without commit() the temporary file is removed and `path` stays as it was.
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Throws Error(Io), e.g. on a full disk.
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text);
    /// fsync, rename over `path`, fsync of the folder. Throws Error(Io).
    void commit();

private:
    std::filesystem::path m_path;
    std::filesystem::path m_temporary;
    int m_descriptor = -1;
};

/// AtomicFile in one call.
void writeFileAtomically(const std::filesystem::path& path, std::string_view content);

/// The folder that an AtomicFolder at `path` makes or takes the place of: what `path` leads to where it is a link.
/// Throws Error(InvalidArgument) if something stands there that is not an empty folder or on which a file system is
/// mounted, and for a link to nothing; Error(Io) as isPresent().
std::filesystem::path freeFolder(const std::filesystem::path& path);

/// A folder that appears under its name only when it is whole. Files are written into `temporary()`.
class AtomicFolder
{
public:
    /// Creates the temporary folder next to freeFolder(path), after removing those that killed processes have
    /// left of it an hour ago or earlier. Throws as freeFolder(), Error(Io) if the parent cannot be written.
    explicit AtomicFolder(const std::filesystem::path& path);
    ~AtomicFolder();
    AtomicFolder(const AtomicFolder&) = delete;
    AtomicFolder& operator=(const AtomicFolder&) = delete;

    const std::filesystem::path& temporary() const { return m_temporary; }
    /// Syncs every file, then renames the folder to its name. Throws Error(Io).
    void commit();

private:
    std::filesystem::path m_path;
    std::filesystem::path m_temporary;
    int m_lock = -1; ///< on the temporary folder, by which others tell that it is in use
    bool m_committed = false;
};

/// Creates a folder and its parents. Throws Error(Io) naming it.
void createFolders(const std::filesystem::path& path);

} // namespace rankwright
