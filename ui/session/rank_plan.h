#pragma once

#include "core/allocation/plan_totals.h"
#include "core/allocation/rank_costs.h"
#include "core/allocation/rank_planner.h"
#include "core/experiment/recipe.h"
#include "ui/session/background.h"
#include "ui/session/document.h"
#include "ui/session/spectrum_service.h"

#include <QObject>
#include <QUndoStack>

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rankwright::ui {

/// A plan as it is undone, kept under a name and saved. Ranks by position in Model::linears(); a rank that would save
/// nothing is the full one, stored dense.
struct PlanState
{
    std::string allocator = "uniform";
    StructureKind structure = StructureKind::Factors;
    DType storage = DType::F32;
    double keptRatio = 0.8; ///< what the allocator aims at
    std::vector<std::size_t> ranks;
    std::vector<bool> locked; ///< set by hand or kept on purpose: the allocator leaves it
    bool edited = false;      ///< some free rank is not what the allocator gave

    bool operator==(const PlanState&) const = default;
};

Json planToJson(const PlanState& plan);
/// Throws Error(Corrupt) if it is not a plan for `linears` linears.
PlanState planFromJson(const Json& json, std::size_t linears);

/// The rank of every linear, live: cost and exact predicted loss follow every change at once.
class RankPlan : public QObject
{
    Q_OBJECT

public:
    RankPlan(SpectrumService& spectra, QObject* parent = nullptr);

    void setDocument(DocumentPtr document);
    /// Whose losses decide and are shown. Curves come from the spectrum service as they get ready.
    void setAnalysis(const AnalysisKey& key);
    const AnalysisKey& analysis() const { return m_key; }
    /// Whose run is planned: linears that it gives one set of latents have one rank.
    void setMethod(const std::string& method, const MethodParameters& parameters);

    const PlanState& state() const { return m_state; }
    bool empty() const { return m_state.ranks.empty(); }
    /// The full one of a linear that the plan is not for.
    std::size_t rank(int linear) const;
    bool locked(int linear) const { return chosen(linear) && m_state.locked[static_cast<std::size_t>(linear)]; }
    /// Which linears the plan is for (Recipe::only); the others stay as they are.
    void setChosen(const std::vector<bool>& chosen);
    bool chosen(int linear) const { return m_chosen[static_cast<std::size_t>(linear)]; }
    LinearShape shape(int linear) const;
    /// What has the linear's rank: itself, or all that share its latents, under one another.
    LinearShape rankedShape(int linear) const;
    /// Dense where the rank saves nothing.
    StructureKind structure(int linear) const { return stored(linear).structure; }
    /// With its rank and the entries of its S.
    StoredRank stored(int linear) const;
    /// What linears are stored as: the plan's structure with the sparse share of the method.
    Structure planned() const { return planned(m_state); }
    std::size_t keptParameters(int linear) const;
    /// loss(rank) / loss(0) of the analysis; NaN where it is not there yet.
    double relativeLoss(int linear) const { return m_relativeLosses[static_cast<std::size_t>(linear)]; }
    /// What the plan costs in nats per token, the sum of Analysis::curvatureCurve() at its ranks; NaN where it is not
    /// known.
    double nats() const { return m_nats; }
    const PlanTotals& totals() const { return m_totals; }
    /// Whether ranks wait for losses that are still being computed.
    bool waiting() const { return m_waiting; }
    /// Why the allocator could not do what was asked; empty where it could.
    const QString& problem() const { return m_problem; }
    /// Losses of how many linears are known.
    int known() const { return m_spectra.count(m_key); }

    // Changes; each can be undone. `finished` false: one of a drag, undone together.
    void setKeptRatio(double ratio, bool finished = true);
    void setAllocator(const std::string& allocator);
    void setStructure(StructureKind structure);
    void setStorage(DType storage);
    /// Sets ranks by hand and locks them, of linears that the plan is for.
    void setRanks(const std::vector<int>& linears, std::size_t rank, bool finished = true);
    /// The allocator plans what is no longer locked.
    void setLocked(const std::vector<int>& linears, bool locked);
    /// Gives edited ranks back to the allocator, but for locked ones.
    void reallocateNow();
    void restore(const PlanState& state, const QString& what);
    QUndoStack& undoStack() { return m_undo; }

    /// Plan of another allocator at the same kept ratio, to be shown behind; empty: none.
    void setGhost(const std::string& allocator);
    const std::string& ghostAllocator() const { return m_ghostAllocator; }
    const std::vector<std::size_t>& ghost() const { return m_ghost; }

    // Plans kept under names.
    const std::map<QString, PlanState>& named() const { return m_named; }
    void keepAs(const QString& name);
    void forget(const QString& name);
    void setNamed(std::map<QString, PlanState> plans);

    /// Puts ratio, allocation, structure, storage and ranks into a recipe, so that its run has exactly these ranks.
    void apply(Recipe& recipe) const;
    /// Takes them from a recipe; returns how many of its ranks are of linears that the model lacks, and are left out.
    std::size_t take(const Recipe& recipe);

signals:
    void changed();
    void lossReady(int linear); ///< its loss became known, and with it the totals
    void namedChanged();

private:
    friend class PlanCommand;

    Structure planned(const PlanState& state) const { return {state.structure, m_sparseShare}; }

    void show(const PlanState& state);
    /// Finds what has one rank; whether that changed.
    bool regroup();
    /// Those that have one rank with some of these.
    std::vector<std::size_t> withPartners(const std::vector<int>& linears) const;
    /// The losses of a linear, where they are of what has its rank.
    SpectrumPtr losses(int linear) const;
    void push(PlanState state, const QString& what, int mergeId);
    /// The allocator whose ranks are shown: the first where a run measures perplexities before it knows its own.
    static const Allocator& previewed(const std::string& allocator);
    /// Ranks from the allocator of `state`; they stay where losses are missing or it cannot.
    void reallocate(PlanState& state);
    std::optional<std::vector<std::size_t>> allocated(const PlanState& state, const std::string& allocator);
    void replan(PlanState state, const QString& what, bool finished);
    int dragId(bool finished);
    /// Of items with the losses that allocators with gradients plan with, with relative ones, or without any.
    struct Planner
    {
        std::shared_ptr<const RankPlanner> planner;
        Structure structure; ///< of the planner, or of the one that is being made
        bool making = false;
        LatestRequest request;

        void drop();
    };
    enum class Losses { None, Relative, Nats };
    void dropPlanners();
    void ensurePlanner(Losses losses);
    bool hasLosses(int linear, Losses losses) const;
    void plannerReady();
    void updateTotals();
    void updateGhost();
    void spectrumReady(const AnalysisKey& key, int linear);
    std::vector<std::optional<std::size_t>> fixedRanks(const PlanState& state) const;

    SpectrumService& m_spectra;
    DocumentPtr m_document;
    AnalysisKey m_key;
    PlanState m_state;
    std::vector<bool> m_chosen;
    std::string m_method = "svd";
    double m_sparseShare = 0.0;
    std::vector<std::vector<std::size_t>> m_items; ///< chosen linears by what has one rank
    std::vector<std::size_t> m_itemOf;             ///< by linear; of chosen ones
    QString m_cannotGroup;                         ///< why the choice and the method do not go together
    std::vector<double> m_relativeLosses;          ///< by linear
    PlanTotals m_totals;
    bool m_waiting = false;
    int m_waitingId = -1; ///< merge id of the step that waits
    QString m_problem;
    std::string m_ghostAllocator;
    std::vector<std::size_t> m_ghost;
    std::map<QString, PlanState> m_named;
    QUndoStack m_undo;
    int m_drag = 0; ///< numbers drags, whose changes are one step
    double m_nats = std::numeric_limits<double>::quiet_NaN();
    std::map<Losses, Planner> m_planners;
    Background m_background{1};
};

} // namespace rankwright::ui
