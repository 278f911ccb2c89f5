#pragma once

#include "core/calibration/windows.h"

#include <QWidget>

#include <optional>

class QCheckBox;
class QComboBox;
class QLineEdit;
class QSpinBox;

namespace rankwright::ui {

/// A text file and which token windows of it are used. A dropped file is taken.
class WindowsEditor : public QWidget
{
    Q_OBJECT

public:
    /// `allowAll`: 0 windows mean all of the text.
    WindowsEditor(const QString& name, bool allowAll, QWidget* parent = nullptr);

    /// Nothing where no file is chosen.
    std::optional<WindowOptions> options() const;
    void setOptions(const std::optional<WindowOptions>& options);

signals:
    void edited();

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void choose();

    QLineEdit* m_file;
    QSpinBox* m_length;
    QSpinBox* m_count;
    QComboBox* m_order;
    QSpinBox* m_seed;
    QCheckBox* m_rows;
    bool m_bosPerWindow = false;
};

} // namespace rankwright::ui
