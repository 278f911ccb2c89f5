#include "ui/plots/rank_bars.h"

#include "ui/plots/axis_scale.h"
#include "ui/theme/icons.h"

#include <QAction>
#include <QEvent>
#include <QFontMetricsF>
#include <QScrollBar>

#include <algorithm>
#include <cmath>
#include <utility>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double margin = 10.0;
constexpr double gap = 6.0;
constexpr double swatch = 11.0;
/// Between blocks, in widths of a column.
constexpr double blockGap = 0.9;
constexpr double largestUnit = 60.0;

} // namespace

RankBars::RankBars(QWidget* parent)
    : QAbstractScrollArea(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setFrameShape(QFrame::NoFrame);
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setMouseTracking(true);
    viewport()->setAttribute(Qt::WA_OpaquePaintEvent);
    setContextMenuPolicy(Qt::ActionsContextMenu);
    createActions();
    describe();
}

RankBars::~RankBars() = default;

void RankBars::createActions()
{
    const auto add = [this](QAction* action, const QString& shortcut, const QString& tip) {
        action->setShortcut(QKeySequence(shortcut));
        action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
        action->setStatusTip(tip);
        action->setToolTip(tip);
        addAction(action);
    };
    m_relativeAction = new QAction(tr("In &per cent of the full rank"), this);
    m_relativeAction->setCheckable(true);
    m_relativeAction->setChecked(m_relative);
    connect(m_relativeAction, &QAction::triggered, this, &RankBars::setRelative);
    add(m_relativeAction, u"%"_s, tr("Show ranks in per cent of the full rank, or as they are"));
    auto* reset = new QAction(icon(u"reset-zoom"_s), tr("Show &all"), this);
    connect(reset, &QAction::triggered, this, [this] { setZoom(1.0); });
    add(reset, u"0"_s, tr("Show all bars"));
    auto* separator = new QAction(this);
    separator->setSeparator(true);
    addAction(separator);
    m_actions = new FigureActions(
        this,
        {.paint = [this](QPainter& painter, const QPalette& colours) { paintFigure(painter, colours); },
         .size = [this] { return viewport()->size(); },
         .title = [this] { return m_title; },
         .csv = [this](bool /*visible*/) -> std::function<QByteArray()> { return [table = csv()] { return table; }; },
         .hasVisibleRange = false});
}

void RankBars::setBars(const QVector<RankBar>& bars)
{
    m_bars = bars;
    m_starts.clear();
    m_starts.reserve(bars.size() + 1);
    m_largestFullRank = 1;
    double start = 0.5 * blockGap;
    for (qsizetype index = 0; index < bars.size(); ++index) {
        if (index > 0 && bars[index].block != bars[index - 1].block)
            start += blockGap;
        m_starts.append(start);
        start += 1.0;
        m_largestFullRank = std::max(m_largestFullRank, bars[index].fullRank);
    }
    m_starts.append(start + 0.5 * blockGap);
    if (m_current >= bars.size())
        m_current = -1;
    m_anchor = m_current;
    m_hovered = -1;
    m_pressedIndex = -1;
    m_dragging = false;
    layOut();
    describe();
}

void RankBars::setTitle(const QString& title)
{
    m_title = title;
    layOut();
    describe();
}

void RankBars::setEmptyText(const QString& text)
{
    m_emptyText = text;
    viewport()->update();
}

void RankBars::setRank(int index, int rank)
{
    if (index < 0 || index >= m_bars.size() || m_bars[index].rank == rank)
        return;
    m_bars[index].rank = rank;
    updateColumn(index);
}

void RankBars::setGhost(int index, int rank)
{
    if (index < 0 || index >= m_bars.size() || m_bars[index].ghost == rank)
        return;
    m_bars[index].ghost = rank;
    updateColumn(index);
}

void RankBars::setLocked(int index, bool locked)
{
    if (index < 0 || index >= m_bars.size())
        return;
    m_bars[index].locked = locked;
    updateColumn(index);
}

void RankBars::setSelection(const QVector<int>& indices)
{
    for (RankBar& bar : m_bars)
        bar.selected = false;
    for (const int index : indices) {
        if (index >= 0 && index < m_bars.size())
            m_bars[index].selected = true;
    }
    viewport()->update();
}

QVector<int> RankBars::selection() const
{
    QVector<int> indices;
    for (int index = 0; index < m_bars.size(); ++index) {
        if (m_bars[index].selected)
            indices.append(index);
    }
    return indices;
}

void RankBars::setCurrentIndex(int index)
{
    m_current = index >= 0 && index < m_bars.size() ? index : -1;
    m_anchor = m_current;
    if (m_current >= 0)
        reveal(m_current);
    describe();
    viewport()->update();
}

