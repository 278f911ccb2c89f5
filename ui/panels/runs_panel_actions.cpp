// What is done with selected runs; table and plot are in runs_panel.cpp.
#include "ui/models/run_table_model.h"
#include "ui/panels/runs_panel.h"
#include "ui/plots/plot_export.h"
#include "ui/session/text.h"

#include <QAbstractButton>
#include <QAction>
#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QHeaderView>
#include <QMessageBox>
#include <QTableView>

#include <numeric>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

TableFormat formatOf(const QString& path)
{
    if (path.endsWith(".tex"_L1, Qt::CaseInsensitive))
        return TableFormat::Latex;
    return path.endsWith(".md"_L1, Qt::CaseInsensitive) ? TableFormat::Markdown : TableFormat::Csv;
}

} // namespace

QAction* RunsPanel::addAction(const QString& name, const QString& text, const QString& tip,
                              const QKeySequence& shortcut, const std::function<void()>& call)
{
    auto* action = new QAction(text, this);
    action->setObjectName(name);
    action->setStatusTip(tip);
    action->setToolTip(tip);
    action->setShortcut(shortcut);
    action->setShortcutContext(Qt::WidgetShortcut);
    connect(action, &QAction::triggered, this, call);
    m_table->addAction(action);
    return action;
}

void RunsPanel::createActions()
{
    m_table->setContextMenuPolicy(Qt::ActionsContextMenu);
    const auto separator = [this] {
        auto* action = new QAction(this);
        action->setSeparator(true);
        m_table->addAction(action);
    };
    m_compare = addAction(u"compareRuns"_s, tr("Compare"), tr("Two or more selected runs side by side"), {},
                          [this] { emit compareRequested(m_selected); });
    m_show = addAction(u"showRun"_s, tr("Show in map"), tr("Measured losses of the run in map and tree"),
                       QKeySequence(Qt::Key_Return), [this] { showInMap(); });
    m_take = addAction(u"takeRecipe"_s, tr("Take recipe"), tr("The recipe of the run becomes the present one"), {},
                       [this] { takeRecipe(); });
    m_resume = addAction(u"resumeSelected"_s, tr("Resume"),
                         tr("Goes on where the run was cut off, cancelled or failed"), {}, [this] {
                             if (const RunSummary* run = selectedRun())
                                 m_session.resumeRun(run->id);
                         });
    m_export = addAction(u"exportRun"_s, tr("Export ..."), tr("Write the compressed model to a folder"), {}, [this] {
        if (const RunSummary* run = selectedRun())
            emit exportRequested(run->id);
    });
    m_delete =
        addAction(u"deleteRuns"_s, tr("Delete ..."), tr("Delete the selected runs with all that is kept of them"),
                  QKeySequence::Delete, [this] { askAndDelete(); });
    separator();
    addAction(u"copyCsv"_s, tr("Copy as CSV"), tr("Copy the selected rows, or all, as comma-separated values"),
              QKeySequence::Copy, [this] { copyTable(TableFormat::Csv); });
    addAction(u"copyLatex"_s, tr("Copy as LaTeX"), tr("Copy the selected rows, or all, as a table with booktabs"), {},
              [this] { copyTable(TableFormat::Latex); });
    addAction(u"copyMarkdown"_s, tr("Copy as Markdown"), tr("Copy the selected rows, or all, as a Markdown table"), {},
              [this] { copyTable(TableFormat::Markdown); });
    separator();
    addAction(u"saveCsv"_s, tr("Save as CSV ..."), tr("Save the selected rows, or all, as comma-separated values"), {},
              [this] { askAndSave(TableFormat::Csv); });
    addAction(u"saveLatex"_s, tr("Save as LaTeX ..."), tr("Save the selected rows, or all, as a table with booktabs"),
              {}, [this] { askAndSave(TableFormat::Latex); });
    addAction(u"saveMarkdown"_s, tr("Save as Markdown ..."), tr("Save the selected rows, or all, as a Markdown table"),
              {}, [this] { askAndSave(TableFormat::Markdown); });
}

const RunSummary* RunsPanel::selectedRun() const
{
    if (m_selected.size() != 1)
        return nullptr;
    const RunView& view = *m_model->view();
    const auto found = view.rowOf.find(m_selected.front());
    return found == view.rowOf.end() ? nullptr : &view.run(found->second);
}

void RunsPanel::refreshActions()
{
    const RunSummary* run = selectedRun();
    const bool open = run != nullptr && m_session.document() && toQString(run->model) == m_session.document()->path;
    m_compare->setEnabled(m_selected.size() > 1);
    m_show->setEnabled(open);
    m_take->setEnabled(run != nullptr && m_session.document());
    m_resume->setEnabled(run != nullptr && (run->state == RunState::Interrupted || run->state == RunState::Cancelled ||
                                            run->state == RunState::Failed));
    m_export->setEnabled(run != nullptr && run->state == RunState::Finished);
    m_delete->setEnabled(!m_selected.empty());
}

