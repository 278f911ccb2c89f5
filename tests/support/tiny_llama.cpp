#include "tests/support/tiny_llama.h"

#include "tests/checkpoint/hostile_files.h"

#include <cmath>
#include <fstream>
#include <numbers>
#include <random>

namespace rankwright::tiny {

namespace {

std::string bytesOf(const std::vector<float>& values)
{
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

void writeBytes(const std::filesystem::path& file, const std::string& bytes)
{
    std::filesystem::remove(file);
    std::ofstream(file, std::ios::binary) << bytes;
}

/// Rows of every head from halves (first, second) to neighbours, as convert_hf_to_gguf's permute().
std::vector<float> pairRows(const Tensor& tensor, std::size_t heads)
{
    const std::size_t columns = tensor.shape.size() == 2 ? tensor.shape[1] : 1;
    const std::size_t half = tensor.shape[0] / heads / 2;
    std::vector<float> result;
    for (std::size_t head = 0; head < heads; ++head) {
        for (std::size_t j = 0; j < half; ++j) {
            for (std::size_t side = 0; side < 2; ++side) {
                const std::size_t row = (head * 2 + side) * half + j;
                const float* from = tensor.values.data() + row * columns;
                result.insert(result.end(), from, from + columns);
            }
        }
    }
    return result;
}

std::string ggufName(std::string name)
{
    const std::vector<std::pair<std::string, std::string>> parts{
        {"model.layers.", "blk."},
        {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"},
        {"self_attn.v_proj", "attn_v"},
        {"self_attn.o_proj", "attn_output"},
        {"mlp.gate_proj", "ffn_gate"},
        {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"},
        {"input_layernorm", "attn_norm"},
        {"post_attention_layernorm", "ffn_norm"},
        {"model.embed_tokens", "token_embd"},
        {"model.norm", "output_norm"},
        {"lm_head", "output"},
    };
    for (const auto& [from, to] : parts) {
        if (const std::size_t at = name.find(from); at != std::string::npos)
            name.replace(at, from.size(), to);
    }
    return name;
}

} // namespace

void TinyLlama::fill(unsigned seed)
{
    tensors.clear();
    tensors["model.embed_tokens.weight"].shape = {vocabulary, hidden};
    tensors["model.norm.weight"].shape = {hidden};
    if (!tied)
        tensors["lm_head.weight"].shape = {vocabulary, hidden};
    for (std::size_t block = 0; block < blocks; ++block) {
        const std::string prefix = "model.layers." + std::to_string(block) + ".";
        const auto add = [&](const std::string& name, std::size_t rows, std::size_t columns) {
            tensors[prefix + name + ".weight"].shape = {rows, columns};
            if (biases)
                tensors[prefix + name + ".bias"].shape = {rows};
        };
        tensors[prefix + "input_layernorm.weight"].shape = {hidden};
        tensors[prefix + "post_attention_layernorm.weight"].shape = {hidden};
        add("self_attn.q_proj", heads * headWidth, hidden);
        add("self_attn.k_proj", keyValueHeads * headWidth, hidden);
        add("self_attn.v_proj", keyValueHeads * headWidth, hidden);
        add("self_attn.o_proj", hidden, heads * headWidth);
        add("mlp.gate_proj", inner, hidden);
        add("mlp.up_proj", inner, hidden);
        add("mlp.down_proj", hidden, inner);
    }
    std::mt19937 generator(seed);
    for (auto& [name, tensor] : tensors) {
        std::size_t count = 1;
        for (const std::size_t size : tensor.shape)
            count *= size;
        tensor.values.resize(count);
        for (float& value : tensor.values) {
            const float random = 2.0F * static_cast<float>(generator() >> 8U) / static_cast<float>(1U << 24U) - 1.0F;
            value = name.find("norm") != std::string::npos ? 1.0F + 0.3F * random : 0.5F * random;
        }
    }
}

Json TinyLlama::config() const
{
    Json json = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_size", hidden},
                 {"intermediate_size", inner},
                 {"num_hidden_layers", blocks},
                 {"num_attention_heads", heads},
                 {"num_key_value_heads", keyValueHeads},
                 {"head_dim", headWidth},
                 {"vocab_size", vocabulary},
                 {"max_position_embeddings", context},
                 {"rms_norm_eps", normEpsilon},
                 {"rope_theta", ropeTheta},
                 {"hidden_act", "silu"},
                 {"tie_word_embeddings", tied},
                 {"attention_bias", biases},
                 {"mlp_bias", biases}};
    if (!ropeScaling.is_null())
        json["rope_scaling"] = ropeScaling;
    return json;
}

void TinyLlama::write(const std::filesystem::path& folder) const
{
    write(folder, config());
}

void TinyLlama::write(const std::filesystem::path& folder, const Json& config) const
{
    std::filesystem::create_directories(folder);
    Json header = Json::object();
    std::string data;
    for (const auto& [name, tensor] : tensors) {
        const std::size_t begin = data.size();
        data += bytesOf(tensor.values);
        header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
    }
    writeBytes(folder / "model.safetensors", hostile::safetensors(header.dump(), data));
    writeBytes(folder / "config.json", config.dump());
}

void TinyLlama::writeGguf(const std::filesystem::path& file, const Json& changes) const
{
    constexpr std::uint32_t typeU32 = 4;
    constexpr std::uint32_t typeF32 = 6;
    constexpr std::uint32_t typeString = 8;
    hostile::Gguf gguf;
    Json metadata = Json::object();
    const auto number = [&](const std::string& key, std::size_t value) { metadata[key] = value; };
    const auto real = [&](const std::string& key, double value) { metadata[key] = value; };
    const auto text = [&](const std::string& key, const std::string& value) { metadata[key] = value; };
    text("general.architecture", "llama");
    number("llama.embedding_length", hidden);
    number("llama.feed_forward_length", inner);
    number("llama.block_count", blocks);
    number("llama.attention.head_count", heads);
    number("llama.attention.head_count_kv", keyValueHeads);
    number("llama.attention.key_length", headWidth);
    number("llama.attention.value_length", headWidth);
    number("llama.rope.dimension_count", headWidth);
    number("llama.context_length", context);
    number("llama.vocab_size", vocabulary);
    real("llama.attention.layer_norm_rms_epsilon", normEpsilon);
    real("llama.rope.freq_base", ropeTheta);
    std::map<std::string, Tensor> all = tensors;
    const std::string kind = ropeScaling.is_null() ? "" : ropeScaling["rope_type"].get<std::string>();
    if (kind == "linear") {
        text("llama.rope.scaling.type", kind);
        real("llama.rope.scaling.factor", ropeScaling["factor"].get<double>());
    } else if (kind == "llama3") {
        // What a frequency is divided by, as llama.cpp's converter writes it.
        Tensor& factors = all["rope_freqs.weight"];
        factors.shape = {headWidth / 2};
        for (std::size_t i = 0; i < headWidth / 2; ++i) {
            const double plain = std::pow(ropeTheta, -2.0 * static_cast<double>(i) / static_cast<double>(headWidth));
            factors.values.push_back(static_cast<float>(plain / frequency(i)));
        }
    }
    metadata.update(changes);
    for (const auto& [key, value] : metadata.items()) {
        if (value.is_null())
            continue;
        ++gguf.valueCount;
        if (value.is_string())
            gguf.values += hostile::ggufValue(key, typeString, hostile::ggufString(value.get<std::string>()));
        else if (value.is_number_float())
            gguf.values += hostile::ggufValue(key, typeF32, hostile::raw(value.get<float>()));
        else
            gguf.values += hostile::ggufValue(key, typeU32, hostile::raw(value.get<std::uint32_t>()));
    }
    for (const auto& [name, tensor] : all) {
        std::vector<float> values = tensor.values;
        if (name.find("q_proj") != std::string::npos)
            values = pairRows(tensor, heads);
        else if (name.find("k_proj") != std::string::npos)
            values = pairRows(tensor, keyValueHeads);
        gguf.tensors +=
            hostile::ggufTensor(ggufName(name), {tensor.shape.rbegin(), tensor.shape.rend()}, 0, gguf.data.size());
        gguf.data += bytesOf(values);
        gguf.data.append((gguf.alignment - gguf.data.size() % gguf.alignment) % gguf.alignment, '\0');
        ++gguf.tensorCount;
    }
    writeBytes(file, gguf.bytes());
}

Matrix<double> TinyLlama::linear(const std::string& name, const Matrix<double>& X, const Observer& observer) const
{
    if (observer)
        observer(name, X);
    const Tensor& W = tensors.at(name + ".weight");
    Matrix<double> Y(X.rows(), W.shape[0]);
    for (std::size_t t = 0; t < X.rows(); ++t) {
        for (std::size_t i = 0; i < Y.columns(); ++i) {
            double sum =
                tensors.contains(name + ".bias") ? static_cast<double>(tensors.at(name + ".bias").values[i]) : 0.0;
            for (std::size_t j = 0; j < X.columns(); ++j)
                sum += static_cast<double>(W.values[i * X.columns() + j]) * X(t, j);
            Y(t, i) = sum;
        }
    }
    return Y;
}

Matrix<double> TinyLlama::norm(const std::string& name, const Matrix<double>& X) const
{
    const std::vector<float>& weight = tensors.at(name).values;
    Matrix<double> Y(X.rows(), X.columns());
    for (std::size_t t = 0; t < X.rows(); ++t) {
        double squares = 0;
        for (std::size_t j = 0; j < X.columns(); ++j)
            squares += X(t, j) * X(t, j);
        const double size = std::sqrt(squares / static_cast<double>(X.columns()) + normEpsilon);
        for (std::size_t j = 0; j < X.columns(); ++j)
            Y(t, j) = X(t, j) / size * static_cast<double>(weight[j]);
    }
    return Y;
}

double TinyLlama::frequency(std::size_t index) const
{
    const double plain = std::pow(ropeTheta, -2.0 * static_cast<double>(index) / static_cast<double>(headWidth));
    if (ropeScaling.is_null())
        return plain;
    const double factor = ropeScaling["factor"].get<double>();
    if (ropeScaling["rope_type"] == "linear")
        return plain / factor;
    // llama3: turns within the original context decide; plain above `high`, divided below `low`, blended between.
    const double low = ropeScaling["low_freq_factor"].get<double>();
    const double high = ropeScaling["high_freq_factor"].get<double>();
    const double turns =
        ropeScaling["original_max_position_embeddings"].get<double>() * plain / (2.0 * std::numbers::pi);
    const double share = std::min(1.0, std::max(0.0, (turns - low) / (high - low)));
    return plain * (share + (1.0 - share) / factor);
}

void TinyLlama::rotate(Matrix<double>& X, std::size_t count) const
{
    const std::size_t half = headWidth / 2;
    for (std::size_t t = 0; t < X.rows(); ++t) {
        for (std::size_t head = 0; head < count; ++head) {
            for (std::size_t j = 0; j < half; ++j) {
                const double angle = static_cast<double>(t) * frequency(j);
                double& a = X(t, head * headWidth + j);
                double& b = X(t, head * headWidth + half + j);
                const double rotated = a * std::cos(angle) - b * std::sin(angle);
                b = a * std::sin(angle) + b * std::cos(angle);
                a = rotated;
            }
        }
    }
}

Matrix<double> TinyLlama::attend(const Matrix<double>& Q, const Matrix<double>& K, const Matrix<double>& V) const
{
    Matrix<double> mixed(Q.rows(), Q.columns());
    for (std::size_t t = 0; t < Q.rows(); ++t) {
        for (std::size_t head = 0; head < heads; ++head) {
            const std::size_t q = head * headWidth;
            const std::size_t k = head / (heads / keyValueHeads) * headWidth;
            std::vector<double> weights(t + 1);
            double sum = 0;
            for (std::size_t s = 0; s <= t; ++s) {
                double score = 0;
                for (std::size_t j = 0; j < headWidth; ++j)
                    score += Q(t, q + j) * K(s, k + j);
                weights[s] = std::exp(score / std::sqrt(static_cast<double>(headWidth)));
                sum += weights[s];
            }
            for (std::size_t s = 0; s <= t; ++s) {
                for (std::size_t j = 0; j < headWidth; ++j)
                    mixed(t, q + j) += weights[s] / sum * V(s, k + j);
            }
        }
    }
    return mixed;
}

Matrix<double> TinyLlama::logits(const std::vector<std::int32_t>& ids, const Observer& observer) const
{
    Matrix<double> X(ids.size(), hidden);
    const std::vector<float>& embedding = tensors.at("model.embed_tokens.weight").values;
    for (std::size_t t = 0; t < ids.size(); ++t) {
        for (std::size_t j = 0; j < hidden; ++j)
            X(t, j) = static_cast<double>(embedding[static_cast<std::size_t>(ids[t]) * hidden + j]);
    }
    const auto add = [&](const Matrix<double>& delta) {
        for (std::size_t i = 0; i < X.size(); ++i)
            X.data()[i] += delta.data()[i];
    };
    for (std::size_t block = 0; block < blocks; ++block) {
        const std::string prefix = "model.layers." + std::to_string(block) + ".";
        const Matrix<double> input = norm(prefix + "input_layernorm.weight", X);
        Matrix<double> Q = linear(prefix + "self_attn.q_proj", input, observer);
        Matrix<double> K = linear(prefix + "self_attn.k_proj", input, observer);
        const Matrix<double> V = linear(prefix + "self_attn.v_proj", input, observer);
        rotate(Q, heads);
        rotate(K, keyValueHeads);
        add(linear(prefix + "self_attn.o_proj", attend(Q, K, V), observer));
        const Matrix<double> middle = norm(prefix + "post_attention_layernorm.weight", X);
        Matrix<double> gate = linear(prefix + "mlp.gate_proj", middle, observer);
        const Matrix<double> up = linear(prefix + "mlp.up_proj", middle, observer);
        for (std::size_t i = 0; i < gate.size(); ++i)
            gate.data()[i] *= up.data()[i] / (1.0 + std::exp(-gate.data()[i]));
        add(linear(prefix + "mlp.down_proj", gate, observer));
    }
    const Matrix<double> last = norm("model.norm.weight", X);
    const std::vector<float>& head = tensors.at(tied ? "model.embed_tokens.weight" : "lm_head.weight").values;
    Matrix<double> result(ids.size(), vocabulary);
    for (std::size_t t = 0; t < ids.size(); ++t) {
        for (std::size_t v = 0; v < vocabulary; ++v) {
            for (std::size_t j = 0; j < hidden; ++j)
                result(t, v) += static_cast<double>(head[v * hidden + j]) * last(t, j);
        }
    }
    return result;
}

std::vector<std::vector<std::int32_t>> randomIds(std::size_t count, std::size_t length, std::size_t vocabulary,
                                                 unsigned seed)
{
    std::mt19937 generator(seed);
    std::vector<std::vector<std::int32_t>> windows(count, std::vector<std::int32_t>(length));
    for (std::vector<std::int32_t>& ids : windows) {
        for (std::int32_t& id : ids)
            id = static_cast<std::int32_t>(generator() % vocabulary);
    }
    return windows;
}

} // namespace rankwright::tiny
