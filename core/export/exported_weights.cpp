#include "core/export/exported_weights.h"

#include "core/base/parallel.h"
#include "core/model/tensor_names.h"

#include <algorithm>
#include <fmt/format.h>
#include <malloc.h>

namespace rankwright {

namespace {

/// Rows [first, first + count) of a linear, without bias.
LinearWeights rowsOf(const LinearWeights& weights, std::size_t first, std::size_t count)
{
    const auto rows = [&](const Matrix<float>& B) {
        Matrix<float> part(count, B.columns());
        std::copy_n(B.row(first), part.size(), part.data());
        return part;
    };
    if (const auto* dense = std::get_if<DenseWeights>(&weights.form))
        return {DenseWeights{rows(dense->W)}, {}};
    if (const auto* factors = std::get_if<FactorWeights>(&weights.form))
        return {FactorWeights{rows(factors->B), factors->A}, {}};
    const auto& identity = std::get<BlockIdentityWeights>(weights.form);
    return {BlockIdentityWeights{rows(identity.B), identity.A2, identity.pivots, identity.rest}, {}};
}

/// An identity over all columns is the dense W = B.
bool writtenDense(const LinearWeights& weights, ExportFormat format)
{
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
    , m_stockBiases{model.config().attentionBias, model.config().mlpBias}
    , m_hasBias(model.linears().size())
{
    const ModelConfig& config = model.config();
    const TensorNames names(CheckpointFormat::Safetensors);
    using Part = Source::Part;
    plan(names.embedding(), options.dtype, {config.vocabularySize, config.hiddenSize}, {.part = Part::Embedding});
    for (std::size_t index = 0; index < config.blocks; ++index) {
        context.checkStop();
        context.report("export", fmt::format("reading block {} of {}", index + 1, config.blocks), index, config.blocks);
        planBlock(index);
    }
    plan(names.finalNorm(), options.dtype, {config.hiddenSize}, {.part = Part::FinalNorm});
    if (!config.tiedHead)
        plan(names.head(), options.dtype, {config.vocabularySize, config.hiddenSize}, {.part = Part::Head});
    if (options.format == ExportFormat::Dense)
        planZeroBiases();
    m_parameters.denseModel = m_parameters.model - m_parameters.linears + m_parameters.denseLinears;
}

void ExportedWeights::plan(const std::string& name, DType dtype, std::vector<std::size_t> shape, const Source& source)
{
    m_plans.push_back({name, dtype, std::move(shape)});
    if (source.part != Source::Part::Pivots) {
        std::size_t elements = 1;
        for (const std::size_t dimension : m_plans.back().shape)
            elements *= dimension;
        m_parameters.model += elements;
    }
    m_sources.emplace(name, source);
}

void ExportedWeights::planBlock(std::size_t index)
{
    const TensorNames names(CheckpointFormat::Safetensors);
    const std::size_t width = m_model.config().hiddenSize;
    plan(names.attentionNorm(index), m_options.dtype, {width}, {.part = Source::Part::AttentionNorm, .block = index});
    plan(names.mlpNorm(index), m_options.dtype, {width}, {.part = Source::Part::MlpNorm, .block = index});
    const BlockWeights& weights = block(index);
    for (std::size_t role = 0; role < roleCount; ++role)
        planLinear(index, m_model.linear(index, static_cast<Role>(role)), *weights.linears.at(role));
}

void ExportedWeights::planLinear(std::size_t index, const LinearInfo& info, const LinearWeights& weights)
{
    using Part = Source::Part;
    const LinearShape shape = weights.shape();
    const std::size_t rank = weights.rank();
    const auto add = [&](const char* suffix, DType dtype, std::vector<std::size_t> dimensions, Part part) {
        plan(info.name + suffix, dtype, std::move(dimensions), {.part = part, .block = index, .role = info.role});
    };
    m_parameters.denseLinears += shape.parameters();
    const bool hasBias = !weights.bias.empty();
    const bool ownBias = m_options.format == ExportFormat::Factored && hasBias != m_stockBiases.of(info.role);
    m_hasBias[info.index] = hasBias;
    if (writtenDense(weights, m_options.format)) {
        m_parameters.linears += shape.parameters();
        add(".weight", m_options.dtype, {shape.rows, shape.columns}, Part::Weight);
        if (hasBias)
            add(".bias", m_options.dtype, {shape.rows}, Part::Bias);
        if (ownBias)
            m_structures[info.name] = {{"structure", structureName(StructureKind::Dense)}, {"bias", hasBias}};
        return;
    }
    m_parameters.linears += weights.parameters();
    m_structures[info.name] = {{"structure", structureName(weights.structure())}, {"rank", rank}};
    if (ownBias)
        m_structures[info.name]["bias"] = hasBias;
    add(".B.weight", m_options.dtype, {shape.rows, rank}, Part::B);
    if (hasBias)
        add(".B.bias", m_options.dtype, {shape.rows}, Part::Bias);
    if (const auto* identity = std::get_if<BlockIdentityWeights>(&weights.form)) {
        add(".A2.weight", m_options.dtype, {rank, shape.columns - rank}, Part::A2);
        add(".pivots", DType::I32, {rank}, Part::Pivots);
        // Kept, because a file of a narrower dtype has all pivots first: no block is brought in for them again.
        m_pivots.emplace(info.name + ".pivots",
                         std::vector<std::int32_t>(identity->pivots.begin(), identity->pivots.end()));
    } else {
        add(".A.weight", m_options.dtype, {rank, shape.columns}, Part::A);
    }
}

void ExportedWeights::planZeroBiases()
{
    for (const LinearInfo& info : m_model.linears()) {
        if (m_hasBias[info.index])
            (info.role <= Role::O ? m_stockBiases.attention : m_stockBiases.mlp) = true;
    }
    for (const LinearInfo& info : m_model.linears()) {
        if (!m_hasBias[info.index] && m_stockBiases.of(info.role))
            plan(info.name + ".bias", m_options.dtype, {info.shape.rows}, {.part = Source::Part::ZeroBias});
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
                [this](const TensorPlan& tensor, SafetensorsWriter& writer) { fill(tensor, writer); });
    m_block.reset();
}

void ExportedWeights::fill(const TensorPlan& tensor, SafetensorsWriter& writer)
{
    using Part = Source::Part;
    m_context.checkStop();
    m_context.report("export", tensor.name, m_written++, m_plans.size());
    const Source& source = m_sources.at(tensor.name);
    const auto linear = [&]() -> const LinearWeights& { return block(source.block).linear(source.role); };
    const auto factors = [&]() -> const FactorWeights& { return std::get<FactorWeights>(linear().form); };
    const auto identity = [&]() -> const BlockIdentityWeights& {
        return std::get<BlockIdentityWeights>(linear().form);
    };
    switch (source.part) {
    case Part::Embedding:
    case Part::Head:
        fillRows(tensor, source.part == Part::Head, writer);
        break;
    case Part::FinalNorm:
        writer.writeFloats(tensor.name, m_model.finalNorm());
        break;
    case Part::AttentionNorm:
        writer.writeFloats(tensor.name, block(source.block).attentionNorm);
        break;
    case Part::MlpNorm:
        writer.writeFloats(tensor.name, block(source.block).mlpNorm);
        break;
    case Part::Weight:
        if (const auto* stored = std::get_if<DenseWeights>(&linear().form)) {
            writer.writeFloats(tensor.name, stored->W.span());
        } else {
            const Matrix<float> W = dense(linear());
            writer.writeFloats(tensor.name, W.span());
        }
        break;
    case Part::B:
        writer.writeFloats(tensor.name,
                           linear().structure() == StructureKind::Factors ? factors().B.span() : identity().B.span());
        break;
    case Part::A:
        writer.writeFloats(tensor.name, factors().A.span());
        break;
    case Part::A2:
        writer.writeFloats(tensor.name, identity().A2.span());
        break;
    case Part::Pivots:
        writer.writeIntegers(tensor.name, m_pivots.at(tensor.name));
        break;
    case Part::Bias:
        writer.writeFloats(tensor.name, linear().bias);
        break;
    case Part::ZeroBias:
        writer.writeFloats(tensor.name, std::vector<float>(tensor.shape[0]));
        break;
    }
}

void ExportedWeights::fillRows(const TensorPlan& tensor, bool head, SafetensorsWriter& writer) const
{
    constexpr std::size_t partElements = std::size_t{1} << 22U;
    const std::size_t rows = tensor.shape[0];
    const std::size_t columns = tensor.shape[1];
    const TensorNames names(m_model.checkpoint().format());
    const TensorInfo& embedding = m_model.checkpoint().at(names.embedding());
    Matrix<float> part;
    std::vector<std::int32_t> ids;
    writer.writeFloatParts(tensor.name, [&](std::size_t done) {
        m_context.checkStop();
        const std::size_t first = done / columns;
        part.reshape(std::min(rows - first, std::max<std::size_t>(1, partElements / columns)), columns);
        if (head) {
            m_model.readHead(first, part.rows(), part.view());
        } else {
            ids.resize(part.rows());
            for (std::size_t row = 0; row < ids.size(); ++row)
                ids[row] = static_cast<std::int32_t>(first + row);
            m_model.embed(ids, part.view());
            m_model.checkpoint().release(embedding);
        }
        return std::as_const(part).span();
    });
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
