#include "ui/panels/spectrum_panel.h"

#include "ui/models/linear_tree_model.h"
#include "ui/plots/plot_widget.h"
#include "ui/session/text.h"

#include <QComboBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QLocale>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr std::size_t mostCurves = 24;
constexpr int rankMarker = 1;
constexpr int breakEvenMarker = 2;

QVector<QPointF> pointsOf(const LinearSpectrum& spectrum, SpectrumPanel::Quantity quantity)
{
    QVector<QPointF> points;
    const auto add = [&points](double x, double y) { points.append({x, y}); };
    switch (quantity) {
    case SpectrumPanel::Quantity::Loss: {
        const double total = spectrum.loss.front() > 0.0 ? spectrum.loss.front() : 1.0;
        for (std::size_t rank = 0; rank < spectrum.loss.size(); ++rank)
            add(static_cast<double>(rank), spectrum.loss[rank] / total);
        break;
    }
    case SpectrumPanel::Quantity::SingularValues:
        for (std::size_t i = 0; i < spectrum.singularValues.size(); ++i)
            add(static_cast<double>(i + 1), spectrum.singularValues[i]);
        break;
    case SpectrumPanel::Quantity::Nats:
        for (std::size_t rank = 0; rank < spectrum.nats.size(); ++rank)
            add(static_cast<double>(rank), spectrum.nats[rank]);
        break;
    case SpectrumPanel::Quantity::Energy: {
        const std::vector<double> energy = cumulativeEnergy(spectrum.singularValues);
        for (std::size_t i = 0; i < energy.size(); ++i)
            add(static_cast<double>(i + 1), energy[i]);
        break;
    }
    }
    return points;
}

/// The lower end of a logarithmic axis: the last ranks of a curve fall to rounding errors, which would take most of it.
/// Nothing where no curve falls far below what it is at 98 % of its ranks.
std::optional<double> leastOfInterest(const QVector<PlotSeries>& curves)
{
    double least = std::numeric_limits<double>::infinity();
    double last = least;
    for (const PlotSeries& curve : curves)
        for (qsizetype i = 0; i < curve.points.size(); ++i)
            if (const double y = curve.points[i].y(); y > 0.0) {
                last = std::min(last, y);
                if (100 * i <= 98 * curve.points.size())
                    least = std::min(least, y);
            }
    if (least > 100.0 * last && std::isfinite(least))
        return 0.1 * least;
    return std::nullopt;
}

} // namespace

SpectrumPanel::SpectrumPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_quantity(new QComboBox)
    , m_methods(new QListWidget)
    , m_figures(new QLabel)
    , m_plot(new PlotWidget)
{
    m_quantity->setObjectName(u"spectrumQuantity"_s);
    m_quantity->setAccessibleName(tr("What is drawn"));
    m_quantity->addItems({tr("Loss against rank"), tr("Singular values"), tr("Cumulative energy"), tr("Loss in nats")});
    m_methods->setObjectName(u"spectrumMethods"_s);
    m_methods->setAccessibleName(tr("Methods that are overlaid"));
    m_methods->setFlow(QListView::LeftToRight);
    m_methods->setWrapping(true);
    m_methods->setResizeMode(QListView::Adjust);
    m_methods->setFrameShape(QFrame::NoFrame);
    m_methods->setSelectionMode(QAbstractItemView::NoSelection);
    m_methods->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_methods->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_methods->setSpacing(2);
    m_methods->viewport()->setAutoFillBackground(false);
    for (const Method* method : rankwright::methods()) {
        auto* item = new QListWidgetItem(toQString(method->title()), m_methods);
        item->setData(Qt::UserRole, toQString(method->name()));
        item->setFlags(Qt::ItemIsUserCheckable | Qt::ItemIsEnabled);
        item->setCheckState(method == rankwright::methods().front() ? Qt::Checked : Qt::Unchecked);
    }
    m_methods->viewport()->installEventFilter(this);
    m_figures->setObjectName(u"spectrumFigures"_s);
    m_figures->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_figures->setWordWrap(true);
    m_plot->setObjectName(u"spectrumPlot"_s);
    m_plot->setEmptyText(tr("Select linears in the tree to see their spectra."));
    m_soon.setSingleShot(true);
    m_soon.setInterval(40);

    auto* top = new QHBoxLayout;
    top->addWidget(m_quantity, 0, Qt::AlignTop);
    top->addWidget(m_methods, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addLayout(top);
    layout->addWidget(m_plot, 1);
    layout->addWidget(m_figures);

    connect(&m_soon, &QTimer::timeout, this, &SpectrumPanel::refresh);
    connect(m_quantity, &QComboBox::currentIndexChanged, this, &SpectrumPanel::refresh);
    connect(m_methods, &QListWidget::itemChanged, this, [this] {
        request();
        refreshSoon();
    });
    connect(&session.selection(), &Selection::changed, this, [this] {
        request();
        refreshSoon();
    });
    connect(&session.spectra(), &SpectrumService::ready, this, [this](const AnalysisKey&, int linear) {
        if (m_session.selection().contains(linear))
            refreshSoon();
    });
    connect(&session.calibration(), &CalibrationService::changed, this, [this] {
        request();
        refreshSoon();
    });
    connect(&session, &Session::modelOpened, this, [this] {
        request();
        refresh();
    });
    connect(&session, &Session::modelClosed, this, &SpectrumPanel::refresh);
    connect(&session.plan(), &RankPlan::changed, this, &SpectrumPanel::refreshMarker);
    connect(m_plot, &PlotWidget::markerDragged, this, [this](int id, double x, bool finished) {
        if (id == rankMarker && m_session.selection().current() >= 0)
            m_session.plan().setRanks({m_session.selection().current()}, static_cast<std::size_t>(std::max(x, 1.0)),
                                      finished);
    });
    refresh();
}

bool SpectrumPanel::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() == QEvent::Resize && watched == m_methods->viewport())
        QMetaObject::invokeMethod(this, &SpectrumPanel::showAllMethods, Qt::QueuedConnection);
    return QWidget::eventFilter(watched, event);
}

