#include "core/training/recover.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/event_kinds.h"
#include "core/base/parallel.h"
#include "core/calibration/moment_pass.h"
#include "core/compute/elementwise.h"
#include "core/training/recovery_state.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace rankwright {

std::size_t recoveryBytes(const Model& model, std::size_t length, std::size_t threads)
{
    const ModelConfig& config = model.config();
    // Masters, two moments, gradient, the best and the last checkpoint; every thread has a gradient of its own.
    constexpr std::size_t copies = 6;
    const std::size_t scores = backwardScoreFloats(config, length);
    const std::size_t rows = length * (backwardFloatsPerRow(config) + (config.blocks + 4) * config.hiddenSize) + scores;
    const std::size_t logits = 2 * std::min(Head::chunkRows, length) * config.vocabularySize;
    return copies * model.linearParameterCount() * sizeof(float) +
           config.vocabularySize * config.hiddenSize * sizeof(float) +
           threads * (model.linearParameterCount() + rows + logits) * sizeof(float);
}

namespace {

/// What one thread works with.
struct Worker
{
    ForwardScratch forward;
    ForwardScratch teacher;
    BackwardScratch backward;
    std::vector<Matrix<float>> states; ///< in front of every block, and behind the last
    Matrix<float> teacherHidden;
    Matrix<float> gradient;
};

class Recovery
{
public:
    Recovery(const Model& teacher, const Model& student, const Device& device, const TokenWindows& windows,
             const RecoveryOptions& options, const PassOptions& pass, const TaskContext& context,
             const TrainingObserver& observer, const RecoveryPlan& plan)
        : m_teacher(teacher)
        , m_device(device)
        , m_windows(windows)
        , m_options(options)
        , m_context(context)
        , m_observer(observer)
        , m_plan(plan)
        , m_length(windows.ids.front().size())
        , m_split(windows.ids.size())
        , m_steps(trainingSteps(m_split.trained, options.training))
        , m_rotary(makeRotaryTable(teacher.config(), m_length))
        , m_head(teacher, device)
    {
        const std::size_t limit = effectiveMemoryLimit(pass);
        std::size_t threads = effectiveThreads(pass);
        while (threads > 1 && recoveryBytes(teacher, m_length, threads) > limit)
            --threads;
        const std::size_t least = recoveryBytes(teacher, m_length, threads);
        if (least > limit)
            throw Error(ErrorKind::Memory,
                        fmt::format("training all factors with windows of {} tokens takes {}, the memory limit is {}; "
                                    "raise the limit or take shorter windows",
                                    m_length, formatBytes(least), formatBytes(limit)));
        m_workers.resize(threads);
        if (options.target == RecoveryTarget::Teacher)
            teach(pass, limit - least);
        for (std::size_t block = 0; block < teacher.config().blocks; ++block) {
            m_blocks.emplace_back(*student.loadBlock(block), plan.roles(block));
            m_sums.emplace_back(m_blocks.back());
        }
        m_state = startState();
        for (std::size_t i = 0; i < threads; ++i) {
            std::vector<BlockGradients>& own = m_own.emplace_back();
            for (const TrainedBlock& block : m_blocks)
                own.emplace_back(block);
        }
    }

    RecoveryOutcome run()
    {
        const BlasThreads oneEach(1);
        if (!resume()) {
            m_state.startLoss = heldOutLoss();
            m_state.bestLoss = m_state.startLoss;
            tell(m_state.startLoss);
            save();
        }
        const std::size_t perEpoch = m_steps / m_options.training.epochs;
        std::vector<std::vector<std::size_t>> batches;
        std::size_t epochOfBatches = m_options.training.epochs;
        while (m_state.step < m_steps && m_state.undone < mostUndoneSteps) {
            m_context.checkStop();
            if (const std::size_t epoch = m_state.step / perEpoch; epoch != epochOfBatches) {
                batches = trainingBatches(m_split.trained, m_options.training.batch, m_options.training.seed, epoch);
                epochOfBatches = epoch;
            }
            if (!train(batches[m_state.step % perEpoch])) {
                undo();
                continue;
            }
            if (m_state.step % recoveryCheckpoint == 0 || m_state.step == m_steps)
                look();
        }
        for (std::size_t block = 0; block < m_blocks.size(); ++block) {
            m_blocks[block].setValues(m_state.blocks[block].best);
            m_plan.keep(block, m_blocks[block]);
        }
        return {.startLoss = m_state.startLoss, .endLoss = m_state.bestLoss, .steps = m_state.step};
    }

private:
    /// The teacher's states behind its last block, of all windows, at most so many bytes of them in memory.
    void teach(PassOptions pass, std::size_t bytes)
    {
        const std::size_t width = m_teacher.config().hiddenSize;
        const std::size_t held = std::min(bytes, m_windows.ids.size() * m_length * width * sizeof(float));
        m_taught.emplace(m_windows.ids.size(), m_length, width, held, pass.scratchFolder);
        pass.memoryLimit = effectiveMemoryLimit(pass) - held;
        forwardWindows(m_teacher, m_device, m_windows.ids, pass, m_context,
                       [&](std::size_t window, std::size_t, ConstMatrixView<float> hidden, ForwardScratch&) {
                           m_taught->store(window, hidden);
                       });
    }

