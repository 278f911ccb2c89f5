#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rankwright {

/// Largest size, and largest token id, that a configuration may state.
inline constexpr std::int64_t largestConfigSize = (std::int64_t{1} << 31U) - 1;

/// Typed access to config.json with errors (Error(Corrupt)) that name the key. A key that is null counts as missing.
class ConfigReader
{
public:
    /// `json` must outlive the reader; `file` is named in errors.
    ConfigReader(const Json& json, std::filesystem::path file);

    const std::filesystem::path& file() const { return m_file; }
    const Json* find(const std::string& key) const;
    /// Also true for null.
    bool has(const std::string& key) const { return m_json.contains(key); }

    [[noreturn]] void refuse(const std::string& key, const std::string& why) const;
    /// Throws Error(Unsupported) with these words.
    [[noreturn]] void unsupported(const std::string& what) const;

    /// An integer from 1 to largestConfigSize.
    std::optional<std::size_t> size(const std::string& key) const;
    std::size_t needSize(const std::string& key) const;
    double real(const std::string& key, double otherwise) const;
    double needReal(const std::string& key) const;
    bool boolean(const std::string& key, bool otherwise) const;
    /// The same where null is false, as it is to transformers.
    bool flag(const std::string& key, bool otherwise) const { return boolean(key, otherwise && !has(key)); }
    std::string string(const std::string& key, const std::string& otherwise) const;
    /// A token id or a list of them; -1 stands for none.
    std::vector<std::int32_t> tokens(const std::string& key) const;

private:
    const Json& m_json;
    std::filesystem::path m_file;
};

} // namespace rankwright
