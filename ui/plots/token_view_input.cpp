// What the mouse and the keyboard do in a TokenView.
#include "ui/plots/token_view.h"

#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QScrollBar>

#include <algorithm>
#include <cmath>

namespace rankwright::ui {

void TokenView::setCurrent(int token)
{
    const int next = count() == 0 ? -1 : std::clamp(token, -1, count() - 1);
    if (next == m_current)
        return;
    viewport()->update(tokenRect(m_current).toAlignedRect().adjusted(-2, -2, 2, 2));
    m_current = next;
    viewport()->update(tokenRect(m_current).toAlignedRect().adjusted(-2, -2, 2, 2));
    describe();
}

void TokenView::moveCurrent(int token)
{
    const int before = m_current;
    setCurrent(std::clamp(token, 0, count() - 1));
    const QRectF place = tokenRect(m_current);
    QScrollBar* bar = verticalScrollBar();
    if (place.top() < headerHeight())
        bar->setValue(bar->value() + static_cast<int>(std::floor(place.top() - headerHeight())));
    else if (place.bottom() > viewport()->height())
        bar->setValue(bar->value() + static_cast<int>(std::ceil(place.bottom() - viewport()->height())));
    if (m_current != before)
        emit currentChanged(m_current);
}

void TokenView::moveByLines(int lines)
{
    const auto after = std::upper_bound(m_lines.begin(), m_lines.end(), m_current);
    const auto from = static_cast<int>(after - m_lines.begin()) - 1;
    const int line = std::clamp(from + lines, 0, static_cast<int>(m_lines.size()) - 1);
    const double x = m_places[m_current].center().x();
    const int end = line + 1 < m_lines.size() ? m_lines[line + 1] : count();
    int token = m_lines[line];
    while (token + 1 < end && m_places[token].right() < x)
        ++token;
    moveCurrent(token);
}

void TokenView::keyPressEvent(QKeyEvent* event)
{
    if (count() == 0) {
        QAbstractScrollArea::keyPressEvent(event);
        return;
    }
    const int page = std::max(1, static_cast<int>(verticalScrollBar()->pageStep() / lineHeight()) - 1);
    const bool none = m_current < 0;
    switch (event->key()) {
    case Qt::Key_Left:
        moveCurrent(none ? 0 : m_current - 1);
        return;
    case Qt::Key_Right:
        moveCurrent(m_current + 1);
        return;
    case Qt::Key_Home:
        moveCurrent(0);
        return;
    case Qt::Key_End:
        moveCurrent(count() - 1);
        return;
    case Qt::Key_Up:
    case Qt::Key_Down:
    case Qt::Key_PageUp:
    case Qt::Key_PageDown: {
        const bool up = event->key() == Qt::Key_Up || event->key() == Qt::Key_PageUp;
        const bool pages = event->key() == Qt::Key_PageUp || event->key() == Qt::Key_PageDown;
        if (none)
            moveCurrent(0);
        else
            moveByLines((up ? -1 : 1) * (pages ? page : 1));
        return;
    }
    default:
        QAbstractScrollArea::keyPressEvent(event);
    }
}

void TokenView::hover(int token)
{
    if (token == m_hovered)
        return;
    viewport()->update(tokenRect(m_hovered).toAlignedRect().adjusted(-2, -2, 2, 2));
    m_hovered = token;
    viewport()->update(tokenRect(m_hovered).toAlignedRect().adjusted(-2, -2, 2, 2));
    emit tokenHovered(token);
}

bool TokenView::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::Leave)
        hover(-1);
    return QAbstractScrollArea::viewportEvent(event);
}

void TokenView::mouseMoveEvent(QMouseEvent* event)
{
    hover(tokenAt(event->position()));
}

void TokenView::mousePressEvent(QMouseEvent* event)
{
    const int token = tokenAt(event->position());
    if (event->button() == Qt::LeftButton && token >= 0)
        moveCurrent(token);
}

void TokenView::scrollContentsBy(int /*dx*/, int /*dy*/)
{
    m_hovered = -1;
    viewport()->update();
}

void TokenView::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void TokenView::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

void TokenView::describe()
{
    setAccessibleName(m_data.title.isEmpty() ? tr("Tokens") : m_data.title);
    if (count() == 0)
        setAccessibleDescription(m_emptyText);
    else if (m_current < 0)
        setAccessibleDescription(tr("%1 tokens").arg(count()));
    else
        setAccessibleDescription(tr("token %1 of %2: %3, %4 %5")
                                     .arg(m_current + 1)
                                     .arg(count())
                                     .arg(m_data.tokens[m_current].text, m_data.valueTitle,
                                          QLocale().toString(m_data.tokens[m_current].value, 'g', 3)));
}

} // namespace rankwright::ui
