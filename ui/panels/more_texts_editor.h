#pragma once

#include "core/experiment/recipe.h"

#include <QStringList>
#include <QWidget>

#include <vector>

class QTableWidget;
class QToolButton;

namespace rankwright::ui {

/// Calibration texts beside the first, each with how much it counts where the first counts 1. Dropped files are added.
class MoreTextsEditor : public QWidget
{
    Q_OBJECT

public:
    explicit MoreTextsEditor(QWidget* parent = nullptr);

    const std::vector<WeightedText>& texts() const { return m_texts; }
    void setTexts(const std::vector<WeightedText>& texts);

signals:
    /// Files are to be added: which windows of them are used is for the receiver to say.
    void added(const QStringList& files);
    /// texts() has other weights, or some were removed.
    void edited();

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void choose();
    void removeSelected();
    void rebuild();
    void refreshRemove();

    std::vector<WeightedText> m_texts;
    QTableWidget* m_table;
    QToolButton* m_remove;
};

} // namespace rankwright::ui
