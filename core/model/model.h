#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/model/config.h"
#include "core/model/role.h"
#include "core/structure/linear_weights.h"
#include "core/tokenizer/tokenizer.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// One linear of the model, as the checkpoint holds it.
struct LinearInfo
{
    std::size_t index = 0; ///< position in Model::linears()
    std::string name;      ///< "model.layers.0.self_attn.q_proj" (see linearName())
    std::size_t block = 0;
    Role role = Role::Q;
    std::size_t tap = 0; ///< position in Model::taps()
    LinearShape shape;
    DType dtype = DType::F32;                       ///< of the stored weights
    StructureKind structure = StructureKind::Dense; ///< not Dense in exports of Rankwright
    std::size_t rank = 0;                           ///< min(m, n) where dense
    std::size_t entries = 0;                        ///< of a sparse S beside the factors

    StoredRank stored() const { return {.structure = structure, .rank = rank, .entries = entries}; }
};

/// One input site of one block.
struct TapInfo
{
    std::size_t index = 0; ///< block * siteCount + site
    std::size_t block = 0;
    TapSite site = TapSite::AttentionInput;
    std::size_t width = 0;            ///< n, the channels of the input
    std::vector<std::size_t> linears; ///< positions in Model::linears()
    std::string name;                 ///< "model.layers.0.attentionInput"
};

/// The weights of a norm.
struct NormWeights
{
    std::vector<float> weight;
    std::vector<float> bias; ///< empty for NormKind::RootMeanSquare
};

/// The weights of one block, ready to run.
struct BlockWeights
{
    NormWeights attentionNorm;
    NormWeights mlpNorm;
    std::vector<float> queryNorm;                                        ///< headWidth weights, or empty
    std::vector<float> keyNorm;                                          ///< headWidth weights, or empty
    std::array<std::shared_ptr<const LinearWeights>, roleCount> linears; ///< by Role; null where blocks have none

    const LinearWeights& linear(Role role) const { return *linears[static_cast<std::size_t>(role)]; }
    std::size_t bytes() const;
};

/// Replaces linears of a model: returns the weights to run instead, or null to keep the checkpoint's.
using LinearSource = std::function<std::shared_ptr<const LinearWeights>(const LinearInfo&)>;

/// Tables that have a row of hiddenSize values per token or position.
enum class RowTable { Embedding, Positions, Head };

/// A decoder over a checkpoint. Nothing is loaded until asked for; copies share the files.
class Model
{
public:
    /// MODEL as in the command line. Checks names, shapes and dtypes of every tensor against the configuration.
    /// Throws Error naming file and tensor.
    static Model open(const std::filesystem::path& path);

    const Checkpoint& checkpoint() const;
    const ModelConfig& config() const;
    /// By block, then by role; every block has the same roles.
    const std::vector<LinearInfo>& linears() const;
    std::span<const LinearInfo> linears(std::size_t block) const;
    const std::vector<TapInfo>& taps() const;
    /// Throws Error(NotFound) naming the nearest linear.
    const LinearInfo& linear(std::string_view name) const;
    /// Throws Error(NotFound) where blocks have no such linear.
    const LinearInfo& linear(std::size_t block, Role role) const;
    /// Whose A a linear uses that shares its latents: the first linear of the same input.
    const LinearInfo& latentOwner(const LinearInfo& info) const;
    /// Opened at the first call. Throws if the model has none.
    std::shared_ptr<const Tokenizer> tokenizer() const;
    /// Stored parameters of all tensors; a tied head counts once.
    std::size_t parameterCount() const;
    /// Stored parameters of all linears.
    std::size_t linearParameterCount() const;

    /// The same model with some linears replaced when blocks are brought in. One with shared latents and no owner gets
    /// what replaces latentOwner().
    Model withLinears(LinearSource source) const;
    /// Whether withLinears() was used.
    bool hasReplacedLinears() const { return static_cast<bool>(m_source); }

    /// One linear as the checkpoint stores it (replacements are not looked at).
    LinearWeights readLinear(const LinearInfo& info) const;
    /// W in float32 (m x n), the product of the factors where it is stored in factors.
    Matrix<float> readDense(const LinearInfo& info) const;

    /// Brings in the weights of a block; file pages are released afterwards.
    std::shared_ptr<const BlockWeights> loadBlock(std::size_t block) const;
    /// hidden.row(t) = embedding of ids[t], and the learned position first + t added where the model has such. Throws
    /// Error(InvalidArgument) for an id outside the vocabulary or a position behind the table.
    void embed(std::span<const std::int32_t> ids, MatrixView<float> hidden, std::size_t first = 0) const;
    NormWeights finalNorm() const;
    /// Rows [first, first + count) of a table of the model into target, as they are stored: a table of positions may
    /// begin with rows of no position (Architecture::positionOffset). Pages are released.
    void readRows(RowTable table, std::size_t first, std::size_t count, MatrixView<float> target) const;

    /// Throws Error(NonFinite) naming the first tensor that holds NaN or infinity. Streams through the files once and
    /// remembers the result.
    void requireFinite() const;

private:
    struct Shared;
    std::shared_ptr<const Shared> m_shared;
    LinearSource m_source;
};

} // namespace rankwright