void SpectrumPanel::showAllMethods()
{
    const QRect last = m_methods->visualItemRect(m_methods->item(m_methods->count() - 1));
    m_methods->setFixedHeight(last.bottom() + 1 + 2 * m_methods->spacing());
}

void SpectrumPanel::setQuantity(Quantity quantity)
{
    m_quantity->setCurrentIndex(static_cast<int>(quantity));
}

SpectrumPanel::Quantity SpectrumPanel::quantity() const
{
    return static_cast<Quantity>(m_quantity->currentIndex());
}

void SpectrumPanel::setMethods(const QStringList& names)
{
    for (int row = 0; row < m_methods->count(); ++row) {
        QListWidgetItem* item = m_methods->item(row);
        item->setCheckState(names.contains(item->data(Qt::UserRole).toString()) ? Qt::Checked : Qt::Unchecked);
    }
}

QStringList SpectrumPanel::methods() const
{
    QStringList names;
    for (int row = 0; row < m_methods->count(); ++row)
        if (m_methods->item(row)->checkState() == Qt::Checked)
            names.append(m_methods->item(row)->data(Qt::UserRole).toString());
    return names;
}

AnalysisKey SpectrumPanel::keyOf(const QString& method) const
{
    const std::string name = method.toStdString();
    const Recipe& recipe = m_session.recipeState().recipe();
    return m_session.analysisOf(name, recipe.method == name ? recipe.parameters : MethodParameters());
}

QString SpectrumPanel::unavailable(const QString& method) const
{
    const Method& asked = findMethod(method.toStdString());
    const QString title = toQString(asked.title());
    const AnalysisKey key = keyOf(method);
    if (key.method != method.toStdString() && asked.needsWeightMoments())
        return tr("%1 needs moments of weight gradients; choose it in the recipe and calibrate.").arg(title);
    if (key.method != method.toStdString())
        return asked.needsGradients() ? tr("%1 needs gradients; tick them in the recipe and calibrate.").arg(title)
                                      : tr("%1 needs calibration statistics; choose a text and calibrate.").arg(title);
    if (quantity() == Quantity::Nats && key.gradients.empty())
        return tr("Losses in nats need gradients; tick them in the recipe and calibrate.");
    return {};
}

std::vector<SpectrumPanel::Curve> SpectrumPanel::curves() const
{
    std::vector<Curve> result;
    const DocumentPtr document = m_session.document();
    const int current = m_session.selection().current();
    if (!document || current < 0)
        return result;
    QStringList names;
    for (const QString& name : methods())
        if (unavailable(name).isEmpty())
            names.append(name);
    // Several methods: of the current linear. One: of all that are selected.
    const std::vector<int> linears = names.size() == 1 ? m_session.selection().linears() : std::vector<int>{current};
    for (const QString& name : names) {
        for (const int linear : linears) {
            if (result.size() == mostCurves)
                return result;
            const std::string& full = document->model.linears()[static_cast<std::size_t>(linear)].name;
            result.push_back({keyOf(name), linear,
                              names.size() > 1 ? toQString(findMethod(name.toStdString()).title())
                                               : toQString(full).remove(u"model.layers."_s)});
        }
    }
    return result;
}

