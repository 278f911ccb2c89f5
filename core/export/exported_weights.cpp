#include "core/export/exported_weights.h"

#include "core/base/parallel.h"
#include "core/export/stock_biases.h"
#include "core/model/architecture.h"
#include "core/model/tensor_names.h"

#include <algorithm>
#include <fmt/format.h>
#include <malloc.h>
#include <utility>

namespace rankwright {

namespace {

/// Rows [first, first + count) of a linear, without bias.
LinearWeights rowsOf(const LinearWeights& weights, std::size_t first, std::size_t count)
{
    if (std::holds_alternative<SharedLatentWeights>(weights.form))
        return rowsOf(withOwnLatents(weights), first, count);
    const auto rows = [&](const Matrix<float>& B) {
        Matrix<float> part(count, B.columns());
        std::copy_n(B.row(first), part.size(), part.data());
        return part;
    };
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form))
        return {DenseWeights{rows(dense->W)}, {}};
    SparseMatrix<float> sparse = weights.sparse.rowRange(first, count);
    if (const auto* factors = std::get_if<FactorWeights>(&weights.form))
        return {FactorWeights{rows(factors->B), factors->A}, {}, std::move(sparse)};
    const auto& identity = std::get<BlockIdentityWeights>(weights.form);
    return {BlockIdentityWeights{rows(identity.B), identity.A2, identity.pivots, identity.rest}, {}, std::move(sparse)};
}

/// An identity over all columns is the dense W = B, with an S beside it too.
bool writtenDense(const LinearWeights& weights, ExportFormat format)
{
    if (const auto* shared = std::get_if<SharedLatentWeights>(&weights.form))
        return writtenDense(*shared->owner, format);
    const auto* identity = std::get_if<BlockIdentityWeights>(&weights.form);
    return format == ExportFormat::Dense || weights.structure() == StructureKind::Dense ||
           (identity && identity->rest.empty());
}

} // namespace

ExportedWeights::ExportedWeights(const Model& model, const Device& device, const ExportOptions& options,
                                 const TaskContext& context)
    : m_model(model)
    , m_device(device)
    , m_options(options)
    , m_context(context)
    , m_stock(withStockBiases(model.config()))
    , m_hasBias(model.linears().size())
{
    const ModelConfig& config = model.config();
    const TensorNames names(config);
    planTable(names.embedding() + ".weight", RowTable::Embedding, config.vocabularySize);
    if (config.positions == PositionKind::Learned)
        planTable(names.positions() + ".weight", RowTable::Positions,
                  config.contextLength + architectureOf(config).positionOffset);
    for (std::size_t index = 0; index < config.blocks; ++index) {
        context.checkStop();
        context.report("export", fmt::format("reading block {} of {}", index + 1, config.blocks), index, config.blocks);
        planBlock(index);
    }
    planNorm(names.finalNorm(), [this] { return m_model.finalNorm(); });
    if (!config.tiedHead)
        planTable(names.head() + ".weight", RowTable::Head, config.vocabularySize);
    if (options.format == ExportFormat::Dense)
        planZeroBiases();
    m_parameters.denseModel = m_parameters.model - m_parameters.linears + m_parameters.denseLinears;
}

void ExportedWeights::plan(const std::string& name, DType dtype, std::vector<std::size_t> shape, Fill fill)
{
    m_plans.push_back({name, dtype, std::move(shape)});
    std::size_t elements = 1;
    for (const std::size_t dimension : m_plans.back().shape)
        elements *= dimension;
    m_parameters.model += isFloating(dtype) ? elements : 0;
    m_parameters.bytes += bytesFor(dtype, elements);
    m_fills.emplace(name, std::move(fill));
}

void ExportedWeights::planVector(const std::string& name, std::size_t size, std::function<std::vector<float>()> values)
{
    plan(name, m_options.dtype, {size},
         [values = std::move(values)](const TensorPlan& tensor, SafetensorsWriter& writer) {
             writer.writeFloats(tensor.name, values());
         });
}

