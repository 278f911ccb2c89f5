#include "ui/panels/similarity_panel.h"

#include "ui/panels/text_files.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QComboBox>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QMimeData>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr int usualDirections = 16;
constexpr int mostDirections = 4096;

} // namespace

SimilarityPanel::SimilarityPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_texts(new QListWidget)
    , m_remove(new QToolButton)
    , m_directions(new QSpinBox)
    , m_compare(new QPushButton(tr("Com&pare")))
    , m_measure(new QComboBox)
    , m_site(new QComboBox)
    , m_plot(new PlotWidget)
    , m_figures(new QLabel)
    , m_state(new QLabel)
{
    build();
    connect(m_remove, &QToolButton::clicked, this, [this] {
        qDeleteAll(m_texts->selectedItems());
        refreshState();
    });
    connect(m_texts, &QListWidget::itemSelectionChanged, this, &SimilarityPanel::refreshState);
    connect(m_compare, &QPushButton::clicked, this, &SimilarityPanel::compare);
    connect(m_measure, &QComboBox::currentIndexChanged, this, &SimilarityPanel::refresh);
    connect(m_site, &QComboBox::currentIndexChanged, this, &SimilarityPanel::refresh);
    connect(&session, &Session::modelOpened, this, [this] {
        refreshSites();
        refresh();
    });
    connect(&session, &Session::similarityChanged, this, &SimilarityPanel::refresh);
    connect(&session.jobs(), &JobQueue::changed, this, &SimilarityPanel::refreshState);
    connect(&session.jobs(), &JobQueue::progressed, this, &SimilarityPanel::refreshState);
    connect(&session.recipeState(), &RecipeState::changed, this, &SimilarityPanel::refreshState);
    refresh();
}

