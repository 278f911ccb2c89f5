#include "core/allocation/rank_costs.h"
#include "core/compute/machine_rates.h"
#include "core/experiment/linear_groups.h"
#include "core/experiment/run_job.h"
#include "core/experiment/runner.h"
#include "core/experiment/sensitivities.h"
#include "core/model/forward_buffers.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

namespace rankwright {

namespace {

// What is not a product, in bytes and seconds; measured on a machine of two cores.
constexpr double readRate = 600e6;      ///< looking at every stored value
constexpr double writeRate = 300e6;     ///< until the disk has it
constexpr double secondsPerFile = 1e-3; ///< a small file on the disk and its row in the store
constexpr double bytesOfProcess = 25e6;

/// Share of the measured rate that a forward pass over `width` channels reaches with everything around its products:
/// small ones do not fill the processor, those beyond 256 channels are faster than what was measured.
double forwardShare(std::size_t width)
{
    const auto channels = static_cast<double>(width);
    return channels / (channels + 80.0);
}

/// The same of a decomposition, half of which are eigenproblems.
constexpr double decompositionShare = 0.65;

double asDouble(std::size_t value)
{
    return static_cast<double>(value);
}

/// Bytes of English text that become one token: 2.05 with 512 tokens (stories260K), 4.25 with 49152 (SmolLM2).
double bytesPerToken(const ModelConfig& config)
{
    return std::max(1.0, 0.334 * std::log2(asDouble(config.vocabularySize)) - 0.96);
}

/// Operations and bytes of a run.
class RunWork
{
public:
    RunWork(const Recipe& recipe, const Model& model)
        : m_recipe(recipe)
        , m_model(model)
        , m_method(findMethod(recipe.method))
        , m_options{.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}}
        , m_limit(effectiveMemoryLimit(m_options))
        , m_threads(asDouble(effectiveThreads(m_options)))
        , m_planned(findAllocator(recipe.allocation).needsAnalyses())
        , m_sequential(recipe.sequential != SequentialMode::Dense)
        , m_anchored(recipe.sequential == SequentialMode::Anchored)
    {
        std::vector<const LinearInfo*> linears;
        for (const LinearInfo& linear : model.linears())
            if (recipeSelects(recipe, linear))
                linears.push_back(&linear);
        for (const std::vector<std::size_t>& together : rankedTogether(model, m_method, linears)) {
            std::vector<const LinearInfo*> members;
            members.reserve(together.size());
            for (const std::size_t position : together)
                members.push_back(linears[position]);
            addItem(members);
        }
        for (const TensorInfo& tensor : model.checkpoint().tensors())
            m_checkpointBytes += asDouble(tensor.bytes);
        for (const TapInfo& tap : model.taps())
            m_momentFlops += momentFlops(tap);
    }

    RunEstimate estimate(const MachineRates& rates) const
    {
        const double floats = rates.floats * forwardShare(m_model.config().hiddenSize);
        const double doubles = rates.doubles * decompositionShare;
        RunEstimate estimate;
        const auto add = [&](const char* stage, double seconds) {
            estimate.stageSeconds.emplace_back(stage, seconds);
            estimate.seconds += seconds;
        };
        add("open", m_checkpointBytes / readRate);
        add("calibrate", calibrates() ? calibrationFlops() / floats + momentBytes() / writeRate +
                                            asDouble(m_model.taps().size()) * secondsPerFile
                                      : 0.0);
        CurvatureEstimate curvature;
        if (takesGradients(m_recipe)) {
            curvature = estimateCurvature(m_model, m_recipe.calibration->count, m_recipe.calibration->length,
                                          curvatureOptions(m_recipe).weightMoments);
            add("curvature", curvature.operations / floats + asDouble(curvature.disk) / writeRate +
                                 asDouble(m_model.linears().size()) * secondsPerFile);
        }
        if (findAllocator(m_recipe.allocation).needsPerplexities)
            add("sensitivity", sensitivityFlops() / floats);
        // Ranks that losses decide are planned on statistics of the dense model, whatever comes after.
        const double analyses = (m_planned && m_sequential ? 2.0 : 1.0) * m_analysisFlops;
        const double both = analyses + m_factoriseFlops;
        const double decomposing = both / doubles + m_factorBytes / writeRate + asDouble(m_linears) * secondsPerFile;
        const double share = both > 0.0 ? analyses / both : 0.0;
        add("analyse", decomposing * share + (m_sequential ? sequentialFlops() / floats : 0.0));
        add("factorise", decomposing * (1.0 - share));
        add("evaluate", evaluationFlops() / floats);
        add("export", exportBytes() / writeRate);
        // Sequential statistics stay while linears are decomposed.
        const double compressing =
            m_sequential ? passBytes() + analysisBytes() : std::max(passBytes(), analysisBytes());
        estimate.memory =
            std::min(m_limit, static_cast<std::size_t>(bytesOfProcess + std::max(compressing, headBytes())));
        estimate.disk = static_cast<std::size_t>(m_factorBytes + (calibrates() ? momentBytes() : 0.0) + exportBytes()) +
                        curvature.disk;
        return estimate;
    }

private:
    /// Linears that have one rank, under one another.
    void addItem(std::span<const LinearInfo* const> members)
    {
        const LinearShape shape = itemOf(members).shape;
        m_linears += members.size();
        m_taps.insert(members.front()->tap);
        m_lastBlock = std::max(m_lastBlock, members.front()->block);
        const double m = asDouble(shape.rows);
        const double n = asDouble(shape.columns);
        const double k = std::min(m, n);
        const Structure structure = storedStructure(m_recipe);
        const std::size_t rank = rankForKeptRatio(structure, shape, m_recipe.keptRatio);
        const double r = asDouble(rank);
        const bool statistics = m_recipe.calibration.has_value();
        const double eigenproblems = 1.0 + (m_planned ? m_method.planningEigenproblems() : 0.0);
        m_analysisFlops += 2.0 * k * k * (m + n) + 9.0 * k * k * k * eigenproblems +
                           (statistics ? 2.0 * m * n * n : 0.0) + (m_anchored ? n * n * n + 4.0 * m * n * n : 0.0);
        m_factoriseFlops += 2.0 * m * n * r + 2.0 * r * r * (m + n) + (statistics ? m * n * n : 0.0) +
                            (m_anchored ? 4.0 * m * n * n : 0.0) +
                            9.0 * k * k * k * m_method.factorisingEigenproblems(m_recipe.parameters) +
                            (m_recipe.structure == StructureKind::BlockIdentity ? 2.0 * r * r * n : 0.0);
        m_factorBytes += asDouble(storedBytes(structure, shape, rank, m_recipe.storage));
        m_removedParameters += asDouble(shape.parameters()) - asDouble(parameterCount(structure, shape, rank));
        m_keptAnalyses += asDouble(rankwright::analysisBytes(shape, structure.sparseShare));
        m_analysisPeak = std::max(m_analysisPeak, asDouble(analysisPeakBytes(shape, structure.sparseShare)));
    }

