#include "ui/panels/text_files.h"

#include <QCoreApplication>
#include <QFileDialog>
#include <QMimeData>
#include <QUrl>

namespace rankwright::ui {

namespace {

struct TextFiles
{
    Q_DECLARE_TR_FUNCTIONS(TextFiles)
};

} // namespace

QFileDialog* askForTexts(QWidget* parent)
{
    auto* dialog = new QFileDialog(parent, TextFiles::tr("Choose texts"), {},
                                   TextFiles::tr("Texts (*.txt *.raw *.md);;All files (*)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFiles);
    dialog->open();
    return dialog;
}

QStringList localFiles(const QMimeData& dropped)
{
    QStringList files;
    for (const QUrl& url : dropped.urls())
        if (url.isLocalFile())
            files.append(url.toLocalFile());
    return files;
}

} // namespace rankwright::ui
