#include "ui/dialogs/export_dialog.h"

#include "core/base/bytes.h"
#include "core/tensor/dtype.h"
#include "ui/session/text.h"

#include <QAbstractButton>
#include <QComboBox>
#include <QDesktopServices>
#include <QDialogButtonBox>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGroupBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QRadioButton>
#include <QUrl>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QLabel* explanation(const QString& text)
{
    auto* label = new QLabel(text);
    label->setWordWrap(true);
    label->setIndent(24);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return label;
}

/// A folder beside the model that is not there yet.
QString suggestedFolder(const RunRecord& record)
{
    const QString model = toQString(record.recipe.value("model", std::string()));
    const QFileInfo info(model);
    const QString name = info.isDir() ? info.fileName() : info.completeBaseName();
    return QDir(info.absolutePath()).filePath(u"%1-run%2"_s.arg(name).arg(record.summary.id));
}

} // namespace

ExportDialog::ExportDialog(Session& session, std::int64_t run, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_run(run)
    , m_title(new QLabel)
    , m_factored(new QRadioButton(tr("&Factored")))
    , m_dense(new QRadioButton(tr("&Dense")))
    , m_factoredSize(new QLabel)
    , m_denseSize(new QLabel)
    , m_dtype(new QComboBox)
    , m_folder(new QLineEdit)
    , m_choose(new QPushButton(tr("&Choose ...")))
    , m_progress(new QProgressBar)
    , m_result(new QLabel)
    , m_start(new QPushButton(tr("&Export")))
    , m_cancel(new QPushButton(tr("C&ancel export")))
    , m_open(new QPushButton(tr("&Open folder")))
{
    setObjectName(u"exportDialog"_s);
    setWindowTitle(tr("Export run %1").arg(run));
    setAttribute(Qt::WA_DeleteOnClose);
    m_title->setWordWrap(true);
    m_dtype->setObjectName(u"exportType"_s);
    for (const DType dtype : {DType::F32, DType::F16, DType::BF16})
        m_dtype->addItem(toQString(dtypeName(dtype)), static_cast<int>(dtype));
    m_folder->setObjectName(u"exportFolder"_s);
    m_folder->setMinimumWidth(fontMetrics().horizontalAdvance(u'0') * 44);
    m_choose->setObjectName(u"chooseFolder"_s);
    m_progress->setObjectName(u"exportProgress"_s);
    m_progress->setRange(0, 1000);
    m_progress->hide();
    m_result->setObjectName(u"exportResult"_s);
    m_result->setWordWrap(true);
    m_result->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_start->setObjectName(u"startExport"_s);
    m_cancel->setObjectName(u"cancelExport"_s);
    m_open->setObjectName(u"openExport"_s);

    auto* formats = new QGroupBox(tr("What is written"));
    auto* formatLayout = new QVBoxLayout(formats);
    const auto row = [formatLayout](QRadioButton* button, QLabel* size, const QString& text) {
        auto* line = new QHBoxLayout;
        line->addWidget(button);
        line->addStretch();
        line->addWidget(size);
        formatLayout->addLayout(line);
        formatLayout->addWidget(explanation(text));
    };
    m_factored->setObjectName(u"factored"_s);
    m_factored->setChecked(true);
    m_dense->setObjectName(u"dense"_s);
    row(m_factored, m_factoredSize,
        tr("The factors and the file modeling_rankwright.py: as small as the run. transformers loads it with "
           "trust_remote_code=True, and Rankwright like any checkpoint."));
    row(m_dense, m_denseSize,
        tr("The product of the factors in the stock layout: AutoModelForCausalLM.from_pretrained and every other "
           "program for this architecture load it. Size and speed are those of the original: it saves nothing."));
    auto* folder = new QHBoxLayout;
    folder->addWidget(m_folder, 1);
    folder->addWidget(m_choose);
    auto* form = new QFormLayout;
    form->addRow(tr("&Numbers"), m_dtype);
    form->addRow(tr("Fo&lder"), folder);
    if (auto* label = qobject_cast<QLabel*>(form->labelForField(folder)))
        label->setBuddy(m_folder);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->addButton(m_start, QDialogButtonBox::ActionRole);
    buttons->addButton(m_cancel, QDialogButtonBox::ActionRole);
    buttons->addButton(m_open, QDialogButtonBox::ActionRole);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(m_title);
    layout->addWidget(formats);
    layout->addLayout(form);
    layout->addWidget(m_progress);
    layout->addWidget(m_result);
    layout->addStretch();
    layout->addWidget(buttons);
    for (QAbstractButton* button : buttons->buttons())
        if (auto* push = qobject_cast<QPushButton*>(button); push != nullptr && push != m_start)
            push->setAutoDefault(false);
    m_start->setDefault(true);
    m_start->setEnabled(false);
    m_cancel->hide();
    m_open->hide();

    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(m_dtype, &QComboBox::currentIndexChanged, this, &ExportDialog::refreshSizes);
    connect(m_choose, &QPushButton::clicked, this, &ExportDialog::chooseFolder);
    connect(m_folder, &QLineEdit::textChanged, this,
            [this] { m_start->setEnabled(m_record && !m_folder->text().trimmed().isEmpty()); });
    connect(m_start, &QPushButton::clicked, this, &ExportDialog::start);
    connect(m_cancel, &QPushButton::clicked, this, [this] { m_session.jobs().cancel(m_job); });
    connect(m_open, &QPushButton::clicked, this, [this] { QDesktopServices::openUrl(QUrl::fromLocalFile(m_written)); });
    connect(&session.jobs(), &JobQueue::changed, this, &ExportDialog::refreshJob);
    connect(&session.jobs(), &JobQueue::progressed, this, [this](int id) {
        if (id == m_job)
            refreshJob();
    });
    m_title->setText(tr("Reading run %1 ...").arg(run));
    resize(fontMetrics().horizontalAdvance(u'0') * 80, sizeHint().height());
    session.runs().fetch(run, this, {}, [this](Outcome<RunRecord> outcome) { take(std::move(outcome)); });
}

ExportFormat ExportDialog::format() const
{
    return m_factored->isChecked() ? ExportFormat::Factored : ExportFormat::Dense;
}

DType ExportDialog::dtype() const
{
    return static_cast<DType>(m_dtype->currentData().toInt());
}

void ExportDialog::take(Outcome<RunRecord> outcome)
{
    if (!outcome) {
        m_title->setText(outcome.failure.message);
        return;
    }
    m_record = std::move(*outcome);
    const RunSummary& run = m_record->summary;
    if (run.state != RunState::Finished) {
        m_title->setText(tr("Run %1 is not finished; only a finished run can be exported.").arg(run.id));
        m_record.reset();
        return;
    }
    const QString name = toQString(run.name);
    m_title->setText(tr("Run %1%2: %3 of %4, kept %5 % of the linears and %6 % of the model")
                         .arg(QString::number(run.id), name.isEmpty() ? name : QString(u", "_s + name),
                              toQString(run.method), toQString(std::filesystem::path(run.model).filename()))
                         .arg(100.0 * run.keptRatio, 0, 'f', 2)
                         .arg(100.0 * run.wholeModelRatio, 0, 'f', 2));
    const auto storage = m_record->recipe.value("storage", std::string("F32"));
    m_dtype->setCurrentIndex(std::max(0, m_dtype->findText(toQString(storage))));
    m_folder->setText(shownPath(suggestedFolder(*m_record)));
    refreshSizes();
    fit();
}

void ExportDialog::refreshSizes()
{
    if (!m_record)
        return;
    const auto width = static_cast<double>(bytesFor(dtype(), 1));
    const auto parameters = static_cast<double>(m_record->result.parameters);
    const auto about = [](double bytes) {
        return std::isfinite(bytes) ? tr("about %1").arg(toQString(formatBytes(static_cast<std::size_t>(bytes))))
                                    : QString();
    };
    m_factoredSize->setText(about(parameters * width));
    m_denseSize->setText(about(parameters / m_record->result.wholeModelRatio * width));
}

void ExportDialog::chooseFolder()
{
    auto* dialog =
        new QFileDialog(this, tr("Folder for the export"), QFileInfo(pathFromShown(m_folder->text())).absolutePath());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::Directory);
    dialog->setOption(QFileDialog::ShowDirsOnly);
    // A folder with something in it gets a new one inside.
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& path) {
        const QString name = QFileInfo(m_folder->text()).fileName();
        m_folder->setText(shownPath(QDir(path).isEmpty() ? path : QDir(path).filePath(name)));
    });
    dialog->open();
}

