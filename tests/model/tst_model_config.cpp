#include "core/base/error.h"
#include "core/model/model.h"
#include "core/model/summary.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <algorithm>
#include <fstream>
#include <functional>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

struct Refusal
{
    const char* name;
    std::function<void(TinyLlama&, Json& config)> change;
    ErrorKind kind;
    const char* tensor; ///< named by the error, or ""
    std::vector<std::string> words;
};

using Change = std::function<void(TinyLlama&, Json&)>;

/// Sets a value of config.json.
Change set(const std::string& key, const Json& value)
{
    return [=](TinyLlama&, Json& config) { config[key] = value; };
}

Change remove(const std::string& key)
{
    return [=](TinyLlama&, Json& config) { config.erase(key); };
}

Json llama3Scaling()
{
    return {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}};
}

Change scaling(const Json& value)
{
    return set("rope_scaling", value);
}

std::vector<Refusal> refusals()
{
    constexpr const char* k = "model.layers.1.self_attn.k_proj.weight";
    return {
        {"other family", set("model_type", "gpt_neox"), ErrorKind::Unsupported, "", {"gpt_neox", "qwen3", "opt"}},
        {"no family", remove("model_type"), ErrorKind::Unsupported, "", {"model_type"}},
        {"activation", set("hidden_act", "gelu"), ErrorKind::Unsupported, "", {"hidden_act", "gelu"}},
        {"packed weights",
         set("quantization_config", Json::object()),
         ErrorKind::Unsupported,
         "",
         {"quantization_config"}},
        {"no width", remove("hidden_size"), ErrorKind::Corrupt, "", {"hidden_size", "missing"}},
        {"width of zero", set("hidden_size", 0), ErrorKind::Corrupt, "", {"hidden_size"}},
        {"negative width", set("hidden_size", -24), ErrorKind::Corrupt, "", {"hidden_size", "-24"}},
        {"huge width",
         set("hidden_size", std::uint64_t{1} << 62U),
         ErrorKind::Corrupt,
         "",
         {"hidden_size", "1 to 2147483647"}},
        {"fractional width", set("hidden_size", 24.5), ErrorKind::Corrupt, "", {"hidden_size", "24.5"}},
        {"key heads that do not divide", set("num_key_value_heads", 3), ErrorKind::Corrupt, "", {"4", "3"}},
        {"more key heads than heads", set("num_key_value_heads", 8), ErrorKind::Corrupt, "", {"4", "8"}},
        {"odd head width", set("head_dim", 5), ErrorKind::Corrupt, "", {"5", "odd"}},
        {"heads that do not divide the width",
         [](TinyLlama&, Json& config) {
             config.erase("head_dim");
             config["num_attention_heads"] = 5;
             config["num_key_value_heads"] = 5;
         },
         ErrorKind::Corrupt,
         "",
         {"24", "5"}},
        {"heads that disagree with the shapes",
         set("num_attention_heads", 2),
         ErrorKind::Mismatch,
         "model.layers.0.self_attn.q_proj.weight",
         {"24", "12"}},
        {"vocabulary that disagrees",
         set("vocab_size", 51),
         ErrorKind::Mismatch,
         "model.embed_tokens.weight",
         {"50", "51"}},
        {"neurons that disagree",
         set("intermediate_size", 41),
         ErrorKind::Mismatch,
         "model.layers.0.mlp.gate_proj.weight",
         {"40", "41"}},
        {"too few blocks",
         set("num_hidden_layers", 1),
         ErrorKind::Unsupported,
         "model.layers.1.input_layernorm.weight",
         {"1 blocks"}},
        {"too many blocks",
         set("num_hidden_layers", 3),
         ErrorKind::NotFound,
         "model.layers.2.input_layernorm.weight",
         {}},
        {"absurd blocks", set("num_hidden_layers", 2000000000), ErrorKind::Mismatch, "", {"2000000000"}},
        {"missing tensor", [=](TinyLlama& tiny, Json&) { tiny.tensors.erase(k); }, ErrorKind::NotFound, k, {}},
        {"missing head",
         set("tie_word_embeddings", false),
         ErrorKind::NotFound,
         "lm_head.weight",
         {"no head", "base models", "tie_word_embeddings"}},
        {"missing bias", set("attention_bias", true), ErrorKind::NotFound, "model.layers.0.self_attn.q_proj.bias", {}},
        {"unknown tensor",
         [](TinyLlama& tiny, Json&) {
             tiny.tensors["model.layers.0.self_attn.q_norm.weight"] = {{2}, {1, 1}};
         },
         ErrorKind::Unsupported,
         "model.layers.0.self_attn.q_norm.weight",
         {}},
        {"transposed tensor",
         [=](TinyLlama& tiny, Json&) { std::swap(tiny.tensors[k].shape[0], tiny.tensors[k].shape[1]); },
         ErrorKind::Mismatch,
         k,
         {}},
        {"epsilon", set("rms_norm_eps", -1e-5), ErrorKind::Corrupt, "", {"epsilon"}},
        {"rotary base", set("rope_theta", 0.0), ErrorKind::Corrupt, "", {"rotary base"}},
        {"rotary text", set("rope_theta", "10000"), ErrorKind::Corrupt, "", {"rope_theta"}},
        {"partial rotation", set("partial_rotary_factor", 0.5), ErrorKind::Unsupported, "", {"partial"}},
        {"partial rotation of version 5",
         set("rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}),
         ErrorKind::Unsupported,
         "",
         {"partial"}},
        {"rotation of its own for a kind of blocks",
         set("rope_parameters", {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 100.0}}}}),
         ErrorKind::Unsupported,
         "",
         {"rope_parameters", "full_attention"}},
        {"rotary bases that disagree",
         set("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100.0}}),
         ErrorKind::Corrupt,
         "",
         {"rope_theta", "10000", "100 of rope_parameters"}},
        {"attention to later tokens", set("is_causal", false), ErrorKind::Unsupported, "", {"is_causal"}},
        {"yarn", scaling({{"rope_type", "yarn"}, {"factor", 4.0}}), ErrorKind::Unsupported, "", {"yarn"}},
        {"dynamic from fewer positions",
         scaling({{"type", "dynamic"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}}),
         ErrorKind::Unsupported,
         "",
         {"dynamic"}},
        {"dynamic without factor", scaling({{"type", "dynamic"}}), ErrorKind::Corrupt, "", {"factor"}},
        {"scaling types that disagree",
         scaling({{"type", "linear"}, {"rope_type", "llama3"}, {"factor", 4.0}}),
         ErrorKind::Corrupt,
         "",
         {"linear", "llama3"}},
        {"linear without factor", scaling({{"type", "linear"}}), ErrorKind::Corrupt, "", {"factor", "missing"}},
        {"linear by zero", scaling({{"type", "linear"}, {"factor", 0.0}}), ErrorKind::Corrupt, "", {"factor"}},
        {"llama3 without bounds",
         scaling({{"rope_type", "llama3"}, {"factor", 8.0}}),
         ErrorKind::Corrupt,
         "",
         {"low_freq_factor", "missing"}},
        {"llama3 with crossed bounds",
         scaling({{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 1.0}}),
         ErrorKind::Corrupt,
         "",
         {"low_freq_factor"}},
        {"scaling and parameters that disagree",
         [](TinyLlama&, Json& config) {
             config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 4.0}};
             config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 100.0}};
         },
         ErrorKind::Corrupt,
         "",
         {"rope_scaling", "rope_parameters"}},
        {"original contexts that disagree",
         [](TinyLlama&, Json& config) {
             config["rope_scaling"] = llama3Scaling();
             config["rope_scaling"]["original_max_position_embeddings"] = 128;
             config["original_max_position_embeddings"] = 64;
         },
         ErrorKind::Corrupt,
         "",
         {"original_max_position_embeddings", "64", "128"}},
        {"tied head of other values",
         [](TinyLlama& tiny, Json&) {
             tiny.tensors["lm_head.weight"] = tiny.tensors["model.embed_tokens.weight"];
             tiny.values("lm_head.weight").back() += 1.0F;
         },
         ErrorKind::Mismatch,
         "lm_head.weight",
         {"model.embed_tokens.weight", "tie_word_embeddings"}},
        {"scaling that is no object", scaling("llama3"), ErrorKind::Corrupt, "", {"rope_scaling"}},
        {"token text", set("eos_token_id", "</s>"), ErrorKind::Corrupt, "", {"eos_token_id"}},
        {"mistral with a window of zero",
         [](TinyLlama&, Json& config) {
             config["model_type"] = "mistral";
             config["sliding_window"] = 0;
         },
         ErrorKind::Corrupt,
         "",
         {"sliding_window"}},
        {"qwen2 with a window",
         [](TinyLlama&, Json& config) {
             config["model_type"] = "qwen2";
             config["use_sliding_window"] = true;
             config["sliding_window"] = 128;
         },
         ErrorKind::Unsupported,
         "",
         {"use_sliding_window", "128", "512"}},
        {"qwen2 without its biases",
         set("model_type", "qwen2"),
         ErrorKind::NotFound,
         "model.layers.0.self_attn.q_proj.bias",
         {}},
        {"qwen3 with blocks that slide",
         [](TinyLlama&, Json& config) {
             config["model_type"] = "qwen3";
             config["sliding_window"] = 64;
             config["layer_types"] = {"full_attention", "sliding_attention"};
         },
         ErrorKind::Unsupported,
         "",
         {"qwen3", "64"}},
        {"qwen3 without its norms",
         set("model_type", "qwen3"),
         ErrorKind::NotFound,
         "model.layers.0.self_attn.q_norm.weight",
         {}},
        {"an export's entry for no linear",
         set("rankwright", Json::parse(hostile::json("{'linears':{'nope':{'structure':'factors','rank':5}}}"))),
         ErrorKind::Corrupt,
         "",
         {"nope", "no such linear"}},
        {"tie that is no boolean", set("tie_word_embeddings", 1), ErrorKind::Corrupt, "", {"tie_word_embeddings"}},
    };
}

} // namespace

