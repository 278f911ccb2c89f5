#include "ui/session/document.h"

#include "core/model/summary.h"
#include "ui/session/text.h"

#include <QDir>
#include <QFileInfo>

namespace rankwright::ui {

namespace {

QString documentName(const QString& path)
{
    const QFileInfo info(QDir::cleanPath(path));
    return info.isDir() ? info.fileName() : info.completeBaseName();
}

} // namespace

DocumentPtr openDocument(const QString& path)
{
    const QString absolute = QFileInfo(path).absoluteFilePath();
    Document document{
        .path = absolute, .name = documentName(absolute), .model = Model::open(toPath(absolute)), .weightTypes = {}};
    document.weightTypes = toQString(weightTypes(document.model));
    return std::make_shared<const Document>(std::move(document));
}

} // namespace rankwright::ui
