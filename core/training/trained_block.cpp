#include "core/training/trained_block.h"

#include "core/base/error.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright {

BlockGradients::BlockGradients(const TrainedBlock& block)
{
    for (std::size_t role = 0; role < roleCount; ++role)
        if (block.m_trained[role])
            m_linears[role] = *block.m_trained[role];
    clear();
}

void BlockGradients::clear()
{
    for (std::size_t role = 0; role < roleCount; ++role)
        for (const std::span<float> part : values(role))
            std::ranges::fill(part, 0.0F);
}

void BlockGradients::add(BlockGradients& other)
{
    for (std::size_t role = 0; role < roleCount; ++role) {
        const std::vector<std::span<float>> own = values(role);
        const std::vector<std::span<float>> more = other.values(role);
        for (std::size_t part = 0; part < own.size(); ++part)
            addTo(more[part], own[part]);
    }
}

bool BlockGradients::finite()
{
    for (std::size_t role = 0; role < roleCount; ++role)
        for (const std::span<float> part : values(role))
            if (!allFinite(std::span<const float>(part)))
                return false;
    return true;
}

void BlockGradients::addLinear(const Device& device, const TrainedBlock& block, Role role, ConstMatrixView<float> X,
                               ConstMatrixView<float> dY)
{
    if (block.trains(role))
        addLinearGradients(device, block.linear(role), X, dY, m_linears[static_cast<std::size_t>(role)], m_scratch);
}

namespace {

/// Whether a linear reads the latents of another, or another reads its own: they would have to be trained as one.
bool sharesLatents(const BlockWeights& block, const LinearWeights& linear)
{
    return linear.structure() == StructureKind::SharedLatent ||
           std::ranges::any_of(block.linears, [&](const std::shared_ptr<const LinearWeights>& other) {
               const auto* shared = other ? std::get_if<SharedLatentWeights>(&other->form) : nullptr;
               return shared != nullptr && shared->owner.get() == &linear;
           });
}

} // namespace

TrainedBlock::TrainedBlock(const BlockWeights& start, std::span<const Role> roles)
    : m_weights(start)
{
    for (const Role role : roles) {
        const auto index = static_cast<std::size_t>(role);
        if (!start.linears[index] || start.linears[index]->structure() == StructureKind::Dense ||
            sharesLatents(start, *start.linears[index]))
            continue;
        m_trained[index] = std::make_shared<LinearWeights>(*start.linears[index]);
        balanceFactors(*m_trained[index]);
        m_weights.linears[index] = m_trained[index];
        for (const std::span<float> part : trainedValues(*m_trained[index]))
            m_size += part.size();
    }
}

AlignedVector<float> TrainedBlock::values() const
{
    AlignedVector<float> result;
    result.reserve(m_size);
    for (const std::shared_ptr<LinearWeights>& linear : m_trained)
        if (linear)
            for (const std::span<float> part : trainedValues(*linear))
                result.insert(result.end(), part.begin(), part.end());
    return result;
}

void TrainedBlock::setValues(std::span<const float> values)
{
    if (values.size() != m_size)
        throw Error(ErrorKind::Internal, fmt::format("{} values for {} trained ones", values.size(), m_size));
    for (const std::shared_ptr<LinearWeights>& linear : m_trained)
        if (linear)
            for (const std::span<float> part : trainedValues(*linear)) {
                std::ranges::copy(values.first(part.size()), part.begin());
                values = values.subspan(part.size());
            }
}

void TrainedBlock::step(BlockGradients& gradients, AdamState& state, double rate, double decay)
{
    ++state.steps;
    std::size_t offset = 0;
    for (std::size_t role = 0; role < roleCount; ++role) {
        if (!m_trained[role])
            continue;
        const std::vector<std::span<float>> parts = trainedValues(*m_trained[role]);
        const std::vector<std::span<float>> gradient = gradients.values(role);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            // A bias and the values of S (the later parts) do not decay: they have no product to keep small.
            adamStep(state, offset, parts[i], gradient[i], rate, i < 2 ? decay : 0.0);
            offset += parts[i].size();
        }
    }
}

} // namespace rankwright
