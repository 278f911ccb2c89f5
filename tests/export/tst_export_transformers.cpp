#include "core/base/error.h"
#include "core/base/file.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/experiment/runner.h"
#include "tests/export/export_support.h"
#include "tests/export/transformers_check.h"

#include <QTemporaryDir>
#include <QTest>

#include <random>
#include <set>

using namespace rankwright;
using exporting::TransformersCheck;
namespace fs = std::filesystem;

namespace {

const fs::path demo = fs::path(RANKWRIGHT_DEMO) / "stories260K";
const fs::path models = fs::path(RANKWRIGHT_TEST_DATA) / "models";
const fs::path babyllama = models / "babyllama-tok105";
const std::vector<std::string> texts{
    "Once upon a time, there was a little girl named Lily.", " two  spaces\nand a line\n\n",
    "caf\xc3\xa9 na\xc3\xafve \xe4\xbd\xa0\xe5\xa5\xbd", "1234567890 don't", "<s>literal</s>"};

/// A run whose result is exported.
struct ExportedRun
{
    std::string name;
    std::string method;
    StructureKind structure = StructureKind::Factors;
    fs::path model = demo;
    bool dense = false; ///< exported in the dense format as well
};

const std::vector<ExportedRun> exportedRuns{
    {"factors", "whitened-svd"},
    {"identity", "whitened-svd", StructureKind::BlockIdentity},
    {"low-rank-sparse", "low-rank-sparse"},
    {"low-rank-sparse-identity", "low-rank-sparse", StructureKind::BlockIdentity},
    {"joint-latents", "joint-latents", StructureKind::Factors, demo, true},
    {"joint-latents-identity", "joint-latents", StructureKind::BlockIdentity},
    {"joint-latents-gpt2", "joint-latents", StructureKind::Factors, "gpt2"},
    {"curvature-latents", "curvature-latents"},
    {"latentllm", "latentllm", StructureKind::Factors, demo, true},
    {"latentllm-identity", "latentllm", StructureKind::BlockIdentity},
    {"latentllm-opt", "latentllm", StructureKind::Factors, models / "opt-shakespeare"},
    {"latentllm-gpt2", "latentllm", StructureKind::BlockIdentity, "gpt2"},
    {"afm", "afm", StructureKind::Factors, demo, true}, // adds a bias to every linear
};

/// babyllama with a head of its own, biases at every linear and a llama3 rotary scaling of another base.
void writeVariant(const fs::path& folder)
{
    fs::create_directories(folder);
    const Checkpoint source = Checkpoint::open(babyllama);
    Json config = *source.config();
    config["tie_word_embeddings"] = false;
    config["attention_bias"] = true;
    config["mlp_bias"] = true;
    config["rope_theta"] = 50000.0;
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 64}};
    writeFileAtomically(folder / "config.json", dumpJson(config, 2));
    std::map<std::string, std::vector<float>> values;
    std::vector<TensorPlan> plans;
    std::mt19937_64 random(5);
    std::normal_distribution<float> normal(0.0F, 0.2F);
    const auto add = [&](const std::string& name, std::vector<std::size_t> shape, std::vector<float> content) {
        plans.push_back({name, DType::F32, std::move(shape)});
        values.emplace(name, std::move(content));
    };
    for (const TensorInfo& tensor : source.tensors()) {
        std::vector<float> content(tensor.elements());
        convertToFloat(tensor.dtype, source.data(tensor), content);
        add(tensor.name, tensor.shape, content);
        if (tensor.name == "model.embed_tokens.weight") {
            for (float& value : content)
                value += normal(random);
            add("lm_head.weight", tensor.shape, content);
        }
        if (tensor.name.ends_with("_proj.weight")) {
            std::vector<float> bias(tensor.shape[0]);
            for (float& value : bias)
                value = normal(random);
            add(tensor.name.substr(0, tensor.name.size() - 6) + "bias", {tensor.shape[0]}, std::move(bias));
        }
    }
    SafetensorsWriter writer(folder / "model.safetensors", plans, {{"format", "pt"}});
    for (const TensorPlan& plan : writer.order())
        writer.writeFloats(plan.name, values.at(plan.name));
    writer.commit();
}

} // namespace

