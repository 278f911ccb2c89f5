#include "tiny_model.h"

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/checkpoint/safetensors_writer.h"

#include <random>

namespace rankwright::tiny {

namespace {

constexpr std::size_t hidden = 24;
constexpr std::size_t keyValue = 12;
constexpr std::size_t inner = 40;
constexpr std::size_t vocabulary = 50;

std::vector<TensorPlan> tensorPlans()
{
    std::vector<TensorPlan> plans = {{"model.embed_tokens.weight", DType::F32, {vocabulary, hidden}},
                                     {"model.norm.weight", DType::F32, {hidden}}};
    for (const std::string block : {"model.layers.0.", "model.layers.1."}) {
        plans.push_back({block + "input_layernorm.weight", DType::F32, {hidden}});
        plans.push_back({block + "post_attention_layernorm.weight", DType::F32, {hidden}});
        plans.push_back({block + "self_attn.q_proj.weight", DType::F32, {hidden, hidden}});
        plans.push_back({block + "self_attn.k_proj.weight", DType::F32, {keyValue, hidden}});
        plans.push_back({block + "self_attn.v_proj.weight", DType::F32, {keyValue, hidden}});
        plans.push_back({block + "self_attn.o_proj.weight", DType::F32, {hidden, hidden}});
        plans.push_back({block + "mlp.gate_proj.weight", DType::F32, {inner, hidden}});
        plans.push_back({block + "mlp.up_proj.weight", DType::F32, {inner, hidden}});
        plans.push_back({block + "mlp.down_proj.weight", DType::F32, {hidden, inner}});
    }
    return plans;
}

} // namespace

void writeModel(const std::filesystem::path& folder, unsigned seed, const TensorEdit& edit)
{
    createFolders(folder);
    const Json config = {{"architectures", {"LlamaForCausalLM"}},
                         {"model_type", "llama"},
                         {"hidden_size", hidden},
                         {"intermediate_size", inner},
                         {"num_hidden_layers", 2},
                         {"num_attention_heads", 4},
                         {"num_key_value_heads", 2},
                         {"head_dim", 6},
                         {"vocab_size", vocabulary},
                         {"max_position_embeddings", 512},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", true}};
    writeFileAtomically(folder / "config.json", dumpJson(config));
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> random(-1.0F, 1.0F);
    SafetensorsWriter writer(folder / "model.safetensors", tensorPlans());
    for (const TensorPlan& plan : writer.order()) {
        const bool norm = plan.shape.size() == 1;
        std::vector<float> values(plan.shape[0] * (norm ? 1 : plan.shape[1]));
        for (float& value : values)
            value = norm ? 1.0F + 0.2F * random(generator) : 0.5F * random(generator);
        if (edit)
            edit(plan.name, values);
        writer.writeFloats(plan.name, values);
    }
    writer.commit();
}

TokenWindows randomWindows(std::size_t count, std::size_t length, unsigned seed)
{
    std::mt19937 generator(seed);
    TokenWindows windows;
    windows.textTokens = count * length;
    Hasher hasher;
    for (std::size_t i = 0; i < count; ++i) {
        windows.offsets.push_back(i * length);
        std::vector<std::int32_t>& ids = windows.ids.emplace_back(length);
        for (std::int32_t& id : ids)
            id = static_cast<std::int32_t>(generator() % vocabulary);
        hasher.update(std::as_bytes(std::span(ids)));
    }
    windows.fingerprint = hasher.hex();
    return windows;
}

} // namespace rankwright::tiny
