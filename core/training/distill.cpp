#include "core/training/distill.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/calibration/moment_pass.h"
#include "core/calibration/moment_sums.h"
#include "core/compute/elementwise.h"
#include "core/model/architecture.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

namespace {

class Distillation
{
public:
    Distillation(const Model& teacher, const Model& student, const Device& device, const TokenWindows& windows,
                 const DistillationOptions& options, const PassOptions& pass, const TaskContext& context,
                 const TrainingObserver& observer, const DistillationPlan& plan)
        : m_teacher(teacher)
        , m_student(student)
        , m_device(device)
        , m_windows(windows)
        , m_options(options)
        , m_context(context)
        , m_observer(observer)
        , m_plan(plan)
        , m_length(windows.ids.front().size())
        , m_threads(effectiveThreads(pass))
        , m_rotary(makeRotaryTable(teacher.config(), m_length))
    {
        const std::size_t limit = effectiveMemoryLimit(pass);
        const std::size_t block = largestBlockBytes(teacher);
        const auto bytes = [&](std::size_t blocks, std::size_t threads) {
            return blocks * (2 * block + distillationBytes(teacher.config(), block, m_length, threads));
        };
        if (bytes(1, 1) > limit)
            throw Error(ErrorKind::Memory,
                        fmt::format("distilling a block with windows of {} tokens takes {}, the memory limit is {}; "
                                    "raise the limit or take shorter windows",
                                    m_length, formatBytes(bytes(1, 1)), formatBytes(limit)));
        const bool apart = options.inputs == DistillationInputs::Teacher;
        while (m_threads > 1 && (apart ? bytes(m_threads, 1) : bytes(1, m_threads)) > limit)
            --m_threads;
        m_together = apart ? std::min(m_threads, teacher.config().blocks) : 1;
        std::size_t states = limit - (apart ? bytes(m_together, 1) : bytes(1, m_threads));
        const std::size_t whole = windows.ids.size() * m_length * teacher.config().hiddenSize * sizeof(float);
        const auto make = [&] {
            const std::size_t held = std::min(states, whole);
            states -= held;
            return HiddenStates(windows.ids.size(), m_length, teacher.config().hiddenSize, held, pass.scratchFolder);
        };
        for (std::size_t i = 0; i <= m_together; ++i)
            m_states.push_back(make());
        if (!apart)
            m_studentStates.emplace(make());
        m_scratch.resize(m_threads);
    }

    void run()
    {
        const BlasThreads oneEach(1);
        const std::size_t blocks = m_teacher.config().blocks;
        std::size_t end = 0;
        for (std::size_t block = 0; block < blocks; ++block)
            if (!m_plan.finished(block))
                end = block + 1;
        forWindows([&](std::size_t window, Scratch& scratch) {
            const MatrixView<float> states = m_states.front().buffer(window, scratch.loaded);
            m_teacher.embed(m_windows.ids[window], states);
            m_states.front().store(window, states);
            if (m_studentStates)
                m_studentStates->store(window, states);
        });
        for (std::size_t first = 0; first < end; first += m_together) {
            const std::size_t count = std::min(m_together, end - first);
            for (std::size_t i = 0; i < count; ++i)
                advance(*m_teacher.loadBlock(first + i), first + i, m_states[i], m_states[i + 1]);
            train(first, count);
            if (m_studentStates && first + 1 < end)
                advance(*m_student.loadBlock(first), first, *m_studentStates, *m_studentStates);
            std::swap(m_states.front(), m_states[count]);
        }
    }

private:
    struct Scratch
    {
        ForwardScratch forward;
        Matrix<float> loaded;
        Matrix<float> hidden;
    };

    void forWindows(const std::function<void(std::size_t window, Scratch& scratch)>& work)
    {
        parallelFor(m_windows.ids.size(), m_threads, [&](std::size_t window, std::size_t worker) {
            m_context.checkStop();
            work(window, m_scratch[worker]);
        });
    }

    /// to <- block(from); both may be the same.
    void advance(const BlockWeights& weights, std::size_t block, const HiddenStates& from, HiddenStates& to)
    {
        forWindows([&](std::size_t window, Scratch& scratch) {
            const ConstMatrixView<float> input = from.load(window, scratch.loaded);
            scratch.hidden.reshape(input.rows, input.columns);
            std::copy_n(input.data, input.rows * input.columns, scratch.hidden.data());
            forwardBlock(m_device, m_teacher.config(), weights, m_rotary, scratch.hidden.view(), scratch.forward);
            if (!allFinite(std::as_const(scratch.hidden).span()))
                throw Error(ErrorKind::NonFinite,
                            fmt::format("activations stop being finite in {} (window {})",
                                        blockName(m_teacher.config(), block), window),
                            {.file = m_teacher.checkpoint().path()});
            to.store(window, std::as_const(scratch.hidden).view());
        });
    }

    void train(std::size_t first, std::size_t count)
    {
        OrderedTurn turn;
        parallelFor(count, m_together, [&](std::size_t i, std::size_t) {
            try {
                const std::size_t block = first + i;
                std::optional<TrainedBlock> trained;
                BlockOutcome outcome;
                if (!m_plan.finished(block)) {
                    trained.emplace(*m_student.loadBlock(block), m_plan.roles(block));
                    outcome = trainBlock(block, i, *trained);
                }
                turn.run(i, [&] {
                    if (trained)
                        m_plan.keep(block, *trained, outcome);
                });
                m_context.report("distill", blockName(m_teacher.config(), block), ++m_done, m_teacher.config().blocks);
            } catch (...) {
                turn.abandon();
                throw;
            }
        });
    }

    BlockOutcome trainBlock(std::size_t block, std::size_t place, TrainedBlock& trained)
    {
        if (trained.size() == 0)
            return {};
        BlockLesson lesson{.name = blockName(m_teacher.config(), block),
                           .seed = m_options.training.seed + block,
                           .inputs = {},
                           .targets = &m_states[place + 1]};
        if (m_options.inputs != DistillationInputs::Student)
            lesson.inputs.push_back(&m_states[place]);
        if (m_studentStates)
            lesson.inputs.push_back(&*m_studentStates);
        return distilBlock(m_device, m_teacher.config(), m_rotary, lesson, m_options.training,
                           m_together > 1 ? 1 : m_threads, m_context, m_observer, trained);
    }

    const Model& m_teacher;
    const Model& m_student;
    const Device& m_device;
    const TokenWindows& m_windows;
    const DistillationOptions& m_options;
    const TaskContext& m_context;
    const TrainingObserver& m_observer;
    const DistillationPlan& m_plan;
    std::size_t m_length;
    std::size_t m_threads;
    std::size_t m_together = 1; ///< blocks trained at once
    RotaryTable m_rotary;
    std::vector<HiddenStates> m_states; ///< of the teacher, in front of the next blocks
    std::optional<HiddenStates> m_studentStates;
    std::vector<Scratch> m_scratch;
    std::atomic<std::size_t> m_done = 0;
};

} // namespace

void distillBlocks(const Model& teacher, const Model& student, const Device& device, const TokenWindows& windows,
                   const DistillationOptions& options, const PassOptions& pass, const TaskContext& context,
                   const TrainingObserver& observer, const DistillationPlan& plan)
{
    requireWindows(teacher, windows);
    validateTraining(options.training, "distillation");
    Distillation(teacher, student, device, windows, options, pass, context, observer, plan).run();
}

} // namespace rankwright
