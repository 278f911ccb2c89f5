#include "core/base/error.h"
#include "core/base/json.h"
#include "core/calibration/statistics.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/evaluation/block_influence.h"
#include "core/evaluation/evaluation.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <functional>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

const fs::path models = fs::path(RANKWRIGHT_TEST_DATA) / "models";

fs::path folderOf(const std::string& name)
{
    return models / "random" / name;
}

/// A copy of a checkpoint whose tensors got other names, values as F32, and tensors of ones beside them.
void writeRenamed(const fs::path& source, const fs::path& target,
                  const std::function<std::string(const std::string&)>& rename,
                  const std::vector<TensorPlan>& more = {})
{
    fs::create_directories(target);
    fs::copy_file(source / "config.json", target / "config.json");
    const Checkpoint checkpoint = Checkpoint::open(source);
    std::vector<TensorPlan> plans = more;
    std::map<std::string, const TensorInfo*> origins;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        plans.push_back({rename(tensor.name), DType::F32, tensor.shape});
        origins[plans.back().name] = &tensor;
    }
    SafetensorsWriter writer(target / "model.safetensors", plans, {{"format", "pt"}});
    for (const TensorPlan& plan : writer.order()) {
        std::size_t elements = 1;
        for (const std::size_t dimension : plan.shape)
            elements *= dimension;
        std::vector<float> values(elements, 1.0F);
        if (const auto origin = origins.find(plan.name); origin != origins.end())
            convertToFloat(origin->second->dtype, checkpoint.data(*origin->second), values);
        writer.writeFloats(plan.name, values);
    }
    writer.commit();
}

TokenWindows windowsOf(const Json& reference)
{
    TokenWindows windows;
    windows.ids = reference["windows"].get<std::vector<std::vector<std::int32_t>>>();
    for (std::size_t i = 0; i < windows.ids.size(); ++i)
        windows.offsets.push_back(i * windows.ids.front().size());
    windows.textTokens = windows.ids.size() * windows.ids.front().size();
    windows.fingerprint = "reference";
    return windows;
}

} // namespace

/// Random checkpoints of every architecture against what transformers (Qwen3: a plain loop) makes of them.
class TestArchitectures : public QObject
{
    Q_OBJECT

    void architectures()
    {
        QTest::addColumn<std::string>("name");
        for (const char* name : {"mistral", "qwen2", "qwen3", "opt", "gpt2"})
            QTest::newRow(name) << std::string(name);
    }

private slots:
    void logitsAndLossesEqualTheReference_data()
    {
        architectures();
        QTest::newRow("qwen2 in GGUF") << std::string("qwen2.gguf");
        QTest::newRow("qwen3 in GGUF") << std::string("qwen3.gguf");
    }
    void logitsAndLossesEqualTheReference()
    {
        QFETCH(std::string, name);
        const Model model = Model::open(folderOf(name));
        QCOMPARE(model.config().architecture, name.substr(0, name.find('.')));
        const Json reference = readJson(folderOf(model.config().architecture) / "reference.json");
        const TokenWindows windows = windowsOf(reference);
        const auto positions = reference["positions"].get<std::vector<std::size_t>>();
        const auto expected = reference["logits"].get<std::vector<std::vector<double>>>();
        const Matrix<float> logits = windowLogits(model, *m_device, windows.ids.front(), positions, {});
        double largest = 0;
        double difference = 0;
        for (std::size_t i = 0; i < positions.size(); ++i) {
            for (std::size_t j = 0; j < logits.columns(); ++j) {
                largest = std::max(largest, std::abs(expected[i][j]));
                difference = std::max(difference, std::abs(static_cast<double>(logits(i, j)) - expected[i][j]));
            }
        }
        // float32 sums in another order over three blocks: about 1e-6.
        QVERIFY2(difference <= 1e-5 * largest, qPrintable(QStringLiteral("%1 of %2").arg(difference).arg(largest)));
        const PerplexityResult result = evaluatePerplexity(model, *m_device, windows, {}, {});
        const auto losses = reference["windowNll"].get<std::vector<double>>();
        QCOMPARE(result.windowNll.size(), losses.size());
        for (std::size_t i = 0; i < losses.size(); ++i)
            QVERIFY(std::abs(result.windowNll[i] - losses[i]) <= 1e-5 * losses[i]);
    }

    void tapsEqualTheReference_data() { architectures(); }
    void tapsEqualTheReference()
    {
        QFETCH(std::string, name);
        const Json reference = readJson(folderOf(name) / "reference.json");
        const Model model = Model::open(folderOf(name));
        const QTemporaryDir cache;
        const CalibrationSet set =
            calibrate(model, *m_device, windowsOf(reference), cache.path().toStdString(), {}, {});
        const Json& linears = reference["linears"];
        QCOMPARE(model.linears().size(), linears.size());
        for (const LinearInfo& info : model.linears()) {
            QVERIFY2(linears.contains(info.name), info.name.c_str());
            const Json& expected = linears[info.name];
            const TapSummary& found = set.summaries()[info.tap];
            QCOMPARE(found.tokens, expected["tokens"].get<std::size_t>());
            const auto close = [&](double value, const char* key) {
                return std::abs(value - expected[key].get<double>()) <= 1e-4 * expected[key].get<double>();
            };
            QVERIFY2(close(found.trace, "trace") && close(found.frobenius, "frobenius") &&
                         close(found.meanNorm, "meanNorm"),
                     info.name.c_str());
        }
    }