void RankBars::setRelative(bool relative)
{
    if (relative == m_relative)
        return;
    m_relative = relative;
    m_relativeAction->setChecked(relative);
    layOut();
    emit relativeChanged(relative);
}

void RankBars::setKeptRatio(std::function<double(int index, int rank)> keptRatio)
{
    m_keptRatio = std::move(keptRatio);
}

double RankBars::keptRatio(int index, int rank) const
{
    if (m_keptRatio)
        return m_keptRatio(index, rank);
    const RankBar& bar = m_bars[index];
    return bar.breakEven > 0 ? std::min(1.0, static_cast<double>(rank) / bar.breakEven) : 1.0;
}

void RankBars::setZoom(double zoom, double anchor)
{
    const double total = m_starts.isEmpty() ? 1.0 : m_starts.back();
    const double most = std::max(1.0, largestUnit * total / std::max(1.0, m_plotArea.width()));
    const double before = m_zoom;
    const double place = (offset() + anchor * m_plotArea.width()) / before;
    m_zoom = std::clamp(zoom, 1.0, most);
    updateScrollBar();
    horizontalScrollBar()->setValue(static_cast<int>(std::lround(place * m_zoom - anchor * m_plotArea.width())));
    viewport()->update();
}

double RankBars::unitWidth() const
{
    const double total = m_starts.isEmpty() ? 1.0 : m_starts.back();
    // Few bars do not grow into boards.
    return std::min(m_plotArea.width() * m_zoom / total, largestUnit);
}

double RankBars::offset() const
{
    return horizontalScrollBar()->value();
}

double RankBars::heightOf(const RankBar& bar, double rank) const
{
    const double whole = m_relative ? std::max(1, bar.fullRank) : m_largestFullRank;
    return std::clamp(rank / whole, 0.0, 1.0) * m_plotArea.height();
}

int RankBars::barAt(const QPointF& position) const
{
    if (m_bars.isEmpty() || !m_plotArea.contains(position))
        return -1;
    const double place = (position.x() - m_plotArea.left() + offset()) / unitWidth();
    const auto after = std::upper_bound(m_starts.begin(), m_starts.end() - 1, place);
    if (after == m_starts.begin())
        return -1;
    const qsizetype index = after - m_starts.begin() - 1;
    return place < m_starts[index] + 1.0 ? static_cast<int>(index) : -1;
}

QRectF RankBars::columnRect(int index) const
{
    const double unit = unitWidth();
    const double origin = m_plotArea.left() - offset();
    // Whole pixels, so that bars have sharp edges; wide ones leave a pixel or two between them.
    const double left = std::floor(origin + m_starts[index] * unit);
    const double right = std::floor(origin + (m_starts[index] + 1.0) * unit);
    const double space = unit >= 4.0 ? std::max(1.0, std::floor(0.16 * unit)) : 0.0;
    return {left, m_plotArea.top(), std::max(1.0, right - left - space), m_plotArea.height()};
}

QRectF RankBars::barRect(int index) const
{
    QRectF area = columnRect(index);
    area.setTop(area.bottom() - heightOf(m_bars[index], m_bars[index].rank));
    return area;
}

int RankBars::rankAt(int index, double y) const
{
    const RankBar& bar = m_bars[index];
    const double share = (m_plotArea.bottom() - y) / m_plotArea.height();
    const double whole = m_relative ? bar.fullRank : m_largestFullRank;
    return std::clamp(static_cast<int>(std::lround(share * whole)), 1, std::max(1, bar.fullRank));
}

void RankBars::updateColumn(int index)
{
    // All that change in one turn of the event loop are painted as one rectangle: in a region of many, as some bars of
    // a plan stay and others move, every fill is clipped by each of them, which takes longer than all other painting.
    if (m_changed.isNull())
        QMetaObject::invokeMethod(this, &RankBars::updateChanged, Qt::QueuedConnection);
    m_changed |= columnRect(index).adjusted(-3.0, -2.0, 3.0, 2.0).toAlignedRect();
}

void RankBars::updateChanged()
{
    viewport()->update(std::exchange(m_changed, QRect()));
}

