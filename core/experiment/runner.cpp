#include "core/experiment/runner.h"

#include "core/allocation/plan_totals.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/event_kinds.h"
#include "core/base/log.h"
#include "core/base/stopwatch.h"
#include "core/base/version.h"
#include "core/experiment/compression.h"
#include "core/experiment/export_run.h"
#include "core/experiment/linear_groups.h"
#include "core/experiment/recompression.h"
#include "core/experiment/run_calibration.h"
#include "core/experiment/run_evaluation.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/sensitivities.h"
#include "core/experiment/stored_curvature.h"
#include "core/experiment/training_stages.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <mutex>
#include <optional>

namespace rankwright {

namespace {

/// One run of a recipe, from the row in the store to its end.
class Run
{
public:
    Run(const Recipe& recipe, Store& store, const RunPlaces& places, const TaskContext& context,
        const RunObserver& observer)
        : m_recipe(recipe)
        , m_store(store)
        , m_places(places)
        , m_device(openDevice(recipe.device, recipe.threads))
        , m_method(findMethod(recipe.method))
        , m_distillation(distillationOf(recipe))
        , m_options{.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}}
        , m_userContext(context)
        , m_context(context)
        , m_observer(observer)
    {
        m_context.event = [this](const NumericEvent& event) { note(event); };
    }

    RunResult execute()
    {
        m_result.id = m_store.beginRun(m_recipe, environment(), {});
        try {
            if (m_observer.started)
                m_observer.started(m_result.id);
            stage("open", [this] { open(); });
            compress();
            stage("evaluate", [this] { evaluate(); });
            stage("export", [this] { exportResult(); });
            m_store.finishRun(m_result.id, RunState::Finished, m_result, {});
        } catch (const Error& error) {
            close(error.kind() == ErrorKind::Cancelled ? RunState::Cancelled : RunState::Failed, error.what());
            throw;
        } catch (const std::bad_alloc&) {
            const Error error(ErrorKind::Memory, "no memory left; lower the memory limit or the number of threads");
            close(RunState::Failed, error.what());
            throw error;
        } catch (const std::exception& exception) {
            close(RunState::Failed, exception.what());
            throw;
        }
        return m_result;
    }

private:
    RunEnvironment environment() const
    {
        const DeviceInfo info = m_device->info();
        return {.programVersion = std::string(version()),
                .device = info.id,
                .blas = info.library,
                .threads = effectiveThreads(m_options),
                .host = fmt::format("{}, {}", info.name, formatBytes(physicalMemory()))};
    }

    void note(const NumericEvent& event)
    {
        {
            const std::lock_guard lock(m_mutex);
            m_result.events.push_back(event);
        }
        m_store.recordEvent(m_result.id, event);
        m_userContext.note(event);
    }

    void close(RunState state, const std::string& error)
    {
        try {
            if (m_journal)
                m_result.linears = m_journal->outcomes();
            m_store.finishRun(m_result.id, state, m_result, error);
        } catch (const std::exception& exception) {
            // The error that ended the run is the one to be told.
            logWarning(std::string("the end of the run could not be recorded: ") + exception.what());
        }
    }

    template <typename Work>
    void stage(const char* name, const Work& work)
    {
        m_context.checkStop();
        m_context.report(name, {}, 0, 0);
        const Stopwatch watch;
        work();
        m_result.stageSeconds.emplace_back(name, watch.seconds());
    }

    /// Everything that can be wrong with model and texts is found here, before hours of work.
    void open()
    {
        m_model = Model::open(m_recipe.model);
        m_context.report("open", "checking weights", 0, 0);
        m_model->requireFinite();
        requirePossible(m_recipe, *m_model);
        requireContext(m_recipe, *m_model);
        m_result.modelFingerprint = modelFingerprint(*m_model);
        m_result.vocabulary = m_model->config().vocabularySize;
        m_linears = chosenLinears(*m_model, m_recipe);
        if (m_recipe.calibration) {
            m_calibration.emplace(m_recipe, *m_model, m_context);
            m_result.calibrationFingerprint = m_calibration->fingerprint();
        }
        m_texts = openTexts(m_recipe, *m_model, m_context);
        requireEvaluationMemory(*m_model, m_texts, m_options);
        std::string texts = m_result.calibrationFingerprint;
        for (const TokenWindows& windows : {std::cref(m_texts.distillation), std::cref(m_texts.recovery)})
            texts += windows.fingerprint;
        m_result.fingerprint = recipeFingerprint(m_recipe, m_result.modelFingerprint, texts);
        m_result.folder = m_store.runsFolder() / m_result.fingerprint;
        m_store.setFingerprints(m_result.id, m_result.fingerprint, m_result.modelFingerprint,
                                m_result.calibrationFingerprint);
        m_lock.emplace(m_result.folder);
        removePartialFiles(m_result.folder);
    }