void RunsPanel::showInMap()
{
    if (!m_show->isEnabled())
        return;
    m_session.showRun(m_selected.front());
    emit mapRequested();
}

void RunsPanel::takeRecipe()
{
    const RunSummary* run = selectedRun();
    if (run == nullptr)
        return;
    m_session.runs().fetch(run->id, this, m_taking.next(), [this](const Outcome<RunRecord>& outcome) {
        if (!outcome) {
            emit m_session.problem(outcome.failure);
            return;
        }
        try {
            m_session.setRecipe(recipeFromJson(outcome->recipe, {}));
            emit message(tr("The recipe is that of run %1").arg(outcome->summary.id));
        } catch (...) {
            emit m_session.problem(currentFailure());
        }
    });
}

void RunsPanel::askAndDelete()
{
    const std::vector<std::int64_t> runs = m_selected;
    auto* box = new QMessageBox(
        QMessageBox::Question, tr("Delete runs"),
        runs.size() == 1
            ? tr("Delete run %1, its figures and its compressed linears? This cannot be undone. Exports stay.")
                  .arg(runs.front())
            : tr("Delete %1 runs, their figures and their compressed linears? This cannot be undone. Exports stay.")
                  .arg(runs.size()),
        QMessageBox::Cancel, this);
    box->setObjectName(u"deleteQuestion"_s);
    box->setAttribute(Qt::WA_DeleteOnClose);
    const auto* button = box->addButton(tr("Delete"), QMessageBox::DestructiveRole);
    box->setDefaultButton(QMessageBox::Cancel);
    connect(box, &QMessageBox::buttonClicked, this, [this, runs, button](const QAbstractButton* clicked) {
        if (static_cast<const void*>(clicked) != static_cast<const void*>(button))
            return;
        for (const std::int64_t run : runs)
            m_session.runs().remove(run);
    });
    box->open();
}

void RunsPanel::makeText(TableFormat format, const std::function<void(const QByteArray&)>& then)
{
    const RunViewPtr view = m_model->view();
    std::vector<int> rows;
    for (const std::int64_t run : m_selected)
        if (const auto found = view->rowOf.find(run); found != view->rowOf.end())
            rows.push_back(found->second);
    if (rows.empty()) {
        rows.resize(view->rows.size());
        std::iota(rows.begin(), rows.end(), 0);
    }
    std::vector<RunColumn> columns;
    const QHeaderView* header = m_table->horizontalHeader();
    for (int place = 0; place < runColumnCount; ++place)
        if (const int column = header->logicalIndex(place); !m_table->isColumnHidden(column))
            columns.push_back(static_cast<RunColumn>(column));
    m_background.run(
        this, {},
        [view, rows = std::move(rows), columns = std::move(columns), format] {
            return toText(runsTable(*view, rows, columns), format);
        },
        [then](const Outcome<QByteArray>& outcome) {
            if (outcome)
                then(*outcome);
        });
}

void RunsPanel::copyTable(TableFormat format)
{
    makeText(format, [this](const QByteArray& text) {
        QApplication::clipboard()->setText(QString::fromUtf8(text));
        emit message(tr("The table is on the clipboard"));
    });
}

void RunsPanel::saveTable(const QString& path)
{
    makeText(formatOf(path), [this, path](const QByteArray& text) {
        m_background.run(
            this, {}, [path, text] { return saveBytes(text, path); },
            [this, path](const Outcome<QString>& error) {
                if (error && error->isEmpty())
                    emit message(tr("Saved %1").arg(path));
                else
                    emit m_session.problem({ErrorKind::Io, error ? *error : error.failure.message, path, {}});
            });
    });
}

void RunsPanel::askAndSave(TableFormat format)
{
    const QString suffix = format == TableFormat::Csv ? u"csv"_s : format == TableFormat::Latex ? u"tex"_s : u"md"_s;
    const QString filter = format == TableFormat::Csv     ? tr("Comma-separated values (*.csv)")
                           : format == TableFormat::Latex ? tr("LaTeX (*.tex)")
                                                          : tr("Markdown (*.md)");
    auto* dialog = new QFileDialog(this, tr("Save table"), {}, filter);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(suffix);
    dialog->selectFile(u"runs."_s + suffix);
    connect(dialog, &QFileDialog::fileSelected, this, &RunsPanel::saveTable);
    dialog->open();
}

} // namespace rankwright::ui
