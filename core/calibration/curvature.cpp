#include "core/calibration/curvature.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/parallel.h"
#include "core/base/value_by_name.h"
#include "core/calibration/calibration_files.h"
#include "core/calibration/moment_pass.h"
#include "core/calibration/moment_sums.h"
#include "core/calibration/tap_file.h"
#include "core/compute/elementwise.h"
#include "core/model/backward.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace rankwright {

std::string_view gradientLabelsName(GradientLabels labels)
{
    return labels == GradientLabels::Sampled ? "sampled" : "text";
}

GradientLabels gradientLabelsFromName(std::string_view name)
{
    return valueByName(std::array{GradientLabels::Sampled, GradientLabels::Text}, gradientLabelsName, name,
                       "gradient labels");
}

std::string curvatureFingerprint(const Model& model, const TokenWindows& windows, const CurvatureOptions& curvature)
{
    Hasher hasher;
    hasher.update(std::string_view("curvature with weight squares")).update(statisticsVersion);
    hasher.update(std::string_view(modelFingerprint(model)));
    hasher.update(std::string_view(windows.fingerprint));
    hasher.update(gradientLabelsName(curvature.labels));
    if (curvature.labels == GradientLabels::Sampled)
        hasher.update(static_cast<std::size_t>(curvature.seed));
    if (curvature.weightMoments)
        hasher.update(std::string_view("weight moments"));
    return hasher.hex();
}

namespace {

constexpr std::string_view stageName = "curvature";

/// Uniform in [0, 1) from a seed and a place, so that a drawn label does not depend on the order of the work
/// (SplitMix64 of Steele, Lea and Flood 2014, as a hash).
double uniformAt(std::uint64_t seed, std::uint64_t window, std::uint64_t position)
{
    const auto mix = [](std::uint64_t value) {
        value += 0x9e3779b97f4a7c15ULL;
        value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
        return value ^ (value >> 31U);
    };
    return static_cast<double>(mix(mix(mix(seed) ^ window) ^ position) >> 11U) * 0x1.0p-53;
}

/// Index drawn with the given probabilities, `uniform` in [0, 1).
std::size_t drawIndex(std::span<const float> probabilities, double uniform)
{
    double sum = 0.0;
    for (const float p : probabilities)
        sum += static_cast<double>(p);
    double left = uniform * sum;
    for (std::size_t i = 0; i + 1 < probabilities.size(); ++i) {
        left -= static_cast<double>(probabilities[i]);
        if (left < 0.0)
            return i;
    }
    return probabilities.size() - 1;
}

/// Least bytes: one block's weights, the float64 sums of one block, one worker.
struct Memory
{
    std::size_t weights = 0;
    std::size_t sums = 0;
    std::size_t worker = 0;
};

Memory curvatureMemory(const Model& model, std::size_t length, bool weightMoments)
{
    const ModelConfig& config = model.config();
    Memory memory{.weights = largestBlockBytes(model)};
    std::size_t widest = 0;
    std::size_t widestInput = 0;
    std::size_t largest = 0;
    const std::size_t rows = windowsPerGroup(length) * length;
    for (const LinearInfo& linear : model.linears(0)) {
        memory.sums += linear.shape.rows * linear.shape.rows * sizeof(double);
        memory.worker += rows * linear.shape.rows * sizeof(float);
        widest = std::max(widest, linear.shape.rows);
        widestInput = std::max(widestInput, linear.shape.columns);
        largest = std::max(largest, linear.shape.parameters());
        if (weightMoments) {
            memory.sums +=
                (linear.shape.rows * linear.shape.rows + linear.shape.columns * linear.shape.columns) * sizeof(double);
            memory.worker += rows * linear.shape.columns * sizeof(float);
        }
    }
    if (weightMoments)
        memory.worker += (widest * widest + widestInput * widestInput) * sizeof(double) + largest * sizeof(float);
    const std::size_t scores = backwardScoreFloats(config, length);
    memory.worker += widest * widest * sizeof(double) + largest * sizeof(float);
    memory.worker += (length * (backwardFloatsPerRow(config) + 2 * config.hiddenSize) + scores +
                      Head::chunkRows * config.vocabularySize) *
                     sizeof(float);
    return memory;
}

struct Worker
{
    ForwardScratch forward;
    BackwardScratch backward;
    Matrix<float> loaded;
    Matrix<float> loadedGradient;
    Matrix<float> hidden;
    std::array<Matrix<float>, roleCount> gradients;           ///< rows of a group
    std::array<std::vector<double>, roleCount> weightSquares; ///< of a group
    std::array<Matrix<float>, roleCount> inputs;              ///< rows of a group, for weight moments
    Matrix<float> weightGradient;
    Matrix<float> weightGradientTransposed;
    Matrix<double> product;
    Matrix<double> weightInputs;
    Matrix<double> weightOutputs;
    std::vector<double> sum;
    std::vector<double> sumAbs;
};

/// Totals of one linear.
struct Sums
{
    TapStatistics totals;
    std::vector<double> traces; ///< by group
    OrderedTurn turn;
};

class CurvaturePass
{
public:
    CurvaturePass(const Model& model, const Device& device, const TokenWindows& windows,
                  const CurvatureOptions& curvature, const PassOptions& options, const TaskContext& context)
        : m_model(model)
        , m_device(device)
        , m_windows(windows)
        , m_curvature(curvature)
        , m_context(context)
        , m_length(windows.ids.front().size())
        , m_groupWindows(windowsPerGroup(m_length))
        , m_limit(effectiveMemoryLimit(options))
        , m_rotary(makeRotaryTable(model.config(), m_length))
        , m_total((2 * model.config().blocks + 1) * windows.ids.size())
    {
        const Memory memory = curvatureMemory(model, m_length, curvature.weightMoments);
        const std::size_t least = memory.weights + memory.sums + memory.worker;
        if (least > m_limit)
            throw Error(ErrorKind::Memory,
                        fmt::format("curvature with windows of {} tokens needs {}, the memory limit is {}; raise the "
                                    "limit or take shorter windows",
                                    m_length, formatBytes(least), formatBytes(m_limit)));
        const std::size_t groups = (windows.ids.size() + m_groupWindows - 1) / m_groupWindows;
        const std::size_t wanted = std::min(groups, effectiveThreads(options));
        const std::size_t threads =
            std::clamp<std::size_t>((m_limit - memory.weights - memory.sums) / memory.worker, 1, wanted);
        std::size_t states = m_limit - memory.weights - memory.sums - threads * memory.worker;
        const std::size_t ofOnePlace = windows.ids.size() * m_length * model.config().hiddenSize * sizeof(float);
        for (std::size_t i = 0; i <= model.config().blocks; ++i) {
            const std::size_t held = std::min(states, ofOnePlace);
            m_states.emplace_back(windows.ids.size(), m_length, model.config().hiddenSize, held, options.scratchFolder);
            states -= held;
        }
        m_workers.resize(threads);
    }

