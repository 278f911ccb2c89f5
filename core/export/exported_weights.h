#pragma once

#include "core/checkpoint/safetensors_writer.h"
#include "core/export/export.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace rankwright {

/// Size of the written weights, beside the parameters of the same architecture with every linear dense.
struct ExportedParameters
{
    std::size_t linears = 0;
    std::size_t denseLinears = 0;
    std::size_t model = 0; ///< linears, their biases, embedding, norms and head; a tied head counts once
    std::size_t denseModel = 0;
    std::size_t bytes = 0; ///< of all tensors, indices too
};

/// The tensors of an export: planned from one pass over the blocks, then written block by block.
class ExportedWeights
{
public:
    /// Brings every block in once. All arguments must outlive the object. Throws Error(Unsupported) for biases that the
    /// stock classes of the dense format cannot have.
    ExportedWeights(const Model& model, const Device& device, const ExportOptions& options, const TaskContext& context);

    /// {"model.layers.0.self_attn.q_proj": {"structure": "factors", "rank": 12, "bias": true}, ...} of the linears that
    /// are not what the stock classes have there: those in factors, and with structure "dense" those with a bias of
    /// their own or of a fused tensor (GPT-2's c_attn) of which another is in factors. "bias" is left out where it is
    /// as in the stock classes.
    const Json& structures() const { return m_structures; }
    /// The model's configuration with the biases that the stock classes have. In the dense format a bias of one linear
    /// makes all of its kind have one, of zeros where there was none, and another architecture may be the one that has
    /// it, see stockConfigWith().
    const ModelConfig& stockConfig() const { return m_stock; }
    /// Linears in factors.
    std::size_t factored() const { return m_factored; }
    const ExportedParameters& parameters() const { return m_parameters; }

    /// Tensors of `folder`: names and layout of Hugging Face; factors as NAME.B.weight (m x r), NAME.A.weight (r x n)
    /// and NAME.B.bias, with a block identity NAME.A2.weight (r x (n - r)) and NAME.pivots (I32), with shared latents
    /// NAME.B.weight alone; a sparse S beside factors as NAME.S.values (k), NAME.S.columns (k) and NAME.S.counts (m
    /// entries per row), integers in indexType().
    void write(const std::filesystem::path& folder);

private:
    /// Writes the values of a tensor.
    using Fill = std::function<void(const TensorPlan& tensor, SafetensorsWriter& writer)>;

    void plan(const std::string& name, DType dtype, std::vector<std::size_t> shape, Fill fill);
    /// A tensor of one dimension; `values` is asked for them when it is written.
    void planVector(const std::string& name, std::size_t size, std::function<std::vector<float>()> values);
    /// Indices are kept until they are written: files have tensors by the size of their elements, so that no block is
    /// brought in for its indices again.
    void planIndices(const std::string& name, DType dtype, std::vector<std::int32_t> indices);
    void planTable(const std::string& name, RowTable table, std::size_t rows);
    void planNorm(const std::string& name, const std::function<NormWeights()>& norm);
    void planBlock(std::size_t block);
    void planFactors(const LinearInfo& info, const LinearWeights& weights);
    /// The entry of the table.
    void list(const LinearInfo& info, const LinearWeights& weights);
    void planZeroBiases();
    /// Linears under one another in NAME.weight and NAME.bias, as columns where transposed. A bias that some lack is of
    /// zeros there.
    void planDense(const std::string& name, const std::vector<const LinearInfo*>& parts, bool transposed);
    const BlockWeights& block(std::size_t index);
    const LinearWeights& linear(const LinearInfo& info) { return block(info.block).linear(info.role); }
    void fillRows(const TensorPlan& tensor, RowTable table, SafetensorsWriter& writer) const;
    /// The product of the factors.
    Matrix<float> dense(const LinearWeights& weights) const;
    /// The weights of planDense().
    Matrix<float> joined(const std::vector<const LinearInfo*>& parts, bool transposed);

    const Model& m_model;
    const Device& m_device;
    const ExportOptions& m_options;
    const TaskContext& m_context;
    std::vector<TensorPlan> m_plans;
    std::map<std::string, Fill> m_fills;
    Json m_structures = Json::object();
    std::size_t m_factored = 0;
    ModelConfig m_stock;
    std::vector<bool> m_hasBias; ///< by linear
    ExportedParameters m_parameters;
    std::shared_ptr<const BlockWeights> m_block;
    std::size_t m_blockIndex = 0;
    std::size_t m_written = 0;
};

} // namespace rankwright
