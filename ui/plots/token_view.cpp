#include "ui/plots/token_view.h"

#include <QEvent>
#include <QFontMetricsF>
#include <QHash>
#include <QLocale>
#include <QPaintEvent>
#include <QPainter>
#include <QScrollBar>

#include <algorithm>
#include <array>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double margin = 8.0;
constexpr double padding = 1.0;
constexpr double legendWidth = 160.0;
constexpr double strongShare = 0.33;
constexpr double withinLimit = 0.95;

/// One line of text without characters that cannot be seen.
QString visible(const QString& text)
{
    QString shown;
    for (const QChar character : text) {
        if (character == u'\n')
            shown += QChar(0x21b5);
        else if (character == u'\t')
            shown += QChar(0x2192);
        else
            shown += character.isPrint() || character.isSurrogate() ? character : QChar(0x25a1);
    }
    return shown;
}

bool beginsWord(const QString& text)
{
    return text.isEmpty() || text.front().isSpace();
}

QString signedNumber(double value)
{
    return (value > 0.0 ? u"+"_s : QString()) + QLocale().toString(value, 'g', 3);
}

} // namespace

TokenView::TokenView(QWidget* parent)
    : QAbstractScrollArea(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    // A scroll bar that comes and goes would lay the text out twice.
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
    viewport()->setMouseTracking(true);
    viewport()->setAttribute(Qt::WA_OpaquePaintEvent);
    setContextMenuPolicy(Qt::ActionsContextMenu);
    m_actions = new FigureActions(
        this, {.paint = [this](QPainter& painter, const QPalette& colours) { paintFigure(painter, colours); },
               .size = [this] { return figureSize(); },
               .title = [this] { return m_data.title; },
               .csv = [this](bool /*visible*/) -> std::function<QByteArray()> {
                   return m_data.table ? m_data.table : [] { return QByteArray(); };
               },
               .hasVisibleRange = false});
    describe();
}

TokenView::~TokenView() = default;

void TokenView::setData(const TokenViewData& data)
{
    m_data = data;
    m_current = -1;
    m_hovered = -1;
    std::vector<double> sizes;
    for (const TokenSpan& token : std::as_const(m_data.tokens))
        if (std::isfinite(token.value))
            sizes.push_back(std::abs(token.value));
    m_limit = 0.0;
    if (!sizes.empty()) {
        const auto place = std::min(
            sizes.size() - 1, static_cast<std::size_t>(std::ceil(withinLimit * static_cast<double>(sizes.size()))));
        std::nth_element(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(place), sizes.end());
        m_limit = sizes[place];
    }
    if (m_limit <= 0.0)
        m_limit = 1.0;
    m_shown.clear();
    for (const TokenSpan& token : std::as_const(m_data.tokens))
        m_shown.append(visible(token.text));
    measure();
    layOut();
    recolour();
    verticalScrollBar()->setValue(0);
    describe();
}

void TokenView::setEmptyText(const QString& text)
{
    m_emptyText = text;
    viewport()->update();
}

double TokenView::headerHeight() const
{
    return std::ceil(3.0 * margin + 2.0 * QFontMetricsF(font()).height());
}

double TokenView::lineHeight() const
{
    return std::ceil(1.5 * QFontMetricsF(font()).height());
}

void TokenView::measure()
{
    const QFontMetricsF metrics(font());
    QHash<QString, double> known;
    m_widths.resize(count());
    for (int token = 0; token < count(); ++token) {
        const auto found = known.constFind(m_shown[token]);
        const double width = found != known.constEnd() ? *found : metrics.horizontalAdvance(m_shown[token]);
        if (found == known.constEnd())
            known.insert(m_shown[token], width);
        m_widths[token] = width + 2.0 * padding;
    }
}