    void compress()
    {
        const bool sequential = m_recipe.sequential != SequentialMode::Dense;
        RunJob job{.recipe = m_recipe,
                   .model = *m_model,
                   .device = *m_device,
                   .method = m_method,
                   .context = m_context,
                   .observer = m_observer,
                   .fingerprint = m_result.fingerprint,
                   .folder = m_result.folder,
                   .linears = m_linears,
                   .threads = effectiveThreads(m_options),
                   .memoryLimit = effectiveMemoryLimit(m_options)};
        m_job.emplace(std::move(job));
        m_earlier.emplace(m_store, m_result.id, m_context);
        m_journal.emplace(*m_job, m_store, m_result.id);

        Compression compression(*m_job);
        std::vector<AllocationItem> items = compression.items();
        std::optional<AllocationPlan> plan = earlierPlan();
        stage("allocate", [&] {
            if (!planned())
                plan = firstPlan(m_recipe, items);
        });
        if (!plan && findAllocator(m_recipe.allocation).needsBlockInfluence)
            stage("sensitivity", [&] {
                measureBlockInfluence(*m_job, m_calibration->windows(), m_options, items);
                plan = makePlan(items);
            });

        stage("calibrate", [&] {
            if (!m_recipe.calibration ||
                (sequential && plan && !refitsFactors(m_recipe.sequential) && !takesGradients(m_recipe)))
                return;
            m_moments.emplace(m_calibration->moments(*m_device, m_places.cache, m_options, m_context));
            m_result.calibrationReused = m_moments->reused();
            compression.useStatistics(&*m_moments);
        });

        std::optional<CalibrationSet> gradients;
        if (takesGradients(m_recipe)) {
            stage("curvature", [&] {
                gradients.emplace(m_calibration->gradients(*m_device, m_places.cache, m_options, m_context));
                compression.useGradients(&*gradients);
            });
        }

        m_context.checkStop();
        double planning = 0.0;
        if (!plan) {
            const Stopwatch planningWatch;
            compression.analyseAll(items);
            planning = planningWatch.seconds();
            if (findAllocator(m_recipe.allocation).needsPerplexities)
                stage("sensitivity", [&] {
                    measureSensitivities(*m_job, compression,
                                         {.calibration = m_calibration->windows(),
                                          .modelFingerprint = m_result.modelFingerprint,
                                          .calibrationFingerprint = m_result.calibrationFingerprint},
                                         m_store, m_options, items);
                });
            plan = makePlan(items);
        }
        const Stopwatch watch;
        if (m_observer.planned)
            m_observer.planned(*plan);
        m_journal->resume(*plan, *m_earlier);
        if (sequential)
            compression.compressSequential(*plan, m_calibration->windows(), m_options, *m_journal);
        else
            compression.compressDense(*plan, *m_journal);
        const double all = planning + watch.seconds();
        splitSeconds(planning, all, compression.seconds());

        m_result.linears = m_journal->outcomes();
        train();
        // A forecast is of what the method gives: runs that train neither have nor calibrate one.
        if (gradients && !m_training)
            stage("forecast", [&] { sumUpNats(storedCurvature(*m_job, *m_moments, *gradients)); });
        sumUp();
        writeManifest(m_result.folder, m_recipe, m_result, m_linears);
        m_store.recordArtefact(m_result.id, "linears", m_result.folder, m_result.bytes);
    }

    void train()
    {
        if (!m_distillation && !m_recipe.recovery)
            return;
        m_training.emplace(*m_job, m_result.linears, *m_earlier, m_store, m_result.id);
        if (m_distillation)
            stage("distill", [&] { m_training->distill(m_texts.distillation, *m_distillation, m_options); });
        if (m_recipe.recovery)
            stage("recover", [&] { m_training->recover(m_texts.recovery, *m_recipe.recovery, m_options); });
        m_training->updateNotes(m_result.linears);
    }

    /// Whether ranks depend on more than shapes.
    bool planned() const { return !findAllocator(m_recipe.allocation).needsShapesOnly(); }

    /// Also for a run that goes on after a cut.
    AllocationPlan makePlan(const std::vector<AllocationItem>& items) const
    {
        AllocationPlan plan = allocate(m_recipe.allocation, storedStructure(m_recipe), m_recipe.keptRatio, items);
        writePlan(m_result.folder, m_result.fingerprint, plan);
        return plan;
    }