class TestModelConfig : public QObject
{
    Q_OBJECT

private slots:
    void refuses_data()
    {
        QTest::addColumn<std::size_t>("index");
        for (std::size_t i = 0; const Refusal& refusal : refusals())
            QTest::newRow(refusal.name) << i++;
    }
    void refuses()
    {
        QFETCH(std::size_t, index);
        const Refusal refusal = refusals()[index];
        TinyLlama tiny;
        tiny.fill(1);
        Json config = tiny.config();
        refusal.change(tiny, config);
        tiny.write(m_folder.path(), config);
        const auto error = hostile::errorOf([&] { Model::open(m_folder.path()); });
        QVERIFY(error.has_value());
        const std::string what = error->what();
        QVERIFY2(error->kind() == refusal.kind, what.c_str());
        QCOMPARE(error->tensor(), std::string(refusal.tensor));
        QVERIFY2(!error->file().empty() && what.find(error->file().filename().string()) != std::string::npos,
                 what.c_str());
        for (const std::string& word : refusal.words)
            QVERIFY2(what.find(word) != std::string::npos, what.c_str());
    }

    void refusesGguf_data()
    {
        QTest::addColumn<std::string>("key");
        QTest::addColumn<std::string>("value");
        QTest::addColumn<int>("kind");
        const auto row = [](const char* name, const std::string& key, const std::string& value, ErrorKind kind) {
            QTest::newRow(name) << key << value << static_cast<int>(kind);
        };
        row("other family", "general.architecture", "\"gemma3\"", ErrorKind::Unsupported);
        row("metadata of another family", "general.architecture", "\"qwen3\"", ErrorKind::Corrupt);
        row("experts", "llama.expert_count", "8", ErrorKind::Unsupported);
        row("no blocks", "llama.block_count", "null", ErrorKind::Corrupt);
        row("no context", "llama.context_length", "null", ErrorKind::Corrupt);
        row("no epsilon", "llama.attention.layer_norm_rms_epsilon", "null", ErrorKind::Corrupt);
        row("width of zero", "llama.embedding_length", "0", ErrorKind::Corrupt);
        row("heads that do not divide", "llama.attention.head_count_kv", "3", ErrorKind::Corrupt);
        row("partial rotation", "llama.rope.dimension_count", "4", ErrorKind::Unsupported);
        row("narrow values", "llama.attention.value_length", "4", ErrorKind::Unsupported);
        row("yarn", "llama.rope.scaling.type", "\"yarn\"", ErrorKind::Unsupported);
        row("linear with a factor below 0", "llama.rope.scaling.factor", "-2.0", ErrorKind::Corrupt);
        row("attention scaled with the rotation", "llama.rope.scaling.attn_factor", "3.0", ErrorKind::Unsupported);
        row("heads that disagree with the shapes", "llama.attention.head_count", "2", ErrorKind::Mismatch);
        row("vocabulary that disagrees", "llama.vocab_size", "51", ErrorKind::Mismatch);
        row("a value of another type", "llama.block_count", "\"two\"", ErrorKind::Mismatch);
    }
    void refusesGguf()
    {
        QFETCH(std::string, key);
        QFETCH(std::string, value);
        QFETCH(int, kind);
        TinyLlama tiny;
        tiny.fill(1);
        const std::filesystem::path file = m_folder.path() / "tiny.gguf";
        tiny.writeGguf(file, {{key, Json::parse(value)}});
        const auto error = hostile::errorOf([&] { Model::open(file); });
        QVERIFY(error.has_value());
        QVERIFY2(static_cast<int>(error->kind()) == kind, error->what());
        QCOMPARE(error->file(), file);
    }

