#include "ui/panels/health_panel.h"

#include "ui/models/health_model.h"
#include "ui/panels/hinted_table.h"
#include "ui/panels/row_details.h"
#include "ui/session/text.h"

#include <QCheckBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLineEdit>
#include <QSortFilterProxyModel>
#include <QToolButton>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

class HealthFilter : public QSortFilterProxyModel
{
public:
    using QSortFilterProxyModel::QSortFilterProxyModel;
    QString text;
    QSet<QString> linears; ///< empty: all

    void update() { invalidateFilter(); }

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override
    {
        const auto cell = [&](int column) { return sourceModel()->index(row, column, parent).data().toString(); };
        if (!linears.isEmpty() && !linears.contains(cell(HealthModel::Linear)))
            return false;
        if (text.isEmpty())
            return true;
        for (const int column : {HealthModel::Run, HealthModel::Kind, HealthModel::Linear, HealthModel::Message})
            if (cell(column).contains(text, Qt::CaseInsensitive))
                return true;
        return false;
    }
};

} // namespace

HealthPanel::HealthPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_filter(new QLineEdit)
    , m_selectedOnly(new QCheckBox(tr("selected linears only")))
    , m_proxy(new HealthFilter(this))
{
    m_proxy->setSourceModel(new HealthModel(session.health(), this));
    m_filter->setPlaceholderText(tr("Filter, e.g. run 3, singularStatistics, q_proj"));
    m_filter->setClearButtonEnabled(true);
    m_filter->setAccessibleName(tr("Filter of numeric events"));
    auto* table = new HintedTable(
        tr("Nothing was difficult so far, or nothing matches the filter. Damping, fallbacks, clamped ranks, "
           "too few tokens and values that are not finite are told of here."));
    table->setObjectName(u"healthTable"_s);
    table->setAccessibleName(tr("Numeric events"));
    table->setModel(m_proxy);
    table->setSortingEnabled(true);
    table->sortByColumn(HealthModel::Time, Qt::AscendingOrder);
    table->verticalHeader()->hide();
    table->setShowGrid(false);
    table->setWordWrap(false);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    const int unit = fontMetrics().horizontalAdvance(u'0');
    table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 6);
    table->setColumnWidth(HealthModel::Time, unit * 8);
    table->setColumnWidth(HealthModel::Run, unit * 8);
    table->setColumnWidth(HealthModel::Kind, unit * 12);
    table->setColumnWidth(HealthModel::Linear, unit * 20);
    table->setColumnWidth(HealthModel::Value, unit * 6);
    table->horizontalHeader()->setSectionResizeMode(HealthModel::Message, QHeaderView::Stretch);
    auto* clear = new QToolButton;
    clear->setText(tr("Clear"));
    auto* top = new QHBoxLayout;
    top->addWidget(m_filter);
    top->addWidget(m_selectedOnly);
    top->addWidget(clear);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addLayout(top);
    layout->addWidget(table);
    auto* details = new RowDetails(table, [](const QModelIndex& row) {
        QStringList parts;
        for (const int column : {HealthModel::Linear, HealthModel::Message})
            if (const QString part = row.siblingAtColumn(column).data().toString(); !part.isEmpty())
                parts.append(part);
        return parts.join(u": "_s);
    });
    details->setObjectName(u"healthDetails"_s);
    layout->addWidget(details);
    connect(m_filter, &QLineEdit::textChanged, this, &HealthPanel::refilter);
    connect(m_selectedOnly, &QCheckBox::toggled, this, &HealthPanel::refilter);
    connect(&session.selection(), &Selection::changed, this, [this] {
        if (m_selectedOnly->isChecked())
            refilter();
    });
    connect(clear, &QToolButton::clicked, this, [this] { m_session.health().clear(); });
}

void HealthPanel::refilter()
{
    auto* filter = static_cast<HealthFilter*>(m_proxy);
    filter->text = m_filter->text().trimmed();
    filter->linears.clear();
    if (const DocumentPtr document = m_session.document(); document && m_selectedOnly->isChecked())
        for (const int linear : m_session.selection().linears())
            filter->linears.insert(toQString(document->model.linears()[static_cast<std::size_t>(linear)].name));
    filter->update();
}

} // namespace rankwright::ui