    bool calibrates() const
    {
        return m_recipe.calibration && (!m_sequential || m_planned || refitsFactors(m_recipe.sequential));
    }

    double tokensOf(const WindowOptions& windows) const
    {
        if (windows.count > 0)
            return asDouble(windows.count * windows.length);
        std::error_code failure;
        const auto bytes = std::filesystem::file_size(windows.text, failure);
        return failure ? 0.0 : asDouble(bytes) / bytesPerToken(m_model.config());
    }

    double weights() const { return asDouble(m_model.linearParameterCount()); }

    /// Of causal attention in one block, for one token of a window: two products with the half of the keys.
    double attentionFlops(std::size_t length) const
    {
        const ModelConfig& config = m_model.config();
        return 2.0 * asDouble(config.heads * config.headWidth) * asDouble(length + 1);
    }
    /// Of all blocks, for one token.
    double blockFlops(std::size_t length) const
    {
        return 2.0 * weights() + asDouble(m_model.config().blocks) * attentionFlops(length);
    }

    double calibrationFlops() const
    {
        return tokensOf(*m_recipe.calibration) * (blockFlops(m_recipe.calibration->length) + m_momentFlops);
    }

    /// Every block runs once more for each of its sites, as far as that site, and once whole; anchored ones carry two
    /// streams and three moments, one of them not symmetric.
    double sequentialFlops() const
    {
        const std::size_t length = m_recipe.calibration->length;
        double flops = 0.0;
        for (const std::size_t index : m_taps) {
            const TapInfo& tap = m_model.taps()[index];
            double before = tap.site == TapSite::AttentionInput ? 0.0 : attentionFlops(length);
            for (const TapInfo& earlier : m_model.taps())
                if (earlier.block == tap.block && earlier.site < tap.site)
                    for (const std::size_t linear : earlier.linears)
                        before += 2.0 * asDouble(m_model.linears()[linear].shape.parameters());
            flops += (m_anchored ? 2.0 : 1.0) * before + (m_anchored ? 4.0 : 1.0) * momentFlops(tap);
        }
        const double blocks = asDouble(m_lastBlock) / asDouble(m_model.config().blocks);
        flops += (m_anchored ? 2.0 : 1.0) * blocks * blockFlops(length);
        return tokensOf(*m_recipe.calibration) * flops;
    }

    /// Original and compressed model on every text; on held-out windows the original, its outputs and their errors.
    double evaluationFlops() const
    {
        const ModelConfig& config = m_model.config();
        const double head = 2.0 * asDouble(config.vocabularySize * config.hiddenSize);
        double flops = 0.0;
        for (const EvaluationText& text : m_recipe.evaluations)
            flops +=
                tokensOf(text.windows) * (2.0 * (blockFlops(text.windows.length) + head) - 2.0 * m_removedParameters);
        if (m_recipe.heldOutWindows > 0 && m_recipe.calibration)
            flops += asDouble(m_recipe.heldOutWindows * m_recipe.calibration->length) *
                     (blockFlops(m_recipe.calibration->length) + 4.0 * weights());
        return flops;
    }

