#include "core/allocation/rank_costs.h"
#include "core/compute/machine_rates.h"
#include "core/evaluation/evaluation_memory.h"
#include "core/experiment/linear_groups.h"
#include "core/experiment/pass_work.h"
#include "core/experiment/run_job.h"
#include "core/experiment/runner.h"
#include "core/experiment/sensitivities.h"
#include "core/experiment/training_estimate.h"
#include "core/export/export.h"
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

/// The same of a decomposition, half of which are eigenproblems.
constexpr double decompositionShare = 0.65;

/// Operations and bytes of a run.
class RunWork
{
public:
    RunWork(const Recipe& recipe, const Model& model)
        : m_recipe(recipe)
        , m_model(model)
        , m_pass(model)
        , m_method(findMethod(recipe.method))
        , m_options{.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}}
        , m_limit(effectiveMemoryLimit(m_options))
        , m_threads(asDouble(effectiveThreads(m_options)))
        , m_planned(findAllocator(recipe.allocation).needsAnalyses())
        , m_sequential(recipe.sequential != SequentialMode::Dense)
        , m_anchored(recipe.sequential == SequentialMode::Anchored)
    {
        m_chosen = chosenLinears(model, recipe);
        for (const std::vector<std::size_t>& together : rankedTogether(model, m_method, m_chosen)) {
            std::vector<const LinearInfo*> members;
            members.reserve(together.size());
            for (const std::size_t position : together)
                members.push_back(m_chosen[position]);
            addItem(members);
        }
        for (const TensorInfo& tensor : model.checkpoint().tensors())
            m_checkpointBytes += asDouble(tensor.bytes);
        for (const TapInfo& tap : model.taps())
            m_momentFlops += PassWork::momentFlops(tap);
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
        add("calibrate", calibrates() ? calibrationFlops() / floats +
                                            setsOfTexts() * (momentBytes() / writeRate +
                                                             asDouble(m_model.taps().size()) * secondsPerFile)
                                      : 0.0);
        CurvatureEstimate curvature;
        if (takesGradients(m_recipe)) {
            curvature = curvatureOfTexts();
            add("curvature", curvature.operations / floats + asDouble(curvature.disk) / writeRate +
                                 setsOfTexts() * asDouble(m_model.linears().size()) * secondsPerFile);
        }
        const bool probes = findAllocator(m_recipe.allocation).needsPerplexities;
        if (probes)
            add("sensitivity", sensitivityFlops() / floats);
        if (findAllocator(m_recipe.allocation).needsBlockInfluence)
            add("sensitivity", probeTokens() * m_pass.blockFlops(m_recipe.calibration->length) / floats);
        // Ranks that losses decide are planned on statistics of the dense model, whatever comes after.
        const double analyses = (m_planned && m_sequential ? 2.0 : 1.0) * m_analysisFlops;
        const double both = analyses + m_factoriseFlops;
        const double decomposing = both / doubles + m_factorBytes / writeRate + asDouble(m_linears) * secondsPerFile;
        const double share = both > 0.0 ? analyses / both : 0.0;
        add("analyse", decomposing * share + (m_sequential ? sequentialFlops() / floats : 0.0));
        add("factorise", decomposing * (1.0 - share));
        TrainingEstimate training; // what both stages take, memory the larger one's
        const auto train = [&](const char* stage, const TrainingEstimate& own) {
            add(stage, own.operations / floats + own.written / writeRate + asDouble(m_linears) * secondsPerFile);
            training.disk += own.disk;
            training.memory = std::max(training.memory, own.memory);
            training.leastMemory = std::max(training.leastMemory, own.leastMemory);
        };
        if (const auto distillation = distillationOf(m_recipe); distillation && m_recipe.calibration)
            train("distill", estimateDistillation(trainedOn(distillation->training), *distillation));
        if (m_recipe.recovery && m_recipe.calibration)
            train("recover", estimateRecovery(trainedOn(m_recipe.recovery->training), *m_recipe.recovery));
        add("evaluate", evaluationFlops() / floats);
        add("export", exportBytes() / writeRate);
        // Sequential statistics stay while linears are decomposed.
        const double compressing =
            m_sequential ? passBytes() + analysisBytes() : std::max(passBytes(), analysisBytes());
        const double evaluating = std::max(headBytes(), probes ? keptAnalysisBytes() + probeBytes() : 0.0);
        // Work in parts fits any limit; what cannot be parted is taken beyond it, or refused.
        const double least = std::max({leastPassBytes(), m_analysisPeak, leastEvaluationBytes(), training.leastMemory,
                                       asDouble(curvature.memory)});
        const double wanted = std::max({compressing, evaluating, training.memory});
        estimate.memory = std::max(asBytes(bytesOfProcess + least),
                                   std::min(m_limit, asBytes(bytesOfProcess + std::max(wanted, least))));
        estimate.statistics = asBytes(calibrates() ? setsOfTexts() * momentBytes() : 0.0) + curvature.disk;
        estimate.disk = asBytes(m_factorBytes + exportBytes() + training.disk) + estimate.statistics;
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
        m_factorParameters += asDouble(parameterCount(structure, shape, rank));
        for (const LinearInfo* linear : members) {
            m_parametersBefore += asDouble(parameterCount(linear->stored(), linear->shape));
            m_blocks.insert(linear->block);
        }
        m_keptAnalyses += asDouble(rankwright::analysisBytes(shape, structure.sparseShare));
        m_analysisPeak = std::max(m_analysisPeak, asDouble(analysisPeakBytes(shape, structure.sparseShare)));
    }

    bool calibrates() const
    {
        return m_recipe.calibration && (!m_sequential || m_planned || refitsFactors(m_recipe.sequential));
    }

    double removedParameters() const { return m_parametersBefore - m_factorParameters; }

    double weights() const { return asDouble(m_model.linearParameterCount()); }

    double compressedBlockFlops(std::size_t length) const
    {
        return m_pass.blockFlops(length) - 2.0 * removedParameters();
    }

    /// Sets of statistics on the disk: of every text, and where there are several of their mixture.
    double setsOfTexts() const
    {
        return m_recipe.moreCalibrations.empty() ? 1.0 : asDouble(m_recipe.moreCalibrations.size()) + 2.0;
    }

    double calibrationFlops() const
    {
        double tokens = m_pass.tokensOf(*m_recipe.calibration);
        for (const WeightedText& more : m_recipe.moreCalibrations)
            tokens += m_pass.tokensOf(more.windows);
        return tokens * (m_pass.blockFlops(m_recipe.calibration->length) + m_momentFlops);
    }

    /// Of all texts; memory is that of one.
    CurvatureEstimate curvatureOfTexts() const
    {
        const bool weightMoments = curvatureOptions(m_recipe).weightMoments;
        const auto of = [&](const WindowOptions& text) {
            return estimateCurvature(m_model, m_pass.windowsOf(text), text.length, weightMoments);
        };
        CurvatureEstimate sum = of(*m_recipe.calibration);
        sum.disk *= static_cast<std::size_t>(setsOfTexts());
        for (const WeightedText& more : m_recipe.moreCalibrations)
            sum.operations += of(more.windows).operations;
        return sum;
    }

    TrainedModel trainedOn(const TrainingOptions& options) const
    {
        const WindowOptions windows = trainingWindows(m_recipe, options);
        return {.model = m_model,
                .teacher = m_pass.blockFlops(windows.length),
                .student = compressedBlockFlops(windows.length),
                .head = m_pass.headFlops(),
                .parameters = m_factorParameters,
                .fileBytes = m_factorBytes,
                .blockShare = asDouble(m_blocks.size()) / asDouble(m_model.config().blocks),
                // How many there are of a whole text is not known.
                .windows = windows.count > 0 ? windows.count : std::max<std::size_t>(2, m_pass.windowsOf(windows)),
                .length = windows.length,
                .threads = static_cast<std::size_t>(m_threads)};
    }

    /// Every block runs once more for each of its sites, as far as that site, and once whole; anchored ones carry two
    /// streams and three moments, one of them not symmetric.
    double sequentialFlops() const
    {
        const std::size_t length = m_recipe.calibration->length;
        double flops = 0.0;
        for (const std::size_t index : m_taps) {
            const TapInfo& tap = m_model.taps()[index];
            double before = tap.site == TapSite::AttentionInput ? 0.0 : m_pass.attentionFlops(length);
            for (const TapInfo& earlier : m_model.taps())
                if (earlier.block == tap.block && earlier.site < tap.site)
                    for (const std::size_t linear : earlier.linears)
                        before += 2.0 * asDouble(m_model.linears()[linear].shape.parameters());
            flops += (m_anchored ? 2.0 : 1.0) * before + (m_anchored ? 4.0 : 1.0) * PassWork::momentFlops(tap);
        }
        const double blocks = asDouble(m_lastBlock) / asDouble(m_model.config().blocks);
        flops += (m_anchored ? 2.0 : 1.0) * blocks * m_pass.blockFlops(length);
        return m_pass.tokensOf(*m_recipe.calibration) * flops;
    }

    /// Original and compressed model on every text, before and after a training; on held-out windows the original, its
    /// outputs and their errors.
    double evaluationFlops() const
    {
        const double models = distillationOf(m_recipe) || m_recipe.recovery ? 2.0 : 1.0;
        double flops = 0.0;
        for (const EvaluationText& text : m_recipe.evaluations)
            flops += m_pass.tokensOf(text.windows) *
                     (m_pass.blockFlops(text.windows.length) + m_pass.headFlops() +
                      models * (compressedBlockFlops(text.windows.length) + m_pass.headFlops()));
        if (m_recipe.heldOutWindows > 0 && m_recipe.calibration)
            flops += asDouble(m_recipe.heldOutWindows) * asDouble(m_recipe.calibration->length) *
                     (m_pass.blockFlops(m_recipe.calibration->length) + 4.0 * weights());
        return flops;
    }

    static constexpr int probedRatios = 10 - strsLowestTenths;

    /// Of the first windows of the calibration, on which linears are tried.
    double probeTokens() const
    {
        const std::size_t length = m_recipe.calibration->length;
        const double whole = asDouble(length * std::max<std::size_t>(1, sensitivityTokens / length));
        return std::min(whole, std::max(asDouble(length), m_pass.tokensOf(*m_recipe.calibration)));
    }

    /// Every chosen linear at the probed ratios: the blocks above it and the head.
    double sensitivityFlops() const
    {
        const std::size_t length = m_recipe.calibration->length;
        const ModelConfig& config = m_model.config();
        double flops = 0.0;
        for (const LinearInfo* linear : m_chosen)
            flops += probedRatios *
                     (m_pass.blockFlops(length) * asDouble(config.blocks - linear->block) / asDouble(config.blocks) +
                      m_pass.headFlops());
        return probeTokens() * flops;
    }

    double momentBytes() const { return m_momentFlops / 2.0 * sizeof(double); }

    double exportBytes() const
    {
        if (m_recipe.out.empty())
            return 0.0;
        double parameters = asDouble(m_model.parameterCount());
        if (exportFormatFromName(m_recipe.exportFormat) == ExportFormat::Dense) {
            parameters -= weights();
            for (const LinearInfo& linear : m_model.linears())
                parameters += asDouble(linear.shape.parameters());
        } else {
            parameters -= removedParameters();
        }
        return parameters * asDouble(bytesPerBlock(m_recipe.exportDType));
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
        return streams * (m_pass.tokensOf(*m_recipe.calibration) * asDouble(config.hiddenSize) * sizeof(float) +
                          blockBytes()) +
               squares * sizeof(double) * (m_anchored ? 3.0 : 1.0) + m_threads * worker;
    }

    double leastPassBytes() const
    {
        return calibrates() || m_sequential ? m_pass.leastStatisticsBytes(m_recipe.calibration->length, m_anchored)
                                            : 0.0;
    }

    double leastEvaluationBytes() const
    {
        std::size_t least = 0;
        for (const EvaluationText& text : m_recipe.evaluations)
            least = std::max(least, perplexityMemory(m_model, text.windows.length, m_limit).least());
        if (m_recipe.heldOutWindows > 0 && m_recipe.calibration)
            least = std::max(least, linearErrorMemory(m_model, m_recipe.calibration->length).least());
        return asDouble(least);
    }

    /// The head, its logits, a block and the hidden states of the longest text.
    double headBytes() const
    {
        double tokens = 0.0;
        std::size_t longest = 0;
        for (const EvaluationText& text : m_recipe.evaluations) {
            tokens = std::max(tokens, m_pass.tokensOf(text.windows));
            longest = std::max(longest, text.windows.length);
        }
        return tokens == 0.0 ? 0.0 : evaluatingBytes(tokens, longest);
    }

    /// Of so many tokens in windows of `length`.
    double evaluatingBytes(double tokens, std::size_t length) const
    {
        const ModelConfig& config = m_model.config();
        const double rows = asDouble(std::min(length, Head::chunkRows));
        return std::min(asDouble(rankwright::headBytes(config)), asDouble(m_limit) / 3.0) + 2.0 * blockBytes() +
               tokens * asDouble(config.hiddenSize) * sizeof(float) +
               m_threads * rows * asDouble(config.vocabularySize + floatsPerRow(config)) * sizeof(float);
    }

    /// The forms of one block's linears with their hidden states, beside what an evaluation takes.
    double probeBytes() const
    {
        const ModelConfig& config = m_model.config();
        const double states = probeTokens() * asDouble(config.hiddenSize) * sizeof(float);
        const double forms = probedRatios * asDouble(m_linears) / asDouble(config.blocks);
        const double probes = forms * states + probedRatios * blockBytes();
        return std::min(probes, asDouble(m_limit) / 4.0) + evaluatingBytes(probeTokens(), m_recipe.calibration->length);
    }

    double keptAnalysisBytes() const
    {
        return m_planned && !m_sequential ? std::min(m_keptAnalyses, asDouble(m_limit) / 2.0) : 0.0;
    }

    double analysisBytes() const
    {
        return keptAnalysisBytes() +
               std::max(std::min(m_threads * m_analysisPeak, asDouble(m_limit) / 2.0), m_analysisPeak);
    }

    const Recipe& m_recipe;
    const Model& m_model;
    PassWork m_pass;
    const Method& m_method;
    PassOptions m_options;
    std::size_t m_limit;
    double m_threads;
    bool m_planned;    ///< ranks are decided by losses
    bool m_sequential; ///< statistics of what is compressed before
    bool m_anchored;
    std::vector<const LinearInfo*> m_chosen;
    std::set<std::size_t> m_taps;   ///< of the chosen linears
    std::set<std::size_t> m_blocks; ///< of the chosen linears
    std::size_t m_lastBlock = 0;
    std::size_t m_linears = 0;
    double m_analysisFlops = 0.0;
    double m_factoriseFlops = 0.0;
    double m_factorBytes = 0.0;
    double m_factorParameters = 0.0;
    double m_parametersBefore = 0.0; ///< of the chosen linears, as the checkpoint stores them
    double m_keptAnalyses = 0.0;     ///< bytes
    double m_analysisPeak = 0.0;     ///< bytes
    double m_checkpointBytes = 0.0;
    double m_momentFlops = 0.0; ///< of all taps, for one token
};

} // namespace

RunEstimate estimateRun(const Recipe& recipe, const Model& model, const MachineRates& rates)
{
    requirePossible(recipe, model);
    return RunWork(recipe, model).estimate(rates);
}

RunEstimate estimateRun(const Recipe& recipe, const Model& model)
{
    requirePossible(recipe, model); // before rates are measured
    const std::shared_ptr<const Device> device = openDevice(recipe.device, recipe.threads);
    const std::size_t threads = effectiveThreads({.threads = recipe.threads, .memoryLimit = 0, .scratchFolder = {}});
    return RunWork(recipe, model).estimate(measuredRates(*device, threads));
}

} // namespace rankwright