    void sizesOfGgufTellTheirLimit()
    {
        TinyLlama tiny;
        tiny.fill(1);
        const std::filesystem::path file = m_folder.path() / "tiny.gguf";
        tiny.writeGguf(file, {{"llama.embedding_length", 3000000000U}});
        QVERIFY(hostile::refuses([&] { Model::open(file); }, ErrorKind::Corrupt,
                                 {"llama.embedding_length", "1 to 2147483647", "3000000000"}));
    }

    void readsGguf()
    {
        TinyLlama tiny{.ropeTheta = 50000.0};
        tiny.fill(1);
        const std::filesystem::path file = m_folder.path() / "tiny.gguf";
        const auto configWith = [&](const Json& changes) {
            tiny.writeGguf(file, changes);
            return Model::open(file).config();
        };
        const ModelConfig read = configWith({{"llama.attention.key_length", nullptr},
                                             {"llama.attention.value_length", nullptr},
                                             {"llama.vocab_size", nullptr},
                                             {"tokenizer.ggml.eos_token_id", 4},
                                             {"tokenizer.ggml.eot_token_id", 6},
                                             {"tokenizer.ggml.eom_token_id", 7}});
        QCOMPARE(read.headWidth, std::size_t{6});
        QCOMPARE(read.vocabularySize, std::size_t{50});
        QCOMPARE(read.ropeTheta, 50000.0);
        QVERIFY(read.tiedHead && !read.ropeScaling);
        QCOMPARE(read.endTokens, (std::vector<std::int32_t>{4, 6, 7}));
        const ModelConfig early = configWith({{"llama.rope.scale_linear", 2.0}});
        QVERIFY(early.ropeScaling && early.ropeScaling->kind == "linear");
        QCOMPARE(early.ropeScaling->factor, 2.0);
        // As llama.cpp reads them: a factor is of linear scaling unless the type says otherwise.
        const ModelConfig untyped = configWith({{"llama.rope.scaling.factor", 4.0}});
        QVERIFY(untyped.ropeScaling && untyped.ropeScaling->kind == "linear");
        QCOMPARE(untyped.ropeScaling->factor, 4.0);
        QVERIFY(!configWith({{"llama.rope.scaling.type", "none"}, {"llama.rope.scale_linear", 4.0}}).ropeScaling);
        QVERIFY(!configWith({{"llama.rope.scaling.type", "linear"}}).ropeScaling);
    }

