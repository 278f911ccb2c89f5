#include "core/model/model.h"

#include "core/base/error.h"
#include "core/base/nearest_name.h"
#include "core/checkpoint/gguf.h"
#include "core/compute/elementwise.h"
#include "core/model/architecture.h"
#include "core/model/gguf_vocabulary.h"
#include "core/model/layout.h"
#include "core/model/linear_reader.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <utility>

namespace rankwright {

struct Model::Shared
{
    Shared(Checkpoint openedCheckpoint, ModelConfig readConfig, ModelLayout madeLayout)
        : checkpoint(std::move(openedCheckpoint))
        , config(std::move(readConfig))
        , layout(std::move(madeLayout))
    {}

    Checkpoint checkpoint;
    ModelConfig config;
    ModelLayout layout;

    mutable std::mutex mutex;
    mutable std::shared_ptr<const Tokenizer> tokenizer;
    mutable bool finiteKnown = false;
    mutable std::optional<std::string> nonFinite;

    ErrorContext where(const TensorInfo& tensor) const
    {
        return {.file = checkpoint.files().at(tensor.file), .tensor = tensor.name};
    }

    std::vector<float> readVector(const TensorInfo& tensor) const
    {
        std::vector<float> values = checkpoint.readVector(tensor);
        requireFiniteValues(checkpoint, tensor, values);
        return values;
    }

    NormWeights readNorm(const NormTensors& tensors) const
    {
        return {readVector(*tensors.weight), tensors.bias ? readVector(*tensors.bias) : std::vector<float>()};
    }