/// What transformers makes of exported folders; expected values are those of this engine on the model in memory.
class TestExportTransformers : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_device = makeCpuDevice();
        writeVariant(m_place / "variant");
    }

    void exportsLoadAndGiveTheSameLogits_data() { orders(); }
    void exportsLoadAndGiveTheSameLogits()
    {
        QFETCH(bool, stockFirst);
        TransformersCheck check(m_place / (stockFirst ? "stock-first" : "exports-first"), m_device);
        // The dots in the names are those that people give folders; transformers makes Python modules of them.
        for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense}) {
            const std::string kind(exportFormatName(format));
            check.add("stories-0.5." + kind, demo, format, texts, 1, !stockFirst);
            check.add("babyllama-0.5." + kind, babyllama, format, texts, 1, !stockFirst);
            check.add("variant." + kind, m_place / "variant", format, {}, 1, !stockFirst);
            check.add("biases." + kind, babyllama, format, {}, 1, false, true);
        }
        check.add("shared", demo, ExportFormat::Factored, {}, 1, !stockFirst, false, true);
        check.add("sparse", demo, ExportFormat::Factored, {}, 1, !stockFirst, false, false, true);
        check.add("sparse.dense", demo, ExportFormat::Dense, {}, 1, false, false, false, true);
        compare(check, {demo}, stockFirst);
    }

    /// Three blocks each: all linears in factors, all with a block identity, and a mixture of both with dense ones.
    void architecturesLoadAndGiveTheSameLogits_data() { orders(); }
    void architecturesLoadAndGiveTheSameLogits()
    {
        QFETCH(bool, stockFirst);
        TransformersCheck check(m_place / (stockFirst ? "stock-first-all" : "exports-first-all"), m_device);
        std::vector<fs::path> stocks;
        for (const std::string name : {"mistral", "qwen2", "qwen3", "opt", "gpt2"}) {
            const fs::path folder = models / "random" / name;
            check.add(name + ".factored", folder, ExportFormat::Factored, {}, 1, !stockFirst);
            check.add(name + ".dense", folder, ExportFormat::Dense, {}, 1, !stockFirst);
            check.add(name + ".biases", folder, ExportFormat::Factored, {}, 1, false, true);
            if (!stockFirst)
                check.add(name + ".shared", folder, ExportFormat::Factored, {}, 1, false, false, true);
            if (!stockFirst && name == "gpt2") // whose fused linears are split
                check.add(name + ".sparse", folder, ExportFormat::Factored, {}, 1, false, true, false, true);
            if (name != "qwen3")
                stocks.push_back(folder);
        }
        if (!stockFirst)
            for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense})
                check.add("qwen2.gguf." + std::string(exportFormatName(format)), models / "random" / "qwen2.gguf",
                          format, {}, 1, false);
        // Biases that only the classes of Llama have, which compute the same without a sliding window.
        for (const std::string name : {"mistral", "qwen2"}) {
            const fs::path folder = m_place / (name + (stockFirst ? "-open-1" : "-open-2"));
            exporting::copyWithout(models / "random" / name, folder, "sliding_window");
            check.add(name + ".biases.dense", folder, ExportFormat::Dense, {}, 1, false, true);
        }
        compare(check, stocks, stockFirst);
    }

    /// What the methods make: every structure, most linears below their full rank.
    void runsLoadAndGiveTheSameLogits()
    {
        // A tokenizer for the random model, whose vocabulary has as many tokens.
        const fs::path gpt2 = m_place / "gpt2";
        fs::copy(models / "random" / "gpt2", gpt2);
        for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"})
            fs::copy_file(babyllama / file, gpt2 / file);

        Store store(m_place / "experiments.sqlite");
        TransformersCheck check(m_place / "runs", m_device);
        for (const ExportedRun& run : exportedRuns) {
            Recipe recipe;
            recipe.model = run.model == "gpt2" ? gpt2 : run.model;
            recipe.method = run.method;
            recipe.structure = run.structure;
            recipe.keptRatio = 0.7;
            recipe.threads = 2;
            recipe.calibration =
                WindowOptions{.text = fs::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 64, .count = 8};
            const bool leavesOne = run.name == "factors";
            if (leavesOne)
                recipe.ranks = {{"model.layers.0.mlp.down_proj", 60}}; // beyond break-even: stays dense
            const RunResult result = runRecipe(recipe, store, {.cache = m_place / "cache"}, {});
            const Model model = Model::open(recipe.model);
            const Model compressed = model.withLinears(runLinears(result.folder, result.fingerprint));

            const Model exported = Model::open(check.add(run.name, compressed, ExportFormat::Factored));
            QCOMPARE(exported.parameterCount(), result.parameters);
            QVERIFY(exported.parameterCount() < model.parameterCount());
            std::size_t below = 0;
            std::set<StructureKind> structures;
            for (const LinearInfo& info : exported.linears()) {
                QCOMPARE(info.stored(), result.linears[info.index].stored());
                QCOMPARE(info.entries > 0, run.method == "low-rank-sparse");
                structures.insert(info.structure);
                below += info.rank < info.shape.fullRank() ? 1 : 0;
            }
            QVERIFY(2 * below > exported.linears().size());
            QVERIFY(structures.contains(run.structure));
            QCOMPARE(structures.contains(StructureKind::Dense), leavesOne);
            QCOMPARE(structures.contains(StructureKind::SharedLatent), findMethod(run.method).sharesLatents());
            if (run.dense)
                check.add(run.name + ".dense", compressed, ExportFormat::Dense);
        }
        // Factors of real methods can be large and cancel; exports promise 1e-3.
        compare(check, {}, false, 1e-4);
    }

    /// The stock Mistral classes of transformers before 4.48 know no scaling.
    void scaledRotaryModelsGiveTheSameLogits()
    {
        const Json linear = {{"rope_type", "linear"}, {"factor", 4.0}};
        const Json llama3 = {{"rope_type", "llama3"},
                             {"factor", 4.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 32}};
        const std::vector<std::int32_t> ids{4, 8, 15, 16, 23, 42, 5, 9, 16, 17, 24, 43};
        TransformersCheck check(m_place / "scaled", m_device);
        for (const std::string name : {"mistral", "qwen2", "qwen3"}) {
            const fs::path source = models / "random" / name;
            const Matrix<float> plain = exporting::logitsOf(Model::open(source), *m_device, ids);
            for (const Json* scaling : {&linear, &llama3}) {
                const std::string scaled = name + "." + (*scaling)["rope_type"].get<std::string>();
                const fs::path folder = m_place / scaled;
                fs::copy(source, folder);
                Json config = readJson(folder / "config.json");
                config["rope_scaling"] = *scaling;
                writeFileAtomically(folder / "config.json", dumpJson(config));
                const Matrix<float> other = exporting::logitsOf(Model::open(folder), *m_device, ids);
                QVERIFY(exporting::relativeDifference(plain, other) > 1e-3);
                check.add(scaled, folder, ExportFormat::Factored, {}, 1, name == "mistral");
                if (name != "mistral")
                    check.add(scaled + ".dense", folder, ExportFormat::Dense, {}, 1, false);
            }
        }
        compare(check, {}, false);
    }

private:
    static void orders()
    {
        QTest::addColumn<bool>("stockFirst");
        QTest::newRow("stock models after the exports") << false;
        QTest::newRow("stock models before the exports") << true;
    }

    /// float32 sums in another order over 5 blocks: about 1e-6 here, and as much more on other processors.
    static void compare(const TransformersCheck& check, const std::vector<fs::path>& stocks, bool stockFirst,
                        double bound = 1e-5)
    {
        const Json found = check.run(stocks, stockFirst);
        if (QTest::currentTestFailed())
            return;
        check.compare(found, bound);
        for (std::size_t i = 0; i < stocks.size(); ++i) {
            if (stockFirst)
                QVERIFY(found["stockBefore"][i]["exact"] == true);
            QVERIFY(found["stockAfter"][i]["exact"] == true);
        }
        if (stockFirst)
            QVERIFY(found["stockUnchanged"] == true);
    }

    QTemporaryDir m_folder;
    fs::path m_place = m_folder.path().toStdString();
    std::shared_ptr<const Device> m_device;
};

QTEST_GUILESS_MAIN(TestExportTransformers)
#include "tst_export_transformers.moc"