    /// Every chosen linear at six kept ratios: the blocks above it and the head.
    double sensitivityFlops() const
    {
        const std::size_t length = m_recipe.calibration->length;
        const double tokens = asDouble(length * std::max<std::size_t>(1, sensitivityTokens / length));
        const ModelConfig& config = m_model.config();
        const double head = 2.0 * asDouble(config.vocabularySize * config.hiddenSize);
        constexpr int ratios = 10 - strsLowestTenths;
        double flops = 0.0;
        for (const LinearInfo& linear : m_model.linears())
            if (recipeSelects(m_recipe, linear))
                flops += ratios *
                         (blockFlops(length) * asDouble(config.blocks - linear.block) / asDouble(config.blocks) + head);
        return tokens * flops;
    }

    /// x x^T, its upper triangle, for one token.
    static double momentFlops(const TapInfo& tap) { return asDouble(tap.width * (tap.width + 1)); }
    double momentBytes() const { return m_momentFlops / 2.0 * sizeof(double); }

    double exportBytes() const
    {
        return m_recipe.out.empty() ? 0.0
                                    : (asDouble(m_model.parameterCount()) - m_removedParameters) *
                                          asDouble(bytesPerBlock(m_recipe.exportDType));
    }

    double blockBytes() const { return weights() / asDouble(m_model.config().blocks) * sizeof(float); }

    /// Hidden states, a block, sums and buffers of a pass that collects statistics.
    double passBytes() const
    {
        if (!m_recipe.calibration)
            return 0.0;
        const ModelConfig& config = m_model.config();
        const double streams = m_anchored ? 2.0 : 1.0;
        const double rows = std::max(1024.0, asDouble(m_recipe.calibration->length));
        double widths = 0.0;
        double squares = 0.0;
        double widest = 0.0;
        for (std::size_t site = 0; site < siteCount; ++site) {
            const double width = asDouble(m_model.taps()[site].width);
            widths += width;
            squares += width * width;
            widest = std::max(widest, width);
        }
        const double worker = rows * widths * sizeof(float) * streams + widest * widest * sizeof(double) +
                              rows * asDouble(floatsPerRow(config)) * sizeof(float);
        return streams *
                   (tokensOf(*m_recipe.calibration) * asDouble(config.hiddenSize) * sizeof(float) + blockBytes()) +
               squares * sizeof(double) * (m_anchored ? 3.0 : 1.0) + m_threads * worker;
    }

    /// The head, its logits, a block and the hidden states of the longest text.
    double headBytes() const
    {
        const ModelConfig& config = m_model.config();
        double tokens = 0.0;
        double rows = 0.0;
        for (const EvaluationText& text : m_recipe.evaluations) {
            tokens = std::max(tokens, tokensOf(text.windows));
            rows = std::max(rows, asDouble(std::min(text.windows.length, Head::chunkRows)));
        }
        if (tokens == 0.0)
            return 0.0;
        const double head = asDouble(rankwright::headBytes(config));
        return std::min(head, asDouble(m_limit) / 3.0) + 2.0 * blockBytes() +
               tokens * asDouble(config.hiddenSize) * sizeof(float) +
               m_threads * rows * asDouble(config.vocabularySize + floatsPerRow(config)) * sizeof(float);
    }

    double analysisBytes() const
    {
        const double kept = m_planned && !m_sequential ? std::min(m_keptAnalyses, asDouble(m_limit) / 2.0) : 0.0;
        return kept + std::max(std::min(m_threads * m_analysisPeak, asDouble(m_limit) / 2.0), m_analysisPeak);
    }

    const Recipe& m_recipe;
    const Model& m_model;
    const Method& m_method;
    PassOptions m_options;
    std::size_t m_limit;
    double m_threads;
    bool m_planned;    ///< ranks are decided by losses
    bool m_sequential; ///< statistics of what is compressed before
    bool m_anchored;
    std::set<std::size_t> m_taps; ///< of the chosen linears
    std::size_t m_lastBlock = 0;
    std::size_t m_linears = 0;
    double m_analysisFlops = 0.0;
    double m_factoriseFlops = 0.0;
    double m_factorBytes = 0.0;
    double m_removedParameters = 0.0;
    double m_keptAnalyses = 0.0; ///< bytes
    double m_analysisPeak = 0.0; ///< bytes
    double m_checkpointBytes = 0.0;
    double m_momentFlops = 0.0; ///< of all taps, for one token
};

} // namespace

RunEstimate estimateRun(const Recipe& recipe, const Model& model, const MachineRates& rates)
{
    return RunWork(recipe, model).estimate(rates);
}

RunEstimate estimateRun(const Recipe& recipe, const Model& model)
{
    const std::shared_ptr<const Device> device = openDevice(recipe.device, recipe.threads);
    const std::size_t threads = effectiveThreads({.threads = recipe.threads, .memoryLimit = 0, .scratchFolder = {}});
    return estimateRun(recipe, model, measuredRates(*device, threads));
}

} // namespace rankwright
