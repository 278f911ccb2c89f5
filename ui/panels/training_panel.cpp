#include "ui/panels/training_panel.h"

#include "ui/plots/plot_widget.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// Between two pictures: losses may come faster than they can be read.
constexpr int refreshMilliseconds = 100;

} // namespace

TrainingPanel::TrainingPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_choice(new QComboBox)
    , m_state(new QLabel)
    , m_plot(new PlotWidget)
{
    m_choice->setObjectName(u"trainingChoice"_s);
    m_choice->setAccessibleName(tr("What was trained"));
    m_choice->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_state->setObjectName(u"trainingState"_s);
    m_plot->setObjectName(u"trainingPlot"_s);
    m_plot->setEmptyText(tr("Losses of a run that trains appear here: one by Lillama, or of a recipe with distillation "
                            "or recovery."));
    auto* top = new QHBoxLayout;
    top->addWidget(m_choice);
    top->addWidget(m_state, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addLayout(top);
    layout->addWidget(m_plot, 1);

    m_soon.setSingleShot(true);
    m_soon.setInterval(refreshMilliseconds);
    connect(&m_soon, &QTimer::timeout, this, [this] {
        if (isVisible())
            refresh();
    });
    connect(&session, &Session::trainingChanged, this, [this] {
        m_following = m_following || m_session.trainingPoints().empty();
        if (!m_soon.isActive())
            m_soon.start();
    });
    connect(m_choice, &QComboBox::activated, this, [this] {
        m_following = false;
        refresh();
    });
    refresh();
}

void TrainingPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    refresh();
}

TrainingChoice TrainingPanel::chosen() const
{
    const int index = m_choice->currentIndex();
    return index >= 0 ? m_choices[static_cast<std::size_t>(index)] : TrainingChoice();
}

void TrainingPanel::refresh()
{
    const std::vector<TrainingPoint>& points = m_session.trainingPoints();
    const TrainingChoice before = chosen();
    std::vector<TrainingChoice> choices = trainingChoices(points);
    if (choices != m_choices) {
        m_choices = std::move(choices);
        m_choice->clear();
        for (const TrainingChoice& choice : m_choices)
            m_choice->addItem(choice.title);
    }
    auto shown = std::ranges::find(m_choices, before);
    if (m_following || shown == m_choices.end())
        shown = points.empty() ? m_choices.end()
                               : std::ranges::find(m_choices, points.back().stage, &TrainingChoice::stage);
    m_choice->setCurrentIndex(shown == m_choices.end() ? -1 : static_cast<int>(shown - m_choices.begin()));
    m_choice->setEnabled(m_choices.size() > 1);
    if (points.empty()) {
        m_state->clear();
        m_plot->setData({});
        return;
    }
    const TrainingPoint& last = points.back();
    m_state->setText(tr("run %1: %2 step %3 of %4")
                         .arg(m_session.measuredRun())
                         .arg(partTitle(last.part.empty() ? last.stage : last.part))
                         .arg(last.step)
                         .arg(last.steps));
    const bool same = chosen() == before;
    m_plot->setData(plotTraining(points, chosen()), same ? PlotWidget::View::Keep : PlotWidget::View::Reset);
}

} // namespace rankwright::ui
