#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/export/export_support.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

const fs::path babyllama = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "babyllama-tok105";
const fs::path randomModels = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random";

} // namespace

/// Biases that came or went.
class TestExportBiases : public QObject
{
    Q_OBJECT

private slots:
    void biasesThatTheModelDidNotHaveAreWritten_data()
    {
        QTest::addColumn<bool>("dense");
        QTest::newRow("factored") << false;
        QTest::newRow("dense") << true;
    }

    void biasesThatTheModelDidNotHaveAreWritten()
    {
        QFETCH(bool, dense);
        const Model model = Model::open(babyllama);
        QVERIFY(!model.config().queryKeyValueBias && !model.config().outputBias && !model.config().mlpBias);
        const exporting::Replacements replacements(model, m_device, 1, 0.5, true);
        const Model compressed = model.withLinears(replacements.source());
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        const fs::path again = fs::path(place.path().toStdString()) / "again";
        const ExportFormat format = dense ? ExportFormat::Dense : ExportFormat::Factored;
        exportModel(compressed, *m_device, folder, {.format = format}, {});
        const Model reopened = Model::open(folder);
        // In the stock classes all linears of a kind have a bias or none; in the table each says for itself.
        QCOMPARE(reopened.config().queryKeyValueBias && reopened.config().outputBias, dense);
        QCOMPARE(reopened.config().mlpBias, dense);
        std::size_t changed = 0;
        for (const LinearInfo& info : reopened.linears()) {
            const auto replaced = replacements.source()(model.linear(info.name));
            const std::vector<float> expected = replaced ? replaced->bias : std::vector<float>();
            const std::vector<float> found = reopened.readLinear(info).bias;
            changed += expected.empty() ? 0 : 1;
            if (dense && expected.empty())
                QCOMPARE(found, std::vector<float>(info.shape.rows));
            else
                QCOMPARE(found, expected);
        }
        QVERIFY(changed > 3);
        QVERIFY(changed < model.linears().size());
        const std::vector<std::int32_t> ids = exporting::someIds(model, 64);
        const Matrix<float> logits = exporting::logitsOf(compressed, *m_device, ids);
        QVERIFY(exporting::relativeDifference(logits, exporting::logitsOf(reopened, *m_device, ids)) <=
                (dense ? 1e-5 : 0.0));
        QVERIFY(exporting::relativeDifference(logits, exporting::logitsOf(model, *m_device, ids)) > 1e-3);
        exportModel(reopened, *m_device, again, {.format = format}, {});
        QVERIFY(exporting::contentOf(folder).at("model.safetensors") ==
                exporting::contentOf(again).at("model.safetensors"));
    }

    /// Stock Mistral and Qwen2 have no such biases; Llama has, and is the same beside.
    void biasesOfMistralAndQwen2MakeADenseLlama()
    {
        for (const char* name : {"mistral", "qwen2"}) {
            const QTemporaryDir place;
            const fs::path source = fs::path(place.path().toStdString()) / "source";
            exporting::copyWithout(randomModels / name, source, "sliding_window");
            const Model model = Model::open(source);
            const exporting::Replacements replacements(model, m_device, 1, 0.5, true);
            const Model compressed = model.withLinears(replacements.source());
            const fs::path folder = fs::path(place.path().toStdString()) / "out";
            exportModel(compressed, *m_device, folder, {.format = ExportFormat::Dense}, {});
            const Json config = readJson(folder / "config.json");
            QVERIFY(config["architectures"] == Json::array({"LlamaForCausalLM"}));
            QVERIFY(config["attention_bias"] == true && config["mlp_bias"] == true);
            QVERIFY(!config.contains("sliding_window"));
            const Model reopened = Model::open(folder);
            for (const LinearInfo& info : reopened.linears())
                QCOMPARE(reopened.readLinear(info).bias.size(), info.shape.rows);
            const std::vector<std::int32_t> ids = exporting::someIds(model, 40);
            QVERIFY(exporting::relativeDifference(exporting::logitsOf(compressed, *m_device, ids),
                                                  exporting::logitsOf(reopened, *m_device, ids)) < 1e-5);
            QVERIFY(exporting::contentOf(folder).at("README.md").find("those of Llama have them") != std::string::npos);
            // As it is, the model keeps its class.
            const fs::path same = fs::path(place.path().toStdString()) / "same";
            exportModel(model, *m_device, same, {.format = ExportFormat::Dense}, {});
            QVERIFY(readJson(same / "config.json")["model_type"] == name);
        }
    }

    /// Llama has neither Qwen3's norms of queries and keys nor a sliding window.
    void biasesThatNoStockClassHasAreRefused()
    {
        for (const char* name : {"mistral", "qwen3"}) {
            const Model model = Model::open(randomModels / name);
            QVERIFY(model.config().slidingWindow || model.config().queryKeyNorm);
            const exporting::Replacements replacements(model, m_device, 1, 0.5, true);
            const Model compressed = model.withLinears(replacements.source());
            const QTemporaryDir place;
            const fs::path folder = fs::path(place.path().toStdString()) / "out";
            const auto error = hostile::errorOf(
                [&] { exportModel(compressed, *m_device, folder, {.format = ExportFormat::Dense}, {}); });
            QVERIFY(error && error->kind() == ErrorKind::Unsupported);
            QVERIFY(std::string(error->what()).find("factored") != std::string::npos);
            QVERIFY(!fs::exists(folder));
            exportModel(compressed, *m_device, folder, {.format = ExportFormat::Factored}, {});
        }
    }

    /// What a method may do to one of q, k and v: its bias goes, the others keep theirs.
    void aBiasOfAFusedLinearCanGo()
    {
        const Model model = Model::open(randomModels / "gpt2");
        const Model compressed = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.role != Role::K && (info.role != Role::Down || info.block != 1))
                return nullptr;
            LinearWeights weights = model.readLinear(info);
            weights.bias.clear();
            return std::make_shared<const LinearWeights>(std::move(weights));
        });
        const std::vector<std::int32_t> ids = exporting::someIds(model, 40);
        const Matrix<float> logits = exporting::logitsOf(compressed, *m_device, ids);
        for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense}) {
            const QTemporaryDir place;
            const fs::path folder = fs::path(place.path().toStdString()) / "out";
            exportModel(compressed, *m_device, folder, {.format = format}, {});
            const Model reopened = Model::open(folder);
            QVERIFY(exporting::relativeDifference(logits, exporting::logitsOf(reopened, *m_device, ids)) == 0.0);
            const bool dense = format == ExportFormat::Dense;
            QCOMPARE(reopened.readLinear(reopened.linear(0, Role::K)).bias, std::vector<float>(dense ? 32 : 0));
            QCOMPARE(reopened.checkpoint().find("transformer.h.0.attn.c_attn.weight") != nullptr, dense);
        }
    }

private:
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestExportBiases)
#include "tst_export_biases.moc"