    void defaultsOfLlama()
    {
        TinyLlama tiny{.keyValueHeads = 4, .tied = false};
        tiny.fill(1);
        Json config = tiny.config();
        for (const char* key : {"num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "tie_word_embeddings",
                                "max_position_embeddings", "hidden_act", "attention_bias", "mlp_bias"})
            config.erase(key);
        config["rope_scaling"] = nullptr;
        config["sliding_window"] = 16; // means nothing to Llama
        config["pretraining_tp"] = 2;
        const ModelConfig read = configOf(tiny, config);
        QCOMPARE(read.keyValueHeads, std::size_t{4});
        QCOMPARE(read.headWidth, std::size_t{6});
        QCOMPARE(read.normEpsilon, 1e-6F);
        QCOMPARE(read.ropeTheta, 10000.0);
        QCOMPARE(read.contextLength, std::size_t{2048});
        QVERIFY(!read.tiedHead && !read.queryKeyValueBias && !read.outputBias && !read.mlpBias && !read.ropeScaling);
        QVERIFY(!read.slidingWindow && read.gatedMlp && !read.queryKeyNorm);
        QCOMPARE(read.bosToken, std::optional<std::int32_t>(1));
        QCOMPARE(read.endTokens, std::vector<std::int32_t>{2});
    }