void SpectrumPanel::request()
{
    std::map<AnalysisKey, std::vector<int>> wanted;
    for (const Curve& curve : curves())
        wanted[curve.key].push_back(curve.linear);
    auto urgency = SpectrumService::Urgency::Now;
    for (const auto& [key, linears] : wanted) {
        m_session.spectra().request(key, linears, urgency);
        urgency = SpectrumService::Urgency::AlsoNow;
    }
}

void SpectrumPanel::refreshSoon()
{
    if (!m_soon.isActive())
        m_soon.start();
}

void SpectrumPanel::refresh()
{
    const std::vector<Curve> wanted = curves();
    PlotData figure;
    QStringList figures;
    for (const QString& name : methods())
        if (const QString reason = unavailable(name);
            !reason.isEmpty() && m_session.document() && !figures.contains(reason))
            figures.append(reason);
    int waiting = 0;
    QVector<int> colours;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Curve& curve = wanted[i];
        const SpectrumPtr spectrum = m_session.spectra().find(curve.key, curve.linear);
        if (!spectrum) {
            ++waiting;
            continue;
        }
        figure.series.append({.name = curve.name,
                              .points = pointsOf(*spectrum, quantity()),
                              .colour = static_cast<int>(i),
                              .markers = false,
                              .line = true,
                              .dashed = false});
        if (curve.linear == m_session.selection().current())
            figures.append(tr("%1: effective rank %2, stable rank %3")
                               .arg(curve.name)
                               .arg(effectiveRank(spectrum->singularValues), 0, 'f', 1)
                               .arg(stableRank(spectrum->singularValues), 0, 'f', 1));
    }
    if (waiting > 0)
        figures.append(tr("curves being computed: %1").arg(waiting));
    m_figures->setText(figures.join(u"   "_s));

    const DocumentPtr document = m_session.document();
    const int current = m_session.selection().current();
    if (document && current >= 0) {
        const LinearInfo& info = document->model.linears()[static_cast<std::size_t>(current)];
        figure.title = toQString(info.name);
        const LinearShape ranked = m_session.plan().rankedShape(current);
        const std::size_t edge = breakEvenRank(m_session.plan().planned(), ranked);
        if (edge < ranked.fullRank()) {
            figure.shaded = QPair<double, double>(static_cast<double>(edge), std::numeric_limits<double>::infinity());
            figure.shadedLabel = tr("beyond break-even");
        }
    }
    figure.x.integer = true;
    switch (quantity()) {
    case Quantity::Loss:
        figure.x.title = tr("rank");
        figure.y.title = tr("loss / loss of rank 0");
        figure.y.logarithmic = true;
        break;
    case Quantity::SingularValues:
        figure.x.title = tr("index");
        figure.y.title = tr("singular value of what the method truncates");
        figure.y.logarithmic = true;
        break;
    case Quantity::Nats:
        figure.x.title = tr("rank");
        figure.y.title = tr("loss in nats per token");
        figure.y.logarithmic = true;
        break;
    case Quantity::Energy:
        figure.x.title = tr("rank");
        figure.y.title = tr("share of the energy");
        break;
    }
    if (figure.y.logarithmic)
        figure.y.min = leastOfInterest(figure.series);
    const bool same = m_shown == m_session.selection().linears() && m_shownQuantity == m_quantity->currentIndex();
    m_shown = m_session.selection().linears();
    m_shownQuantity = m_quantity->currentIndex();
    if (waiting > 0 && figure.series.isEmpty())
        m_plot->setEmptyText(tr("Computing ..."));
    else
        m_plot->setEmptyText(tr("Select linears in the tree to see their spectra."));
    m_plot->setData(figure, same ? PlotWidget::View::Keep : PlotWidget::View::Reset);
    refreshMarker();
}

void SpectrumPanel::refreshMarker()
{
    const DocumentPtr document = m_session.document();
    const int current = m_session.selection().current();
    QVector<PlotMarker> markers;
    if (document && current >= 0 && !m_session.plan().empty() && !m_plot->data().series.isEmpty()) {
        const LinearShape ranked = m_session.plan().rankedShape(current);
        const bool dense = m_session.plan().structure(current) == StructureKind::Dense;
        const std::size_t edge = breakEvenRank(m_session.plan().planned(), ranked);
        if (edge < ranked.fullRank())
            markers.append({.id = breakEvenMarker,
                            .x = static_cast<double>(edge),
                            .label = tr("break-even %1").arg(edge),
                            .draggable = false,
                            .colour = -1});
        markers.append({.id = rankMarker,
                        .x = static_cast<double>(m_session.plan().rank(current)),
                        .label = dense ? tr("dense") : tr("rank %1").arg(m_session.plan().rank(current)),
                        .draggable = m_session.plan().chosen(current),
                        .colour = 1});
    }
    m_plot->setMarkers(markers);
}

} // namespace rankwright::ui
