#include "ui/panels/windows_editor.h"

#include "ui/session/text.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDir>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QMimeData>
#include <QSpinBox>
#include <QToolButton>

#include <limits>

namespace rankwright::ui {

WindowsEditor::WindowsEditor(const QString& name, bool allowAll, QWidget* parent)
    : QWidget(parent)
    , m_file(new QLineEdit)
    , m_length(new QSpinBox)
    , m_count(new QSpinBox)
    , m_order(new QComboBox)
    , m_seed(new QSpinBox)
    , m_rows(new QCheckBox(tr("lines are data-set rows")))
{
    setAcceptDrops(true);
    m_file->setObjectName(name + QStringLiteral("File"));
    m_file->setPlaceholderText(tr("UTF-8 text file"));
    m_file->setAccessibleName(tr("Text file"));
    auto* browse = new QToolButton;
    browse->setText(tr("..."));
    browse->setToolTip(tr("Choose a text file"));
    auto* file = new QHBoxLayout;
    file->addWidget(m_file);
    file->addWidget(browse);
    m_length->setObjectName(name + QStringLiteral("Length"));
    m_length->setRange(2, 1 << 20);
    m_length->setValue(allowAll ? 2048 : 256);
    m_length->setAccessibleName(tr("Tokens per window"));
    m_count->setObjectName(name + QStringLiteral("Count"));
    m_count->setRange(allowAll ? 0 : 1, 1 << 20);
    m_count->setValue(allowAll ? 0 : 128);
    m_count->setAccessibleName(tr("Number of windows"));
    if (allowAll)
        m_count->setSpecialValueText(tr("all"));
    for (const WindowOrder order : {WindowOrder::Consecutive, WindowOrder::Random})
        m_order->addItem(toQString(windowOrderName(order)), static_cast<int>(order));
    m_order->setAccessibleName(tr("Order of windows"));
    m_seed->setRange(0, std::numeric_limits<int>::max());
    m_seed->setPrefix(tr("seed "));
    m_seed->setAccessibleName(tr("Seed"));
    m_seed->setEnabled(false);
    auto* windows = new QHBoxLayout;
    windows->addWidget(m_count);
    m_count->setSuffix(tr(" windows"));
    m_length->setSuffix(tr(" tokens"));
    windows->addWidget(m_length);
    auto* order = new QHBoxLayout;
    order->addWidget(m_order);
    order->addWidget(m_seed);
    auto* form = new QFormLayout(this);
    form->setContentsMargins(0, 0, 0, 0);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow(file);
    form->addRow(windows);
    form->addRow(order);
    form->setRowVisible(order, !allowAll);
    form->addRow(m_rows);
    m_rows->setToolTip(tr("Join the lines by empty lines, as the papers do with WikiText-2"));

    connect(browse, &QToolButton::clicked, this, &WindowsEditor::choose);
    connect(m_file, &QLineEdit::editingFinished, this, [this] {
        if (const std::optional<WindowOptions> typed = options())
            m_file->setText(shownPath(toQString(typed->text)));
        emit edited();
    });
    for (QSpinBox* box : {m_length, m_count, m_seed}) {
        box->setKeyboardTracking(false);
        connect(box, &QSpinBox::valueChanged, this, &WindowsEditor::edited);
    }
    connect(m_order, &QComboBox::currentIndexChanged, this, [this](int index) {
        m_seed->setEnabled(index > 0);
        emit edited();
    });
    connect(m_rows, &QCheckBox::toggled, this, &WindowsEditor::edited);
}

std::optional<WindowOptions> WindowsEditor::options() const
{
    if (m_file->text().trimmed().isEmpty())
        return std::nullopt;
    // What was typed is in the folder that the program was started in, which a recipe outlives.
    const QString file = QDir::cleanPath(QDir::current().absoluteFilePath(pathFromShown(m_file->text().trimmed())));
    return WindowOptions{.text = toPath(file),
                         .rows = m_rows->isChecked(),
                         .length = static_cast<std::size_t>(m_length->value()),
                         .count = static_cast<std::size_t>(m_count->value()),
                         .order = static_cast<WindowOrder>(m_order->currentData().toInt()),
                         .seed = static_cast<std::uint64_t>(m_seed->value()),
                         .bosPerWindow = m_bosPerWindow};
}

void WindowsEditor::setOptions(const std::optional<WindowOptions>& options)
{
    const QSignalBlocker blocker(this);
    if (!options) {
        m_file->clear();
        return;
    }
    m_file->setText(shownPath(toQString(options->text)));
    m_rows->setChecked(options->rows);
    m_length->setValue(static_cast<int>(options->length));
    m_count->setValue(static_cast<int>(options->count));
    m_order->setCurrentIndex(m_order->findData(static_cast<int>(options->order)));
    m_seed->setValue(static_cast<int>(options->seed));
    m_bosPerWindow = options->bosPerWindow;
}

void WindowsEditor::choose()
{
    auto* dialog = new QFileDialog(this, tr("Choose a text"), pathFromShown(m_file->text()),
                                   tr("Texts (*.txt *.raw *.md);;All files (*)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& file) {
        m_file->setText(shownPath(file));
        emit edited();
    });
    dialog->open();
}

void WindowsEditor::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls())
        event->acceptProposedAction();
}

void WindowsEditor::dropEvent(QDropEvent* event)
{
    const QList<QUrl> urls = event->mimeData()->urls();
    if (urls.isEmpty() || !urls.front().isLocalFile())
        return;
    m_file->setText(shownPath(urls.front().toLocalFile()));
    event->acceptProposedAction();
    emit edited();
}

} // namespace rankwright::ui
