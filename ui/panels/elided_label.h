#pragma once

#include <QLabel>
#include <QPainter>

namespace rankwright::ui {

/// One line that ends in "..." where there is no room for all of it.
class ElidedLabel : public QLabel
{
public:
    ElidedLabel() { setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred); }

protected:
    void paintEvent(QPaintEvent* /*event*/) override
    {
        QPainter painter(this);
        painter.drawText(rect(), Qt::AlignLeft | Qt::AlignVCenter,
                         fontMetrics().elidedText(text(), Qt::ElideRight, width()));
    }
};

} // namespace rankwright::ui
