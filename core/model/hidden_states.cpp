#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/model/forward.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace rankwright {

namespace {

/// A file that vanishes with its descriptor. Read and written by calls, as mapped pages would count as resident.
class SpillFile
{
public:
    explicit SpillFile(const std::filesystem::path& folder)
        : m_folder(folder)
    {
        std::string name = (folder / "rankwright-states-XXXXXX").string();
        m_descriptor = ::mkostemp(name.data(), O_CLOEXEC);
        if (m_descriptor < 0)
            fail("cannot create a file for hidden states");
        ::unlink(name.c_str());
    }
    ~SpillFile() { ::close(m_descriptor); }
    SpillFile(const SpillFile&) = delete;
    SpillFile& operator=(const SpillFile&) = delete;

    void write(std::span<const std::byte> bytes, std::size_t offset) const
    {
        while (!bytes.empty()) {
            const ssize_t done = ::pwrite(m_descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                fail("cannot write hidden states");
            bytes = bytes.subspan(static_cast<std::size_t>(done));
            offset += static_cast<std::size_t>(done);
        }
    }

    void read(std::span<std::byte> bytes, std::size_t offset) const
    {
        while (!bytes.empty()) {
            const ssize_t done = ::pread(m_descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                fail("cannot read hidden states back");
            bytes = bytes.subspan(static_cast<std::size_t>(done));
            offset += static_cast<std::size_t>(done);
        }
    }

private:
    [[noreturn]] void fail(std::string_view what) const
    {
        throw Error(ErrorKind::Io, fmt::format("{}: {}", what, std::strerror(errno)), {.file = m_folder});
    }

    std::filesystem::path m_folder;
    int m_descriptor = -1;
};

} // namespace

struct HiddenStates::Data
{
    std::size_t windows = 0;
    std::size_t length = 0;
    std::size_t width = 0;
    std::vector<Matrix<float>> inMemory;
    std::unique_ptr<SpillFile> file;

    std::size_t stateBytes() const { return length * width * sizeof(float); }
    std::size_t offset(std::size_t window) const { return (window - inMemory.size()) * stateBytes(); }
};

HiddenStates::HiddenStates(std::size_t windows, std::size_t length, std::size_t width, std::size_t memoryLimit,
                           const std::filesystem::path& folder)
    : m_data(std::make_unique<Data>())
{
    m_data->windows = windows;
    m_data->length = length;
    m_data->width = width;
    const std::size_t state = checkedProduct(checkedProduct(length, width, "hidden states"), sizeof(float), "bytes");
    const std::size_t held = state == 0 ? windows : std::min(windows, memoryLimit / state);
    for (std::size_t window = 0; window < held; ++window)
        m_data->inMemory.emplace_back(length, width);
    if (held < windows)
        m_data->file = std::make_unique<SpillFile>(folder.empty() ? std::filesystem::temp_directory_path() : folder);
}

HiddenStates::~HiddenStates() = default;
HiddenStates::HiddenStates(HiddenStates&&) noexcept = default;
HiddenStates& HiddenStates::operator=(HiddenStates&&) noexcept = default;

std::size_t HiddenStates::windows() const
{
    return m_data->windows;
}

std::size_t HiddenStates::length() const
{
    return m_data->length;
}

std::size_t HiddenStates::width() const
{
    return m_data->width;
}

bool HiddenStates::spilled() const
{
    return m_data->file != nullptr;
}

MatrixView<float> HiddenStates::buffer(std::size_t window, Matrix<float>& scratch) const
{
    if (window < m_data->inMemory.size())
        return m_data->inMemory[window].view();
    scratch.reshape(m_data->length, m_data->width);
    return scratch.view();
}

MatrixView<float> HiddenStates::load(std::size_t window, Matrix<float>& scratch) const
{
    const MatrixView<float> states = buffer(window, scratch);
    if (window >= m_data->inMemory.size())
        m_data->file->read(std::as_writable_bytes(scratch.span()), m_data->offset(window));
    return states;
}

void HiddenStates::store(std::size_t window, ConstMatrixView<float> states)
{
    if (states.rows != m_data->length || states.columns != m_data->width)
        throw Error(ErrorKind::Internal, fmt::format("{} x {} states for a window of {} x {}", states.rows,
                                                     states.columns, m_data->length, m_data->width));
    if (window < m_data->inMemory.size()) {
        Matrix<float>& target = m_data->inMemory[window];
        if (states.data == target.data())
            return;
        for (std::size_t row = 0; row < states.rows; ++row)
            std::copy_n(states.row(row), states.columns, target.row(row));
        return;
    }
    const std::size_t rowBytes = states.columns * sizeof(float);
    if (states.stride == states.columns) {
        m_data->file->write(std::as_bytes(std::span(states.data, states.rows * states.columns)),
                            m_data->offset(window));
        return;
    }
    for (std::size_t row = 0; row < states.rows; ++row)
        m_data->file->write(std::as_bytes(states.rowSpan(row)), m_data->offset(window) + row * rowBytes);
}

} // namespace rankwright
