#pragma once

#include "ui/plots/figure_parts.h"
#include "ui/plots/plot_export.h"

#include <QAbstractScrollArea>
#include <QPair>
#include <QPixmap>
#include <QStringList>
#include <QVector>

#include <optional>

namespace rankwright::ui {

enum class HeatScale { Linear, Logarithmic, Diverging };

struct HeatMapData
{
    QString title;
    QString rowTitle;
    QString columnTitle;
    QString valueTitle;
    QStringList rows;
    QStringList columns;
    /// Row by row, rows x columns. NaN is an empty cell, shown hatched, as are values at or below 0 on a logarithmic
    /// scale.
    QVector<double> values;
    /// Ends of the colours; without them those of the values. A diverging scale takes the larger magnitude on both
    /// sides.
    std::optional<double> least;
    std::optional<double> greatest;
};

using HeatCell = QPair<int, int>;

/// A table of numbers as colours, with a legend. Arrows move the cursor, Enter activates a cell, space clicks it. Cells
/// that would be too small to hit are scrolled.
class HeatMap final : public QAbstractScrollArea
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(HeatMap)

public:
    explicit HeatMap(QWidget* parent = nullptr);
    ~HeatMap() override;

    /// Values beyond rows x columns are left out, missing ones are empty.
    void setData(const HeatMapData& data);
    const HeatMapData& data() const { return m_data; }
    void setScale(HeatScale scale);
    HeatScale scale() const { return m_scale; }
    void setEmptyText(const QString& text);

    /// Paints only the cell, unless the value goes beyond the ends of the colours.
    void updateCell(int row, int column, double value);

    /// Cells that are marked, e.g. those of the linears selected elsewhere.
    void setMarkedCells(const QVector<HeatCell>& cells);
    /// The cell of the keyboard's cursor; (-1, -1) without one. No signal.
    void setCurrentCell(int row, int column);
    HeatCell currentCell() const { return m_current; }

    /// In the coordinates of the viewport; (-1, -1) beside the cells.
    HeatCell cellAt(const QPointF& position) const;
    QRectF cellRect(int row, int column) const;
    QColor cellColour(int row, int column) const;

    FigureActions* figureActions() const { return m_actions; }
    /// The whole map, also what is scrolled away.
    void paintFigure(QPainter& painter, const QPalette& palette) const;
    QSize figureSize() const;

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

signals:
    void cellClicked(int row, int column);
    void cellActivated(int row, int column);
    /// (-1, -1) when the pointer leaves the cells.
    void cellHovered(int row, int column);

protected:
    bool viewportEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    /// Where things lie in a picture of some size.
    struct Layout
    {
        QSizeF size;
        QRectF title;
        QRectF cells;
        QRectF legend;
        double cellWidth = 0.0;
        double cellHeight = 0.0;
        /// How far the cells are scrolled.
        QPointF offset;
        bool slantedColumns = false;
    };

    int rows() const { return static_cast<int>(m_data.rows.size()); }
    int columns() const { return static_cast<int>(m_data.columns.size()); }
    bool isEmpty() const { return m_data.rows.isEmpty() || m_data.columns.isEmpty(); }
    double value(int row, int column) const { return m_data.values[static_cast<qsizetype>(row) * columns() + column]; }
    bool isShown(double value) const;
    void updateEnds();
    /// Where a value lies among the colours, in [0, 1] or for a diverging scale in [-1, 1].
    double share(double value) const;
    QColor colourOf(double value) const;

    Layout layOut(const QSizeF& size, bool scrolled) const;
    void updateScrollBars();
    void mapChanged();
    void describe();
    QRectF rectOf(const Layout& layout, int row, int column) const;
    void paintAll(QPainter& painter, const FigureColours& colours, const Layout& layout) const;
    void paintCell(QPainter& painter, const FigureColours& colours, const Layout& layout, int row, int column) const;
    void paintLabels(QPainter& painter, const FigureColours& colours, const Layout& layout) const;
    void paintLegend(QPainter& painter, const FigureColours& colours, const Layout& layout) const;
    void paintFrame(QPainter& painter, const FigureColours& colours, const HeatCell& cell, const QColor& colour) const;
    void hover(const HeatCell& cell, const QPointF& position);
    void moveCurrent(int row, int column);
    QByteArray csv() const;

    HeatMapData m_data;
    HeatScale m_scale = HeatScale::Linear;
    QString m_emptyText;
    double m_least = 0.0;
    double m_greatest = 1.0;
    QVector<HeatCell> m_marked;
    HeatCell m_current{-1, -1};
    HeatCell m_hovered{-1, -1};
    QPointF m_pointer;
    Layout m_layout;
    FigureActions* m_actions = nullptr;
    QPixmap m_picture;
    bool m_pictureStale = true;
};

} // namespace rankwright::ui
