#pragma once

#include "core/base/error.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Files put together byte by byte, without the code under test.
namespace hostile {

template <typename T>
std::string raw(T value)
{
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
}

/// JSON written with single quotes (moc cannot read raw strings everywhere).
inline std::string json(std::string text)
{
    std::replace(text.begin(), text.end(), '\'', '"');
    return text;
}

/// A safetensors file with this header text and this data.
inline std::string safetensors(const std::string& header, const std::string& data)
{
    return raw<std::uint64_t>(header.size()) + header + data;
}

inline std::string ggufString(std::string_view text)
{
    return raw<std::uint64_t>(text.size()) + std::string(text);
}

/// One metadata entry: key, type number, value bytes.
inline std::string ggufValue(std::string_view key, std::uint32_t type, const std::string& value)
{
    return ggufString(key) + raw<std::uint32_t>(type) + value;
}

/// One entry of the tensor table; `dimensions` innermost first, as in the file.
inline std::string ggufTensor(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                              std::uint64_t offset)
{
    std::string entry = ggufString(name) + raw(static_cast<std::uint32_t>(dimensions.size()));
    for (const std::uint64_t dimension : dimensions)
        entry += raw(dimension);
    return entry + raw(type) + raw(offset);
}

struct Gguf
{
    std::uint32_t version = 3;
    std::uint64_t tensorCount = 0;
    std::uint64_t valueCount = 0;
    std::string values = {};
    std::string tensors = {};
    std::string data = {};
    std::size_t alignment = 32;

    std::string bytes() const
    {
        std::string file = "GGUF" + raw(version) + raw(tensorCount) + raw(valueCount) + values + tensors;
        file.append((alignment - file.size() % alignment) % alignment, '\0');
        return file + data;
    }
};

/// A folder that is removed at the end, with files written into it.
class Folder
{
public:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    std::filesystem::path write(const std::string& name, const std::string& content) const
    {
        std::filesystem::create_directories((path() / name).parent_path());
        // A new file each time: an old one may still be mapped. No sync, which would make thousands of files slow.
        std::filesystem::remove(path() / name);
        std::ofstream(path() / name, std::ios::binary) << content;
        return path() / name;
    }

private:
    QTemporaryDir m_folder;
};

/// What the action threw; nothing if it threw nothing.
inline std::optional<rankwright::Error> errorOf(const std::function<void()>& action)
{
    try {
        action();
    } catch (const rankwright::Error& error) {
        return error;
    }
    return {};
}

/// Fails the test unless `action` throws this kind with a one-line message that holds every one of `words`.
inline bool refuses(const std::function<void()>& action, rankwright::ErrorKind kind,
                    const std::vector<std::string>& words)
{
    const auto error = errorOf(action);
    if (!error) {
        qWarning("no error was thrown");
        return false;
    }
    const std::string_view message = error->what();
    if (error->kind() != kind || message.find('\n') != std::string_view::npos) {
        qWarning("unexpected kind: %s: %s", errorKindName(error->kind()).data(), error->what());
        return false;
    }
    for (const std::string& word : words) {
        if (message.find(word) == std::string_view::npos) {
            qWarning("\"%s\" is not in: %s", word.c_str(), error->what());
            return false;
        }
    }
    return true;
}

} // namespace hostile
