#pragma once

#include "core/model/backward.h"
#include "core/structure/linear_gradients.h"
#include "core/training/adam.h"

#include <array>
#include <memory>
#include <span>
#include <vector>

namespace rankwright {

class TrainedBlock;

/// The gradient with respect to the trained values of a block.
class BlockGradients
{
public:
    explicit BlockGradients(const TrainedBlock& block);

    void clear();
    void add(BlockGradients& other);
    bool finite();
    /// Adds the gradients of a linear from what the backward pass shows; nothing for linears that are not trained.
    void addLinear(const Device& device, const TrainedBlock& block, Role role, ConstMatrixView<float> X,
                   ConstMatrixView<float> dY);

private:
    friend class TrainedBlock;
    std::vector<std::span<float>> values(std::size_t role) { return trainedValues(m_linears[role]); }

    std::array<LinearWeights, roleCount> m_linears; ///< by role; without values where not trained
    LinearGradientScratch m_scratch;
};

/// The weights of one block whose factors are trained; float32 masters, whatever they are stored as.
class TrainedBlock
{
public:
    /// Trains the linears of `start` with these roles that have factors of their own, which are balanced first. Linears
    /// that share latents stay as they are.
    TrainedBlock(const BlockWeights& start, std::span<const Role> roles);

    /// Lives with this object and follows its steps.
    const BlockWeights& weights() const { return m_weights; }
    bool trains(Role role) const { return m_trained[static_cast<std::size_t>(role)] != nullptr; }
    const LinearWeights& linear(Role role) const { return *m_trained[static_cast<std::size_t>(role)]; }
    /// Number of trained values.
    std::size_t size() const { return m_size; }
    /// All trained values, in the order of the roles.
    AlignedVector<float> values() const;
    /// Throws Error(Internal) for another number of values.
    void setValues(std::span<const float> values);
    /// One step of AdamW; counts state.steps up.
    void step(BlockGradients& gradients, AdamState& state, double rate, double decay);

private:
    friend class BlockGradients;
    BlockWeights m_weights;
    std::array<std::shared_ptr<LinearWeights>, roleCount> m_trained;
    std::size_t m_size = 0;
};

} // namespace rankwright