void SimilarityPanel::build()
{
    setAcceptDrops(true);
    m_texts->setObjectName(u"similarityTexts"_s);
    m_texts->setAccessibleName(tr("Texts that the calibration text is compared with"));
    m_texts->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_texts->setFixedHeight(fontMetrics().lineSpacing() * 4);
    m_texts->setToolTip(tr("UTF-8 text files, cut into windows as the calibration text is; drop files here"));
    auto* add = new QToolButton;
    add->setObjectName(u"addSimilarityTexts"_s);
    add->setText(tr("Add texts ..."));
    m_remove->setObjectName(u"removeSimilarityTexts"_s);
    m_remove->setText(tr("Remove"));
    m_remove->setToolTip(tr("Take the selected texts from the list"));
    m_directions->setObjectName(u"similarityDirections"_s);
    m_directions->setRange(1, mostDirections);
    m_directions->setValue(usualDirections);
    m_directions->setSuffix(tr(" directions"));
    m_directions->setAccessibleName(tr("Principal directions that are compared"));
    m_directions->setToolTip(tr("Principal directions of the second moments that are compared; at most the width of an "
                                "input"));
    m_compare->setObjectName(u"compareTexts"_s);
    m_compare->setToolTip(tr("Takes the statistics that are not there yet, as a job, and compares them"));
    m_measure->setObjectName(u"similarityMeasure"_s);
    m_measure->setAccessibleName(tr("Measure of similarity"));
    m_measure->addItem(tr("Overlap of principal directions"), static_cast<int>(SimilarityMeasure::Overlap));
    m_measure->setItemData(0,
                           tr("Shared part of the spaces of the first principal directions: 1 where they are the "
                              "same, about directions / width for unrelated texts"),
                           Qt::ToolTipRole);
    m_measure->addItem(tr("Cosine of mean |x|"), static_cast<int>(SimilarityMeasure::Cosine));
    m_measure->setItemData(1, tr("Cosine of the vectors of the mean size of each channel"), Qt::ToolTipRole);
    m_site->setObjectName(u"similaritySite"_s);
    m_site->setAccessibleName(tr("Inputs that are shown"));
    m_site->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_plot->setObjectName(u"similarityPlot"_s);
    m_plot->setEmptyText(tr("Add texts and compare: how alike the inputs of the linears are on them and on the "
                            "calibration text."));
    m_figures->setObjectName(u"similarityFigures"_s);
    m_figures->setWordWrap(true);
    m_figures->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_state->setObjectName(u"similarityState"_s);
    m_state->setWordWrap(true);

    auto* files = new QVBoxLayout;
    files->addWidget(add);
    files->addWidget(m_remove);
    files->addStretch();
    auto* start = new QVBoxLayout;
    start->addWidget(m_directions);
    start->addWidget(m_compare);
    start->addStretch();
    auto* top = new QHBoxLayout;
    top->addWidget(m_texts, 1);
    top->addLayout(files);
    top->addLayout(start);
    auto* shown = new QHBoxLayout;
    shown->addWidget(m_measure);
    shown->addWidget(m_site);
    shown->addWidget(m_state, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addLayout(top);
    layout->addLayout(shown);
    layout->addWidget(m_plot, 1);
    layout->addWidget(m_figures);
    connect(add, &QToolButton::clicked, this, &SimilarityPanel::chooseTexts);
}

void SimilarityPanel::chooseTexts()
{
    connect(askForTexts(this), &QFileDialog::filesSelected, this, &SimilarityPanel::addTexts);
}

void SimilarityPanel::addTexts(const QStringList& files)
{
    for (const QString& file : files)
        if (m_texts->findItems(shownPath(file), Qt::MatchExactly).isEmpty())
            m_texts->addItem(shownPath(file));
    refreshState();
}

void SimilarityPanel::compare()
{
    std::vector<std::filesystem::path> texts;
    texts.reserve(static_cast<std::size_t>(m_texts->count()));
    for (int row = 0; row < m_texts->count(); ++row)
        texts.push_back(toPath(pathFromShown(m_texts->item(row)->text())));
    m_problem = m_session.startComparison(texts, static_cast<std::size_t>(m_directions->value()));
    refreshState();
}

void SimilarityPanel::refreshSites()
{
    const QSignalBlocker blocker(m_site);
    const QVariant before = m_site->currentData();
    m_site->clear();
    m_site->addItem(tr("inputs of all linears"));
    for (std::size_t site = 0; site < siteCount; ++site)
        m_site->addItem(tr("inputs of %1").arg(siteTitle(m_session.document()->model, static_cast<TapSite>(site))),
                        static_cast<int>(site));
    m_site->setCurrentIndex(std::max(0, m_site->findData(before)));
}

void SimilarityPanel::refresh()
{
    refreshState();
    const auto& study = m_session.similarity();
    const DocumentPtr document = m_session.document();
    if (!study || !document) {
        m_plot->setData({});
        m_figures->clear();
        return;
    }
    const auto measure = static_cast<SimilarityMeasure>(m_measure->currentData().toInt());
    const QVariant chosen = m_site->currentData();
    const std::optional<TapSite> site =
        chosen.isValid() ? std::optional(static_cast<TapSite>(chosen.toInt())) : std::nullopt;
    m_plot->setData(plotSimilarity(*study, document->model, measure, site));
    m_figures->setText(
        tr("mean and deviation over the blocks: %1").arg(similarityFigures(*study, document->model, measure, site)));
}

void SimilarityPanel::refreshState()
{
    const auto& jobs = m_session.jobs().jobs();
    const auto open =
        std::ranges::find_if(jobs, [](const Job& job) { return job.kind == JobKind::Compare && !job.over(); });
    m_compare->setEnabled(open == jobs.end());
    m_remove->setEnabled(!m_texts->selectedItems().isEmpty());
    const auto& study = m_session.similarity();
    if (open != jobs.end()) {
        m_problem.clear();
        m_state->setText(open->state == JobState::Queued
                             ? tr("waits in Jobs")
                             : tr("comparing, %1 %").arg(static_cast<int>(100.0 * open->progress.fraction)));
    } else if (!m_problem.isEmpty()) {
        m_state->setText(m_problem);
    } else if (study) {
        const WindowOptions& windows = *study->recipe.calibration;
        const QString first = toQString(windows.text.filename());
        const std::size_t more = study->recipe.moreCalibrations.size();
        m_state->setText(tr("%1, %2 windows of %3 tokens")
                             .arg(more == 0 ? first : tr("%1 mixed with %2 more").arg(first).arg(more))
                             .arg(windows.count)
                             .arg(windows.length));
    } else {
        m_state->clear();
    }
}

void SimilarityPanel::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls())
        event->acceptProposedAction();
}

void SimilarityPanel::dropEvent(QDropEvent* event)
{
    addTexts(localFiles(*event->mimeData()));
    event->acceptProposedAction();
}

} // namespace rankwright::ui
