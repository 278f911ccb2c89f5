#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rankwright {

/// What went wrong, independent of the words used to say it. The name of a kind is part of the command-line contract.
enum class ErrorKind {
    InvalidArgument, ///< a wrong call, option or recipe value
    NotFound,        ///< a file, tensor, run or method that does not exist
    Io,              ///< the operating system refused to read or write
    Corrupt,         ///< a file breaks the rules of its format
    Unsupported,     ///< valid input that this program cannot handle
    Mismatch,        ///< two inputs that disagree (config and shapes, fingerprints)
    NonFinite,       ///< NaN or infinity in weights or activations
    Numeric,         ///< a numerical routine failed
    Memory,          ///< the memory budget is too small for the task
    Cancelled,       ///< stopped on request
    Internal         ///< a broken invariant of this program
};

/// Stable camelCase name of a kind, e.g. "invalidArgument".
std::string_view errorKindName(ErrorKind kind);

/// Where an error was found; empty members are unknown.
struct ErrorContext
{
    std::filesystem::path file = {};
    std::string tensor = {};
};

/// The one exception type of the engine. `what()` is one line that names file, tensor, numbers and what to do.
class Error : public std::runtime_error
{
public:
    Error(ErrorKind kind, const std::string& message, ErrorContext context = {});

    ErrorKind kind() const { return m_kind; }
    const std::filesystem::path& file() const { return m_context.file; }
    const std::string& tensor() const { return m_context.tensor; }

private:
    ErrorKind m_kind;
    ErrorContext m_context;
};

} // namespace rankwright
