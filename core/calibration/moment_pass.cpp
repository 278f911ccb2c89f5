#include "core/calibration/moment_pass.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/calibration/moment_sums.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <functional>

namespace rankwright {

namespace {

void copyRows(ConstMatrixView<float> from, MatrixView<float> to)
{
    for (std::size_t t = 0; t < from.rows; ++t)
        std::memcpy(to.row(t), from.row(t), from.columns * sizeof(float));
}

/// product += X^T Y, float32 over blocks of rows, float64 over the blocks.
void addCrossMoment(const Device& device, ConstMatrixView<float> X, ConstMatrixView<float> Y, Matrix<float>& block,
                    Matrix<double>& product)
{
    block.reshape(X.columns, Y.columns);
    for (std::size_t t = 0; t < X.rows; t += groupTokens) {
        const std::size_t rows = std::min(groupTokens, X.rows - t);
        device.gemm(Transpose::Yes, Transpose::No, 1.0F, X.rowRange(t, rows), Y.rowRange(t, rows), 0.0F, block.view());
        for (std::size_t i = 0; i < block.size(); ++i)
            product.data()[i] += static_cast<double>(block.data()[i]);
    }
}

/// Memory a pass over the given sites needs.
struct PassMemory
{
    std::size_t sums = 0;   ///< float64 totals
    std::size_t worker = 0; ///< buffers of one worker
};

PassMemory passMemory(const Model& model, std::size_t length, std::span<const std::size_t> widths, bool anchored)
{
    const ModelConfig& config = model.config();
    const std::size_t rows = windowsPerGroup(length) * length;
    const std::size_t streams = anchored ? 2 : 1;
    std::size_t widest = 0;
    PassMemory memory;
    for (const std::size_t n : widths) {
        memory.sums += (anchored ? 3 : 1) * n * n * sizeof(double);
        memory.worker += streams * rows * n * sizeof(float);
        widest = std::max(widest, n);
    }
    memory.worker += widest * widest * (sizeof(double) + (anchored ? sizeof(float) : 0));
    const std::size_t heads = (config.heads + 2 * config.keyValueHeads) * config.headWidth;
    memory.worker += length * (4 * config.hiddenSize + 2 * heads + 2 * config.intermediateSize) * sizeof(float);
    return memory;
}

/// Makes sum x x_hat^T and sum x x^T, in float64, of the sums of (x - x_hat) x_hat^T and (x - x_hat) (x - x_hat)^T that
/// stand in their places.
void addShift(TapStatistics& totals)
{
    const Matrix<double>& C = totals.secondMoment;
    Matrix<double>& cross = totals.crossMoment;
    Matrix<double>& dense = totals.denseSecondMoment;
    mirrorUpperToLower(dense.view());
    for (std::size_t i = 0; i < C.rows(); ++i)
        for (std::size_t j = 0; j < C.columns(); ++j)
            dense(i, j) += C(i, j) + (cross(i, j) + cross(j, i));
    for (std::size_t i = 0; i < C.size(); ++i)
        cross.data()[i] += C.data()[i];
}

} // namespace

void requireWindows(const Model& model, const TokenWindows& windows)
{
    if (windows.ids.empty() || windows.ids.front().empty())
        throw Error(ErrorKind::InvalidArgument, "no windows to calibrate on");
    const std::size_t length = windows.ids.front().size();
    for (const std::vector<std::int32_t>& ids : windows.ids)
        if (ids.size() != length)
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("windows of {} and {} tokens; statistics need equal lengths", length, ids.size()));
    if (length > model.config().contextLength)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("windows of {} tokens, but the model's context is {}; take shorter windows", length,
                                model.config().contextLength));
}

PassPlan planPass(const Model& model, const TokenWindows& windows, const PassOptions& options, bool anchored,
                  bool oneSite)
{
    const std::size_t length = windows.ids.front().size();
    const std::size_t limit = effectiveMemoryLimit(options);
    const std::size_t streams = anchored ? 2 : 1;
    const std::size_t weights = streams * largestBlockBytes(model);
    std::array<std::size_t, siteCount> widths{};
    for (const TapInfo& tap : model.taps())
        widths[static_cast<std::size_t>(tap.site)] = std::max(widths[static_cast<std::size_t>(tap.site)], tap.width);
    const std::size_t widest = *std::ranges::max_element(widths);

    PassPlan plan;
    PassMemory memory = passMemory(model, length, widths, anchored);
    plan.siteBySite = oneSite || anchored || weights + memory.sums + memory.worker > limit;
    if (plan.siteBySite)
        memory = passMemory(model, length, std::span(&widest, 1), anchored);
    const std::size_t least = weights + memory.sums + memory.worker;
    if (least > limit)
        throw Error(ErrorKind::Memory,
                    fmt::format("statistics of {} channels with windows of {} tokens need {}, the memory limit is {}; "
                                "raise the limit or take shorter windows",
                                widest, length, formatBytes(least), formatBytes(limit)));
    const std::size_t groups = (windows.ids.size() + windowsPerGroup(length) - 1) / windowsPerGroup(length);
    const std::size_t wanted = std::min(groups, effectiveThreads(options));
    plan.threads = std::clamp<std::size_t>((limit - weights - memory.sums) / memory.worker, 1, wanted);
    plan.threadsInside = std::max<std::size_t>(1, effectiveThreads(options) / plan.threads);
    plan.statesBytes = (limit - weights - memory.sums - plan.threads * memory.worker) / streams;
    return plan;
}

