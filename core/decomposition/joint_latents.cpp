#include "core/decomposition/curvature.h"
#include "core/decomposition/method_list.h"
#include "core/decomposition/shared_latents.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rankwright {

namespace {

using Groups = std::vector<std::vector<Role>>;

constexpr std::string_view weighParameter = "weighLinears";

const Groups& queriesKeysValues()
{
    static const Groups groups{{Role::Q, Role::K, Role::V}};
    return groups;
}

const Groups& gateAndUp()
{
    static const Groups groups{{Role::Gate, Role::Up}};
    return groups;
}

const Groups& bothInputs()
{
    static const Groups groups{queriesKeysValues().front(), gateAndUp().front()};
    return groups;
}

/// Whitened SVD of what reads one input under one another; linears in no group by whitened SVD.
class JointLatents final : public Method
{
public:
    JointLatents(std::string_view name, std::string_view title, std::string_view description, const Groups& groups)
        : m_name(name)
        , m_title(title)
        , m_description(description)
        , m_groups(groups)
    {}

    std::string_view name() const override { return m_name; }
    std::string_view title() const override { return m_title; }
    std::string_view description() const override { return m_description; }
    std::string_view source() const override
    {
        return "Joint QKV of LatentLLM (arXiv 2505.18413), rebuilt from its description; gate and up likewise";
    }
    std::vector<ParameterInfo> parameters() const override
    {
        return {{std::string(weighParameter),
                 "1: errors of the linears of a group count as shares of their own output energy", 0.0, 0.0, 1.0, true},
                anchorRidgeInfo(),
                biasUpdateInfo()};
    }
    bool needsStatistics() const override { return true; }
    bool supportsAnchored() const override { return true; }
    Groups groups() const override { return m_groups; }
    bool sharesLatents() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        checkParameters(*this, parameters);
        return whitenedSvd().analyze(device, problem, parametersFor(whitenedSvd(), *this, parameters));
    }

    std::unique_ptr<SharedAnalysis> analyzeShared(const Device& device, const GroupProblem& group,
                                                  const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, stackedProblem(group), parameters);
        std::vector<OutputMetric> metrics(group.members.size());
        if (parameterValue(*this, parameters, weighParameter) != 0.0)
            weigh(device, group, objective, metrics);
        return shareLatents(device, group, std::move(objective), metrics);
    }

private:
    /// 1 / ||W_b R||_F, but for a factor of all. A linear that gives nothing keeps weight 1: it has no error either.
    static void weigh(const Device& device, const GroupProblem& group, const Objective& objective,
                      std::vector<OutputMetric>& metrics)
    {
        const std::vector<double> rows = weightedRowEnergies(device, objective.target, objective.secondMoment);
        const double mean = std::accumulate(rows.begin(), rows.end(), 0.0) / static_cast<double>(metrics.size());
        auto next = rows.begin();
        for (std::size_t b = 0; b < metrics.size(); ++b) {
            const auto end = next + static_cast<std::ptrdiff_t>(group.members[b].problem.W.rows());
            const double energy = std::accumulate(next, end, 0.0);
            metrics[b].scale = energy > 0.0 ? std::sqrt(mean / energy) : 1.0;
            next = end;
        }
    }

    std::string_view m_name;
    std::string_view m_title;
    std::string_view m_description;
    Groups m_groups;
};

/// The same in nats: curvature SVD of what reads one input under one another.
class CurvatureLatents final : public Method
{
public:
    std::string_view name() const override { return "curvature-latents"; }
    std::string_view title() const override { return "Curvature latents"; }
    std::string_view description() const override
    {
        return "Joint latents for the least loss in nats, to second order; the others by curvature SVD.";
    }
    std::string_view source() const override
    {
        return "Curvature SVD on the groups of LatentLLM's joint QKV (arXiv 2505.18413); our own combination";
    }
    std::vector<ParameterInfo> parameters() const override { return {dampingInfo()}; }
    bool needsStatistics() const override { return true; }
    bool needsGradients() const override { return true; }
    Groups groups() const override { return bothInputs(); }
    bool sharesLatents() const override { return true; }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        return curvatureSvd().analyze(device, problem, parameters);
    }

    std::unique_ptr<SharedAnalysis> analyzeShared(const Device& device, const GroupProblem& group,
                                                  const MethodParameters& parameters) const override
    {
        Objective objective = makeObjective(device, *this, stackedProblem(group), parameters);
        const double damping = parameterValue(*this, parameters, "damping");
        std::vector<OutputMetric> metrics;
        for (const GroupMember& member : group.members)
            metrics.push_back({.factor = dampedCurvature(device, member.problem, damping, objective.events)});
        return shareLatents(device, group, std::move(objective), metrics);
    }

    double measure(const Device& device, const LinearProblem& problem, const MethodParameters& parameters,
                   const Matrix<double>& approximation, std::span<const double> biasChange) const override
    {
        return curvatureSvd().measure(device, problem, parameters, approximation, biasChange);
    }
};

} // namespace

const Method& jointQkv()
{
    static const JointLatents method("joint-qkv", "Joint QKV",
                                     "Queries, keys and values over one set of latents; the others by whitened SVD.",
                                     queriesKeysValues());
    return method;
}

const Method& jointGateUp()
{
    static const JointLatents method("joint-gate-up", "Joint gate and up",
                                     "Gate and up of the MLP over one set of latents; the others by whitened SVD.",
                                     gateAndUp());
    return method;
}

const Method& jointLatents()
{
    static const JointLatents method("joint-latents", "Joint latents",
                                     "One set of latents for q, k and v and one for gate and up; the others by "
                                     "whitened SVD.",
                                     bothInputs());
    return method;
}

const Method& curvatureLatents()
{
    static const CurvatureLatents method;
    return method;
}

} // namespace rankwright
