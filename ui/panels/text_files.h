#pragma once

#include <QStringList>

class QFileDialog;
class QMimeData;
class QWidget;

namespace rankwright::ui {

/// Opens a dialog that asks for texts; QFileDialog::filesSelected tells which. It deletes itself.
QFileDialog* askForTexts(QWidget* parent);

/// Files of this machine among what is dropped.
QStringList localFiles(const QMimeData& dropped);

} // namespace rankwright::ui
