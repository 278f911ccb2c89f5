#include "core/base/error.h"
#include "core/decomposition/joint_attention.h"
#include "core/decomposition/method_list.h"
#include "core/decomposition/objective.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

namespace {

using Roles = std::vector<Role>;

/// Groups of LatentLLM; linears in no group by root covariance, which is whitened SVD.
class LatentLlm final : public Method
{
public:
    LatentLlm(std::string_view name, std::string_view title, std::string_view description, std::vector<Roles> groups)
        : m_name(name)
        , m_title(title)
        , m_description(description)
        , m_groups(std::move(groups))
    {}

    std::string_view name() const override { return m_name; }
    std::string_view title() const override { return m_title; }
    std::string_view description() const override { return m_description; }
    std::string_view source() const override
    {
        return "LatentLLM (arXiv 2505.18413), equations rebuilt from its stated objective; lag-averaged rotary form "
               "our "
               "own";
    }
    std::vector<ParameterInfo> parameters() const override
    {
        std::vector<ParameterInfo> result{
            {"sweeps", "Alternations between the two linears of a group", 2.0, 1.0, 20.0, true}};
        if (joinsQueryKey()) {
            result.push_back({"distances", "Distances between query and key that are averaged over, rotary models only",
                              16.0, 8.0, 256.0, true});
            result.push_back({"largestDistance", "The largest of them in tokens, the others log-spaced below", 512.0,
                              8.0, 1048576.0, true});
        }
        result.push_back(anchorRidgeInfo());
        result.push_back(biasUpdateInfo());
        return result;
    }
    bool needsStatistics() const override { return true; }
    bool supportsAnchored() const override { return true; }
    std::vector<Roles> groups() const override { return m_groups; }

    void checkAttention(const AttentionGeometry& attention) const override
    {
        if (joinsQueryKey() && attention.queryKeyNorm)
            throw Error(ErrorKind::Unsupported,
                        fmt::format("method {} cannot join queries and keys of a model that norms them after their "
                                    "projection: logits are not bilinear there; use joint-vo or whitened-svd",
                                    m_name));
    }

    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override
    {
        checkParameters(*this, parameters);
        return whitenedSvd().analyze(device, problem, parametersFor(whitenedSvd(), *this, parameters));
    }

    std::unique_ptr<GroupAnalysis> analyzeGroup(const Device& device, const GroupProblem& original,
                                                const MethodParameters& parameters) const override
    {
        checkParameters(*this, parameters);
        // Joint objectives are those of the block's present inputs; linears on their own are anchored to the dense
        // ones.
        GroupProblem problem = original;
        TapStatistics present;
        const TapStatistics* given = problem.members.front().problem.statistics;
        if (given != nullptr && !given->crossMoment.empty()) {
            present = {.tokens = given->tokens,
                       .secondMoment = given->secondMoment,
                       .sum = given->sum,
                       .sumAbs = given->sumAbs,
                       .crossMoment = {},
                       .denseSecondMoment = {},
                       .denseSum = {}};
            for (GroupMember& member : problem.members)
                if (member.problem.statistics != nullptr)
                    member.problem.statistics = &present;
        }
        const auto value = [&](std::string_view key) {
            return static_cast<std::size_t>(parameterValue(*this, parameters, key));
        };
        JointOptions options{.sweeps = value("sweeps"), .biasUpdate = updatesBias(*this, parameters)};
        if (problem.members.front().role != Role::Q)
            return jointValueOutput(device, *this, problem, options);
        options.distances = value("distances");
        options.largestDistance = value("largestDistance");
        return jointQueryKey(device, *this, problem, options);
    }

private:
    bool joinsQueryKey() const
    {
        return std::any_of(m_groups.begin(), m_groups.end(),
                           [](const Roles& roles) { return roles.front() == Role::Q; });
    }

    std::string_view m_name;
    std::string_view m_title;
    std::string_view m_description;
    std::vector<Roles> m_groups;
};

} // namespace

const Method& latentLlm()
{
    static const LatentLlm method(
        "latentllm", "LatentLLM",
        "Queries with keys and values with outputs, for what the heads make of them together; "
        "the MLP by whitened SVD.",
        {{Role::Q, Role::K}, {Role::V, Role::O}});
    return method;
}

const Method& jointQk()
{
    static const LatentLlm method("joint-qk", "Joint QK",
                                  "Queries and keys together, for the attention logits; the others by whitened SVD.",
                                  {{Role::Q, Role::K}});
    return method;
}

const Method& jointVo()
{
    static const LatentLlm method(
        "joint-vo", "Joint VO", "Values and outputs together, for the paths of the heads; the others by whitened SVD.",
        {{Role::V, Role::O}});
    return method;
}

} // namespace rankwright
