#include "ui/panels/more_texts_editor.h"

#include "ui/panels/text_files.h"
#include "ui/session/text.h"

#include <QDoubleSpinBox>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QMimeData>
#include <QTableWidget>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <functional>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

enum Column { File, Weight, ColumnCount };

constexpr double leastWeight = 1e-6;
constexpr double mostWeight = 1e6;
/// More are scrolled to.
constexpr int rowsInView = 3;

/// Shows weights with as many digits as they have.
class WeightBox : public QDoubleSpinBox
{
public:
    WeightBox()
    {
        setRange(leastWeight, mostWeight);
        setDecimals(9);
        setSingleStep(0.1);
        setKeyboardTracking(false);
        setFrame(false);
    }
    QString textFromValue(double value) const override { return locale().toString(value, 'g', 6); }
};

bool sameTexts(const std::vector<WeightedText>& a, const std::vector<WeightedText>& b)
{
    return std::ranges::equal(a, b, [](const WeightedText& x, const WeightedText& y) {
        return x.weight == y.weight && x.windows.text == y.windows.text && x.windows.count == y.windows.count &&
               x.windows.length == y.windows.length;
    });
}

} // namespace

MoreTextsEditor::MoreTextsEditor(QWidget* parent)
    : QWidget(parent)
    , m_table(new QTableWidget(0, ColumnCount))
    , m_remove(new QToolButton)
{
    setAcceptDrops(true);
    m_table->setObjectName(u"moreTexts"_s);
    m_table->setAccessibleName(tr("More calibration texts and their weights"));
    m_table->setHorizontalHeaderLabels({tr("Mixed with"), tr("Weight")});
    m_table->horizontalHeader()->setSectionResizeMode(File, QHeaderView::Stretch);
    m_table->horizontalHeader()->setSectionResizeMode(Weight, QHeaderView::ResizeToContents);
    m_table->verticalHeader()->hide();
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setShowGrid(false);
    auto* add = new QToolButton;
    add->setObjectName(u"addMoreTexts"_s);
    add->setText(tr("Mix with texts ..."));
    add->setToolTip(
        tr("Statistics of further texts are mixed into those of the first, each with a weight; the first has "
           "weight 1"));
    m_remove->setObjectName(u"removeMoreTexts"_s);
    m_remove->setText(tr("Remove"));
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(add);
    buttons->addWidget(m_remove);
    buttons->addStretch();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_table);
    layout->addLayout(buttons);
    connect(add, &QToolButton::clicked, this, &MoreTextsEditor::choose);
    connect(m_remove, &QToolButton::clicked, this, &MoreTextsEditor::removeSelected);
    connect(m_table, &QTableWidget::itemSelectionChanged, this, &MoreTextsEditor::refreshRemove);
    rebuild();
}

void MoreTextsEditor::setTexts(const std::vector<WeightedText>& texts)
{
    if (sameTexts(texts, m_texts)) {
        m_texts = texts;
        return;
    }
    m_texts = texts;
    rebuild();
}

void MoreTextsEditor::rebuild()
{
    m_table->setRowCount(0);
    for (std::size_t i = 0; i < m_texts.size(); ++i) {
        const auto row = static_cast<int>(i);
        const WindowOptions& windows = m_texts[i].windows;
        m_table->insertRow(row);
        auto* file = new QTableWidgetItem(toQString(windows.text.filename()));
        file->setToolTip(tr("%1: %2 windows of %3 tokens")
                             .arg(shownPath(toQString(windows.text)))
                             .arg(windows.count)
                             .arg(windows.length));
        m_table->setItem(row, File, file);
        auto* weight = new WeightBox;
        weight->setObjectName(u"moreWeight%1"_s.arg(row));
        weight->setAccessibleName(tr("Weight of %1").arg(file->text()));
        weight->setValue(m_texts[i].weight);
        connect(weight, &QDoubleSpinBox::valueChanged, this, [this, i](double value) {
            m_texts[i].weight = value;
            emit edited();
        });
        m_table->setCellWidget(row, Weight, weight);
    }
    m_table->resizeRowsToContents();
    int height = m_table->horizontalHeader()->sizeHint().height() + 2 * m_table->frameWidth();
    for (int row = 0; row < std::min(m_table->rowCount(), rowsInView); ++row)
        height += m_table->rowHeight(row);
    m_table->setFixedHeight(height);
    m_table->setVisible(!m_texts.empty());
    m_remove->setVisible(!m_texts.empty());
    refreshRemove();
}

void MoreTextsEditor::refreshRemove()
{
    m_remove->setEnabled(m_table->rowCount() == 1 || m_table->selectionModel()->hasSelection());
}

void MoreTextsEditor::removeSelected()
{
    std::vector<int> rows;
    const QModelIndexList selected = m_table->selectionModel()->selectedRows();
    rows.reserve(m_texts.size());
    for (const QModelIndex& index : selected)
        rows.push_back(index.row());
    if (rows.empty() && m_table->rowCount() == 1)
        rows.push_back(0);
    std::ranges::sort(rows, std::greater());
    for (const int row : rows)
        m_texts.erase(m_texts.begin() + row);
    rebuild();
    emit edited();
}

void MoreTextsEditor::choose()
{
    connect(askForTexts(this), &QFileDialog::filesSelected, this, &MoreTextsEditor::added);
}

void MoreTextsEditor::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls())
        event->acceptProposedAction();
}

void MoreTextsEditor::dropEvent(QDropEvent* event)
{
    event->acceptProposedAction();
    emit added(localFiles(*event->mimeData()));
}

} // namespace rankwright::ui
