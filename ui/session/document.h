#pragma once

#include "core/model/model.h"

#include <QString>

#include <cstddef>
#include <memory>

namespace rankwright::ui {

/// An opened model and what the window shows of it. Immutable, shared by all threads.
struct Document
{
    QString path; ///< as opened, absolute
    QString name; ///< of the folder or file, without endings
    Model model;
    QString weightTypes; ///< "Q4_1, F32", the type of most bytes first
};

using DocumentPtr = std::shared_ptr<const Document>;

/// Checks headers and configuration and loads nothing else. Throws Error.
DocumentPtr openDocument(const QString& path);

} // namespace rankwright::ui