    /// Before the first step, with the values that the blocks have.
    RecoveryState startState() const
    {
        RecoveryState state;
        for (const TrainedBlock& block : m_blocks) {
            const AlignedVector<float> values = block.values();
            state.blocks.push_back({.values = values, .adam = AdamState(values.size()), .best = values});
        }
        return state;
    }

    bool resume()
    {
        if (!std::filesystem::exists(m_plan.stateFile))
            return false;
        try {
            restore();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::Mismatch)
                throw;
            m_context.note({eventKind::discardedFile, "",
                            std::string("training starts again, its checkpoint is of no use: ") + error.what(), 0.0});
            m_state = startState();
            return false;
        }
        if (m_plan.resumed)
            m_plan.resumed(m_state.step, m_state.undone);
        return true;
    }

    void restore()
    {
        readRecoveryState(m_plan.stateFile, m_plan.fingerprint, m_state);
        for (std::size_t block = 0; block < m_blocks.size(); ++block)
            m_blocks[block].setValues(m_state.blocks[block].values);
    }

    void save()
    {
        for (std::size_t block = 0; block < m_blocks.size(); ++block)
            m_state.blocks[block].values = m_blocks[block].values();
        writeRecoveryState(m_plan.stateFile, m_plan.fingerprint, m_state);
    }

    void look()
    {
        const double loss = heldOutLoss();
        tell(loss);
        if (loss < m_state.bestLoss || (std::isfinite(loss) && !std::isfinite(m_state.bestLoss))) {
            m_state.bestLoss = loss;
            for (std::size_t block = 0; block < m_blocks.size(); ++block)
                m_state.blocks[block].best = m_blocks[block].values();
        }
        save();
    }

    void undo()
    {
        const std::size_t failed = m_state.step + 1;
        restore();
        m_state.scale /= 2.0;
        ++m_state.undone;
        save();
        m_context.note(
            {eventKind::divergedStep, "",
             fmt::format("step {} of {} met a loss or gradient that is not finite: training goes back to "
                         "step {} with half the learning rate{}",
                         failed, m_steps, m_state.step, m_state.undone == mostUndoneSteps ? "; it ends here" : ""),
             static_cast<double>(failed)});
    }

    /// One step; false, with no value changed, where the loss or a gradient is not finite.
    bool train(const std::vector<std::size_t>& batch)
    {
        for (BlockGradients& sum : m_sums)
            sum.clear();
        const double tokens = static_cast<double>(batch.size() * (m_length - 1));
        std::vector<OrderedTurn> turns(m_blocks.size());
        std::vector<double> losses(batch.size());
        std::atomic<bool> diverged = false;
        parallelFor(batch.size(), m_workers.size(), [&](std::size_t index, std::size_t number) {
            const auto abandon = [&] {
                for (OrderedTurn& turn : turns)
                    turn.abandon();
            };
            try {
                m_context.checkStop();
                Worker& worker = m_workers[number];
                losses[index] = forwardWindow(batch[index], 1.0 / tokens, worker);
                if (!std::isfinite(losses[index])) {
                    diverged = true;
                    abandon();
                    return;
                }
                for (std::size_t block = m_blocks.size(); block-- > 0;) {
                    backwardWindow(block, worker, m_own[number][block]);
                    turns[block].run(index, [&] { m_sums[block].add(m_own[number][block]); });
                }
            } catch (...) {
                abandon();
                throw;
            }
        });
        for (BlockGradients& sum : m_sums)
            if (diverged || !sum.finite())
                return false;
        const double rate = m_state.scale * learningRateAt(m_options.training, m_state.step, m_steps);
        for (std::size_t block = 0; block < m_blocks.size(); ++block)
            m_blocks[block].step(m_sums[block], m_state.blocks[block].adam, rate, m_options.training.weightDecay);
        ++m_state.step;
        double loss = 0.0;
        for (const double own : losses)
            loss += own / tokens;
        m_context.report("recover", fmt::format("loss {:.4f}", loss), m_state.step, m_steps);
        if (m_observer)
            m_observer({"recover", "", m_state.step, m_steps, loss, std::numeric_limits<double>::quiet_NaN()});
        return true;
    }