    void endTokens()
    {
        TinyLlama tiny;
        tiny.fill(1);
        Json config = tiny.config();
        config["eos_token_id"] = {7, 9};
        ModelConfig read = configOf(tiny, config);
        QCOMPARE(read.eosToken, std::optional<std::int32_t>(7));
        QCOMPARE(read.endTokens, (std::vector<std::int32_t>{7, 9}));
        config["eos_token_id"] = nullptr;
        read = configOf(tiny, config);
        QVERIFY(!read.eosToken && read.endTokens.empty());
        config["eos_token_id"] = {7, 50}; // the vocabulary ends at 49
        config["bos_token_id"] = 50256;
        read = configOf(tiny, config);
        QCOMPARE(read.endTokens, std::vector<std::int32_t>{7});
        QVERIFY(!read.bosToken);
        config["eos_token_id"] = -1;
        QVERIFY(configOf(tiny, config).endTokens.empty());
        config["eos_token_id"] = 7;
        const std::filesystem::path file = m_folder.write("generation_config.json", "{\"eos_token_id\": [3, 7]}");
        QCOMPARE(configOf(tiny, config).endTokens, (std::vector<std::int32_t>{3, 7}));
        m_folder.write("generation_config.json", "{\"do_sample\": false}");
        QCOMPARE(configOf(tiny, config).endTokens, std::vector<std::int32_t>{7});
        m_folder.write("generation_config.json", "{\"eos_token_id\": \"x\"}");
        const auto error = hostile::errorOf([&] { configOf(tiny, config); });
        QVERIFY(error && error->kind() == ErrorKind::Corrupt);
        QCOMPARE(error->file(), file);
        m_folder.write("generation_config.json", "{\"repetition_penalty\": 1.25}");
        QCOMPARE(configOf(tiny, config).repetitionPenalty, 1.25F);
        m_folder.write("generation_config.json", "{\"repetition_penalty\": 0}");
        QVERIFY(hostile::refuses([&] { configOf(tiny, config); }, ErrorKind::Corrupt, {"repetition_penalty"}));
        std::filesystem::remove(file);
    }

    void llama3TakesTheContextForTheOriginalOne()
    {
        TinyLlama tiny;
        tiny.fill(1);
        Json config = tiny.config();
        config["rope_parameters"] = llama3Scaling();
        config["rope_parameters"]["rope_theta"] = 500000.0;
        config.erase("rope_theta");
        const ModelConfig read = configOf(tiny, config);
        QCOMPARE(read.ropeTheta, 500000.0);
        QVERIFY(read.ropeScaling.has_value());
        QCOMPARE(read.ropeScaling->originalContext, std::size_t{512});
        // transformers 5 has it beside the parameters too.
        config["original_max_position_embeddings"] = 64;
        QCOMPARE(configOf(tiny, config).ropeScaling->originalContext, std::size_t{64});
        // The same told twice is no contradiction.
        config["rope_scaling"] = config["rope_parameters"];
        QCOMPARE(configOf(tiny, config).ropeScaling->originalContext, std::size_t{64});
    }