    std::optional<AllocationPlan> earlierPlan()
    {
        if (!planned())
            return std::nullopt;
        try {
            return readPlan(m_result.folder, m_result.fingerprint, m_recipe, m_linears);
        } catch (const Error& error) {
            m_context.note({eventKind::discardedFile, "",
                            std::string("the plan of an earlier attempt is made again: ") + error.what(), 0.0});
            return std::nullopt;
        }
    }

    /// Analyses and factorisations are interleaved: the wall time is split as the workers' time was.
    void splitSeconds(double planning, double all, const CompressionSeconds& workers)
    {
        const double sum = workers.analyse + workers.factorise;
        const double share = sum > 0.0 ? workers.analyse / sum : 0.0;
        m_result.stageSeconds.emplace_back("analyse", std::max(planning, all * share));
        m_result.stageSeconds.emplace_back("factorise", std::max(all - std::max(planning, all * share), 0.0));
    }

    void sumUpNats(const std::vector<double>& nats)
    {
        m_result.predictedNats = 0.0;
        for (std::size_t i = 0; i < nats.size(); ++i) {
            m_result.linears[i].nats = nats[i];
            m_result.predictedNats += nats[i];
        }
    }

    void sumUp()
    {
        std::vector<StoredRank> stored;
        std::vector<double> losses;
        std::size_t biases = 0;
        for (const LinearOutcome& outcome : m_result.linears) {
            stored.push_back(outcome.left ? StoredRank{} : outcome.stored());
            losses.push_back(relativePredictedLoss(outcome));
            biases += outcome.addedBias;
        }
        const PlanTotals totals = planTotals(*m_model, m_linears, stored, m_recipe.storage, losses);
        m_result.keptRatio = totals.keptRatio;
        m_result.parameters = totals.wholeModelParameters + biases;
        m_result.wholeModelRatio =
            totals.wholeModelRatio + static_cast<double>(biases) / static_cast<double>(m_model->parameterCount());
        m_result.bytes = totals.bytes + biases * sizeof(float); // see writeLinearFile()
        if (const std::optional<NumericEvent> growth = growthNote(*m_model, m_linears, m_result.parameters))
            m_context.note(*growth);
    }

    Model compressed() const { return m_model->withLinears(runLinears(m_result.folder, m_result.fingerprint)); }

    void evaluate()
    {
        if (m_texts.evaluations.empty() && m_texts.heldOut.ids.empty())
            return;
        const std::optional<Model> untrained = m_training ? std::optional(m_training->untrained()) : std::nullopt;
        evaluateRun(*m_job, m_store, m_texts, m_options, compressed(), untrained ? &*untrained : nullptr,
                    m_moments ? &*m_moments : nullptr, m_result);
    }

    void exportResult()
    {
        if (m_recipe.out.empty())
            return;
        const ExportOptions options{.format = exportFormatFromName(m_recipe.exportFormat),
                                    .dtype = m_recipe.exportDType,
                                    .card =
                                        runCard(m_recipe, m_result, m_calibration ? m_calibration->windowCount() : 0),
                                    .threads = m_recipe.threads,
                                    .memoryLimit = m_recipe.memoryLimit};
        const ExportResult exported = exportModel(compressed(), *m_device, m_recipe.out, options, m_context);
        m_result.exportFolder = exported.folder;
        m_store.recordArtefact(m_result.id, "export", exported.folder, exported.bytes);
    }

    const Recipe& m_recipe;
    Store& m_store;
    const RunPlaces& m_places;
    std::shared_ptr<const Device> m_device;
    const Method& m_method;
    std::optional<DistillationOptions> m_distillation;
    PassOptions m_options;
    const TaskContext& m_userContext;
    TaskContext m_context;
    const RunObserver& m_observer;
    std::mutex m_mutex;
    RunResult m_result;
    std::optional<Model> m_model;
    std::vector<const LinearInfo*> m_linears;
    std::optional<RunCalibration> m_calibration;
    std::optional<CalibrationSet> m_moments;
    RunTexts m_texts;
    std::optional<RunLock> m_lock;
    std::optional<RunJob> m_job;
    std::optional<EarlierAttempts> m_earlier;
    std::optional<RunJournal> m_journal;
    std::optional<TrainingStages> m_training;
};

} // namespace

RunResult runRecipe(const Recipe& recipe, Store& store, const RunPlaces& places, const TaskContext& context,
                    const RunObserver& observer)
{
    validateRecipe(recipe);
    requireFreeTarget(recipe.out);
    return Run(recipe, store, places, context, observer).execute();
}

} // namespace rankwright