    const TensorInfo& table(RowTable which) const
    {
        switch (which) {
        case RowTable::Embedding:
            return *layout.embedding;
        case RowTable::Positions:
            return *layout.positions;
        case RowTable::Head:
            break;
        }
        return *layout.head;
    }
};

Model Model::open(const std::filesystem::path& path)
{
    Checkpoint checkpoint = Checkpoint::open(path);
    ModelConfig config = readModelConfig(checkpoint);
    ModelLayout layout = makeLayout(checkpoint, config);
    auto shared = std::make_shared<Shared>(std::move(checkpoint), std::move(config), std::move(layout));
    Model model;
    model.m_shared = std::move(shared);
    return model;
}

const Checkpoint& Model::checkpoint() const
{
    return m_shared->checkpoint;
}

const ModelConfig& Model::config() const
{
    return m_shared->config;
}

const std::vector<LinearInfo>& Model::linears() const
{
    return m_shared->layout.linears;
}

std::span<const LinearInfo> Model::linears(std::size_t block) const
{
    const std::size_t count = linears().size() / config().blocks;
    return std::span(linears()).subspan(block * count, count);
}

const std::vector<TapInfo>& Model::taps() const
{
    return m_shared->layout.taps;
}

const LinearInfo& Model::linear(std::string_view name) const
{
    const auto found =
        std::find_if(linears().begin(), linears().end(), [name](const LinearInfo& info) { return info.name == name; });
    if (found != linears().end())
        return *found;
    std::vector<std::string_view> names;
    for (const LinearInfo& info : linears())
        names.emplace_back(info.name);
    throw Error(ErrorKind::NotFound,
                fmt::format("there is no linear \"{}\"; the nearest name is {}", name, nearestName(name, names)),
                {.file = checkpoint().path()});
}

const LinearInfo& Model::linear(std::size_t block, Role role) const
{
    const std::span<const LinearInfo> candidates = linears(block);
    const auto found = std::ranges::find(candidates, role, &LinearInfo::role);
    if (found == candidates.end())
        throw Error(
            ErrorKind::NotFound,
            fmt::format("blocks of the architecture {} have no linear \"{}\"", config().architecture, roleName(role)),
            {.file = checkpoint().path()});
    return *found;
}

std::shared_ptr<const Tokenizer> Model::tokenizer() const
{
    const std::lock_guard lock(m_shared->mutex);
    if (!m_shared->tokenizer) {
        if (const GgufFile* gguf = checkpoint().gguf())
            m_shared->tokenizer = Tokenizer::fromGguf(readGgufVocabulary(*gguf, checkpoint().files().front()),
                                                      checkpoint().files().front());
        else
            m_shared->tokenizer = Tokenizer::open(checkpoint().folder());
    }
    return m_shared->tokenizer;
}

std::size_t Model::parameterCount() const
{
    return m_shared->layout.parameters;
}

std::size_t Model::linearParameterCount() const
{
    return m_shared->layout.linearParameters;
}

Model Model::withLinears(LinearSource source) const
{
    Model model = *this;
    model.m_source = std::move(source);
    return model;
}

LinearWeights Model::readLinear(const LinearInfo& info) const
{
    LinearWeights weights = readLinearWeights(checkpoint(), info, m_shared->layout.linearTensors.at(info.index));
    if (auto* shared = std::get_if<SharedLatentWeights>(&weights.form))
        shared->owner = std::make_shared<const LinearWeights>(readLinear(latentOwner(info)));
    return weights;
}

const LinearInfo& Model::latentOwner(const LinearInfo& info) const
{
    return linears().at(taps().at(info.tap).linears.front());
}

Matrix<float> Model::readDense(const LinearInfo& info) const
{
    return denseProduct(readLinear(info));
}

std::shared_ptr<const BlockWeights> Model::loadBlock(std::size_t block) const
{
    auto weights = std::make_shared<BlockWeights>();
    weights->attentionNorm = m_shared->readNorm(m_shared->layout.attentionNorms.at(block));
    weights->mlpNorm = m_shared->readNorm(m_shared->layout.mlpNorms.at(block));
    if (config().queryKeyNorm) {
        weights->queryNorm = m_shared->readVector(*m_shared->layout.queryNorms.at(block));
        weights->keyNorm = m_shared->readVector(*m_shared->layout.keyNorms.at(block));
    }
    std::array<bool, roleCount> replaced{};
    for (const LinearInfo& info : linears(block)) {
        const auto role = static_cast<std::size_t>(info.role);
        std::shared_ptr<const LinearWeights> linear = m_source ? m_source(info) : nullptr;
        replaced.at(role) = linear != nullptr;
        if (!linear)
            linear = std::make_shared<const LinearWeights>(
                readLinearWeights(checkpoint(), info, m_shared->layout.linearTensors.at(info.index)));
        const auto* shared = std::get_if<SharedLatentWeights>(&linear->form);
        if (shared != nullptr && !shared->owner) {
            const auto owner = static_cast<std::size_t>(latentOwner(info).role);
            LinearWeights linked = *linear;
            // What the checkpoint shares are the latents of its own linear, whatever has taken that one's place.
            if (replaced.at(role) == replaced.at(owner))
                std::get<SharedLatentWeights>(linked.form).owner = weights->linears.at(owner);
            else
                linked = withOwnLatents(readLinear(info));
            linear = std::make_shared<const LinearWeights>(std::move(linked));
        }
        if (linear->shape() != info.shape)
            throw Error(ErrorKind::Mismatch,
                        fmt::format("a replacement of {} x {} for the {} x {} linear {}", linear->shape().rows,
                                    linear->shape().columns, info.shape.rows, info.shape.columns, info.name));
        weights->linears.at(role) = std::move(linear);
    }
    return weights;
}

std::size_t BlockWeights::bytes() const
{
    std::size_t sum = 0;
    for (const NormWeights* norm : {&attentionNorm, &mlpNorm})
        sum += (norm->weight.size() + norm->bias.size()) * sizeof(float);
    sum += (queryNorm.size() + keyNorm.size()) * sizeof(float);
    for (const std::shared_ptr<const LinearWeights>& linear : linears)
        sum += linear ? linear->bytes() : 0;
    return sum;
}

void Model::embed(std::span<const std::int32_t> ids, MatrixView<float> hidden, std::size_t first) const
{
    const TensorInfo& tensor = *m_shared->layout.embedding;
    for (std::size_t t = 0; t < ids.size(); ++t) {
        if (ids[t] < 0 || static_cast<std::size_t>(ids[t]) >= config().vocabularySize)
            throw Error(ErrorKind::InvalidArgument,
                        fmt::format("token {} lies outside the vocabulary of {}", ids[t], config().vocabularySize),
                        {.file = checkpoint().path()});
        checkpoint().readRows(tensor, static_cast<std::size_t>(ids[t]), 1, hidden.rowRange(t, 1));
        requireFiniteValues(checkpoint(), tensor, hidden.rowSpan(t));
    }
    if (config().positions != PositionKind::Learned)
        return;
    if (first + ids.size() > config().contextLength)
        throw Error(
            ErrorKind::InvalidArgument,
            fmt::format("position {} lies behind the {} learned ones", first + ids.size() - 1, config().contextLength),
            {.file = checkpoint().path()});
    Matrix<float> positions(ids.size(), hidden.columns);
    readRows(RowTable::Positions, architectureOf(config()).positionOffset + first, ids.size(), positions.view());
    for (std::size_t t = 0; t < ids.size(); ++t)
        addTo(std::as_const(positions).view().rowSpan(t), hidden.rowSpan(t));
}

NormWeights Model::finalNorm() const
{
    return m_shared->readNorm(m_shared->layout.finalNorm);
}

void Model::readRows(RowTable table, std::size_t first, std::size_t count, MatrixView<float> target) const
{
    // In parts, so that the pages of a large table do not all count as resident at once.
    constexpr std::size_t part = 4096;
    const TensorInfo& tensor = m_shared->table(table);
    for (std::size_t done = 0; done < count; done += part) {
        const MatrixView<float> rows = target.rowRange(done, std::min(part, count - done));
        checkpoint().readRows(tensor, first + done, rows.rows, rows);
        checkpoint().release(tensor);
        for (std::size_t row = 0; row < rows.rows; ++row)
            requireFiniteValues(checkpoint(), tensor, rows.rowSpan(row));
    }
}

void Model::requireFinite() const
{
    const std::lock_guard lock(m_shared->mutex);
    if (!m_shared->finiteKnown) {
        m_shared->nonFinite = firstNonFiniteTensor(checkpoint());
        m_shared->finiteKnown = true;
    }
    if (m_shared->nonFinite)
        checkFinite(checkpoint(), checkpoint().at(*m_shared->nonFinite));
}

} // namespace rankwright
