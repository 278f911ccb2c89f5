#include "core/training/block_distillation.h"

#include "core/base/event_kinds.h"
#include "core/base/parallel.h"
#include "core/training/distillation_loss.h"

#include <cmath>
#include <fmt/format.h>

namespace rankwright {

std::size_t distillationBytes(const ModelConfig& config, std::size_t blockBytes, std::size_t length,
                              std::size_t threads)
{
    // Masters, two moments, the three as they were before the last update, the best, the summed gradient.
    constexpr std::size_t copies = 8;
    const std::size_t scores = backwardScoreFloats(config, length);
    const std::size_t worker =
        (length * (backwardFloatsPerRow(config) + 4 * config.hiddenSize) + scores) * sizeof(float);
    return copies * blockBytes + threads * (blockBytes + worker);
}

namespace {

class BlockTraining
{
public:
    BlockTraining(const Device& device, const ModelConfig& config, const RotaryTable& rotary, const BlockLesson& lesson,
                  const TrainingOptions& options, std::size_t threads, const TaskContext& context,
                  const TrainingObserver& observer, TrainedBlock& block)
        : m_device(device)
        , m_config(config)
        , m_rotary(rotary)
        , m_lesson(lesson)
        , m_options(options)
        , m_context(context)
        , m_observer(observer)
        , m_block(block)
        , m_split(lesson.targets->windows())
        , m_steps(trainingSteps(m_split.trained, options))
        , m_adam(block.size())
        , m_sum(block)
    {
        for (std::size_t i = 0; i < threads; ++i)
            m_workers.push_back(std::make_unique<Worker>(block));
    }

    BlockOutcome run()
    {
        BlockOutcome outcome;
        outcome.startLoss = heldOutLoss();
        outcome.endLoss = outcome.startLoss;
        tell(0, std::numeric_limits<double>::quiet_NaN(), outcome.startLoss);
        AlignedVector<float> best = m_block.values();
        m_good = {best, m_adam};
        std::size_t step = 0;
        for (std::size_t epoch = 0; epoch < m_options.epochs && m_undone < mostUndoneSteps; ++epoch) {
            for (const std::vector<std::size_t>& batch :
                 trainingBatches(m_split.trained, m_options.batch, m_lesson.seed, epoch)) {
                m_context.checkStop();
                train(batch, step++);
                if (m_undone == mostUndoneSteps)
                    break;
            }
            const double loss = heldOutLoss();
            tell(step, std::numeric_limits<double>::quiet_NaN(), loss);
            if (loss < outcome.endLoss || (std::isfinite(loss) && !std::isfinite(outcome.endLoss))) {
                outcome.endLoss = loss;
                best = m_block.values();
            }
        }
        m_block.setValues(best);
        return outcome;
    }

private:
    struct Worker
    {
        explicit Worker(const TrainedBlock& block)
            : gradients(block)
        {}
        BackwardScratch backward;
        ForwardScratch forward;
        BlockGradients gradients;
        Matrix<float> input;
        Matrix<float> target;
        Matrix<float> gradient;
    };
    struct Snapshot
    {
        AlignedVector<float> values;
        AdamState adam;
    };

    void train(const std::vector<std::size_t>& batch, std::size_t step)
    {
        const auto tokens = static_cast<double>(batch.size() * m_lesson.targets->length());
        double loss = 0.0;
        m_sum.clear();
        OrderedTurn turn;
        parallelFor(batch.size(), m_workers.size(), [&](std::size_t index, std::size_t number) {
            Worker& worker = *m_workers[number];
            try {
                m_context.checkStop();
                worker.gradients.clear();
                const double own = addWindow(batch[index], 1.0 / tokens, worker);
                turn.run(index, [&] {
                    loss += own;
                    m_sum.add(worker.gradients);
                });
            } catch (...) {
                turn.abandon();
                throw;
            }
        });
        loss /= tokens * static_cast<double>(m_lesson.inputs.size());
        if (!std::isfinite(loss) || !m_sum.finite()) {
            undo(step, loss);
            return;
        }
        m_good = {m_block.values(), m_adam};
        m_block.step(m_sum, m_adam, m_scale * learningRateAt(m_options, step, m_steps), m_options.weightDecay);
        tell(step + 1, loss, std::numeric_limits<double>::quiet_NaN());
    }