void ExportDialog::start()
{
    const QString folder = pathFromShown(m_folder->text().trimmed());
    if (!m_record || folder.isEmpty())
        return;
    m_open->hide();
    m_written.clear();
    if (QFileInfo::exists(folder) && !QDir(folder).isEmpty()) {
        m_result->setText(tr("%1 is not empty; choose another folder.").arg(folder));
        return;
    }
    m_result->clear();
    const QString absolute = QFileInfo(folder).absoluteFilePath();
    m_job = m_session.jobs().addExport(m_run, {.folder = toPath(absolute), .format = format(), .dtype = dtype()},
                                       tr("Export run %1 to %2").arg(m_run).arg(QFileInfo(absolute).fileName()));
    refreshJob();
}

void ExportDialog::setEditable(bool editable)
{
    for (QWidget* widget : std::initializer_list<QWidget*>{m_factored, m_dense, m_dtype, m_folder, m_choose, m_start})
        widget->setEnabled(editable);
}

void ExportDialog::refreshJob()
{
    const Job* job = m_session.jobs().find(m_job);
    if (job == nullptr)
        return;
    setEditable(job->over());
    m_progress->setVisible(!job->over());
    m_cancel->setVisible(!job->over());
    m_cancel->setEnabled(job->state != JobState::Stopping);
    m_progress->setValue(static_cast<int>(1000.0 * job->progress.fraction));
    switch (job->state) {
    case JobState::Queued:
        m_result->setText(tr("Waits for the jobs before it."));
        break;
    case JobState::Running:
        m_result->setText(job->progress.item.isEmpty() ? tr("Writing ...") : tr("Writing %1").arg(job->progress.item));
        break;
    case JobState::Stopping:
        m_result->setText(tr("Stops after this step ..."));
        break;
    case JobState::Cancelled:
        m_result->setText(tr("Cancelled; nothing was left in the folder."));
        break;
    case JobState::Failed:
        m_result->setText(job->failure.message);
        fit();
        break;
    case JobState::Finished:
        showResult(*job);
        break;
    }
}

