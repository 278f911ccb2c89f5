#include "ui/panels/rank_plan_panel.h"

#include "core/experiment/recipe.h"
#include "ui/models/linear_tree_model.h"
#include "ui/plots/rank_bars.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QInputDialog>
#include <QLabel>
#include <QMenu>
#include <QMessageBox>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr int leastLetters = 6;

QWidget* labelled(const QString& text, QComboBox* box, const QString& tip)
{
    auto* widget = new QWidget;
    auto* layout = new QHBoxLayout(widget);
    layout->setContentsMargins(0, 0, 8, 0);
    auto* label = new QLabel(text);
    label->setBuddy(box);
    box->setToolTip(tip);
    box->setMinimumContentsLength(leastLetters); // the whole text where there is room
    box->setAccessibleName(text);
    layout->addWidget(label);
    layout->addWidget(box);
    return widget;
}

} // namespace

RankPlanPanel::RankPlanPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_allocator(new QComboBox)
    , m_structure(new QComboBox)
    , m_storage(new QComboBox)
    , m_ghost(new QComboBox)
    , m_named(new QComboBox)
    , m_forget(new QToolButton)
    , m_reallocate(new QPushButton(tr("Allocate again")))
    , m_state(new QLabel)
    , m_bars(new RankBars)
{
    m_allocator->setObjectName(u"allocator"_s);
    m_structure->setObjectName(u"structure"_s);
    m_ghost->setObjectName(u"ghostAllocator"_s);
    m_named->setObjectName(u"namedPlans"_s);
    m_bars->setObjectName(u"rankBars"_s);
    m_ghost->addItem(tr("none"), QString());
    const auto add = [](QComboBox* list, const Allocator& allocator) {
        list->addItem(toQString(allocator.name), toQString(allocator.name));
        list->setItemData(list->count() - 1, toQString(allocator.description), Qt::ToolTipRole);
    };
    for (const Allocator& allocator : allocators()) {
        add(m_allocator, allocator);
        if (!allocator.needsTrials()) // has no plan to show before a run
            add(m_ghost, allocator);
    }
    for (const StructureKind kind : recipeStructures)
        m_structure->addItem(toQString(structureName(kind)), static_cast<int>(kind));
    for (const DType type : {DType::F32, DType::F16, DType::BF16})
        m_storage->addItem(toQString(dtypeName(type)), static_cast<int>(type));
    m_bars->setTitle(tr("Ranks of the plan"));
    m_bars->setEmptyText(tr("Open a model to plan its ranks."));
    m_bars->setKeptRatio([this](int index, int rank) {
        const LinearShape shape = m_session.plan().rankedShape(index);
        const RankCosts costs(m_session.plan().planned());
        return static_cast<double>(costs.parameters(shape, static_cast<std::size_t>(rank))) /
               static_cast<double>(shape.parameters());
    });
    m_state->setObjectName(u"planState"_s);
    m_state->setWordWrap(true);
    m_reallocate->setToolTip(tr("Gives ranks set by hand back to the allocator, but for locked ones"));

    auto* keep = new QToolButton;
    keep->setIcon(icon(u"save"_s));
    keep->setToolTip(tr("Keep this plan under a name"));
    keep->setAccessibleName(keep->toolTip());
    m_forget->setObjectName(u"forgetPlan"_s);
    m_forget->setText(tr("Delete"));
    m_forget->setToolTip(tr("Delete a plan kept under a name"));
    m_forget->setPopupMode(QToolButton::InstantPopup);
    m_forget->setMenu(new QMenu(m_forget));

    auto* top = new QHBoxLayout;
    top->addWidget(labelled(tr("Allocation"), m_allocator, tr("How the kept parameters are spread over the linears")));
    top->addWidget(labelled(tr("Structure"), m_structure, tr("How factors are stored")));
    top->addWidget(labelled(tr("Stored as"), m_storage, tr("Type of the factors")));
    top->addStretch();
    top->addWidget(m_reallocate);
    auto* second = new QHBoxLayout;
    second->addWidget(labelled(tr("Plans"), m_named, tr("Plans kept with this model")));
    second->addWidget(keep);
    second->addWidget(m_forget);
    second->addStretch();
    second->addWidget(
        labelled(tr("Behind"), m_ghost, tr("Plan of another allocator at the same kept ratio, as outlines")));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addLayout(top);
    layout->addLayout(second);
    layout->addWidget(m_bars, 1);
    layout->addWidget(m_state);

    RankPlan& plan = session.plan();
    connect(&session, &Session::modelOpened, this, &RankPlanPanel::rebuild);
    connect(&session, &Session::modelClosed, this, &RankPlanPanel::rebuild);
    connect(&plan, &RankPlan::changed, this, &RankPlanPanel::refresh);
    connect(&plan, &RankPlan::lossReady, this, [this] {
        if (m_session.plan().waiting())
            refresh();
    });
    connect(&session.calibration(), &CalibrationService::changed, this, &RankPlanPanel::refresh);
    connect(&plan, &RankPlan::namedChanged, this, &RankPlanPanel::refreshNamed);
    connect(&session.selection(), &Selection::changed, this, [this] {
        QVector<int> chosen;
        for (const int linear : m_session.selection().linears())
            chosen.append(linear);
        m_bars->setSelection(chosen);
    });
    connect(m_allocator, &QComboBox::activated, this,
            [this] { m_session.plan().setAllocator(m_allocator->currentData().toString().toStdString()); });
    connect(m_structure, &QComboBox::activated, this,
            [this] { m_session.plan().setStructure(static_cast<StructureKind>(m_structure->currentData().toInt())); });
    connect(m_storage, &QComboBox::activated, this,
            [this] { m_session.plan().setStorage(static_cast<DType>(m_storage->currentData().toInt())); });
    connect(m_ghost, &QComboBox::activated, this,
            [this] { m_session.plan().setGhost(m_ghost->currentData().toString().toStdString()); });
    connect(m_named, &QComboBox::activated, this, [this] {
        const auto found = m_session.plan().named().find(m_named->currentText());
        if (found != m_session.plan().named().end())
            m_session.plan().restore(found->second, tr("plan %1").arg(found->first));
    });
    connect(keep, &QToolButton::clicked, this, &RankPlanPanel::keepPlan);
    connect(m_forget->menu(), &QMenu::triggered, this,
            [this](const QAction* action) { m_session.plan().forget(action->data().toString()); });
    connect(m_reallocate, &QPushButton::clicked, this, [this] { m_session.plan().reallocateNow(); });
    connect(m_bars, &RankBars::rankDragged, this, [this](int index, int rank, bool finished) {
        m_session.plan().setRanks({index}, static_cast<std::size_t>(rank), finished);
    });
    connect(m_bars, &RankBars::selectionChanged, this, [this](const QVector<int>& indices) {
        m_session.selection().set(std::vector<int>(indices.begin(), indices.end()), m_bars->currentIndex());
    });
    rebuild();
}

