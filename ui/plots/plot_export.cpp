#include "ui/plots/plot_export.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/threads/handover.h"

#include <QAction>
#include <QBuffer>
#include <QClipboard>
#include <QCoreApplication>
#include <QFileDialog>
#include <QFileInfo>
#include <QGuiApplication>
#include <QMessageBox>
#include <QMimeData>
#include <QPainter>
#include <QPointer>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QThreadPool>
#include <QWidget>

#include <algorithm>
#include <type_traits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr double imageScale = 3.0;

bool hasSuffix(const QString& path, QLatin1StringView suffix)
{
    return path.endsWith(suffix, Qt::CaseInsensitive);
}

QByteArray svgBytes(const FigurePainter& paint, const QSize& size, const QString& title)
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QSvgGenerator generator;
    generator.setOutputDevice(&buffer);
    generator.setSize(size);
    generator.setViewBox(QRect(QPoint(), size));
    // Fonts in points then come out as large as on the screen.
    generator.setResolution(96);
    generator.setTitle(title);
    QPainter painter(&generator);
    paint(painter, lightPalette());
    painter.end();
    return bytes;
}

QString savePng(const QImage& image, const QString& path)
{
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!image.save(&buffer, "PNG"))
        return QCoreApplication::translate("FigureActions", "The image for \u201c%1\u201d could not be encoded.")
            .arg(path);
    return saveBytes(bytes, path);
}

/// Remembered while the program runs.
QString& lastFolder()
{
    static QString folder;
    return folder;
}

QString fileNameFrom(const QString& title)
{
    QString name;
    for (const QChar character : title.simplified())
        name += character.isLetterOrNumber() || character == u'.' || character == u'-' ? character : QChar(u'_');
    return name.isEmpty() ? u"figure"_s : name.left(80);
}

} // namespace

QImage renderImage(const FigurePainter& paint, const QSize& size, const QPalette& palette, double scale)
{
    QImage image(QSize(static_cast<int>(size.width() * scale), static_cast<int>(size.height() * scale)),
                 QImage::Format_ARGB32_Premultiplied);
    image.setDevicePixelRatio(scale);
    image.fill(palette.color(QPalette::Base));
    QPainter painter(&image);
    painter.setRenderHints(QPainter::Antialiasing | QPainter::TextAntialiasing);
    paint(painter, palette);
    painter.end();
    return image;
}

QString saveFigure(const FigurePainter& paint, const QSize& size, const QString& title, const QString& path)
{
    if (hasSuffix(path, ".svg"_L1))
        return saveBytes(svgBytes(paint, size, title), path);
    if (hasSuffix(path, ".png"_L1))
        return savePng(renderImage(paint, size, lightPalette(), imageScale), path);
    return QCoreApplication::translate("FigureActions", "\u201c%1\u201d ends in neither .png nor .svg.").arg(path);
}

QByteArray csvLine(const QVector<CsvCell>& cells)
{
    QByteArray line;
    for (qsizetype index = 0; index < cells.size(); ++index) {
        if (index > 0)
            line += ',';
        std::visit(
            [&line](const auto& value) {
                using Value = std::decay_t<decltype(value)>;
                if constexpr (std::is_same_v<Value, double>) {
                    line += QByteArray::number(value, 'g', 17);
                } else if constexpr (std::is_same_v<Value, qint64>) {
                    line += QByteArray::number(value);
                } else {
                    const bool quoted = std::any_of(value.begin(), value.end(), [](QChar c) {
                        return c == u',' || c == u'"' || c == u'\n' || c == u'\r';
                    });
                    QString text = value;
                    if (quoted)
                        text = u'"' + text.replace(u'"', u"\"\""_s) + u'"';
                    line += text.toUtf8();
                }
            },
            cells[index]);
    }
    return line + '\n';
}

QString saveBytes(const QByteArray& bytes, const QString& path)
{
    QSaveFile file(path);
    if (file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit())
        return {};
    return QCoreApplication::translate("FigureActions", "\u201c%1\u201d was not written: %2.")
        .arg(path, file.errorString());
}