    /// Losses and gradients of one window, of every input.
    double addWindow(std::size_t window, double scale, Worker& worker)
    {
        const ConstMatrixView<float> target = m_lesson.targets->load(window, worker.target);
        double loss = 0.0;
        for (const HiddenStates* states : m_lesson.inputs) {
            const ConstMatrixView<float> input = states->load(window, worker.input);
            worker.gradient.reshape(input.rows, input.columns);
            backwardBlock(
                m_device, m_config, m_block.weights(), m_rotary, input, worker.gradient.view(), worker.backward,
                [&](Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY) {
                    worker.gradients.addLinear(m_device, m_block, role, X, dY);
                },
                [&](ConstMatrixView<float> output, MatrixView<float> gradient) {
                    loss += distillationLoss(output, target, scale, gradient);
                });
        }
        return loss;
    }

    void undo(std::size_t step, double loss)
    {
        m_block.setValues(m_good.values);
        m_adam = m_good.adam;
        m_scale /= 2.0;
        ++m_undone;
        m_context.note({eventKind::divergedStep, m_lesson.name,
                        fmt::format("step {} of {} met a {} that is not finite: the update before it is undone and the "
                                    "learning rate is halved{}",
                                    step + 1, m_steps, std::isfinite(loss) ? "gradient" : "loss",
                                    m_undone == mostUndoneSteps ? "; training of the block ends" : ""),
                        static_cast<double>(step + 1)});
    }

    double heldOutLoss()
    {
        const std::size_t count = m_split.heldOut;
        std::vector<double> losses(count);
        parallelFor(count, m_workers.size(), [&](std::size_t index, std::size_t number) {
            Worker& worker = *m_workers[number];
            const std::size_t window = m_split.trained + index;
            const ConstMatrixView<float> input = m_lesson.inputs.back()->load(window, worker.input);
            worker.gradient.reshape(input.rows, input.columns);
            std::copy_n(input.data, input.rows * input.columns, worker.gradient.data());
            forwardBlock(m_device, m_config, m_block.weights(), m_rotary, worker.gradient.view(), worker.forward);
            losses[index] = distillationLoss(std::as_const(worker.gradient).view(),
                                             m_lesson.targets->load(window, worker.target), 1.0, {});
        });
        double sum = 0.0;
        for (const double loss : losses)
            sum += loss;
        return sum / static_cast<double>(count * m_lesson.targets->length());
    }

    void tell(std::size_t step, double loss, double heldOut) const
    {
        if (m_observer)
            m_observer({"distill", m_lesson.name, step, m_steps, loss, heldOut});
    }

    const Device& m_device;
    const ModelConfig& m_config;
    const RotaryTable& m_rotary;
    const BlockLesson& m_lesson;
    const TrainingOptions& m_options;
    const TaskContext& m_context;
    const TrainingObserver& m_observer;
    TrainedBlock& m_block;
    WindowSplit m_split;
    std::size_t m_steps;
    AdamState m_adam;
    BlockGradients m_sum;
    std::vector<std::unique_ptr<Worker>> m_workers;
    Snapshot m_good; ///< before the last update, where loss and gradient were finite
    double m_scale = 1.0;
    std::size_t m_undone = 0;
};

} // namespace

BlockOutcome distilBlock(const Device& device, const ModelConfig& config, const RotaryTable& rotary,
                         const BlockLesson& lesson, const TrainingOptions& options, std::size_t threads,
                         const TaskContext& context, const TrainingObserver& observer, TrainedBlock& block)
{
    return BlockTraining(device, config, rotary, lesson, options, threads, context, observer, block).run();
}

} // namespace rankwright
