#include "ui/session/project_file.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

#include <QCryptographicHash>

namespace rankwright::ui {

std::filesystem::path projectFile(const std::filesystem::path& dataFolder, const QString& modelPath)
{
    const QByteArray hash = QCryptographicHash::hash(modelPath.toUtf8(), QCryptographicHash::Sha256).toHex().left(24);
    return dataFolder / "projects" / (hash.toStdString() + ".json");
}

Json readProject(const std::filesystem::path& file)
{
    std::error_code failure;
    if (!std::filesystem::exists(file, failure))
        return {};
    try {
        Json project = readJson(file);
        return project.is_object() ? project : Json();
    } catch (const Error& error) {
        logWarning(std::string("what the window kept of this model cannot be read: ") + error.what());
        return {};
    }
}

void writeProject(const std::filesystem::path& file, const Json& project)
{
    createFolders(file.parent_path());
    writeFileAtomically(file, dumpJson(project, 1) + "\n");
}

} // namespace rankwright::ui
