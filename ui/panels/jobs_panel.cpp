#include "ui/panels/jobs_panel.h"

#include "ui/models/bar_delegate.h"
#include "ui/models/job_model.h"
#include "ui/panels/hinted_table.h"
#include "ui/panels/row_details.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QDesktopServices>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QToolButton>
#include <QUrl>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

JobsPanel::JobsPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new JobModel(session.jobs(), this))
    , m_table(new HintedTable(tr("Calibrations, runs and exports wait and go on here.")))
    , m_cancel(new QToolButton)
    , m_up(new QToolButton)
    , m_down(new QToolButton)
    , m_folder(new QToolButton)
    , m_resume(new QToolButton)
{
    m_table->setObjectName(u"jobTable"_s);
    m_table->setAccessibleName(tr("Jobs"));
    m_table->setModel(m_model);
    m_table->setItemDelegateForColumn(JobModel::Step, new BarDelegate(JobModel::BarRole, this));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->verticalHeader()->hide();
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    const int unit = fontMetrics().horizontalAdvance(u'0');
    m_table->setColumnWidth(JobModel::Title, unit * 28);
    m_table->setColumnWidth(JobModel::State, unit * 9);
    m_table->setColumnWidth(JobModel::Left, unit * 9);
    m_table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 6);
    m_table->horizontalHeader()->setSectionResizeMode(JobModel::Step, QHeaderView::Stretch);

    const auto set = [](QToolButton* button, const QString& name, const QString& text) {
        button->setObjectName(name);
        button->setText(text);
        button->setToolButtonStyle(Qt::ToolButtonTextOnly);
    };
    set(m_cancel, u"cancelJob"_s, tr("Cancel"));
    set(m_up, u"jobUp"_s, tr("Earlier"));
    set(m_down, u"jobDown"_s, tr("Later"));
    set(m_folder, u"jobFolder"_s, tr("Open folder"));
    set(m_resume, u"resumeRun"_s, {});
    auto* clear = new QToolButton;
    set(clear, u"clearJobs"_s, tr("Clear done"));
    auto* buttons = new QHBoxLayout;
    for (QToolButton* button : {m_cancel, m_up, m_down, m_folder, clear})
        buttons->addWidget(button);
    buttons->addStretch();
    buttons->addWidget(m_resume);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(4, 4, 4, 4);
    layout->addWidget(m_table);
    auto* details = new RowDetails(m_table, [](const QModelIndex& row) {
        const QString step = row.siblingAtColumn(JobModel::Step).data().toString();
        const QString title = row.siblingAtColumn(JobModel::Title).data().toString();
        return step.isEmpty() ? title : title + u": "_s + step;
    });
    details->setObjectName(u"jobDetails"_s);
    layout->addWidget(details);
    layout->addLayout(buttons);

    JobQueue& jobs = session.jobs();
    connect(m_cancel, &QToolButton::clicked, this, [this] { m_session.jobs().cancel(chosen()); });
    connect(m_up, &QToolButton::clicked, this, [this] { m_session.jobs().move(chosen(), -1); });
    connect(m_down, &QToolButton::clicked, this, [this] { m_session.jobs().move(chosen(), 1); });
    connect(m_folder, &QToolButton::clicked, this, [this] {
        if (const Job* job = m_session.jobs().find(chosen()); job != nullptr && !job->folder.empty())
            QDesktopServices::openUrl(QUrl::fromLocalFile(toQString(job->folder)));
    });
    connect(clear, &QToolButton::clicked, this, [this] { m_session.jobs().removeFinished(); });
    connect(m_resume, &QToolButton::clicked, this, [this] {
        m_session.resumeRun(m_interrupted);
        m_resume->hide();
    });
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, &JobsPanel::refreshButtons);
    connect(m_model, &QAbstractItemModel::modelReset, this, &JobsPanel::refreshButtons);
    connect(&jobs, &JobQueue::changed, this, &JobsPanel::refreshButtons);
    connect(&jobs, &JobQueue::started, this, [this](int id) {
        m_table->doItemsLayout(); // else the scroll bar does not know a row that was added just now
        for (int row = 0; row < m_model->rowCount(); ++row)
            if (const QModelIndex index = m_model->index(row, 0); index.data(JobModel::IdRole).toInt() == id)
                m_table->scrollTo(index);
    });
    connect(&session.runs(), &RunStore::runsChanged, this, &JobsPanel::refreshInterrupted);
    refreshButtons();
    refreshInterrupted();
}

int JobsPanel::chosen() const
{
    const QModelIndex index = m_table->currentIndex();
    if (index.isValid())
        return index.data(JobModel::IdRole).toInt();
    const Job* job = m_session.jobs().running();
    return job != nullptr ? job->id : 0;
}

void JobsPanel::refreshButtons()
{
    const Job* job = m_session.jobs().find(chosen());
    m_cancel->setEnabled(job != nullptr && !job->over() && job->state != JobState::Stopping);
    m_up->setEnabled(job != nullptr && job->state == JobState::Queued);
    m_down->setEnabled(job != nullptr && job->state == JobState::Queued);
    m_folder->setEnabled(job != nullptr && !job->folder.empty());
}

void JobsPanel::refreshInterrupted()
{
    m_interrupted = 0;
    const auto& runs = m_session.runs().runs();
    const auto found = std::ranges::find(runs, RunState::Interrupted, &RunSummary::state);
    const bool again = found != runs.end() && std::ranges::any_of(runs, [&](const RunSummary& run) {
                           return run.id > found->id && run.fingerprint == found->fingerprint;
                       });
    if (found != runs.end() && !again) {
        m_interrupted = found->id;
        m_resume->setText(tr("Run %1 was cut off: resume it").arg(found->id));
    }
    m_resume->setVisible(m_interrupted != 0);
}

} // namespace rankwright::ui
