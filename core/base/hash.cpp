#include "core/base/hash.h"

#include "core/base/mapped_file.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace rankwright {

struct Hasher::State
{
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> xxh{XXH3_createState(), &XXH3_freeState};
};

Hasher::Hasher()
    : m_state(std::make_unique<State>())
{
    XXH3_128bits_reset(m_state->xxh.get());
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::update(std::span<const std::byte> bytes)
{
    XXH3_128bits_update(m_state->xxh.get(), bytes.data(), bytes.size());
    return *this;
}

Hasher& Hasher::update(std::string_view text)
{
    update(text.size());
    return update(std::as_bytes(std::span(text)));
}

Hasher& Hasher::update(double value)
{
    return update(std::as_bytes(std::span(&value, 1)));
}

Hasher& Hasher::update(std::size_t value)
{
    return update(std::as_bytes(std::span(&value, 1)));
}

std::string Hasher::hex() const
{
    const XXH128_hash_t digest = XXH3_128bits_digest(m_state->xxh.get());
    return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

std::string hashOf(std::string_view text)
{
    return Hasher().update(text).hex();
}

std::string hashOfFile(const std::filesystem::path& path)
{
    const MappedFile file(path);
    return Hasher().update(file.bytes()).hex();
}

} // namespace rankwright
