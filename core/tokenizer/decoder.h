#pragma once

#include "core/base/json.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace rankwright {

/// The decoder of a tokenizer.json: a chain of steps from token texts to text.
class Decoder
{
public:
    class Step;

    /// `value` may be null: then the tokens are joined by spaces. Throws Error(Corrupt or Unsupported).
    Decoder(const Json& value, const std::filesystem::path& file);
    ~Decoder();
    Decoder(Decoder&&) noexcept;
    Decoder& operator=(Decoder&&) noexcept;

    /// The text, not yet checked to be UTF-8. Throws Error(Unsupported) where it would become many times as long as the
    /// tokens.
    std::string decode(std::vector<std::string> tokens) const;

private:
    std::filesystem::path m_file;
    std::vector<std::unique_ptr<const Step>> m_steps;
};

} // namespace rankwright