void TokenView::layOut()
{
    const double room = std::max(40.0, viewport()->width() - 2.0 * margin);
    const double height = lineHeight();
    m_places.resize(count());
    m_lines.clear();
    double x = 0.0;
    double y = 0.0;
    const auto newLine = [&](int token) {
        if (!m_lines.isEmpty())
            y += height;
        m_lines.append(token);
        x = 0.0;
    };
    bool afterBreak = true;
    for (int token = 0; token < count(); ++token) {
        if (afterBreak) {
            newLine(token);
        } else {
            // Words stay together where a line can hold them.
            double word = m_widths[token];
            if (beginsWord(m_data.tokens[token].text))
                for (int next = token + 1; next < count() && word <= room && !beginsWord(m_data.tokens[next].text);
                     ++next)
                    word += m_widths[next];
            if (x + (word <= room ? word : m_widths[token]) > room)
                newLine(token);
        }
        const double width = std::min(m_widths[token], room);
        m_places[token] = QRectF(margin + x, y, width, height);
        x += width;
        afterBreak = m_data.tokens[token].text.endsWith(u'\n');
    }
    const int content = count() == 0 ? 0 : static_cast<int>(std::ceil(y + height + margin));
    const int page = std::max(1, viewport()->height() - static_cast<int>(headerHeight()));
    verticalScrollBar()->setPageStep(page);
    verticalScrollBar()->setSingleStep(static_cast<int>(height));
    verticalScrollBar()->setRange(0, std::max(0, content - page));
    viewport()->update();
}

double TokenView::share(int token) const
{
    return std::clamp(m_data.tokens[token].value / m_limit, -1.0, 1.0);
}

TokenView::Colours TokenView::coloursOf(double share, const FigureColours& colours) const
{
    if (!std::isfinite(share))
        return {colours.background, colours.quiet};
    // From the background on, so that an even text does not shine in the dark.
    static const std::array ends{divergingColour(1.0), divergingColour(-1.0)};
    const QColor under = mixed(colours.background, ends[share < 0.0 ? 0 : 1], std::abs(share));
    const QColor text = contrastRatio(under, Qt::white) > contrastRatio(under, Qt::black) ? Qt::white : Qt::black;
    return {under, contrastRatio(under, colours.text) >= 7.0 ? colours.text : text};
}

QVector<TokenView::Colours> TokenView::allColours(const FigureColours& colours) const
{
    QVector<Colours> all;
    all.reserve(count());
    for (int token = 0; token < count(); ++token)
        all.append(coloursOf(share(token), colours));
    return all;
}

QColor TokenView::tokenColour(int token, const QPalette& colours) const
{
    return coloursOf(share(token), FigureColours(colours)).under;
}

QColor TokenView::textColour(int token, const QPalette& colours) const
{
    return coloursOf(share(token), FigureColours(colours)).text;
}

void TokenView::recolour()
{
    m_colours = allColours(FigureColours(palette()));
    viewport()->update();
}

int TokenView::tokenAt(const QPointF& position) const
{
    if (position.y() < headerHeight() || m_lines.isEmpty())
        return -1;
    const QPointF at = position + QPointF(0.0, verticalScrollBar()->value() - headerHeight());
    const int line = static_cast<int>(at.y() / lineHeight());
    if (line < 0 || line >= m_lines.size())
        return -1;
    const int end = line + 1 < m_lines.size() ? m_lines[line + 1] : count();
    for (int token = m_lines[line]; token < end; ++token)
        if (m_places[token].contains(at))
            return token;
    return -1;
}

QRectF TokenView::tokenRect(int token) const
{
    return token < 0 || token >= m_places.size()
               ? QRectF()
               : m_places[token].translated(0.0, headerHeight() - verticalScrollBar()->value());
}

void TokenView::paintHeader(QPainter& painter, const FigureColours& colours, double width) const
{
    const FigureFonts fonts(font());
    const QFontMetricsF metrics(fonts.ticks);
    painter.fillRect(QRectF(0.0, 0.0, width, headerHeight()), colours.background);
    painter.setFont(fonts.ticks);
    painter.setPen(colours.text);
    painter.drawText(QPointF(margin, margin + metrics.ascent()),
                     metrics.elidedText(m_data.valueTitle, Qt::ElideRight, width - 2.0 * margin));
    const double top = 1.5 * margin + metrics.height();
    const double baseline = top + metrics.ascent();
    double x = margin;
    const auto write = [&](const QString& text, const QColor& colour) {
        painter.setPen(colour);
        painter.drawText(QPointF(x, baseline), text);
        x += metrics.horizontalAdvance(text) + 6.0;
    };
    write(m_data.lowerTitle, colours.quiet);
    write(signedNumber(-m_limit), colours.text);
    const QRectF bar(x, top, std::clamp(width / 4.0, 40.0, legendWidth), metrics.height());
    const auto strips = static_cast<int>(std::ceil(bar.width()));
    for (int at = 0; at < strips; ++at)
        painter.fillRect(QRectF(bar.left() + at, bar.top(), std::min(1.0, bar.width() - at), bar.height()),
                         coloursOf(2.0 * (at + 0.5) / bar.width() - 1.0, colours).under);
    painter.setPen(QPen(colours.axis, 1.0));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(bar);
    painter.setPen(coloursOf(0.0, colours).text);
    painter.drawText(bar, Qt::AlignCenter, u"0"_s);
    x = bar.right() + 6.0;
    write(signedNumber(m_limit), colours.text);
    write(m_data.higherTitle, colours.quiet);
}

