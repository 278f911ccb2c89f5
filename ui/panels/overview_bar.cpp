#include "ui/panels/overview_bar.h"

#include "core/base/bytes.h"
#include "ui/models/linear_tree_model.h"
#include "ui/panels/elided_label.h"
#include "ui/panels/forecast_line.h"
#include "ui/session/text.h"

#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSlider>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr int sliderSteps = 1000;
constexpr int leastStep = 10;
// Of the slider, in widths of a digit.
constexpr int leastDigits = 12;
constexpr int mostDigits = 30;

} // namespace

OverviewBar::OverviewBar(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_name(new ElidedLabel)
    , m_model(new ElidedLabel)
    , m_slider(new QSlider(Qt::Horizontal))
    , m_ratio(new QDoubleSpinBox)
    , m_kept(new QLabel)
    , m_whole(new ElidedLabel)
    , m_bytes(new QLabel)
    , m_loss(new QLabel)
{
    m_model->setObjectName(u"modelLine"_s);
    QFont bold = m_name->font();
    bold.setBold(true);
    m_name->setFont(bold);
    m_slider->setObjectName(u"keptSlider"_s);
    m_slider->setRange(leastStep, sliderSteps);
    m_slider->setPageStep(50);
    m_slider->setAccessibleName(tr("Kept share of the parameters of the linears"));
    const int digit = fontMetrics().horizontalAdvance(u'0');
    m_slider->setMinimumWidth(digit * leastDigits);
    m_ratio->setObjectName(u"keptRatio"_s);
    m_ratio->setRange(1.0, 100.0);
    m_ratio->setDecimals(1);
    m_ratio->setSuffix(u" %"_s);
    m_ratio->setKeyboardTracking(false);
    m_ratio->setAccessibleName(m_slider->accessibleName());
    m_kept->setObjectName(u"keptParameters"_s);
    m_whole->setObjectName(u"wholeModel"_s);
    m_bytes->setObjectName(u"bytesOnDisk"_s);
    m_loss->setObjectName(u"predictedLoss"_s);
    m_kept->setToolTip(tr("Parameters of the compressed linears that the plan keeps"));
    m_whole->setToolTip(tr("Parameters of the whole model, embeddings and norms included"));
    m_bytes->setToolTip(tr("Weights of the whole compressed model as stored"));
    m_loss->setToolTip(tr("Mean over the linears of loss / loss of rank 0, predicted exactly by the analysis; with "
                          "gradients also the sum of what the linears cost in nats per token"));
    auto* label = new QLabel(tr("&Kept"));
    label->setBuddy(m_slider);
    auto* totals = new QHBoxLayout;
    totals->setSpacing(12);
    totals->addWidget(m_name);
    totals->addWidget(label);
    totals->addWidget(m_slider, 1);
    totals->addWidget(m_ratio);
    totals->addStretch(); // before what changes its width, so that the slider stays where it is
    for (QLabel* shown : {m_kept, m_whole, m_bytes, m_loss})
        totals->addWidget(shown);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(10, 4, 10, 4);
    layout->setSpacing(2);
    layout->addLayout(totals);
    // Its whole width where there is room, less where there is not.
    for (QLabel* shown : {m_name, m_model, m_whole}) {
        shown->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Preferred);
        shown->setMinimumWidth(digit * 10);
    }
    auto* about = new QHBoxLayout;
    about->setSpacing(12);
    about->addWidget(new ForecastLine(session), 1);
    about->addWidget(m_model);
    layout->addLayout(about);

    connect(m_slider, &QSlider::valueChanged, this, [this](int value) {
        if (!m_syncing)
            m_session.plan().setKeptRatio(static_cast<double>(value) / sliderSteps, !m_slider->isSliderDown());
    });
    connect(m_slider, &QSlider::sliderReleased, this,
            [this] { m_session.plan().setKeptRatio(static_cast<double>(m_slider->value()) / sliderSteps, true); });
    connect(m_ratio, &QDoubleSpinBox::valueChanged, this, [this](double value) {
        if (!m_syncing)
            m_session.plan().setKeptRatio(value / 100.0, true);
    });
    connect(&session, &Session::modelOpened, this, [this] {
        refreshModel();
        refreshTotals();
    });
    connect(&session.plan(), &RankPlan::changed, this, &OverviewBar::refreshTotals);
    connect(&session.plan(), &RankPlan::lossReady, this, &OverviewBar::refreshTotals);
    refreshModel();
}

void OverviewBar::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    // By the window's width alone: what the figures beside it need must not move it under the pointer.
    const int digit = fontMetrics().horizontalAdvance(u'0');
    m_slider->setMaximumWidth(std::clamp(width() / 5, digit * leastDigits, digit * mostDigits));
}

void OverviewBar::refreshModel()
{
    const DocumentPtr document = m_session.document();
    if (!document)
        return;
    m_name->setText(document->name);
    m_model->setText(tr("%1 blocks, %2 linears, %3 M parameters, %4")
                         .arg(document->model.config().blocks)
                         .arg(document->model.linears().size())
                         .arg(static_cast<double>(document->model.parameterCount()) / 1e6, 0, 'f', 1)
                         .arg(document->weightTypes));
    m_name->setToolTip(document->path);
    m_model->setToolTip(m_model->text());
}

void OverviewBar::refreshTotals()
{
    const RankPlan& plan = m_session.plan();
    if (plan.empty())
        return;
    m_syncing = true;
    m_slider->setValue(static_cast<int>(std::lround(plan.state().keptRatio * sliderSteps)));
    m_ratio->setValue(plan.state().keptRatio * 100.0);
    m_syncing = false;
    const PlanTotals& totals = plan.totals();
    m_kept->setText(tr("linears %1 (%2)").arg(groupedNumber(totals.keptParameters), percentText(totals.keptRatio, 2)));
    m_whole->setText(
        tr("model %1 (%2)").arg(groupedNumber(totals.wholeModelParameters), percentText(totals.wholeModelRatio, 2)));
    m_bytes->setText(toQString(formatBytes(totals.bytes)));
    const QString nats = std::isfinite(plan.nats()) ? tr(", %1 nats").arg(lossText(plan.nats())) : QString();
    m_loss->setText(std::isfinite(totals.relativeLoss)
                        ? tr("loss %1").arg(lossText(totals.relativeLoss)) + nats
                        : tr("loss: %1 of %2").arg(plan.known()).arg(m_session.document()->model.linears().size()));
}

} // namespace rankwright::ui