    /// States in front of all blocks, the summed loss of the window, and in worker.gradient `scale` times its gradient
    /// with respect to the states behind the last block (where `scale` is not 0). Not finite where activations are not.
    double forwardWindow(std::size_t window, double scale, Worker& worker)
    {
        const ModelConfig& config = m_teacher.config();
        worker.states.resize(m_blocks.size() + 1);
        worker.states.front().reshape(m_length, config.hiddenSize);
        m_teacher.embed(m_windows.ids[window], worker.states.front().view());
        for (std::size_t block = 0; block < m_blocks.size(); ++block) {
            worker.states[block + 1] = worker.states[block];
            forwardBlock(m_device, config, m_blocks[block].weights(), m_rotary, worker.states[block + 1].view(),
                         worker.forward);
        }
        const ConstMatrixView<float> hidden = std::as_const(worker.states.back()).view();
        if (!allFinite(std::span<const float>(hidden.data, hidden.rows * hidden.columns)))
            return std::numeric_limits<double>::infinity();
        const ConstMatrixView<float> teacherHidden =
            m_taught ? ConstMatrixView<float>(m_taught->load(window, worker.teacherHidden)) : ConstMatrixView<float>();
        worker.gradient.reshape(m_length, config.hiddenSize);
        double loss = 0.0;
        for (std::size_t first = 0; first < m_length; first += Head::chunkRows) {
            MatrixView<float> logits;
            try {
                logits = m_head.chunk(hidden, first, worker.forward);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::NonFinite)
                    throw;
                return std::numeric_limits<double>::infinity();
            }
            MatrixView<float> taught;
            if (m_taught)
                taught = m_head.chunk(teacherHidden, first, worker.teacher);
            for (std::size_t row = 0; row < logits.rows; ++row)
                loss += differentiate(window, first + row, logits.rowSpan(row),
                                      taught.rows == 0 ? std::span<float>() : taught.rowSpan(row), scale);
            if (scale != 0.0)
                m_head.backward(hidden, first, logits, worker.gradient.view(), worker.forward);
        }
        return loss;
    }

    /// Loss of one position; its logits become `scale` times their gradient.
    double differentiate(std::size_t window, std::size_t position, std::span<float> logits, std::span<float> taught,
                         double scale) const
    {
        if (position + 1 == m_length) {
            std::ranges::fill(logits, 0.0F);
            return 0.0;
        }
        double loss = 0.0;
        if (taught.empty()) {
            const auto label = static_cast<std::size_t>(m_windows.ids[window][position + 1]);
            loss = negativeLogLikelihood(logits, label);
            softmax(logits, 1.0F);
            logits[label] -= 1.0F;
        } else {
            // KL(p || q) = sum p (log p - log q), whose gradient with respect to q's logits is q - p.
            logSoftmax(taught);
            logSoftmax(logits);
            for (std::size_t i = 0; i < logits.size(); ++i) {
                const auto p = std::exp(taught[i]);
                loss += static_cast<double>(p) * (static_cast<double>(taught[i]) - static_cast<double>(logits[i]));
                logits[i] = std::exp(logits[i]) - p;
            }
        }
        for (float& value : logits)
            value *= static_cast<float>(scale);
        return loss;
    }

    void backwardWindow(std::size_t block, Worker& worker, BlockGradients& gradients)
    {
        gradients.clear();
        const TrainedBlock& trained = m_blocks[block];
        backwardBlock(m_device, m_teacher.config(), trained.weights(), m_rotary,
                      std::as_const(worker.states[block]).view(), worker.gradient.view(), worker.backward,
                      [&](Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY) {
                          gradients.addLinear(m_device, trained, role, X, dY);
                      });
    }

    double heldOutLoss()
    {
        std::vector<double> losses(m_split.heldOut);
        parallelFor(m_split.heldOut, m_workers.size(), [&](std::size_t index, std::size_t number) {
            m_context.checkStop();
            losses[index] = forwardWindow(m_split.trained + index, 0.0, m_workers[number]);
        });
        double sum = 0.0;
        for (const double loss : losses)
            sum += loss;
        return sum / static_cast<double>(m_split.heldOut * (m_length - 1));
    }

    void tell(double heldOut) const
    {
        if (m_observer)
            m_observer({"recover", "", m_state.step, m_steps, std::numeric_limits<double>::quiet_NaN(), heldOut});
    }

    const Model& m_teacher;
    const Device& m_device;
    const TokenWindows& m_windows;
    const RecoveryOptions& m_options;
    const TaskContext& m_context;
    const TrainingObserver& m_observer;
    const RecoveryPlan& m_plan;
    std::size_t m_length;
    WindowSplit m_split;
    std::size_t m_steps;
    RotaryTable m_rotary;
    Head m_head;
    std::vector<Worker> m_workers;
    std::vector<TrainedBlock> m_blocks;
    std::vector<BlockGradients> m_sums;             ///< by block
    std::vector<std::vector<BlockGradients>> m_own; ///< by worker and block
    RecoveryState m_state;
    std::optional<HiddenStates> m_taught; ///< where the teacher is the target
};

} // namespace

RecoveryOutcome recoverModel(const Model& teacher, const Model& student, const Device& device,
                             const TokenWindows& windows, const RecoveryOptions& options, const PassOptions& pass,
                             const TaskContext& context, const TrainingObserver& observer, const RecoveryPlan& plan)
{
    requireWindows(teacher, windows);
    validateTraining(options.training, "recovery");
    return Recovery(teacher, student, device, windows, options, pass, context, observer, plan).run();
}

} // namespace rankwright
