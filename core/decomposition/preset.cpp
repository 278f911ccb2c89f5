#include "core/decomposition/preset.h"

#include "core/decomposition/method_list.h"

#include <utility>

namespace rankwright {

Preset::Preset(const Method& base, PresetNames names, MethodParameters defaults)
    : m_base(base)
    , m_names(std::move(names))
    , m_defaults(std::move(defaults))
{}

std::vector<ParameterInfo> Preset::parameters() const
{
    std::vector<ParameterInfo> result = m_base.parameters();
    for (ParameterInfo& info : result)
        info.defaultValue = parameterValue(m_base, m_defaults, info.name);
    return result;
}

bool Preset::needsStatistics() const
{
    return m_names.needsText || m_base.needsStatistics();
}

std::unique_ptr<Analysis> Preset::analyze(const Device& device, const LinearProblem& problem,
                                          const MethodParameters& parameters) const
{
    checkParameters(*this, parameters);
    return m_base.analyze(device, problem, parametersFor(m_base, *this, parameters));
}

const Method& atomicFeatureMimicking()
{
    static const Preset preset(whitenedSvd(),
                               {.name = "afm",
                                .title = "AFM",
                                .description = "Principal components of the centred outputs, with an updated bias: "
                                               "whitened SVD with biasUpdate 1.",
                                .source =
                                    "Atomic Feature Mimicking (Yu and Wu, AAAI 2023); unified low-rank compression"
                                    " for CTR prediction"},
                               {{std::string(biasUpdateParameter), 1.0}});
    return preset;
}

const Method& whitenedFwsvd()
{
    static const Preset preset(gfwsvd(),
                               {.name = "whitened-fwsvd",
                                .title = "Whitened FWSVD",
                                .description = "Whitened by input statistics, outputs weighted by the Fisher "
                                               "information of their rows of weights.",
                                .source = "FWSVD (Hsu et al., ICLR 2022) with the whitening of SVD-LLM; ours"},
                               {{"inputs", 1.0}, {"outputs", 1.0}});
    return preset;
}

const Method& lillama()
{
    static const Preset preset(plainSvd(),
                               {.name = "lillama",
                                .title = "Lillama",
                                .description = "Plain SVD, whose factors then learn the outputs of the original blocks "
                                               "by local distillation.",
                                .source = "Lillama (Sy, Cerisara and Illina 2024), arXiv 2412.16719",
                                .needsText = true},
                               {});
    return preset;
}

} // namespace rankwright