void RankPlanPanel::rebuild()
{
    const DocumentPtr document = m_session.document();
    QVector<RankBar> bars;
    if (document && !m_session.plan().empty()) {
        for (const LinearInfo& linear : document->model.linears()) {
            const LinearShape ranked = m_session.plan().rankedShape(static_cast<int>(linear.index));
            bars.append({.name = toQString(linear.name),
                         .block = static_cast<int>(linear.block),
                         .role = static_cast<int>(linear.role),
                         .roleName = toQString(roleName(linear.role)),
                         .rank = static_cast<int>(m_session.plan().rank(static_cast<int>(linear.index))),
                         .fullRank = static_cast<int>(ranked.fullRank()),
                         .breakEven = static_cast<int>(breakEvenRank(m_session.plan().planned(), ranked)),
                         .ghost = -1,
                         .locked = false,
                         .fixed = !m_session.plan().chosen(static_cast<int>(linear.index)),
                         .selected = m_session.selection().contains(static_cast<int>(linear.index))});
        }
    }
    m_bars->setBars(bars);
    refresh();
    refreshNamed();
}

void RankPlanPanel::refresh()
{
    const RankPlan& plan = m_session.plan();
    const PlanState& state = plan.state();
    m_allocator->setCurrentIndex(m_allocator->findData(toQString(state.allocator)));
    m_structure->setCurrentIndex(m_structure->findData(static_cast<int>(state.structure)));
    m_storage->setCurrentIndex(m_storage->findData(static_cast<int>(state.storage)));
    m_ghost->setCurrentIndex(m_ghost->findData(toQString(plan.ghostAllocator())));
    m_reallocate->setEnabled(state.edited);
    markNamed();
    const auto count = static_cast<int>(m_bars->bars().size());
    if (count != static_cast<int>(state.ranks.size())) {
        if (!plan.empty())
            rebuild();
        return;
    }
    int locked = 0;
    int fixed = 0;
    for (int i = 0; i < count; ++i) {
        const RankBar& bar = m_bars->bars()[i];
        const LinearShape ranked = plan.rankedShape(i);
        const auto edge = static_cast<int>(breakEvenRank(plan.planned(), ranked));
        if (edge != bar.breakEven || static_cast<int>(ranked.fullRank()) != bar.fullRank ||
            bar.fixed == plan.chosen(i)) {
            rebuild();
            return;
        }
        if (bar.rank != static_cast<int>(plan.rank(i)))
            m_bars->setRank(i, static_cast<int>(plan.rank(i)));
        const int ghost =
            plan.ghost().empty() || bar.fixed ? -1 : static_cast<int>(plan.ghost()[static_cast<std::size_t>(i)]);
        if (bar.ghost != ghost)
            m_bars->setGhost(i, ghost);
        if (bar.locked != plan.locked(i))
            m_bars->setLocked(i, plan.locked(i));
        locked += plan.locked(i) ? 1 : 0;
        fixed += bar.fixed ? 1 : 0;
    }
    QStringList text;
    if (!plan.problem().isEmpty())
        text.append(plan.problem());
    if (plan.waiting() && m_session.wantsGradients() && !m_session.calibration().gradients())
        text.append(tr("waits for gradients: calibrate first"));
    else if (plan.waiting())
        text.append(tr("waits for the losses of all linears: %1 of %2 are known").arg(plan.known()).arg(count));
    if (count > 0) {
        text.append(m_session.plansWithMethod()
                        ? tr("losses of %1").arg(toQString(findMethod(plan.analysis().method).title()))
                        : tr("losses of plain SVD: there are no calibration statistics yet"));
        if (findAllocator(state.allocator).needsTrials() && !state.edited)
            text.append(tr("uniform ranks: a run tries the model first and plans its own"));
        if (state.edited)
            text.append(tr("edited: a run takes exactly these ranks"));
        if (fixed > 0)
            text.append(tr("not in the plan: %1").arg(fixed));
        if (locked > 0 && locked + fixed == count)
            text.append(tr("all ranks are locked: unlock some for the allocator to change"));
        else if (locked > 0)
            text.append(tr("locked ranks: %1").arg(locked));
    }
    m_state->setText(text.join(u"   "_s));
}

