#pragma once

#include "ui/plots/figure_parts.h"
#include "ui/plots/plot_export.h"

#include <QAbstractScrollArea>
#include <QVector>

#include <functional>
#include <limits>

namespace rankwright::ui {

struct TokenSpan
{
    QString text;
    double value = std::numeric_limits<double>::quiet_NaN(); ///< NaN is shown without colour
};

struct TokenViewData
{
    QString title;
    QString valueTitle;
    QString lowerTitle;  ///< words beside the lower end of the legend
    QString higherTitle; ///< words beside its upper end
    QVector<TokenSpan> tokens;
    std::function<QByteArray()> table; ///< the CSV file; owns what it needs, runs on any thread
};

/// A text as the tokens it is made of, each coloured by a number on a scale that is symmetric about 0: orange below,
/// blue above, with a full or a dashed line under strong ones. Arrows, Home and End move the cursor.
class TokenView final : public QAbstractScrollArea
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(TokenView)

public:
    explicit TokenView(QWidget* parent = nullptr);
    ~TokenView() override;

    void setData(const TokenViewData& data);
    const TokenViewData& data() const { return m_data; }
    void setEmptyText(const QString& text);

    /// The token of the keyboard's cursor; -1 without one. The setter emits no signal.
    int current() const { return m_current; }
    void setCurrent(int token);
    /// In the coordinates of the viewport; -1 beside the tokens.
    int tokenAt(const QPointF& position) const;
    QRectF tokenRect(int token) const;
    /// What a token stands on, in a palette.
    QColor tokenColour(int token, const QPalette& palette) const;
    QColor textColour(int token, const QPalette& palette) const;
    /// Number at both ends of the colours: 95 % of the tokens lie within.
    double limit() const { return m_limit; }

    FigureActions* figureActions() const { return m_actions; }
    /// The whole text, also what is scrolled away.
    void paintFigure(QPainter& painter, const QPalette& palette) const;
    QSize figureSize() const;

    QSize sizeHint() const override;

signals:
    void currentChanged(int token);
    /// -1 when the pointer leaves the tokens.
    void tokenHovered(int token);

protected:
    bool viewportEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct Colours
    {
        QColor under;
        QColor text;
    };

    int count() const { return static_cast<int>(m_data.tokens.size()); }
    double headerHeight() const;
    double lineHeight() const;
    double share(int token) const;
    Colours coloursOf(double share, const FigureColours& colours) const;
    void measure();
    void layOut();
    void recolour();
    void paintHeader(QPainter& painter, const FigureColours& colours, double width) const;
    void paintTokens(QPainter& painter, const QVector<Colours>& colours, int first, int last) const;
    void paintFrame(QPainter& painter, int token, const QColor& colour, double width) const;
    QVector<Colours> allColours(const FigureColours& colours) const;
    void hover(int token);
    void moveCurrent(int token);
    void moveByLines(int lines);
    void describe();

    TokenViewData m_data;
    QString m_emptyText;
    QVector<QString> m_shown;   ///< what is painted of each token, white space made visible
    QVector<double> m_widths;   ///< of each token
    QVector<QRectF> m_places;   ///< of each token, from the top of the text
    QVector<int> m_lines;       ///< first token of each line
    QVector<Colours> m_colours; ///< of each token, in the widget's palette
    double m_limit = 1.0;
    int m_current = -1;
    int m_hovered = -1;
    FigureActions* m_actions = nullptr;
};

} // namespace rankwright::ui
