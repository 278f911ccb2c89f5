#include "core/base/error.h"
#include "core/calibration/statistics.h"
#include "ui/session/rank_plan.h"

namespace rankwright::ui {

Json planToJson(const PlanState& plan)
{
    return {{"allocation", plan.allocator},
            {"structure", structureName(plan.structure)},
            {"storage", dtypeName(plan.storage)},
            {"keptRatio", plan.keptRatio},
            {"ranks", plan.ranks},
            {"locked", plan.locked},
            {"edited", plan.edited}};
}

PlanState planFromJson(const Json& json, std::size_t linears)
{
    PlanState plan;
    try {
        plan.allocator = json.at("allocation").get<std::string>();
        plan.structure = structureFromName(json.at("structure").get<std::string>());
        plan.storage = weightTypeFromName(json.at("storage").get<std::string>());
        plan.keptRatio = json.at("keptRatio").get<double>();
        plan.ranks = json.at("ranks").get<std::vector<std::size_t>>();
        plan.locked = json.at("locked").get<std::vector<bool>>();
        plan.edited = json.at("edited").get<bool>();
    } catch (const Json::exception& exception) {
        throw Error(ErrorKind::Corrupt, std::string("not a rank plan: ") + exception.what());
    }
    if (plan.ranks.size() != linears || plan.locked.size() != linears)
        throw Error(ErrorKind::Mismatch, "the plan is for a model with another number of linears");
    if (!(plan.keptRatio > 0.0 && plan.keptRatio <= 1.0))
        throw Error(ErrorKind::Corrupt, "the kept ratio of the plan is outside (0, 1]");
    return plan;
}

} // namespace rankwright::ui