void RankBars::layOut()
{
    const FigureFonts fonts(font());
    const QFontMetricsF ticks(fonts.ticks);
    const QFontMetricsF text(fonts.text);
    const QSizeF size(viewport()->size());
    double top = margin;
    m_titleArea = {};
    if (!m_title.isEmpty()) {
        m_titleArea =
            QRectF(margin, top, std::max(10.0, size.width() - 2.0 * margin), QFontMetricsF(fonts.title).height());
        top = m_titleArea.bottom() + gap;
    }
    m_legend.clear();
    const double rowHeight = ticks.height() + 3.0;
    double x = margin;
    const auto place = [&](int role, const QString& label) {
        const double needed = swatch + 5.0 + ticks.horizontalAdvance(label);
        if (x > margin && x + needed > size.width() - margin) {
            x = margin;
            top += rowHeight;
        }
        m_legend.append({role, label, QRectF(x, top, needed, rowHeight)});
        x += needed + 2.5 * gap;
    };
    QVector<int> roles;
    bool ghosts = false;
    for (const RankBar& bar : std::as_const(m_bars)) {
        ghosts = ghosts || bar.ghost >= 0;
        if (roles.contains(bar.role))
            continue;
        roles.append(bar.role);
        place(bar.role, bar.roleName);
    }
    if (!m_bars.isEmpty()) {
        place(-1, tr("break-even"));
        if (ghosts)
            place(-2, tr("other plan"));
        top += rowHeight;
    }
    top += gap;

    double left = margin + ticks.horizontalAdvance(m_relative ? u"100 %"_s : QString::number(m_largestFullRank)) + gap;
    left = 8.0 * std::ceil(left / 8.0) + text.height();
    const double bottom = size.height() - margin - text.height() - ticks.height() - gap;
    m_plotArea = QRectF(left, std::floor(top), std::max(20.0, size.width() - margin - left),
                        std::max(20.0, std::floor(bottom - top)));
    updateScrollBar();
    viewport()->update();
}

void RankBars::updateScrollBar()
{
    const double total = m_starts.isEmpty() ? 0.0 : m_starts.back() * unitWidth();
    QScrollBar* bar = horizontalScrollBar();
    bar->setRange(0, std::max(0, static_cast<int>(std::ceil(total - m_plotArea.width()))));
    bar->setPageStep(std::max(1, static_cast<int>(m_plotArea.width())));
    bar->setSingleStep(std::max(1, static_cast<int>(7.0 * unitWidth())));
}

void RankBars::reveal(int index)
{
    const QRectF column = columnRect(index);
    QScrollBar* bar = horizontalScrollBar();
    if (column.left() < m_plotArea.left())
        bar->setValue(bar->value() - static_cast<int>(std::ceil(m_plotArea.left() - column.left())));
    else if (column.right() > m_plotArea.right())
        bar->setValue(bar->value() + static_cast<int>(std::ceil(column.right() - m_plotArea.right())));
}

void RankBars::describe()
{
    setAccessibleName(m_title.isEmpty() ? tr("Ranks") : m_title);
    setAccessibleDescription(m_current >= 0 ? hintLines(m_current).join(u", "_s)
                                            : tr("Ranks of %1 linears as bars").arg(m_bars.size()));
}

QStringList RankBars::hintLines(int index) const
{
    const RankBar& bar = m_bars[index];
    QStringList lines{bar.name};
    lines << tr("rank %1 of %2 (%3 %)")
                 .arg(QString::number(bar.rank), QString::number(bar.fullRank),
                      formatValue(100.0 * bar.rank / std::max(1, bar.fullRank), 3));
    lines << tr("kept %1 % of the parameters").arg(formatValue(100.0 * keptRatio(index, bar.rank), 4));
    QString more = tr("break-even %1").arg(bar.breakEven);
    if (bar.ghost >= 0)
        more += tr(", other plan %1").arg(bar.ghost);
    lines << more;
    if (bar.locked)
        lines << tr("locked");
    if (bar.fixed)
        lines << tr("stays as it is");
    return lines;
}

QByteArray RankBars::csv() const
{
    QByteArray table = csvLine({u"name"_s, u"block"_s, u"role"_s, u"rank"_s, u"fullRank"_s, u"breakEvenRank"_s,
                                u"otherPlanRank"_s, u"keptRatio"_s, u"locked"_s});
    for (int index = 0; index < m_bars.size(); ++index) {
        const RankBar& bar = m_bars[index];
        table += csvLine({bar.name, qint64(bar.block), bar.roleName, qint64(bar.rank), qint64(bar.fullRank),
                          qint64(bar.breakEven), bar.ghost >= 0 ? CsvCell(qint64(bar.ghost)) : CsvCell(QString()),
                          keptRatio(index, bar.rank), bar.locked ? u"true"_s : u"false"_s});
    }
    return table;
}

void RankBars::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    layOut();
}

void RankBars::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange ||
        event->type() == QEvent::StyleChange)
        layOut();
}

void RankBars::scrollContentsBy(int /*dx*/, int /*dy*/)
{
    if (m_hovered >= 0)
        hover(barAt(m_pointer), m_pointer);
    viewport()->update();
}

QSize RankBars::sizeHint() const
{
    return {900, 300};
}

QSize RankBars::minimumSizeHint() const
{
    return {260, 170};
}

} // namespace rankwright::ui
