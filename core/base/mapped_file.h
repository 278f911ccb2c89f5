#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace rankwright {

/// A whole file mapped read-only. Pages are brought in by the kernel when touched and can be dropped again.
class MappedFile
{
public:
    /// Throws Error(NotFound) or Error(Io) naming the file.
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    const std::filesystem::path& path() const { return m_path; }
    std::span<const std::byte> bytes() const { return {m_data, m_size}; }
    /// Tells the kernel that these bytes are not needed soon, so that they stop counting as resident memory.
    void release(std::span<const std::byte> range) const;

private:
    void unmap();

    std::filesystem::path m_path;
    const std::byte* m_data = nullptr;
    std::size_t m_size = 0;
};

} // namespace rankwright