void RankPlanPanel::keepPlan()
{
    auto* dialog = new QInputDialog(this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(tr("Keep plan"));
    dialog->setLabelText(tr("Name of the plan"));
    connect(dialog, &QInputDialog::textValueSelected, this, [this](const QString& name) {
        if (!name.trimmed().isEmpty())
            keepPlanAs(name.trimmed());
    });
    dialog->open();
}

void RankPlanPanel::keepPlanAs(const QString& name)
{
    if (!m_session.plan().named().contains(name)) {
        m_session.plan().keepAs(name);
        return;
    }
    auto* question = new QMessageBox(QMessageBox::Question, tr("Keep plan"),
                                     tr("There is a plan \"%1\" already. Put this one in its place?").arg(name),
                                     QMessageBox::Cancel, this);
    question->setAttribute(Qt::WA_DeleteOnClose);
    const QAbstractButton* replace = question->addButton(tr("Replace"), QMessageBox::AcceptRole);
    connect(replace, &QAbstractButton::clicked, this, [this, name] { m_session.plan().keepAs(name); });
    question->open();
}

void RankPlanPanel::refreshNamed()
{
    m_named->clear();
    m_forget->menu()->clear();
    for (const auto& [name, plan] : m_session.plan().named()) {
        m_named->addItem(name);
        m_forget->menu()->addAction(QString(name).replace(u'&', u"&&"_s))->setData(name);
    }
    const bool any = m_named->count() > 0;
    m_named->setEnabled(any);
    m_forget->setEnabled(any);
    m_named->setPlaceholderText(any ? tr("choose one") : tr("none kept"));
    markNamed();
}

void RankPlanPanel::markNamed()
{
    const RankPlan& plan = m_session.plan();
    int shown = -1;
    for (int i = 0; i < m_named->count(); ++i)
        if (const auto found = plan.named().find(m_named->itemText(i));
            found != plan.named().end() && found->second == plan.state())
            shown = i;
    m_named->setCurrentIndex(shown);
}

} // namespace rankwright::ui
