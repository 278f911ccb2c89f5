#pragma once

#include "ui/plots/figure_parts.h"
#include "ui/plots/plot_export.h"

#include <QAbstractScrollArea>
#include <QVector>

#include <functional>

namespace rankwright::ui {

/// One linear of a plan.
struct RankBar
{
    QString name;
    int block = 0;
    /// Index into the series colours, the same for one role in all blocks.
    int role = 0;
    QString roleName;
    int rank = 0;
    int fullRank = 0;
    int breakEven = 0;
    /// The rank in another plan, drawn as an outline; -1 for none.
    int ghost = -1;
    bool locked = false;
    bool fixed = false; ///< drawn only: no rank can be set
    bool selected = false;

    bool adjustable() const { return !locked && !fixed; }
};

/// The ranks of a plan as bars, block by block.
///
/// Mouse: a click selects (with Ctrl also, with Shift up to there), dragging up and down sets the rank, the wheel
/// zooms, with Shift it scrolls, a double click activates. Keys: left and right go from bar to bar (with Shift they
/// select), up and down change the rank by one (with Shift by ten), page up and page down by a twentieth, + and - zoom,
/// 0 shows all.
class RankBars final : public QAbstractScrollArea
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(RankBars)

public:
    explicit RankBars(QWidget* parent = nullptr);
    ~RankBars() override;

    /// Bars of one block stand together; the order is kept.
    void setBars(const QVector<RankBar>& bars);
    const QVector<RankBar>& bars() const { return m_bars; }
    void setTitle(const QString& title);
    void setEmptyText(const QString& text);

    /// Repaints one column. No signal.
    void setRank(int index, int rank);
    void setGhost(int index, int rank);
    void setLocked(int index, bool locked);
    void setSelection(const QVector<int>& indices);
    QVector<int> selection() const;
    /// The bar with the keyboard; -1 without one.
    int currentIndex() const { return m_current; }
    void setCurrentIndex(int index);

    /// Heights in per cent of the full rank, or in ranks.
    void setRelative(bool relative);
    bool isRelative() const { return m_relative; }

    /// The share of the parameters that a bar keeps at a rank, as the hint tells it; without it rank / break-even, at
    /// most 1.
    void setKeptRatio(std::function<double(int index, int rank)> keptRatio);

    /// 1 shows all bars.
    void setZoom(double zoom, double anchor = 0.5);
    double zoom() const { return m_zoom; }

    /// In the coordinates of the viewport. The column of a bar reaches over the whole height; -1 between and beside the
    /// columns.
    int barAt(const QPointF& position) const;
    QRectF columnRect(int index) const;
    QRectF barRect(int index) const;
    QRectF plotArea() const { return m_plotArea; }
    /// The rank of a bar whose top would be at y, from 1 to its full rank.
    int rankAt(int index, double y) const;

    FigureActions* figureActions() const { return m_actions; }
    void paintFigure(QPainter& painter, const QPalette& palette) const;

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

signals:
    /// `finished` on release of the mouse or the key. Locked bars do not move.
    void rankDragged(int index, int rank, bool finished);
    void selected(int index);
    void selectionChanged(const QVector<int>& indices);
    void activated(int index);
    void hovered(int index);
    void relativeChanged(bool relative);

protected:
    bool viewportEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void keyReleaseEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct LegendEntry
    {
        int role = 0;
        QString text;
        QRectF area;
    };

    void createActions();
    void layOut();
    void updateScrollBar();
    void updateColumn(int index);
    void updateChanged();
    void describe();
    double unitWidth() const;
    double offset() const;
    double heightOf(const RankBar& bar, double rank) const;
    double keptRatio(int index, int rank) const;
    void select(int index, Qt::KeyboardModifiers modifiers);
    void changeRank(int index, int rank, bool finished);
    void goTo(int index, Qt::KeyboardModifiers modifiers);
    void reveal(int index);
    void hover(int index, const QPointF& position);
    QStringList hintLines(int index) const;
    QByteArray csv() const;

    void paintAll(QPainter& painter, const FigureColours& colours, const QRectF& exposed) const;
    void paintBar(QPainter& painter, const FigureColours& colours, int index, const QColor& roleColour) const;
    void paintGhost(QPainter& painter, const FigureColours& colours, const QRectF& area, bool outlined) const;
    void paintLock(QPainter& painter, const FigureColours& colours, const QPointF& bottomCentre) const;
    void paintAxes(QPainter& painter, const FigureColours& colours) const;
    void paintHeader(QPainter& painter, const FigureColours& colours) const;

    QVector<RankBar> m_bars;
    /// Where each column begins, in widths of a column; one more for the end.
    QVector<double> m_starts;
    QString m_title;
    QString m_emptyText;
    std::function<double(int, int)> m_keptRatio;
    bool m_relative = true;
    double m_zoom = 1.0;
    int m_largestFullRank = 1;

    QRectF m_plotArea;
    QRectF m_titleArea;
    QVector<LegendEntry> m_legend;

    int m_current = -1;
    int m_anchor = -1;
    QRect m_changed; ///< of columns that are painted again with the next turn of the event loop
    int m_hovered = -1;
    QPointF m_pointer;
    QPointF m_pressed;
    int m_pressedIndex = -1;
    bool m_dragging = false;
    bool m_keyChangedRank = false;
    QAction* m_relativeAction = nullptr;
    FigureActions* m_actions = nullptr;
};

} // namespace rankwright::ui