    /// Writes the sums of every linear to `folder`.
    std::vector<TapSummary> run(const std::filesystem::path& folder)
    {
        const BlasThreads oneEach(1);
        up();
        head();
        std::vector<TapSummary> summaries(m_model.linears().size());
        for (std::size_t block = m_model.config().blocks; block-- > 0;)
            down(block, folder, summaries);
        return summaries;
    }

private:
    void step(std::size_t windows, const std::string& item)
    {
        m_context.report(std::string(stageName), item, m_done += windows, m_total);
    }

    /// States in front of every block, and behind the last.
    void up()
    {
        for (std::size_t block = 0; block < m_model.config().blocks; ++block) {
            const std::shared_ptr<const BlockWeights> weights = m_model.loadBlock(block);
            parallelFor(m_windows.ids.size(), m_workers.size(), [&](std::size_t window, std::size_t index) {
                m_context.checkStop();
                Worker& worker = m_workers[index];
                worker.hidden.reshape(m_length, m_model.config().hiddenSize);
                const MatrixView<float> hidden = worker.hidden.view();
                if (block == 0) {
                    m_model.embed(m_windows.ids[window], hidden);
                    m_states.front().store(window, hidden);
                } else {
                    const ConstMatrixView<float> input = m_states[block].load(window, worker.loaded);
                    std::copy_n(input.data, m_length * input.columns, hidden.data);
                }
                forwardBlock(m_device, m_model.config(), *weights, m_rotary, hidden, worker.forward);
                m_states[block + 1].store(window, hidden);
                step(1, fmt::format("up, block {} of {}", block + 1, m_model.config().blocks));
            });
        }
    }