void ExportedWeights::planTable(const std::string& name, RowTable table, std::size_t rows)
{
    plan(name, m_options.dtype, {rows, m_model.config().hiddenSize},
         [this, table](const TensorPlan& tensor, SafetensorsWriter& writer) { fillRows(tensor, table, writer); });
}

void ExportedWeights::planNorm(const std::string& name, const std::function<NormWeights()>& norm)
{
    const std::size_t width = m_model.config().hiddenSize;
    planVector(name + ".weight", width, [norm] { return norm().weight; });
    if (m_model.config().norm == NormKind::Layer)
        planVector(name + ".bias", width, [norm] { return norm().bias; });
}

void ExportedWeights::planBlock(std::size_t index)
{
    const ModelConfig& config = m_model.config();
    const TensorNames names(config);
    planNorm(names.attentionNorm(index), [this, index] { return block(index).attentionNorm; });
    planNorm(names.mlpNorm(index), [this, index] { return block(index).mlpNorm; });
    if (config.queryKeyNorm) {
        planVector(names.queryNorm(index) + ".weight", config.headWidth,
                   [this, index] { return block(index).queryNorm; });
        planVector(names.keyNorm(index) + ".weight", config.headWidth, [this, index] { return block(index).keyNorm; });
    }
    std::vector<const LinearInfo*> fused;
    bool split = false;
    for (const LinearInfo& info : m_model.linears(index)) {
        const LinearWeights& weights = linear(info);
        m_parameters.denseLinears += weights.shape().parameters();
        m_hasBias[info.index] = !weights.bias.empty();
        const bool asDense = writtenDense(weights, m_options.format);
        m_parameters.linears += asDense ? weights.shape().parameters() : weights.parameters();
        const bool ownBias =
            m_options.format == ExportFormat::Factored && m_hasBias[info.index] != hasBias(m_stock, info.role);
        if (!names.fused(index).empty() && siteOf(info.role) == TapSite::AttentionInput) {
            fused.push_back(&info);
            split = split || !asDense || ownBias;
        } else if (!asDense) {
            planFactors(info, weights);
        } else {
            if (ownBias)
                list(info, weights);
            planDense(info.name, {&info}, !ownBias && architectureOf(config).transposed);
        }
    }
    if (!split && !fused.empty())
        planDense(names.fused(index), fused, architectureOf(config).transposed);
    for (const LinearInfo* info : split ? fused : std::vector<const LinearInfo*>()) {
        if (writtenDense(linear(*info), m_options.format)) {
            list(*info, linear(*info));
            planDense(info->name, {info}, false);
        } else {
            planFactors(*info, linear(*info));
        }
    }
}

void ExportedWeights::list(const LinearInfo& info, const LinearWeights& weights)
{
    const bool asDense = writtenDense(weights, m_options.format);
    Json& entry = m_structures[info.name];
    entry["structure"] = structureName(asDense ? StructureKind::Dense : weights.structure());
    if (!asDense)
        entry["rank"] = weights.rank();
    if (!asDense && !weights.sparse.empty())
        entry["sparse"] = weights.sparse.entries();
    if (!asDense && weights.structure() == StructureKind::SharedLatent)
        entry["latentOf"] = m_model.latentOwner(info).name;
    if (m_hasBias[info.index] != hasBias(m_stock, info.role))
        entry["bias"] = !weights.bias.empty();
}