    void blockInfluenceEqualsTheReference_data() { architectures(); }
    void blockInfluenceEqualsTheReference()
    {
        QFETCH(std::string, name);
        const Json reference = readJson(folderOf(name) / "reference.json");
        const Model model = Model::open(folderOf(name));
        const auto expected = reference["blockInfluence"].get<std::vector<double>>();
        std::vector<double> found = evaluateBlockInfluence(model, *m_device, windowsOf(reference), {.threads = 1}, {});
        QCOMPARE(found.size(), expected.size());
        for (std::size_t block = 0; block < found.size(); ++block)
            QVERIFY2(std::abs(found[block] - expected[block]) <= 1e-5 * expected[block],
                     qPrintable(QStringLiteral("%1: %2, not %3").arg(block).arg(found[block]).arg(expected[block])));
        QCOMPARE(evaluateBlockInfluence(model, *m_device, windowsOf(reference), {.threads = 3}, {}), found);
    }

    void generationEqualsTheReference_data() { architectures(); }
    void generationEqualsTheReference()
    {
        QFETCH(std::string, name);
        const Json reference = readJson(folderOf(name) / "reference.json");
        const fs::path folder = place(name + "-with-tokenizer");
        fs::copy(folderOf(name), folder);
        for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"})
            fs::copy_file(models / "babyllama-tok105" / file, folder / file);
        const Model model = Model::open(folder);
        const auto text = reference["promptText"].get<std::string>();
        const auto tokens = reference["newTokens"].get<std::size_t>();
        const GenerationResult result = generateGreedy(model, *m_device, text, tokens, {}, {});
        QCOMPARE(result.prompt, reference["prompt"].get<std::vector<std::int32_t>>());
        QCOMPARE(result.generated, reference["generated"].get<std::vector<std::int32_t>>());
        // The same without the cache.
        std::vector<std::int32_t> ids = result.prompt;
        for (const std::int32_t token : result.generated) {
            const Matrix<float> logits = windowLogits(model, *m_device, ids, {ids.size() - 1}, {});
            const auto best = std::max_element(logits.span().begin(), logits.span().end());
            QCOMPARE(static_cast<std::int32_t>(best - logits.span().begin()), token);
            ids.push_back(token);
        }
    }

    /// Files saved from the base model lack "model." or "transformer."; those of GPT-2 before 2023 carry masks.
    void namesWithoutThePrefix_data() { architectures(); }
    void namesWithoutThePrefix()
    {
        QFETCH(std::string, name);
        const std::string prefix = name == "gpt2" ? "transformer." : "model.";
        std::vector<TensorPlan> masks;
        if (name == "gpt2")
            masks = {{"h.0.attn.bias", DType::F32, {1, 1, 64, 64}}, {"h.1.attn.masked_bias", DType::F32, {1}}};
        const fs::path folder = place(name + "-base");
        writeRenamed(
            folderOf(name), folder,
            [&](const std::string& tensor) {
                return tensor.starts_with(prefix) ? tensor.substr(prefix.size()) : tensor;
            },
            masks);
        const Model original = Model::open(folderOf(name));
        const Model renamed = Model::open(folder);
        QCOMPARE(renamed.parameterCount(), original.parameterCount());
        QCOMPARE(renamed.linears().front().name, original.linears().front().name);
        const std::vector<std::int32_t> ids{4, 8, 15, 16, 23, 42};
        const std::vector<std::size_t> last{5};
        const Matrix<float> expected = windowLogits(original, *m_device, ids, last, {});
        const Matrix<float> logits = windowLogits(renamed, *m_device, ids, last, {});
        QVERIFY(std::ranges::equal(logits.span(), expected.span()));
    }

    /// Blocks without a gate have six linears; every linear is found by its role and by its name.
    void linearsByRole_data() { architectures(); }
    void linearsByRole()
    {
        QFETCH(std::string, name);
        const Model model = Model::open(folderOf(name));
        const bool gated = name != "opt" && name != "gpt2";
        QCOMPARE(model.linears(1).size(), std::size_t{gated ? 7U : 6U});
        for (const LinearInfo& info : model.linears(1)) {
            QCOMPARE(&model.linear(1, info.role), &info);
            QCOMPARE(&model.linear(info.name), &info);
            QCOMPARE(info.block, std::size_t{1});
        }
        if (!gated)
            QVERIFY_EXCEPTION_THROWN(model.linear(0, Role::Gate), Error);
    }

    /// A fused weight is the sum of its parts: what c_attn gives to an input is what q, k and v give.
    void fusedWeightIsTakenApart()
    {
        const Model model = Model::open(folderOf("gpt2"));
        const Checkpoint& checkpoint = model.checkpoint();
        const Matrix<float> fused = checkpoint.readMatrix(checkpoint.at("transformer.h.1.attn.c_attn.weight"));
        const std::vector<float> bias = checkpoint.readVector(checkpoint.at("transformer.h.1.attn.c_attn.bias"));
        std::size_t column = 0;
        for (const char* part : {"q", "k", "v"}) {
            const LinearWeights weights =
                model.readLinear(model.linear(std::string("transformer.h.1.attn.c_attn.") + part));
            const Matrix<float>& W = std::get<DenseWeights>(weights.form).W;
            QCOMPARE(W.rows(), std::size_t{32});
            for (std::size_t row = 0; row < W.rows(); ++row, ++column) {
                QCOMPARE(weights.bias[row], bias[column]);
                for (std::size_t j = 0; j < W.columns(); ++j)
                    QCOMPARE(W(row, j), fused(j, column));
            }
        }
        QCOMPARE(column, fused.columns());
    }

private:
    fs::path place(const std::string& name) const { return fs::path(m_folder.path().toStdString()) / name; }

    QTemporaryDir m_folder;
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestArchitectures)
#include "tst_architectures.moc"