FigureActions::FigureActions(QWidget* owner, FigureSource source)
    : QObject(owner)
    , m_owner(owner)
    , m_source(std::move(source))
{
    addAction(tr("Save as &PNG\u2026"), u"image"_s, tr("Save the figure as an image with three pixels for one"),
              u"Ctrl+Alt+P"_s, [this] { askAndSave(tr("PNG image (*.png)"), u".png"_s, false); });
    addAction(tr("Save as &SVG\u2026"), u"image"_s, tr("Save the figure as vectors with real text"), u"Ctrl+Alt+S"_s,
              [this] { askAndSave(tr("SVG drawing (*.svg)"), u".svg"_s, false); });
    addAction(tr("Save &data as CSV\u2026"), u"table"_s, tr("Save all numbers of the figure as comma-separated values"),
              u"Ctrl+Alt+D"_s, [this] { askAndSave(tr("Comma-separated values (*.csv)"), u".csv"_s, false); });
    if (m_source.hasVisibleRange)
        addAction(tr("Save &visible data as CSV\u2026"), u"table"_s,
                  tr("Save the numbers in view as comma-separated values"), u"Ctrl+Alt+V"_s,
                  [this] { askAndSave(tr("Comma-separated values (*.csv)"), u".csv"_s, true); });
    addAction(tr("&Copy image"), u"copy"_s, tr("Copy the figure to the clipboard as an image"), u"Ctrl+C"_s,
              [this] { copyImage(); });
    addAction(tr("Copy d&ata"), u"copy"_s, tr("Copy all numbers of the figure to the clipboard"), u"Ctrl+Shift+C"_s,
              [this] { copyData(); });
}

void FigureActions::addAction(const QString& text, const QString& iconName, const QString& tip, const QString& shortcut,
                              const std::function<void()>& call)
{
    auto* action = new QAction(icon(iconName), text, this);
    action->setStatusTip(tip);
    action->setToolTip(tip);
    action->setShortcut(QKeySequence(shortcut));
    action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
    connect(action, &QAction::triggered, this, call);
    m_owner->addAction(action);
}

void FigureActions::askAndSave(const QString& filter, const QString& suffix, bool visible)
{
    auto* dialog = new QFileDialog(m_owner, tr("Save figure"), lastFolder(), filter);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(suffix);
    dialog->selectFile(fileNameFrom(m_source.title()) + suffix);
    connect(dialog, &QFileDialog::fileSelected, this, [this, visible](const QString& path) {
        lastFolder() = QFileInfo(path).absolutePath();
        save(path, visible);
    });
    dialog->open();
}

void FigureActions::save(const QString& path, bool visible)
{
    if (hasSuffix(path, ".csv"_L1)) {
        writeElsewhere(path, [path, table = m_source.csv(visible)] { return saveBytes(table(), path); });
    } else if (hasSuffix(path, ".svg"_L1)) {
        writeElsewhere(path, [path, bytes = svgBytes(m_source.paint, m_source.size(), m_source.title())] {
            return saveBytes(bytes, path);
        });
    } else {
        writeElsewhere(path, [path, image = renderImage(m_source.paint, m_source.size(), lightPalette(), imageScale)] {
            return savePng(image, path);
        });
    }
}

void FigureActions::writeElsewhere(const QString& path, std::function<QString()> write)
{
    auto work = [self = QPointer<FigureActions>(this), path, write = std::move(write)]() mutable {
        const QString error = write();
        // The application outlives its pool's tasks; the figure need not, so it is looked at only on the window's
        // thread.
        callLater(QCoreApplication::instance(), [self = std::move(self), path, error] {
            if (self.isNull())
                return;
            if (error.isEmpty()) {
                emit self->saved(path);
                return;
            }
            emit self->failed(error);
            auto* box = new QMessageBox(QMessageBox::Warning, tr("Save figure"), error, QMessageBox::Ok, self->m_owner);
            box->setAttribute(Qt::WA_DeleteOnClose);
            box->open();
        });
    };
    startOnPool(*QThreadPool::globalInstance(), std::move(work));
}

void FigureActions::copyImage() const
{
    QGuiApplication::clipboard()->setImage(renderImage(m_source.paint, m_source.size(), lightPalette(), 2.0));
}

void FigureActions::copyData(bool visible) const
{
    QGuiApplication::clipboard()->setText(QString::fromUtf8(m_source.csv(visible)()));
}

} // namespace rankwright::ui