void ExportedWeights::planDense(const std::string& name, const std::vector<const LinearInfo*>& parts, bool transposed)
{
    const std::size_t columns = parts.front()->shape.columns;
    std::size_t rows = 0;
    for (const LinearInfo* part : parts)
        rows += part->shape.rows;
    std::vector<std::size_t> shape{rows, columns};
    if (transposed)
        std::ranges::reverse(shape);
    plan(name + ".weight", m_options.dtype, shape,
         [this, parts, transposed](const TensorPlan& tensor, SafetensorsWriter& writer) {
             const Matrix<float> W = joined(parts, transposed);
             writer.writeFloats(tensor.name, W.span());
         });
    if (std::ranges::none_of(parts, [this](const LinearInfo* part) { return m_hasBias[part->index]; }))
        return;
    planVector(name + ".bias", rows, [this, parts] {
        std::vector<float> bias;
        for (const LinearInfo* part : parts) {
            bias.insert(bias.end(), linear(*part).bias.begin(), linear(*part).bias.end());
            bias.resize(bias.size() + (m_hasBias[part->index] ? 0 : part->shape.rows));
        }
        return bias;
    });
}

void ExportedWeights::planFactors(const LinearInfo& info, const LinearWeights& weights)
{
    const LinearShape shape = weights.shape();
    const std::size_t rank = weights.rank();
    ++m_factored;
    list(info, weights);
    const auto planMatrix = [&](const char* suffix, std::vector<std::size_t> dimensions,
                                const std::function<const Matrix<float>&(const LinearWeights&)>& part) {
        plan(info.name + suffix, m_options.dtype, std::move(dimensions),
             [this, &info, part](const TensorPlan& tensor, SafetensorsWriter& writer) {
                 writer.writeFloats(tensor.name, part(linear(info)).span());
             });
    };
    using Factors = FactorWeights;
    using Identity = BlockIdentityWeights;
    using Shared = SharedLatentWeights;
    if (std::holds_alternative<Shared>(weights.form)) {
        planMatrix(".B.weight", {shape.rows, rank},
                   [](const LinearWeights& w) -> const Matrix<float>& { return std::get<Shared>(w.form).B; });
    } else if (const auto* identity = std::get_if<Identity>(&weights.form)) {
        planMatrix(".B.weight", {shape.rows, rank},
                   [](const LinearWeights& w) -> const Matrix<float>& { return std::get<Identity>(w.form).B; });
        planMatrix(".A2.weight", {rank, shape.columns - rank},
                   [](const LinearWeights& w) -> const Matrix<float>& { return std::get<Identity>(w.form).A2; });
        planIndices(info.name + ".pivots", DType::I32, {identity->pivots.begin(), identity->pivots.end()});
    } else {
        planMatrix(".B.weight", {shape.rows, rank},
                   [](const LinearWeights& w) -> const Matrix<float>& { return std::get<Factors>(w.form).B; });
        planMatrix(".A.weight", {rank, shape.columns},
                   [](const LinearWeights& w) -> const Matrix<float>& { return std::get<Factors>(w.form).A; });
    }
    if (!weights.bias.empty())
        planVector(info.name + ".B.bias", shape.rows, [this, &info] { return linear(info).bias; });
    if (!weights.sparse.empty()) {
        const DType index = indexType(shape.columns);
        planVector(info.name + ".S.values", weights.sparse.entries(),
                   [this, &info] { return linear(info).sparse.values; });
        SparseParts parts = sparseParts(weights.sparse);
        planIndices(info.name + ".S.columns", index, std::move(parts.columns));
        planIndices(info.name + ".S.counts", index, std::move(parts.counts));
        m_parameters.model += sparseParameters(shape, weights.sparse.entries()) - weights.sparse.entries();
    }
}

void ExportedWeights::planIndices(const std::string& name, DType dtype, std::vector<std::int32_t> indices)
{
    const std::size_t size = indices.size();
    plan(name, dtype, {size}, [indices = std::move(indices)](const TensorPlan& tensor, SafetensorsWriter& writer) {
        writer.writeIntegers(tensor.name, indices);
    });
}