void TokenView::paintTokens(QPainter& painter, const QVector<Colours>& colours, int first, int last) const
{
    const QFontMetricsF metrics(font());
    const double lift = 0.5 * (lineHeight() - metrics.height());
    painter.setFont(font());
    QColor pen;
    for (int token = first; token < last; ++token) {
        const QRectF box = m_places[token].adjusted(0.5, 0.5 * lift, -0.5, -0.5 * lift);
        painter.fillRect(box, colours[token].under);
        if (colours[token].text != pen) {
            pen = colours[token].text;
            painter.setPen(pen);
        }
        const bool whole = m_widths[token] <= m_places[token].width();
        painter.drawText(QPointF(m_places[token].left() + padding, m_places[token].top() + lift + metrics.ascent()),
                         whole ? m_shown[token]
                               : metrics.elidedText(m_shown[token], Qt::ElideRight, m_places[token].width()));
        if (const double part = share(token); std::abs(part) >= strongShare) {
            // Nothing is told by colour alone.
            painter.setPen(QPen(pen, 1.5, part < 0.0 ? Qt::SolidLine : Qt::DotLine));
            painter.drawLine(QPointF(box.left() + 1.0, box.bottom() - 1.0),
                             QPointF(box.right() - 1.0, box.bottom() - 1.0));
            painter.setPen(pen);
        }
    }
}

void TokenView::paintFrame(QPainter& painter, int token, const QColor& colour, double width) const
{
    if (token < 0 || token >= m_places.size())
        return;
    painter.setPen(QPen(colour, width));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(tokenRect(token).adjusted(0.5, 2.0, -0.5, -2.0));
}

void TokenView::paintEvent(QPaintEvent* event)
{
    QPainter painter(viewport());
    painter.setRenderHint(QPainter::TextAntialiasing);
    const FigureColours colours(palette());
    painter.fillRect(event->rect(), colours.background);
    if (count() == 0) {
        paintEmptyText(painter, colours, font(), m_emptyText, viewport()->rect());
        return;
    }
    const double top = headerHeight();
    const double offset = verticalScrollBar()->value() - top;
    const auto lines = static_cast<int>(m_lines.size());
    const int firstLine = std::clamp(static_cast<int>((event->rect().top() + offset) / lineHeight()), 0, lines - 1);
    const int lastLine = std::clamp(static_cast<int>((event->rect().bottom() + offset) / lineHeight()) + 1, 0, lines);
    painter.save();
    painter.setClipRect(QRectF(0.0, top, viewport()->width(), viewport()->height() - top));
    painter.translate(0.0, -offset);
    paintTokens(painter, m_colours, m_lines[firstLine], lastLine < lines ? m_lines[lastLine] : count());
    painter.translate(0.0, offset);
    paintFrame(painter, m_hovered, colours.text, 1.0);
    paintFrame(painter, m_current, hasFocus() ? colours.accent : colours.quiet, 2.0);
    painter.restore();
    if (event->rect().top() < top)
        paintHeader(painter, colours, viewport()->width());
}

void TokenView::paintFigure(QPainter& painter, const QPalette& figurePalette) const
{
    const FigureColours colours(figurePalette);
    const QSize size = figureSize();
    painter.fillRect(QRectF(QPointF(), QSizeF(size)), colours.background);
    if (count() == 0)
        return;
    paintHeader(painter, colours, size.width());
    painter.save();
    painter.translate(0.0, headerHeight());
    paintTokens(painter, allColours(colours), 0, count());
    painter.restore();
}

QSize TokenView::figureSize() const
{
    const double bottom = m_places.isEmpty() ? 0.0 : m_places.back().bottom();
    return {viewport()->width(), static_cast<int>(std::ceil(headerHeight() + bottom + margin))};
}

QSize TokenView::sizeHint() const
{
    return {480, static_cast<int>(headerHeight() + 8.0 * lineHeight())};
}

void TokenView::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    layOut();
}

void TokenView::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::FontChange) {
        measure();
        layOut();
    } else if (event->type() == QEvent::PaletteChange) {
        recolour();
    }
}

} // namespace rankwright::ui
