#pragma once

#include <QString>
#include <QStringList>

/// What a source file may include and hold. A file is named by its path from the repository root; every function
/// returns one line per violation and nothing for a clean file.
namespace rankwright::rules {

/// The folders of core in order of dependence: a folder includes only itself and those before it.
const QStringList& coreFolders();

/// Includes against the order of dependence: core knows no Qt, ui, gpu or app; gpu knows only core/base, core/tensor
/// and core/compute; ui knows core; app knows ui and core. Quoted includes go from the repository root.
QStringList includeViolations(const QString& path, const QString& content);

/// A header without `#pragma once`, or a core header that includes a library that belongs in .cpp files only.
QStringList headerViolations(const QString& path, const QString& content);

/// Absolute paths into somebody's home or working folder.
QStringList pathViolations(const QString& path, const QString& content);

/// Host names of package registries: what is fetched is named by package, and the machine's own clients know from
/// where.
QStringList hostViolations(const QString& path, const QString& content);

/// A source so long that it has more than one purpose: over 600 lines, a test over 900.
QStringList lengthViolations(const QString& path, const QString& content);

} // namespace rankwright::rules
