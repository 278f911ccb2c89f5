#include "tests/ui/large_model.h"

#include "core/base/json.h"

#include <fstream>

namespace rankwright::ui {

void writeLargeModel(const std::filesystem::path& folder)
{
    constexpr std::size_t hidden = 4096;
    constexpr std::size_t inner = 11008;
    constexpr std::size_t vocabulary = 32000;
    constexpr int blocks = 32;
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "config.json") << Json{{"architectures", {"LlamaForCausalLM"}},
                                                  {"model_type", "llama"},
                                                  {"hidden_size", hidden},
                                                  {"intermediate_size", inner},
                                                  {"num_hidden_layers", blocks},
                                                  {"num_attention_heads", 32},
                                                  {"num_key_value_heads", 32},
                                                  {"vocab_size", vocabulary},
                                                  {"max_position_embeddings", 4096},
                                                  {"rms_norm_eps", 1e-5},
                                                  {"tie_word_embeddings", false}};
    Json header;
    std::size_t offset = 0;
    const auto add = [&](const std::string& name, std::size_t rows, std::size_t columns) {
        const std::size_t bytes = rows * (columns > 0 ? columns : 1) * 2;
        header[name] = {{"dtype", "F16"},
                        {"shape", columns > 0 ? Json{rows, columns} : Json{rows}},
                        {"data_offsets", {offset, offset + bytes}}};
        offset += bytes;
    };
    add("model.embed_tokens.weight", vocabulary, hidden);
    add("lm_head.weight", vocabulary, hidden);
    add("model.norm.weight", hidden, 0);
    for (int block = 0; block < blocks; ++block) {
        const std::string prefix = "model.layers." + std::to_string(block) + ".";
        add(prefix + "input_layernorm.weight", hidden, 0);
        add(prefix + "post_attention_layernorm.weight", hidden, 0);
        for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
            add(prefix + "self_attn." + name + ".weight", hidden, hidden);
        add(prefix + "mlp.gate_proj.weight", inner, hidden);
        add(prefix + "mlp.up_proj.weight", inner, hidden);
        add(prefix + "mlp.down_proj.weight", hidden, inner);
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const auto file = folder / "model.safetensors";
    std::ofstream out(file, std::ios::binary);
    const std::uint64_t length = text.size();
    for (int byte = 0; byte < 8; ++byte)
        out.put(static_cast<char>(length >> (8 * byte)));
    out << text;
    out.close();
    std::filesystem::resize_file(file, 8 + text.size() + offset);
}

} // namespace rankwright::ui
