#pragma once

#include "core/decomposition/method.h"

namespace rankwright {

/// What a preset is called and where it comes from.
struct PresetNames
{
    std::string_view name;
    std::string_view title;
    std::string_view description;
    std::string_view source;
    std::vector<std::string_view> aliases = {};
    bool needsText = false; ///< statistics where the base method needs none: what comes after is trained on the text
};

/// A published method that is another one with other defaults of its parameters.
class Preset final : public Method
{
public:
    /// `defaults` are parameters of `base`.
    Preset(const Method& base, PresetNames names, MethodParameters defaults);

    std::string_view name() const override { return m_names.name; }
    std::string_view title() const override { return m_names.title; }
    std::string_view description() const override { return m_names.description; }
    std::string_view source() const override { return m_names.source; }
    std::vector<std::string_view> aliases() const override { return m_names.aliases; }
    std::vector<ParameterInfo> parameters() const override;
    bool needsStatistics() const override;
    bool needsGradients() const override { return m_base.needsGradients(); }
    bool needsWeightMoments() const override { return m_base.needsWeightMoments(); }
    bool supportsAnchored() const override { return m_base.supportsAnchored(); }
    double sparseShare(const MethodParameters& parameters) const override
    {
        return m_base.sparseShare(parametersFor(m_base, *this, parameters));
    }
    double planningEigenproblems() const override { return m_base.planningEigenproblems(); }
    double factorisingEigenproblems(const MethodParameters& parameters) const override
    {
        return m_base.factorisingEigenproblems(parametersFor(m_base, *this, parameters));
    }
    std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                      const MethodParameters& parameters) const override;
    double measure(const Device& device, const LinearProblem& problem, const MethodParameters& parameters,
                   const Matrix<double>& approximation, std::span<const double> biasChange) const override
    {
        return m_base.measure(device, problem, parametersFor(m_base, *this, parameters), approximation, biasChange);
    }

private:
    const Method& m_base;
    PresetNames m_names;
    MethodParameters m_defaults;
};

} // namespace rankwright
