#pragma once

#include <QPainter>
#include <QTableView>

#include <utility>

namespace rankwright::ui {

/// A table that says what will be in it while nothing is.
class HintedTable : public QTableView
{
public:
    explicit HintedTable(QString hint, QWidget* parent = nullptr)
        : QTableView(parent)
        , m_hint(std::move(hint))
    {}

protected:
    void paintEvent(QPaintEvent* event) override
    {
        QTableView::paintEvent(event);
        if (model() == nullptr || model()->rowCount(rootIndex()) > 0)
            return;
        QPainter painter(viewport());
        painter.setPen(palette().color(QPalette::PlaceholderText));
        const int margin = fontMetrics().height();
        painter.drawText(viewport()->rect().adjusted(margin, margin, -margin, -margin),
                         Qt::AlignCenter | Qt::TextWordWrap, m_hint);
    }

private:
    QString m_hint;
};

} // namespace rankwright::ui
