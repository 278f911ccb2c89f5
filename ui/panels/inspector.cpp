#include "ui/panels/inspector.h"

#include "core/base/bytes.h"
#include "core/model/summary.h"
#include "ui/models/linear_tree_model.h"
#include "ui/session/text.h"

#include <QLocale>
#include <QScrollBar>

#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// Ten times a second: figures that change faster are not read, and laying them out takes as long as all other views
/// take to follow the slider.
constexpr int updateMilliseconds = 100;

class Rows
{
public:
    void section(const QString& title)
    {
        m_html += u"<tr><td colspan=2 style='padding-top:6px'><b>%1</b></td></tr>"_s.arg(title.toHtmlEscaped());
    }
    void add(const QString& name, const QString& value)
    {
        if (!value.isEmpty())
            m_html += u"<tr><td style='padding-right:10px'>%1</td><td>%2</td></tr>"_s.arg(name.toHtmlEscaped(),
                                                                                          value.toHtmlEscaped());
    }
    QString html() const { return u"<table cellspacing=1>"_s + m_html + u"</table>"_s; }

private:
    QString m_html;
};

QString number(double value)
{
    return std::isfinite(value) ? QLocale().toString(value, 'g', 6) : QString();
}

} // namespace

Inspector::Inspector(Session& session, QWidget* parent)
    : QTextBrowser(parent)
    , m_session(session)
{
    setObjectName(u"inspector"_s);
    setAccessibleName(tr("Inspector of the current linear"));
    setFrameShape(QFrame::NoFrame);
    m_soon.setSingleShot(true);
    connect(&m_soon, &QTimer::timeout, this, &Inspector::refresh);
    const auto soon = [this] {
        if (isVisible() && !m_soon.isActive())
            m_soon.start(updateMilliseconds);
    };
    connect(&session.selection(), &Selection::changed, this, [this] {
        if (isVisible())
            m_soon.start(0);
    });
    connect(&session.plan(), &RankPlan::changed, this, soon);
    connect(&session, &Session::measuredChanged, this, soon);
    connect(&session, &Session::modelOpened, this, soon);
    connect(&session.plan(), &RankPlan::lossReady, this, [this, soon](int linear) {
        if (linear == m_session.selection().current())
            soon();
    });
    connect(&session.calibration(), &CalibrationService::changed, this, soon);
}

void Inspector::showEvent(QShowEvent* event)
{
    QTextBrowser::showEvent(event);
    refresh();
}

void Inspector::refresh()
{
    const QString now = content();
    if (now == m_shown)
        return;
    m_shown = now;
    const int scroll = verticalScrollBar()->value();
    setHtml(now);
    verticalScrollBar()->setValue(scroll);
}

