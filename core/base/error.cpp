#include "core/base/error.h"

#include <utility>

namespace rankwright {

std::string_view errorKindName(ErrorKind kind)
{
    switch (kind) {
    case ErrorKind::InvalidArgument:
        return "invalidArgument";
    case ErrorKind::NotFound:
        return "notFound";
    case ErrorKind::Io:
        return "io";
    case ErrorKind::Corrupt:
        return "corrupt";
    case ErrorKind::Unsupported:
        return "unsupported";
    case ErrorKind::Mismatch:
        return "mismatch";
    case ErrorKind::NonFinite:
        return "nonFinite";
    case ErrorKind::Numeric:
        return "numeric";
    case ErrorKind::Memory:
        return "memory";
    case ErrorKind::Cancelled:
        return "cancelled";
    case ErrorKind::Internal:
        return "internal";
    }
    return "internal";
}

namespace {

/// Names and values from a hostile file can have many megabytes.
std::string shortened(const std::string& text, std::size_t longest)
{
    if (text.size() <= longest)
        return text;
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) // inside a character
        --end;
    return text.substr(0, end) + "...";
}

std::string oneLine(const std::string& message, const ErrorContext& context)
{
    std::string line;
    if (!context.file.empty())
        line += context.file.string() + ": ";
    if (!context.tensor.empty())
        line += "tensor " + shortened(context.tensor, 1024) + ": ";
    line += shortened(message, 8192);
    for (char& c : line) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x20 || code == 0x7F) // names from files may hold terminal escapes, or a zero that ends what()
            c = ' ';
    }
    return line;
}

} // namespace

Error::Error(ErrorKind kind, const std::string& message, ErrorContext context)
    : std::runtime_error(oneLine(message, context))
    , m_kind(kind)
    , m_context(std::move(context))
{}

} // namespace rankwright
