#pragma once

#include "core/checkpoint/safetensors_writer.h"
#include "core/export/export.h"

#include <cstdint>
#include <map>
#include <memory>

namespace rankwright {

/// Parameters of the written weights beside those of the same architecture with every linear dense.
struct ExportedParameters
{
    std::size_t linears = 0;
    std::size_t denseLinears = 0;
    std::size_t model = 0; ///< linears, their biases, embedding, norms and head; a tied head counts once
    std::size_t denseModel = 0;
};

/// Which linears of the stock classes have a bias.
struct StockBiases
{
    bool attention = false; ///< q, k, v and o
    bool mlp = false;       ///< gate, up and down
    bool of(Role role) const { return role <= Role::O ? attention : mlp; }
};

/// The tensors of an export: planned from one pass over the blocks, then written block by block.
class ExportedWeights
{
public:
    /// Brings every block in once. All arguments must outlive the object.
    ExportedWeights(const Model& model, const Device& device, const ExportOptions& options, const TaskContext& context);

    /// {"model.layers.0.self_attn.q_proj": {"structure": "factors", "rank": 12, "bias": true}, ...} of the linears that
    /// are not what the stock classes have there: not written dense, or with a bias of their own ("bias" is left out
    /// where it is as in the stock classes).
    const Json& structures() const { return m_structures; }
    /// What config.json has to say of biases. In the dense format a bias of one linear makes all of its kind have one,
    /// of zeros where there was none.
    StockBiases stockBiases() const { return m_stockBiases; }
    const ExportedParameters& parameters() const { return m_parameters; }

    /// Tensors of `folder`: Hugging Face names, NAME.weight and NAME.bias; factors as NAME.B.weight (m x r),
    /// NAME.A.weight (r x n) and NAME.B.bias, with a block identity NAME.A2.weight (r x (n - r)) and NAME.pivots (I32).
    void write(const std::filesystem::path& folder);

private:
    /// What a tensor of the export is filled from.
    struct Source
    {
        enum class Part {
            Embedding,
            Head,
            FinalNorm,
            AttentionNorm,
            MlpNorm,
            Weight,
            B,
            A,
            A2,
            Pivots,
            Bias,
            ZeroBias
        };
        Part part = Part::Embedding;
        std::size_t block = 0;
        Role role = Role::Q;
    };

    void plan(const std::string& name, DType dtype, std::vector<std::size_t> shape, const Source& source);
    void planBlock(std::size_t block);
    void planLinear(std::size_t block, const LinearInfo& info, const LinearWeights& weights);
    void planZeroBiases();
    const BlockWeights& block(std::size_t index);
    void fill(const TensorPlan& tensor, SafetensorsWriter& writer);
    void fillRows(const TensorPlan& tensor, bool head, SafetensorsWriter& writer) const;
    Matrix<float> dense(const LinearWeights& weights) const;

    const Model& m_model;
    const Device& m_device;
    const ExportOptions& m_options;
    const TaskContext& m_context;
    std::vector<TensorPlan> m_plans;
    std::map<std::string, Source> m_sources;
    std::map<std::string, std::vector<std::int32_t>> m_pivots;
    StockBiases m_stockBiases;
    std::vector<bool> m_hasBias; ///< by linear
    Json m_structures = Json::object();
    ExportedParameters m_parameters;
    std::shared_ptr<const BlockWeights> m_block;
    std::size_t m_blockIndex = 0;
    std::size_t m_written = 0;
};

} // namespace rankwright