    /// The states behind the last block become gradients.
    void head()
    {
        const Head head(m_model, m_device, m_limit);
        HiddenStates& states = m_states.back();
        parallelFor(m_windows.ids.size(), m_workers.size(), [&](std::size_t window, std::size_t index) {
            m_context.checkStop();
            Worker& worker = m_workers[index];
            const MatrixView<float> hidden = states.load(window, worker.loaded);
            worker.hidden.reshape(hidden.rows, hidden.columns);
            for (std::size_t first = 0; first < hidden.rows; first += Head::chunkRows) {
                const MatrixView<float> logits = head.chunk(hidden, first, worker.forward);
                for (std::size_t row = 0; row < logits.rows; ++row)
                    lossGradient(window, first + row, logits.rowSpan(row));
                head.backward(hidden, first, logits, worker.hidden.view(), worker.forward);
            }
            states.store(window, worker.hidden.view());
            step(1, "head");
        });
    }

    /// softmax(logits) - one of the label; nothing where a window has no next token.
    void lossGradient(std::size_t window, std::size_t position, std::span<float> logits) const
    {
        if (position + 1 == m_length) {
            std::ranges::fill(logits, 0.0F);
            return;
        }
        softmax(logits, 1.0F);
        const std::size_t label = m_curvature.labels == GradientLabels::Text
                                      ? static_cast<std::size_t>(m_windows.ids[window][position + 1])
                                      : drawIndex(logits, uniformAt(m_curvature.seed, window, position));
        logits[label] -= 1.0F;
    }

    void down(std::size_t block, const std::filesystem::path& folder, std::vector<TapSummary>& summaries)
    {
        const std::shared_ptr<const BlockWeights> weights = m_model.loadBlock(block);
        const std::span<const LinearInfo> linears = m_model.linears(block);
        const std::size_t groups = (m_windows.ids.size() + m_groupWindows - 1) / m_groupWindows;
        std::array<Sums, roleCount> sums;
        for (const LinearInfo& linear : linears) {
            Sums& own = sums[static_cast<std::size_t>(linear.role)];
            const std::size_t m = linear.shape.rows;
            own.totals.tokens = m_windows.ids.size() * m_length;
            own.totals.secondMoment = Matrix<double>(m, m);
            own.totals.sum.resize(m);
            own.totals.sumAbs.resize(m);
            own.totals.weightSquares.resize(linear.shape.columns);
            if (m_curvature.weightMoments) {
                own.totals.weightInputs = Matrix<double>(linear.shape.columns, linear.shape.columns);
                own.totals.weightOutputs = Matrix<double>(m, m);
            }
            own.traces.resize(groups);
        }
        parallelFor(groups, m_workers.size(), [&](std::size_t group, std::size_t index) {
            try {
                m_context.checkStop();
                downGroup(block, *weights, linears, group, m_workers[index], sums);
            } catch (...) {
                for (Sums& own : sums)
                    own.turn.abandon();
                throw;
            }
        });
        for (const LinearInfo& linear : linears) {
            Sums& own = sums[static_cast<std::size_t>(linear.role)];
            for (Matrix<double>* moment :
                 {&own.totals.secondMoment, &own.totals.weightInputs, &own.totals.weightOutputs}) {
                mirrorUpperToLower(moment->view());
                if (!allFinite(std::as_const(*moment).span()))
                    throw Error(ErrorKind::NonFinite, "squares of the gradients exceed float32",
                                {.tensor = linear.name});
            }
            summaries[linear.index] = summarise(own.totals);
            summaries[linear.index].spread = relativeSpread(own.traces);
            writeTapFile(folder / tapFileName(linear.index), own.totals);
        }
    }

