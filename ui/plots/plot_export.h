#pragma once

#include <QByteArray>
#include <QImage>
#include <QObject>
#include <QPalette>
#include <QSize>
#include <QString>
#include <QStringList>
#include <QVector>

#include <functional>
#include <variant>

class QAction;
class QPainter;
class QWidget;

namespace rankwright::ui {

/// Paints a whole figure, of the size that goes with it, in the colours of a palette.
using FigurePainter = std::function<void(QPainter& painter, const QPalette& palette)>;

/// `scale` times as many pixels as the size has.
QImage renderImage(const FigurePainter& paint, const QSize& size, const QPalette& palette, double scale);

/// Writes the figure in light colours: .svg as text and vectors, .png with three pixels for one. The file is replaced
/// as a whole or left alone. Returns what went wrong, or an empty string.
QString saveFigure(const FigurePainter& paint, const QSize& size, const QString& title, const QString& path);

using CsvCell = std::variant<QString, double, qint64>;

/// One line of comma-separated values (RFC 4180), with a line feed. Numbers have 17 digits, so that they read back
/// exactly.
QByteArray csvLine(const QVector<CsvCell>& cells);

/// Replaces the file as a whole or leaves it alone. Returns what went wrong, or an empty string.
QString saveBytes(const QByteArray& bytes, const QString& path);

/// What a plot offers for saving and copying.
struct FigureSource
{
    FigurePainter paint;
    std::function<QSize()> size;
    std::function<QString()> title;
    /// Returns a function that owns what it needs and makes the table on any thread. `visible` asks for what is in view
    /// only.
    std::function<std::function<QByteArray()>(bool visible)> csv;
    /// Whether a part of the data can be out of view.
    bool hasVisibleRange = false;
};

/// The save and copy actions of a plot, added to the widget, with file dialogs that do not block. Files are encoded and
/// written on another thread. Trouble is told in a message box.
class FigureActions final : public QObject
{
    Q_OBJECT
    Q_DISABLE_COPY_MOVE(FigureActions)

public:
    FigureActions(QWidget* owner, FigureSource source);

    /// Writes by suffix (.png, .svg, .csv) and tells the end by `saved` or `failed`.
    void save(const QString& path, bool visible = false);
    void copyImage() const;
    void copyData(bool visible = false) const;

signals:
    void saved(const QString& path);
    void failed(const QString& message);

private:
    void addAction(const QString& text, const QString& iconName, const QString& tip, const QString& shortcut,
                   const std::function<void()>& call);
    void askAndSave(const QString& filter, const QString& suffix, bool visible);
    void writeElsewhere(const QString& path, std::function<QString()> write);

    QWidget* m_owner;
    FigureSource m_source;
};

} // namespace rankwright::ui
