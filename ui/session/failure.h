#pragma once

#include "core/base/error.h"

#include <QString>

#include <exception>
#include <optional>

namespace rankwright::ui {

/// An error of the engine as the window keeps and shows it.
struct Failure
{
    ErrorKind kind = ErrorKind::Internal;
    QString message; ///< one line that names file, tensor, numbers and what to do
    QString file;
    QString tensor;

    bool cancelled() const { return kind == ErrorKind::Cancelled; }
};

/// What is being handled, told as a Failure. Only inside a catch block.
Failure currentFailure();

/// Result of a task on another thread: a value, or why there is none.
template <typename T>
struct Outcome
{
    std::optional<T> value;
    Failure failure;

    explicit operator bool() const { return value.has_value(); }
    const T& operator*() const { return *value; }
    T& operator*() { return *value; }
    const T* operator->() const { return &*value; }
};

} // namespace rankwright::ui
