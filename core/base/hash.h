#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace rankwright {

/// Streaming XXH3-128: fingerprints of weights, texts and recipes. Not a cryptographic hash.
class Hasher
{
public:
    Hasher();
    ~Hasher();
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;

    Hasher& update(std::span<const std::byte> bytes);
    /// Adds the length before the text, so that ("ab", "c") and ("a", "bc") differ.
    Hasher& update(std::string_view text);
    Hasher& update(double value);
    Hasher& update(std::size_t value);

    /// 32 hexadecimal digits.
    std::string hex() const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

std::string hashOf(std::string_view text);
/// Hash of a file's bytes. Throws Error(NotFound or Io).
std::string hashOfFile(const std::filesystem::path& path);

} // namespace rankwright