QString Inspector::content() const
{
    const DocumentPtr document = m_session.document();
    const int current = m_session.selection().current();
    if (!document || current < 0 || m_session.plan().empty())
        return {};
    const LinearInfo& info = document->model.linears()[static_cast<std::size_t>(current)];
    const RankPlan& plan = m_session.plan();
    Rows rows;
    rows.section(toQString(info.name));
    rows.add(tr("shape"), tr("%1 outputs x %2 inputs").arg(info.shape.rows).arg(info.shape.columns));
    rows.add(tr("stored as"),
             tr("%1, %2").arg(toQString(dtypeName(info.dtype)), toQString(structureName(info.structure))));
    rows.add(tr("parameters"), groupedNumber(info.shape.parameters()));
    const TapInfo& tap = document->model.taps()[info.tap];
    QStringList sharing;
    for (const std::size_t linear : tap.linears)
        sharing.append(shortName(document->model.linears()[linear].name));
    rows.add(tr("input shared by"), sharing.join(u", "_s));
    const double share = plan.planned().sparseShare;
    rows.add(tr("break-even rank"),
             tr("%1 as factors, %2 with a block identity")
                 .arg(breakEvenRank({StructureKind::Factors, share}, plan.rankedShape(current)))
                 .arg(breakEvenRank({StructureKind::BlockIdentity, share}, plan.rankedShape(current))));

    rows.section(tr("Plan"));
    const bool dense = plan.structure(current) == StructureKind::Dense;
    rows.add(tr("rank"),
             dense ? tr("dense") : tr("%1 of %2").arg(plan.rank(current)).arg(plan.rankedShape(current).fullRank()));
    const std::size_t entries = plan.stored(current).entries;
    rows.add(tr("sparse entries"), entries > 0 ? groupedNumber(entries) : QString());
    rows.add(tr("set by hand"), plan.locked(current) ? tr("yes, the allocator leaves it") : QString());
    const std::size_t kept = plan.keptParameters(current);
    rows.add(tr("kept"), tr("%1 parameters, %2")
                             .arg(groupedNumber(kept), percentText(static_cast<double>(kept) /
                                                                   static_cast<double>(info.shape.parameters()))));
    const std::size_t bytes = dense ? bytesFor(info.dtype, info.shape.parameters())
                                    : storedBytes(plan.stored(current), info.shape, plan.state().storage);
    rows.add(tr("bytes"), toQString(formatBytes(bytes)));
    if (info.role == Role::K || info.role == Role::V) {
        const CacheWidth cache = cacheWidth(
            document->model, [&](const LinearInfo& linear) { return plan.stored(static_cast<int>(linear.index)); });
        rows.add(tr("key/value cache"), tr("%1 a token (float32, all blocks), %2 if latents were cached")
                                            .arg(toQString(formatBytes(cache.expanded * sizeof(float))),
                                                 toQString(formatBytes(cache.latent * sizeof(float)))));
    }
    rows.add(tr("predicted loss"), lossText(plan.relativeLoss(current)));

    if (const SpectrumPtr spectrum = m_session.spectra().find(plan.analysis(), current)) {
        rows.section(tr("Spectrum of %1").arg(toQString(findMethod(plan.analysis().method).title())));
        rows.add(tr("largest, smallest"),
                 tr("%1, %2").arg(number(spectrum->singularValues.front()), number(spectrum->singularValues.back())));
        rows.add(tr("effective rank"), number(effectiveRank(spectrum->singularValues)));
        rows.add(tr("stable rank"), number(stableRank(spectrum->singularValues)));
        rows.add(tr("total energy"), number(spectrum->totalEnergy));
        rows.add(tr("losses"), spectrum->exact ? tr("exact at every rank") : tr("planning curve, exact at some ranks"));
        for (const NumericEvent& event : spectrum->events)
            rows.add(toQString(event.kind), toQString(event.message));
    }
    if (const auto set = m_session.calibration().set(); set && info.tap < set->summaries().size()) {
        const TapSummary& summary = set->summaries()[info.tap];
        rows.section(tr("Input statistics"));
        rows.add(tr("tokens"), groupedNumber(summary.tokens));
        rows.add(tr("trace"), number(summary.trace));
        rows.add(tr("mean input norm"), number(summary.meanNorm));
        rows.add(tr("dead channels"), summary.deadChannels > 0 ? groupedNumber(summary.deadChannels) : QString());
    }
    if (const LinearOutcome* outcome = m_session.measured(current)) {
        rows.section(tr("Run %1").arg(m_session.measuredRun()));
        rows.add(tr("rank"), outcome->structure == StructureKind::Dense
                                 ? tr("dense")
                                 : tr("%1, %2").arg(outcome->rank).arg(toQString(structureName(outcome->structure))));
        rows.add(tr("predicted loss"), lossText(relativePredictedLoss(*outcome)));
        rows.add(tr("measured loss"), lossText(relativeMeasuredLoss(*outcome)));
        rows.add(tr("held-out error"), outcome->heldOutError >= 0.0 ? number(outcome->heldOutError) : QString());
        rows.add(tr("seconds"), number(outcome->seconds));
        for (const std::string& note : outcome->notes)
            rows.add(tr("note"), toQString(note));
    }
    return rows.html();
}

} // namespace rankwright::ui
