#include "core/model/model.h"

#include "core/base/error.h"
#include "core/base/nearest_name.h"
#include "core/checkpoint/gguf.h"
#include "core/model/gguf_vocabulary.h"
#include "core/model/layout.h"
#include "core/model/linear_reader.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <optional>

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

    std::vector<float> readNorm(const TensorInfo& tensor) const
    {
        std::vector<float> values = checkpoint.readVector(tensor);
        requireFiniteValues(checkpoint, tensor, values);
        return values;
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
    return linears().at(block * roleCount + static_cast<std::size_t>(role));
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
    return readLinearWeights(checkpoint(), info, m_shared->layout.linearTensors.at(info.index));
}

Matrix<float> Model::readDense(const LinearInfo& info) const
{
    return denseProduct(readLinear(info));
}

std::shared_ptr<const BlockWeights> Model::loadBlock(std::size_t block) const
{
    auto weights = std::make_shared<BlockWeights>();
    weights->attentionNorm = m_shared->readNorm(*m_shared->layout.attentionNorms.at(block));
    weights->mlpNorm = m_shared->readNorm(*m_shared->layout.mlpNorms.at(block));
    for (std::size_t role = 0; role < roleCount; ++role) {
        const LinearInfo& info = linear(block, static_cast<Role>(role));
        std::shared_ptr<const LinearWeights> linear = m_source ? m_source(info) : nullptr;
        if (!linear)
            linear = std::make_shared<const LinearWeights>(readLinear(info));
        else if (linear->shape() != info.shape)
            throw Error(ErrorKind::Mismatch,
                        fmt::format("a replacement of {} x {} for the {} x {} linear {}", linear->shape().rows,
                                    linear->shape().columns, info.shape.rows, info.shape.columns, info.name));
        weights->linears.at(role) = std::move(linear);
    }
    return weights;
}

std::size_t BlockWeights::bytes() const
{
    std::size_t sum = (attentionNorm.size() + mlpNorm.size()) * sizeof(float);
    for (const std::shared_ptr<const LinearWeights>& linear : linears)
        sum += linear->bytes();
    return sum;
}

void Model::embed(std::span<const std::int32_t> ids, MatrixView<float> hidden) const
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
}

std::vector<float> Model::finalNorm() const
{
    return m_shared->readNorm(*m_shared->layout.finalNorm);
}

void Model::readHead(std::size_t first, std::size_t count, MatrixView<float> target) const
{
    // In parts, so that the pages of a large head do not all count as resident at once.
    constexpr std::size_t part = 4096;
    const TensorInfo& tensor = *m_shared->layout.head;
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