void ExportedWeights::planZeroBiases()
{
    std::vector<Role> biased;
    for (const LinearInfo& info : m_model.linears()) {
        if (m_hasBias[info.index])
            biased.push_back(info.role);
    }
    m_stock = stockConfigWith(m_model.config(), biased, m_model.checkpoint().path());
    const TensorNames names(m_stock);
    for (const LinearInfo& info : m_model.linears()) {
        const std::string fused =
            siteOf(info.role) == TapSite::AttentionInput ? names.fused(info.block) : std::string();
        const std::string name = (fused.empty() ? info.name : fused) + ".bias";
        if (!hasBias(m_stock, info.role) || m_fills.contains(name))
            continue;
        const std::size_t rows = info.shape.rows * (fused.empty() ? 1 : 3);
        planVector(name, rows, [rows] { return std::vector<float>(rows); });
    }
}

const BlockWeights& ExportedWeights::block(std::size_t index)
{
    if (!m_block || m_blockIndex != index) {
        m_block.reset();
        // glibc before 2.38 seldom finds a freed aligned chunk again: without this every block stayed resident.
        ::malloc_trim(0);
        m_block = m_model.loadBlock(index);
        m_blockIndex = index;
    }
    return *m_block;
}

void ExportedWeights::write(const std::filesystem::path& folder)
{
    m_written = 0;
    // transformers asks for the framework that wrote a file.
    writeShards(folder, m_plans, m_options.shardBytes, {{"format", "pt"}},
                [this](const TensorPlan& tensor, SafetensorsWriter& writer) {
                    m_context.checkStop();
                    m_context.report("export", tensor.name, m_written++, m_plans.size());
                    m_fills.at(tensor.name)(tensor, writer);
                });
    m_block.reset();
}

void ExportedWeights::fillRows(const TensorPlan& tensor, RowTable table, SafetensorsWriter& writer) const
{
    constexpr std::size_t partElements = std::size_t{1} << 22U;
    const std::size_t rows = tensor.shape[0];
    const std::size_t columns = tensor.shape[1];
    Matrix<float> part;
    writer.writeFloatParts(tensor.name, [&](std::size_t done) {
        m_context.checkStop();
        const std::size_t first = done / columns;
        part.reshape(std::min(rows - first, std::max<std::size_t>(1, partElements / columns)), columns);
        m_model.readRows(table, first, part.rows(), part.view());
        return std::as_const(part).span();
    });
}

Matrix<float> ExportedWeights::joined(const std::vector<const LinearInfo*>& parts, bool transposed)
{
    std::vector<Matrix<float>> weights;
    std::size_t rows = 0;
    for (const LinearInfo* part : parts) {
        rows += part->shape.rows;
        const auto* stored = std::get_if<DenseWeights>(&linear(*part).form);
        weights.push_back(stored ? stored->W : dense(linear(*part)));
    }
    if (parts.size() == 1 && !transposed)
        return std::move(weights.front());
    const std::size_t columns = parts.front()->shape.columns;
    Matrix<float> result = transposed ? Matrix<float>(columns, rows) : Matrix<float>(rows, columns);
    std::size_t first = 0;
    for (const Matrix<float>& W : weights) {
        for (std::size_t row = 0; row < W.rows(); ++row)
            for (std::size_t column = 0; column < columns; ++column)
                (transposed ? result(column, first + row) : result(first + row, column)) = W(row, column);
        first += W.rows();
    }
    return result;
}

Matrix<float> ExportedWeights::dense(const LinearWeights& weights) const
{
    // Fixed parts, so that the bytes do not depend on the number of threads.
    constexpr std::size_t partRows = 512;
    const LinearShape shape = weights.shape();
    const std::size_t threads = effectiveThreads({.threads = m_options.threads, .memoryLimit = 0, .scratchFolder = {}});
    Matrix<float> W(shape.rows, shape.columns);
    parallelFor((shape.rows + partRows - 1) / partRows, threads, [&](std::size_t index, std::size_t) {
        const std::size_t first = index * partRows;
        const std::size_t count = std::min(partRows, shape.rows - first);
        const Matrix<double> part = expandLinear(m_device, rowsOf(weights, first, count));
        std::transform(part.data(), part.data() + part.size(), W.row(first),
                       [](double value) { return static_cast<float>(value); });
    });
    return W;
}

} // namespace rankwright