    void downGroup(std::size_t block, const BlockWeights& weights, std::span<const LinearInfo> linears,
                   std::size_t group, Worker& worker, std::array<Sums, roleCount>& sums)
    {
        const std::size_t first = group * m_groupWindows;
        const std::size_t count = std::min(m_groupWindows, m_windows.ids.size() - first);
        for (const LinearInfo& linear : linears) {
            worker.gradients[static_cast<std::size_t>(linear.role)].reshape(count * m_length, linear.shape.rows);
            worker.weightSquares[static_cast<std::size_t>(linear.role)].assign(linear.shape.columns, 0.0);
            if (m_curvature.weightMoments)
                worker.inputs[static_cast<std::size_t>(linear.role)].reshape(count * m_length, linear.shape.columns);
        }
        HiddenStates& gradients = m_states.back();
        for (std::size_t i = 0; i < count; ++i) {
            const ConstMatrixView<float> input = m_states[block].load(first + i, worker.loaded);
            const MatrixView<float> gradient = gradients.load(first + i, worker.loadedGradient);
            const auto keep = [&](Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY) {
                copyRows(dY, worker.gradients[static_cast<std::size_t>(role)], i * m_length);
                if (m_curvature.weightMoments)
                    copyRows(X, worker.inputs[static_cast<std::size_t>(role)], i * m_length);
                else
                    addWeightSquares(X, dY, worker, role);
            };
            backwardBlock(m_device, m_model.config(), weights, m_rotary, input, gradient, worker.backward, keep);
            if (!allFinite(std::span<const float>(gradient.data, gradient.rows * gradient.columns)))
                throw Error(ErrorKind::NonFinite,
                            fmt::format("gradients stop being finite in block {} (window {})", block, first + i),
                            {.file = m_model.checkpoint().path()});
            gradients.store(first + i, gradient);
        }
        for (const LinearInfo& linear : linears)
            addSums(linear.role, group, worker, sums[static_cast<std::size_t>(linear.role)]);
        step(count, fmt::format("down, block {} of {}", block + 1, m_model.config().blocks));
    }

    static void copyRows(ConstMatrixView<float> from, Matrix<float>& to, std::size_t firstRow)
    {
        for (std::size_t t = 0; t < from.rows; ++t)
            std::copy_n(from.row(t), from.columns, to.row(firstRow + t));
    }

    /// squares_j += sum_i (dY^T X)_ij^2 of one window; leaves V = dY^T X in the worker.
    void addWeightSquares(ConstMatrixView<float> X, ConstMatrixView<float> dY, Worker& worker, Role role) const
    {
        Matrix<float>& gradient = worker.weightGradient;
        std::vector<double>& squares = worker.weightSquares[static_cast<std::size_t>(role)];
        gradient.reshape(dY.columns, X.columns);
        m_device.gemm(Transpose::Yes, Transpose::No, 1.0F, dY, X, 0.0F, gradient.view());
        for (std::size_t i = 0; i < gradient.rows(); ++i)
            for (std::size_t j = 0; j < gradient.columns(); ++j)
                squares[j] += static_cast<double>(gradient(i, j)) * static_cast<double>(gradient(i, j));
    }

    /// V^T V and V V^T of the windows of a group, summed in the worker.
    void makeWeightMoments(Role role, Worker& worker) const
    {
        const ConstMatrixView<float> dY = std::as_const(worker.gradients[static_cast<std::size_t>(role)]).view();
        const ConstMatrixView<float> X = std::as_const(worker.inputs[static_cast<std::size_t>(role)]).view();
        zeroSquare(worker.weightInputs, X.columns);
        zeroSquare(worker.weightOutputs, dY.columns);
        Matrix<float>& transposed = worker.weightGradientTransposed;
        transposed.reshape(X.columns, dY.columns);
        for (std::size_t first = 0; first < dY.rows; first += m_length) {
            addWeightSquares(X.rowRange(first, m_length), dY.rowRange(first, m_length), worker, role);
            const Matrix<float>& V = worker.weightGradient;
            for (std::size_t i = 0; i < V.rows(); ++i)
                for (std::size_t j = 0; j < V.columns(); ++j)
                    transposed(j, i) = V(i, j);
            m_device.addSecondMoment(V.view(), worker.weightInputs.view());
            m_device.addSecondMoment(std::as_const(transposed).view(), worker.weightOutputs.view());
        }
    }