HiddenStates embedWindows(const Model& model, const TokenWindows& windows, const PassPlan& plan,
                          const PassOptions& options)
{
    const std::size_t length = windows.ids.front().size();
    const std::size_t width = model.config().hiddenSize;
    HiddenStates states(windows.ids.size(), length, width, plan.statesBytes, options.scratchFolder);
    std::vector<Matrix<float>> scratch(plan.threads);
    parallelFor(windows.ids.size(), plan.threads, [&](std::size_t window, std::size_t worker) {
        Matrix<float>& hidden = scratch[worker];
        hidden.reshape(length, width);
        model.embed(windows.ids[window], hidden.view());
        states.store(window, hidden.view());
    });
    return states;
}

/// Buffers of one thread.
struct MomentPass::Worker
{
    ForwardScratch forward;
    Matrix<float> loaded;
    std::array<Matrix<float>, siteCount> inputs;      ///< rows of a group, by site
    std::array<Matrix<float>, siteCount> denseInputs; ///< anchored
    Matrix<double> product;
    Matrix<float> block;
    std::vector<double> sum;
    std::vector<double> sumAbs;
};

/// Totals of one site and the turns in which groups are added to them.
struct MomentPass::Sums
{
    TapStatistics totals;
    OrderedTurn moment;
    OrderedTurn cross;
    OrderedTurn dense;

    void abandon()
    {
        moment.abandon();
        cross.abandon();
        dense.abandon();
    }
};

MomentPass::MomentPass(const Model& model, const Device& device, const TokenWindows& windows, const PassPlan& plan)
    : m_model(model)
    , m_device(device)
    , m_windows(windows)
    , m_length(windows.ids.front().size())
    , m_groupWindows(windowsPerGroup(m_length))
    , m_rotary(makeRotaryTable(model.config(), m_length))
    , m_workers(plan.threads)
{
    for (Worker& worker : m_workers)
        worker.forward = ForwardScratch(plan.threadsInside);
}

MomentPass::~MomentPass() = default;

void MomentPass::expectPasses(std::size_t passes)
{
    m_expected = passes * m_windows.ids.size();
}

const TapInfo& MomentPass::tapOf(const BlockPass& pass, TapSite site) const
{
    return m_model.taps()[pass.block * siteCount + static_cast<std::size_t>(site)];
}

std::vector<TapStatistics> MomentPass::run(const BlockPass& pass, const TaskContext& context)
{
    std::vector<Sums> sums(pass.sites.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
        TapStatistics& totals = sums[i].totals;
        const std::size_t n = tapOf(pass, pass.sites[i]).width;
        totals.tokens = m_windows.ids.size() * m_length;
        totals.secondMoment = Matrix<double>(n, n);
        totals.sum.resize(n);
        totals.sumAbs.resize(n);
        if (pass.denseStates != nullptr) {
            totals.crossMoment = Matrix<double>(n, n);
            totals.denseSecondMoment = Matrix<double>(n, n);
            totals.denseSum.resize(n);
        }
    }
    const std::size_t groups = (m_windows.ids.size() + m_groupWindows - 1) / m_groupWindows;
    const BlasThreads oneEach(1);
    parallelFor(groups, m_workers.size(), [&](std::size_t group, std::size_t worker) {
        try {
            context.checkStop();
            runGroup(pass, group, m_workers[worker], sums);
        } catch (...) {
            for (Sums& site : sums)
                site.abandon();
            throw;
        }
        const std::size_t windows = std::min(m_groupWindows, m_windows.ids.size() - group * m_groupWindows);
        const std::size_t done = m_done += windows;
        context.report(pass.stage, fmt::format("block {} of {}", pass.block + 1, m_model.config().blocks), done,
                       std::max(done, m_expected));
    });

    std::vector<TapStatistics> result;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        TapStatistics& totals = result.emplace_back(std::move(sums[i].totals));
        mirrorUpperToLower(totals.secondMoment.view());
        if (!totals.denseSecondMoment.empty())
            addShift(totals);
        if (!allFinite(totals.secondMoment.span()) || !allFinite(totals.crossMoment.span()) ||
            !allFinite(totals.denseSecondMoment.span())) {
            const std::string& name = tapOf(pass, pass.sites[i]).name;
            throw Error(ErrorKind::NonFinite, "squares of the activations at " + name + " exceed float32",
                        {.tensor = name});
        }
    }
    return result;
}