void ExportDialog::showResult(const Job& job)
{
    m_written = toQString(job.folder);
    m_open->show();
    if (!job.exported) {
        m_result->setText(job.result);
        return;
    }
    const ExportResult& written = *job.exported;
    QStringList names;
    for (const std::string& file : written.files)
        names.append(toQString(file));
    const QString what =
        tr("%1 in %2 files, %3 of it weights, in %4:\n%5")
            .arg(toQString(formatBytes(written.bytes)))
            .arg(written.files.size())
            .arg(toQString(formatBytes(written.weightBytes)), shownPath(m_written), names.join(u", "_s));
    const QString bound = QString::number(exportLogitBound(job.runExport.dtype), 'g', 2);
    const QString type = toQString(dtypeName(job.runExport.dtype));
    const double difference = written.largestLogitDifference;
    const QString check =
        difference > 0.0
            ? tr("Read back and compared with the run on 16 tokens: the largest difference of a logit is %1 of the "
                 "largest logit; up to %2 is accepted in %3.")
                  .arg(QString::number(difference, 'g', 2), bound, type)
            : tr("Read back and compared with the run on 16 tokens: every logit is the same; a difference up to %1 of "
                 "the largest logit is accepted in %2.")
                  .arg(bound, type);
    m_result->setText(what + u"\n\n"_s + check);
    fit();
}

void ExportDialog::fit()
{
    // A dialog does not grow by itself for texts that take more lines than before.
    const int needed = layout()->totalHeightForWidth(width());
    if (needed > height())
        resize(width(), needed);
}

} // namespace rankwright::ui