    /// Llama 2 files of 2023 carry rotary tables; a tied model may carry its head once more.
    void ignoresWhatHoldsNothing()
    {
        TinyLlama tiny;
        tiny.fill(1);
        tiny.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{3}, {1, 1, 1}};
        tiny.tensors["rotary_emb.inv_freq"] = {{3}, {1, 1, 1}};
        tiny.tensors["lm_head.weight"] = tiny.tensors["model.embed_tokens.weight"];
        tiny.write(m_folder.path());
        const Model model = Model::open(m_folder.path());
        TinyLlama plain;
        plain.fill(1);
        plain.write(m_folder.path() / "plain");
        QCOMPARE(model.parameterCount(), Model::open(m_folder.path() / "plain").parameterCount());
    }

    /// safetensors keeps one name of a tensor that has two.
    void tiedHeadAloneIsTheEmbedding()
    {
        TinyLlama tiny;
        tiny.fill(1);
        tiny.write(m_folder.path());
        const Model both = Model::open(m_folder.path());
        Matrix<float> expected(1, 24);
        both.embed(std::vector<std::int32_t>{7}, expected.view());
        const std::size_t bytes = weightBytes(both);
        tiny.tensors["lm_head.weight"] = tiny.tensors.extract("model.embed_tokens.weight").mapped();
        const std::filesystem::path folder = m_folder.path() / "head";
        tiny.write(folder);
        const Model model = Model::open(folder);
        Matrix<float> read(1, 24);
        model.embed(std::vector<std::int32_t>{7}, read.view());
        QVERIFY(std::ranges::equal(read.span(), expected.span()));
        QCOMPARE(model.parameterCount(), both.parameterCount());
        QCOMPARE(weightBytes(model), bytes);
    }

    void mistralHasNoBiases()
    {
        TinyLlama tiny;
        tiny.fill(1);
        Json config = tiny.config();
        config["model_type"] = "mistral";
        config["sliding_window"] = nullptr;
        config["attention_bias"] = true;
        QVERIFY(!configOf(tiny, config).queryKeyValueBias && !configOf(tiny, config).outputBias);
    }

    void windowOfMistral()
    {
        TinyLlama tiny;
        tiny.fill(1);
        Json config = tiny.config();
        config["model_type"] = "mistral";
        const auto windowOf = [&](const Json& window) {
            config["sliding_window"] = window;
            return configOf(tiny, config).slidingWindow;
        };
        QCOMPARE(windowOf(128), std::optional<std::size_t>(128));
        QVERIFY(!windowOf(nullptr) && !windowOf(512) && !windowOf(4096)); // as wide as the context
        config.erase("sliding_window");
        config["max_position_embeddings"] = 8192;
        QCOMPARE(configOf(tiny, config).slidingWindow, std::optional<std::size_t>(4096));
    }

    void refusesOfLearnedPositions_data()
    {
        QTest::addColumn<std::string>("model");
        QTest::addColumn<std::string>("key");
        QTest::addColumn<std::string>("value");
        QTest::addColumn<int>("kind");
        QTest::addColumn<std::string>("word");
        const auto row = [](const char* model, const char* key, const char* value, ErrorKind kind, const char* word) {
            QTest::addRow("%s %s %s", model, key, value) << std::string(model) << std::string(key) << std::string(value)
                                                         << static_cast<int>(kind) << std::string(word);
        };
        row("opt", "do_layer_norm_before", "false", ErrorKind::Unsupported, "do_layer_norm_before");
        row("opt", "do_layer_norm_before", "null", ErrorKind::Unsupported, "do_layer_norm_before");
        row("opt", "_remove_final_layer_norm", "true", ErrorKind::Unsupported, "_remove_final_layer_norm");
        row("opt", "layer_norm_elementwise_affine", "false", ErrorKind::Unsupported, "layer_norm_elementwise_affine");
        row("opt", "word_embed_proj_dim", "16", ErrorKind::Unsupported, "word_embed_proj_dim");
        row("opt", "activation_function", "\"gelu\"", ErrorKind::Unsupported, "gelu");
        row("opt", "activation_function", "3", ErrorKind::Corrupt, "activation_function");
        row("opt", "enable_bias", "false", ErrorKind::Unsupported, "no such tensor");
        row("opt", "num_attention_heads", "5", ErrorKind::Corrupt, "multiple");
        row("opt", "max_position_embeddings", "63", ErrorKind::Mismatch, "embed_positions");
        row("opt", "ffn_dim", "65", ErrorKind::Mismatch, "fc1");
        row("opt", "quantization_config", "{}", ErrorKind::Unsupported, "quantization_config");
        row("opt", "num_hidden_layers", "4", ErrorKind::NotFound, "model.decoder.layers.3");
        row("opt", "tie_word_embeddings", "false", ErrorKind::NotFound, "lm_head.weight");
        row("gpt2", "scale_attn_weights", "false", ErrorKind::Unsupported, "scale_attn_weights");
        row("gpt2", "is_causal", "false", ErrorKind::Unsupported, "is_causal");
        row("gpt2", "num_attention_heads", "8", ErrorKind::Corrupt, "num_attention_heads");
        row("gpt2", "scale_attn_by_inverse_layer_idx", "true", ErrorKind::Unsupported, "inverse_layer_idx");
        row("gpt2", "add_cross_attention", "true", ErrorKind::Unsupported, "add_cross_attention");
        row("gpt2", "activation_function", "\"gelu\"", ErrorKind::Unsupported, "gelu");
        row("gpt2", "n_head", "3", ErrorKind::Corrupt, "multiple");
        row("gpt2", "n_embd", "0", ErrorKind::Corrupt, "n_embd");
        row("gpt2", "n_embd", "36", ErrorKind::Mismatch, "wte.weight");
        row("gpt2", "n_inner", "127", ErrorKind::Mismatch, "c_fc");
        row("gpt2", "n_positions", "63", ErrorKind::Mismatch, "wpe.weight");
        row("gpt2", "n_layer", "2", ErrorKind::Unsupported, "transformer.h.2");
        row("gpt2", "layer_norm_epsilon", "-1", ErrorKind::Corrupt, "epsilon");
    }
    void refusesOfLearnedPositions()
    {
        QFETCH(std::string, model);
        QFETCH(std::string, key);
        QFETCH(std::string, value);
        QFETCH(int, kind);
        QFETCH(std::string, word);
        const auto source = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "models" / "random" / model;
        const std::filesystem::path folder = m_folder.path() / model;
        std::filesystem::remove_all(folder);
        std::filesystem::copy(source, folder);
        Json config = readJson(folder / "config.json");
        config[key] = Json::parse(value);
        std::ofstream(folder / "config.json") << config;
        const auto error = hostile::errorOf([&] { Model::open(folder); });
        QVERIFY(error.has_value());
        QVERIFY2(static_cast<int>(error->kind()) == kind, error->what());
        QVERIFY2(std::string(error->what()).find(word) != std::string::npos, error->what());
    }

    /// transformers reads these sizes of GPT-2 by either name.
    void otherNamesOfGpt2()
    {
        const auto source = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "models" / "random" / "gpt2";
        const std::filesystem::path folder = m_folder.path() / "gpt2-names";
        std::filesystem::copy(source, folder);
        Json config = readJson(folder / "config.json");
        for (const auto& [key, other] : {std::pair{"n_embd", "hidden_size"},
                                         {"n_layer", "num_hidden_layers"},
                                         {"n_head", "num_attention_heads"},
                                         {"n_positions", "max_position_embeddings"}}) {
            config[other] = config.at(key);
            config.erase(key);
        }
        std::ofstream(folder / "config.json") << config;
        const ModelConfig read = Model::open(folder).config();
        const ModelConfig expected = Model::open(source).config();
        QCOMPARE(read.heads, expected.heads);
        QCOMPARE(read.hiddenSize, expected.hiddenSize);
        QCOMPARE(read.blocks, expected.blocks);
        QCOMPARE(read.contextLength, expected.contextLength);
    }

private:
    ModelConfig configOf(const TinyLlama& tiny, const Json& config) const
    {
        tiny.write(m_folder.path(), config);
        return Model::open(m_folder.path()).config();
    }

    hostile::Folder m_folder;
};

QTEST_GUILESS_MAIN(TestModelConfig)
#include "tst_model_config.moc"
