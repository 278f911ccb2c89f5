#include "ui/panels/model_panel.h"

#include "ui/models/bar_delegate.h"
#include "ui/models/linear_filter_model.h"
#include "ui/models/linear_tree_model.h"
#include "ui/session/text.h"

#include <QApplication>
#include <QClipboard>
#include <QHeaderView>
#include <QLineEdit>
#include <QMenu>
#include <QStyle>
#include <QTimer>
#include <QTreeView>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

ModelPanel::ModelPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new LinearTreeModel(session, this))
    , m_proxy(new LinearFilterModel(this))
    , m_filter(new QLineEdit)
    , m_tree(new QTreeView)
{
    m_filter->setObjectName(u"linearFilter"_s);
    m_filter->setPlaceholderText(tr("Filter, e.g. down, or block 3 q"));
    m_filter->setClearButtonEnabled(true);
    m_filter->setAccessibleName(tr("Filter of linears"));
    m_proxy->setSourceModel(m_model);
    m_tree->setObjectName(u"linearTree"_s);
    m_tree->setAccessibleName(tr("Blocks and linears"));
    m_tree->setModel(m_proxy);
    m_tree->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_tree->setUniformRowHeights(true);
    m_tree->setIndentation(fontMetrics().horizontalAdvance(u'0') * 2);
    m_tree->setAlternatingRowColors(true);
    m_tree->setContextMenuPolicy(Qt::CustomContextMenu);
    m_tree->setItemDelegate(new BarDelegate(LinearTreeModel::BarRole, this));
    const QFontMetrics metrics = fontMetrics();
    // All up to the predicted loss in the dock as it opens.
    const int margins = 2 * style()->pixelMetric(QStyle::PM_FocusFrameHMargin) + 4;
    const auto width = [&](const char* sample) { return metrics.horizontalAdvance(QLatin1String(sample)) + margins; };
    m_tree->header()->setDefaultSectionSize(width("100.0 %"));
    m_tree->header()->resizeSection(LinearTreeModel::Name, width("block 10 gate_p"));
    m_tree->header()->resizeSection(LinearTreeModel::Shape, width("11008x4096"));
    m_tree->header()->resizeSection(LinearTreeModel::Rank, width("1024 (set)"));
    m_tree->header()->resizeSection(LinearTreeModel::Predicted, width("0.0001234"));
    m_tree->header()->resizeSection(LinearTreeModel::Measured, width("0.0001234"));
    m_tree->setColumnHidden(LinearTreeModel::Type, true);
    m_tree->setColumnHidden(LinearTreeModel::Parameters, true);
    m_tree->header()->setContextMenuPolicy(Qt::ActionsContextMenu);
    for (int column = LinearTreeModel::Shape; column < LinearTreeModel::ColumnCount; ++column) {
        auto* shown = new QAction(m_model->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString(), this);
        shown->setCheckable(true);
        shown->setChecked(!m_tree->isColumnHidden(column));
        connect(shown, &QAction::toggled, this, [this, column](bool on) { m_tree->setColumnHidden(column, !on); });
        m_tree->header()->addAction(shown);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addWidget(m_filter);
    layout->addWidget(m_tree);

    connect(m_filter, &QLineEdit::textChanged, this, [this](const QString& text) {
        m_syncing = true;
        m_proxy->setFilter(text);
        if (!text.isEmpty())
            m_tree->expandAll();
        m_syncing = false;
        showSelection();
    });
    connect(m_tree->selectionModel(), &QItemSelectionModel::selectionChanged, this, &ModelPanel::takeSelection);
    connect(&session.selection(), &Selection::changed, this, &ModelPanel::showSelection);
    connect(&session, &Session::modelOpened, this, [this] {
        m_tree->expand(m_proxy->index(0, 0));
        showSelection();
    });
    connect(m_tree, &QTreeView::customContextMenuRequested, this, &ModelPanel::showMenu);
}

std::vector<int> ModelPanel::linearsOf(const QModelIndexList& rows) const
{
    std::vector<int> linears;
    for (const QModelIndex& row : rows) {
        const int linear = row.data(LinearTreeModel::LinearRole).toInt();
        if (linear >= 0) {
            linears.push_back(linear);
            continue;
        }
        for (int child = 0; child < m_proxy->rowCount(row); ++child)
            linears.push_back(m_proxy->index(child, 0, row).data(LinearTreeModel::LinearRole).toInt());
    }
    return linears;
}

int ModelPanel::widthOfColumns() const
{
    int width = 2 * m_tree->frameWidth() + style()->pixelMetric(QStyle::PM_ScrollBarExtent);
    const QMargins margins = layout()->contentsMargins();
    width += margins.left() + margins.right();
    for (int column = 0; column <= LinearTreeModel::Predicted; ++column)
        if (!m_tree->isColumnHidden(column))
            width += m_tree->columnWidth(column);
    return width;
}

void ModelPanel::takeSelection()
{
    if (m_syncing)
        return;
    const std::vector<int> linears = linearsOf(m_tree->selectionModel()->selectedRows());
    if (linears.empty())
        return;
    m_syncing = true;
    m_session.selection().set(linears, m_tree->currentIndex().data(LinearTreeModel::LinearRole).toInt());
    m_syncing = false;
}

void ModelPanel::showSelection()
{
    if (m_syncing)
        return;
    m_syncing = true;
    QItemSelection selection;
    for (const int linear : m_session.selection().linears()) {
        const QModelIndex index = m_proxy->mapFromSource(m_model->indexOfLinear(linear));
        if (index.isValid())
            selection.select(index, index);
    }
    m_tree->selectionModel()->select(selection, QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows);
    const QModelIndex current = m_proxy->mapFromSource(m_model->indexOfLinear(m_session.selection().current()));
    if (current.isValid()) {
        m_tree->selectionModel()->setCurrentIndex(current, QItemSelectionModel::NoUpdate);
        m_tree->scrollTo(current);
    }
    m_syncing = false;
}

void ModelPanel::selectRole(bool sameRole, bool sameBlock)
{
    const DocumentPtr document = m_session.document();
    const int current = m_session.selection().current();
    if (!document || current < 0)
        return;
    const auto& linears = document->model.linears();
    const LinearInfo& of = linears[static_cast<std::size_t>(current)];
    std::vector<int> chosen;
    for (const LinearInfo& linear : linears)
        if ((!sameRole || linear.role == of.role) && (!sameBlock || linear.block == of.block))
            chosen.push_back(static_cast<int>(linear.index));
    m_session.selection().set(chosen, current);
}

void ModelPanel::showMenu(const QPoint& position)
{
    if (m_session.selection().current() < 0)
        return;
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    const std::vector<int> chosen = m_session.selection().linears();
    menu->addAction(tr("Select all of this role"), this, [this] { selectRole(true, false); });
    menu->addAction(tr("Select this block"), this, [this] { selectRole(false, true); });
    menu->addAction(tr("Select all linears"), this, [this] { selectRole(false, false); });
    menu->addSeparator();
    menu->addAction(tr("Lock rank"), this, [this, chosen] { m_session.plan().setLocked(chosen, true); });
    menu->addAction(tr("Unlock rank"), this, [this, chosen] { m_session.plan().setLocked(chosen, false); });
    menu->addAction(tr("Leave dense"), this,
                    [this, chosen] { m_session.plan().setRanks(chosen, std::numeric_limits<std::size_t>::max()); });
    menu->addSeparator();
    menu->addAction(tr("Copy names"), this, [this, chosen] {
        QStringList names;
        for (const int linear : chosen)
            names.append(toQString(m_session.document()->model.linears()[static_cast<std::size_t>(linear)].name));
        QApplication::clipboard()->setText(names.join(u'\n'));
    });
    menu->popup(m_tree->viewport()->mapToGlobal(position));
}

} // namespace rankwright::ui