    void addSums(Role role, std::size_t group, Worker& worker, Sums& sums) const
    {
        if (m_curvature.weightMoments)
            makeWeightMoments(role, worker);
        const ConstMatrixView<float> gradients = std::as_const(worker.gradients[static_cast<std::size_t>(role)]).view();
        const std::vector<double>& squares = worker.weightSquares[static_cast<std::size_t>(role)];
        const std::size_t m = gradients.columns;
        worker.sum.assign(m, 0.0);
        worker.sumAbs.assign(m, 0.0);
        for (std::size_t t = 0; t < gradients.rows; ++t)
            rankwright::addSums(gradients.rowSpan(t), worker.sum, worker.sumAbs);
        zeroSquare(worker.product, m);
        m_device.addSecondMoment(gradients, worker.product.view());
        for (std::size_t i = 0; i < m; ++i)
            sums.traces[group] += worker.product(i, i) / static_cast<double>(gradients.rows);
        sums.turn.run(group, [&] {
            for (std::size_t i = 0; i < m; ++i) {
                sums.totals.sum[i] += worker.sum[i];
                sums.totals.sumAbs[i] += worker.sumAbs[i];
            }
            addProduct(worker.product, sums.totals.secondMoment, true);
            for (std::size_t j = 0; j < squares.size(); ++j)
                sums.totals.weightSquares[j] += squares[j];
            if (m_curvature.weightMoments) {
                addProduct(worker.weightInputs, sums.totals.weightInputs, true);
                addProduct(worker.weightOutputs, sums.totals.weightOutputs, true);
            }
        });
    }

    /// Relative standard error of the mean of values, -1 where one value cannot tell.
    static double relativeSpread(const std::vector<double>& values)
    {
        const auto count = static_cast<double>(values.size());
        double mean = 0.0;
        for (const double value : values)
            mean += value / count;
        if (values.size() < 2 || mean <= 0.0)
            return -1.0;
        double squares = 0.0;
        for (const double value : values)
            squares += (value - mean) * (value - mean);
        return std::sqrt(squares / (count - 1.0) / count) / mean;
    }

    const Model& m_model;
    const Device& m_device;
    const TokenWindows& m_windows;
    CurvatureOptions m_curvature;
    const TaskContext& m_context;
    std::size_t m_length;
    std::size_t m_groupWindows;
    std::size_t m_limit;
    RotaryTable m_rotary;
    std::size_t m_total;
    std::atomic<std::size_t> m_done = 0;
    std::vector<Worker> m_workers;
    std::vector<HiddenStates> m_states; ///< in front of block i; the last: behind all, then gradients
};

} // namespace

CurvatureEstimate estimateCurvature(const Model& model, std::size_t windows, std::size_t windowLength,
                                    bool weightMoments)
{
    const ModelConfig& config = model.config();
    const Memory memory = curvatureMemory(model, windowLength, weightMoments);
    const auto tokens = static_cast<double>(windows * windowLength);
    CurvatureEstimate estimate;
    estimate.memory = memory.weights + memory.sums + memory.worker;
    estimate.spillBytes = (config.blocks + 1) * windows * windowLength * config.hiddenSize * sizeof(float);
    // Forward twice, gradients of inputs and of weights; the head forward and back; a symmetric product per linear;
    // attention.
    double perToken = 8.0 * static_cast<double>(model.linearParameterCount()) +
                      4.0 * static_cast<double>(config.vocabularySize * config.hiddenSize);
    for (const LinearInfo& linear : model.linears()) {
        perToken += static_cast<double>(linear.shape.rows) * static_cast<double>(linear.shape.rows);
        estimate.disk += (linear.shape.rows * (linear.shape.rows + 1) / 2 + 2 * linear.shape.rows) * sizeof(double);
        if (weightMoments) {
            const std::size_t m = linear.shape.rows;
            const std::size_t n = linear.shape.columns;
            perToken += static_cast<double>(m * n) * static_cast<double>(m + n) / static_cast<double>(windowLength);
            estimate.disk += (m * (m + 1) / 2 + n * (n + 1) / 2) * sizeof(double);
        }
    }
    const auto heads = static_cast<double>(config.blocks * config.heads * config.headWidth);
    perToken += 9.0 * heads * static_cast<double>(windowLength);
    estimate.operations = tokens * perToken;
    return estimate;
}

CalibrationSet calibrateCurvature(const Model& model, const Device& device, const TokenWindows& windows,
                                  const CurvatureOptions& curvature, const std::filesystem::path& cache,
                                  const PassOptions& options, const TaskContext& context)
{
    requireWindows(model, windows);
    const std::string fingerprint = curvatureFingerprint(model, windows, curvature);
    std::vector<std::string> names;
    for (const LinearInfo& linear : model.linears())
        names.push_back(linear.name);
    return findOrMakeSet(cache / fingerprint, names.size(), context, [&](const std::filesystem::path& temporary) {
        CurvaturePass pass(model, device, windows, curvature, options, context);
        writeManifest(temporary, originOf(fingerprint, model, windows), names, pass.run(temporary));
    });
}

} // namespace rankwright