void MomentPass::runGroup(const BlockPass& pass, std::size_t group, Worker& worker, std::span<Sums> sums)
{
    const std::size_t first = group * m_groupWindows;
    const std::size_t count = std::min(m_groupWindows, m_windows.ids.size() - first);
    for (const TapSite site : pass.sites) {
        const auto index = static_cast<std::size_t>(site);
        worker.inputs[index].reshape(count * m_length, tapOf(pass, site).width);
        if (pass.denseStates != nullptr)
            worker.denseInputs[index].reshape(count * m_length, tapOf(pass, site).width);
    }
    for (std::size_t i = 0; i < count; ++i) {
        collectInputs(pass, first + i, i, false, worker);
        if (pass.denseStates != nullptr)
            collectInputs(pass, first + i, i, true, worker);
    }
    for (std::size_t i = 0; i < pass.sites.size(); ++i)
        addSums(pass, i, group, count * m_length, worker, sums[i]);
}

void MomentPass::collectInputs(const BlockPass& pass, std::size_t window, std::size_t position, bool dense,
                               Worker& worker)
{
    HiddenStates& states = dense ? *pass.denseStates : *pass.states;
    std::array<Matrix<float>, siteCount>& inputs = dense ? worker.denseInputs : worker.inputs;
    MatrixView<float> hidden = states.load(window, worker.loaded);
    if (!pass.advance && hidden.data != worker.loaded.data()) {
        worker.loaded.reshape(hidden.rows, hidden.columns);
        copyRows(hidden, worker.loaded.view());
        hidden = worker.loaded.view();
    }
    BlockOptions options;
    if (!pass.sites.empty())
        options.observer = [&](TapSite site, ConstMatrixView<float> X) {
            if (std::ranges::find(pass.sites, site) != pass.sites.end())
                copyRows(X, inputs[static_cast<std::size_t>(site)].view().rowRange(position * m_length, m_length));
        };
    if (!pass.advance)
        options.stopAt = pass.sites.back();
    forwardBlock(m_device, m_model.config(), dense ? *pass.denseWeights : *pass.weights, m_rotary, hidden,
                 worker.forward, options);
    if (pass.advance)
        states.store(window, hidden);
}

void MomentPass::addSums(const BlockPass& pass, std::size_t site, std::size_t group, std::size_t rows, Worker& worker,
                         Sums& sums)
{
    const TapInfo& tap = tapOf(pass, pass.sites[site]);
    const auto index = static_cast<std::size_t>(tap.site);
    const std::size_t n = tap.width;
    const ConstMatrixView<float> X = worker.inputs[index].view();
    worker.sum.assign(n, 0.0);
    worker.sumAbs.assign(n, 0.0);
    for (std::size_t t = 0; t < rows; ++t)
        rankwright::addSums(X.rowSpan(t), worker.sum, worker.sumAbs);
    requireFinite(tap, X, worker.sumAbs, group * m_groupWindows);

    zeroSquare(worker.product, n);
    m_device.addSecondMoment(X, worker.product.view());
    TapStatistics& totals = sums.totals;
    sums.moment.run(group, [&] {
        for (std::size_t i = 0; i < n; ++i) {
            totals.sum[i] += worker.sum[i];
            totals.sumAbs[i] += worker.sumAbs[i];
        }
        addProduct(worker.product, totals.secondMoment, true);
    });
    if (pass.denseStates == nullptr)
        return;
    Matrix<float>& dense = worker.denseInputs[index];
    worker.sum.assign(n, 0.0);
    for (std::size_t t = 0; t < rows; ++t)
        rankwright::addSums(dense.view().rowSpan(t), worker.sum, worker.sumAbs);
    // Sums of x - x_hat, from which addShift() makes those of x: sums in float32 of the large x and x_hat would differ
    // by more than the inputs do where little was compressed before.
    for (std::size_t t = 0; t < rows; ++t)
        std::ranges::transform(dense.view().rowSpan(t), X.rowSpan(t), dense.view().rowSpan(t).begin(), std::minus<>());
    zeroSquare(worker.product, n);
    addCrossMoment(m_device, dense.view(), X, worker.block, worker.product);
    sums.cross.run(group, [&] { addProduct(worker.product, totals.crossMoment, false); });
    zeroSquare(worker.product, n);
    m_device.addSecondMoment(dense.view(), worker.product.view());
    sums.dense.run(group, [&] {
        for (std::size_t i = 0; i < n; ++i)
            totals.denseSum[i] += worker.sum[i];
        addProduct(worker.product, totals.denseSecondMoment, true);
    });
}

void MomentPass::requireFinite(const TapInfo& tap, ConstMatrixView<float> X, std::span<const double> sumAbs,
                               std::size_t firstWindow) const
{
    if (allFinite(sumAbs))
        return;
    std::size_t row = 0;
    while (row + 1 < X.rows && allFinite(X.rowSpan(row)))
        ++row;
    throw Error(ErrorKind::NonFinite,
                fmt::format("activations at {} (block {}) are not finite in window {}, token {}; the weights before it "
                            "are damaged or overflow float32",
                            tap.name, tap.block, firstWindow + row / m_length, row % m_length),
                {.tensor = tap.name});
}

} // namespace rankwright
