#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/model/summary.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/export/export_support.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

const fs::path demo = fs::path(RANKWRIGHT_DEMO) / "stories260K";
const fs::path babyllama = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "babyllama-tok105";
const fs::path randomModels = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random";

} // namespace

class TestExport : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { m_device = makeCpuDevice(); }

    void reopenedExportGivesTheSameLogits_data()
    {
        QTest::addColumn<QString>("source");
        QTest::addColumn<bool>("dense");
        QTest::addColumn<QString>("dtype");
        for (const char* source : {"stories260K", "babyllama"})
            for (const bool dense : {false, true})
                for (const char* dtype : {"F32", "F16", "BF16"})
                    QTest::addRow("%s %s %s", source, dense ? "dense" : "factored", dtype)
                        << QString::fromLatin1(source) << dense << QString::fromLatin1(dtype);
    }

    void reopenedExportGivesTheSameLogits()
    {
        QFETCH(QString, source);
        QFETCH(bool, dense);
        QFETCH(QString, dtype);
        const Model model = Model::open(source == QLatin1String("babyllama") ? babyllama : demo);
        const exporting::Replacements replacements(model, m_device);
        const Model compressed = model.withLinears(replacements.source());
        const ExportOptions options{.format = dense ? ExportFormat::Dense : ExportFormat::Factored,
                                    .dtype = dtype == QLatin1String("F32")   ? DType::F32
                                             : dtype == QLatin1String("F16") ? DType::F16
                                                                             : DType::BF16};
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        const ExportResult result = exportModel(compressed, *m_device, folder, options, {});
        const Model reopened = Model::open(folder);
        const std::vector<std::int32_t> ids = exporting::someIds(model, 64);
        const double difference = exporting::relativeDifference(exporting::logitsOf(compressed, *m_device, ids),
                                                                exporting::logitsOf(reopened, *m_device, ids));
        qInfo("%s: largest logit difference %.3g of the largest on 64 tokens, %.3g on the 16 of the export",
              QTest::currentDataTag(), difference, result.largestLogitDifference);
        // Factors in F32 are written as they are. A dense F32 export rounds the product once, about 2^-24 per weight.
        const double bound = options.dtype == DType::F32 ? (dense ? 1e-5 : 0.0) : exportLogitBound(options.dtype);
        QVERIFY(difference <= bound);
        QVERIFY(result.largestLogitDifference <= bound);
        for (const LinearInfo& info : reopened.linears()) {
            const auto replaced = replacements.source()(model.linear(info.name));
            QCOMPARE(info.structure, replaced && !dense ? replaced->structure() : StructureKind::Dense);
            QCOMPARE(info.rank, replaced && !dense ? replaced->rank() : info.shape.fullRank());
            QCOMPARE(info.dtype, options.dtype);
        }
        QCOMPARE(reopened.config().tiedHead, model.config().tiedHead);
        QCOMPARE(reopened.tokenizer()->encode("Once upon a time"), model.tokenizer()->encode("Once upon a time"));
        QCOMPARE(fs::exists(folder / "modeling_rankwright.py"), !dense);
        const auto content = exporting::contentOf(folder);
        std::size_t bytes = 0;
        std::vector<std::string> names;
        for (const auto& [name, text] : content) {
            bytes += text.size();
            names.push_back(name);
        }
        QCOMPARE(result.files, names);
        QCOMPARE(result.bytes, bytes);
        QCOMPARE(result.weightBytes, content.at("model.safetensors").size());
        const std::string size =
            "take " + formatBytes(weightBytes(reopened)) + " (" + std::to_string(weightBytes(reopened)) + " bytes)";
        QVERIFY(content.at("README.md").find(size) != std::string::npos);
        QCOMPARE(content.at("README.md").find("saves nothing") != std::string::npos, dense);
        QVERIFY(content.contains("LICENSE"));
    }

    /// Linears of one input over one A: the table says whose, and nothing is written twice.
    void sharedLatentsAreWrittenOnce()
    {
        const Model model = Model::open(demo);
        const exporting::Replacements replacements(model, m_device, 1, 0.5, false, true);
        const Model compressed = model.withLinears(replacements.source());
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        exportModel(compressed, *m_device, folder, {}, {});
        const Model reopened = Model::open(folder);
        const std::vector<std::int32_t> ids = exporting::someIds(model, 64);
        const Matrix<float> expected = exporting::logitsOf(compressed, *m_device, ids);
        QCOMPARE(exporting::relativeDifference(expected, exporting::logitsOf(reopened, *m_device, ids)), 0.0);
        std::size_t parameters = 0;
        for (const LinearInfo& info : reopened.linears())
            parameters +=
                replacements.source()(info) ? replacements.source()(info)->parameters() : info.shape.parameters();
        QCOMPARE(reopened.linearParameterCount(), parameters);
        const LinearInfo& key = reopened.linear(0, Role::K);
        QCOMPARE(key.structure, StructureKind::SharedLatent);
        QVERIFY(!reopened.checkpoint().find(key.name + ".A.weight"));
        // One latent stands for keys and values.
        QCOMPARE(cacheWidth(reopened).latent, key.rank * 5);

        // Again as it is, dense, and with the owner of the latents replaced, which leaves the readers their own.
        exportModel(reopened, *m_device, fs::path(place.path().toStdString()) / "again", {}, {});
        const Model again = Model::open(fs::path(place.path().toStdString()) / "again");
        QCOMPARE(exporting::relativeDifference(expected, exporting::logitsOf(again, *m_device, ids)), 0.0);
        const fs::path denseFolder = fs::path(place.path().toStdString()) / "dense";
        exportModel(reopened, *m_device, denseFolder, {.format = ExportFormat::Dense}, {});
        QVERIFY(exporting::relativeDifference(expected, exporting::logitsOf(Model::open(denseFolder), *m_device, ids)) <
                1e-5);
        const Model other = reopened.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.role != Role::Q)
                return nullptr;
            return std::make_shared<const LinearWeights>(LinearWeights{DenseWeights{reopened.readDense(info)}, {}});
        });
        QVERIFY(exporting::relativeDifference(expected, exporting::logitsOf(other, *m_device, ids)) < 1e-5);
        const fs::path partFolder = fs::path(place.path().toStdString()) / "part";
        exportModel(other, *m_device, partFolder, {}, {});
        QVERIFY(exporting::relativeDifference(expected, exporting::logitsOf(Model::open(partFolder), *m_device, ids)) <
                1e-5);

        // A table that cannot be is refused.
        Json config = readJson(folder / "config.json");
        const auto refused = [&](const auto& change) {
            Json wrong = config;
            change(wrong["rankwright"]["linears"]);
            writeFileAtomically(folder / "config.json", dumpJson(wrong));
            try {
                Model::open(folder);
            } catch (const Error& error) {
                // Without its entry the owner would have to be there as a dense tensor.
                return error.kind() == ErrorKind::Corrupt || error.kind() == ErrorKind::NotFound;
            }
            return false;
        };
        const std::string q = reopened.linear(0, Role::Q).name;
        QVERIFY(refused([&](Json& table) { table[key.name].erase("latentOf"); }));
        QVERIFY(refused([&](Json& table) { table[key.name]["latentOf"] = reopened.linear(1, Role::Q).name; }));
        QVERIFY(refused([&](Json& table) { table[key.name]["rank"] = key.rank + 1; }));
        QVERIFY(refused([&](Json& table) { table.erase(q); }));
        QVERIFY(refused([&](Json& table) { table[q]["structure"] = "shared-latent"; }));
    }

    /// Masks of GPT-2 files before 2023 and a tied head stored once more: no export has them.
    void onlyTensorsOfTheModelAreCounted()
    {
        const fs::path source = randomModels / "gpt2";
        const Model model = Model::open(source);
        std::vector<TensorPlan> plans{{"transformer.h.0.attn.bias", DType::F32, {1, 1, 64, 64}},
                                      {"transformer.h.1.attn.masked_bias", DType::F32, {1}}};
        std::map<std::string, std::vector<float>> values{{plans[0].name, std::vector<float>(std::size_t{64} * 64)},
                                                         {plans[1].name, std::vector<float>(1)}};
        for (const TensorInfo& tensor : model.checkpoint().tensors()) {
            std::vector<float> content(tensor.elements());
            convertToFloat(tensor.dtype, model.checkpoint().data(tensor), content);
            for (const std::string& name : {tensor.name, std::string("lm_head.weight")}) {
                if (name != tensor.name && tensor.name != "transformer.wte.weight")
                    continue;
                plans.push_back({name, tensor.dtype, tensor.shape});
                values.emplace(name, content);
            }
        }
        const QTemporaryDir place;
        const fs::path folder = place.path().toStdString();
        fs::copy(source / "config.json", folder / "config.json");
        SafetensorsWriter writer(folder / "model.safetensors", plans);
        for (const TensorPlan& plan : writer.order())
            writer.writeFloats(plan.name, values.at(plan.name));
        writer.commit();

        const Model padded = Model::open(folder);
        QCOMPARE(padded.checkpoint().tensors().size(), model.checkpoint().tensors().size() + 3);
        QCOMPARE(padded.parameterCount(), model.parameterCount());
        QCOMPARE(weightBytes(padded), model.parameterCount() * 2);
        QCOMPARE(weightBytes(padded), weightBytes(model));
        QCOMPARE(weightTypes(padded), std::string("BF16"));
        exportModel(padded, *m_device, folder / "out", {.dtype = DType::BF16}, {});
        QCOMPARE(weightBytes(Model::open(folder / "out")), weightBytes(padded));
    }

    /// The stock Mistral classes of transformers before 4.48 would give other logits without a word.
    void cardSaysWhatKnowsTheRotaryScaling()
    {
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        for (const std::string name : {"mistral", "qwen2"}) {
            const fs::path source = parent / name;
            fs::copy(randomModels / name, source);
            Json config = readJson(source / "config.json");
            for (const bool scaled : {false, true}) {
                config["rope_scaling"] = scaled ? Json{{"rope_type", "linear"}, {"factor", 4.0}} : Json();
                writeFileAtomically(source / "config.json", dumpJson(config));
                const Model model = Model::open(source);
                const exporting::Replacements replacements(model, m_device);
                for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense}) {
                    const fs::path folder =
                        parent / (name + (scaled ? "-scaled-" : "-") + std::string(exportFormatName(format)));
                    exportModel(model.withLinears(replacements.source()), *m_device, folder, {.format = format}, {});
                    QCOMPARE(readFile(folder / "README.md").find("transformers 4.48") != std::string::npos,
                             name == "mistral" && scaled && format == ExportFormat::Dense);
                }
            }
        }
    }

    void equalInputGivesEqualBytesWithAnyThreadsAndLimit()
    {
        const Model model = Model::open(babyllama);
        const exporting::Replacements replacements(model, m_device);
        const Model compressed = model.withLinears(replacements.source());
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        for (const ExportFormat format : {ExportFormat::Factored, ExportFormat::Dense}) {
            const auto run = [&](const char* name, std::size_t threads, std::size_t limit) {
                const fs::path folder = parent / (std::string(name) + std::string(exportFormatName(format)));
                exportModel(compressed, *m_device, folder,
                            {.format = format, .card = {{"method", "svd"}}, .threads = threads, .memoryLimit = limit},
                            {});
                return exporting::contentOf(folder);
            };
            const auto once = run("a", 1, 0);
            QVERIFY(once == run("b", 2, std::size_t{16} << 20U));
        }
    }

    void shardsHoldAtMostTheirLimit()
    {
        const Model model = Model::open(babyllama);
        const exporting::Replacements replacements(model, m_device);
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "sharded";
        constexpr std::size_t limit = std::size_t{512} << 10U;
        const ExportResult result = exportModel(model.withLinears(replacements.source()), *m_device, folder,
                                                {.dtype = DType::F16, .shardBytes = limit}, {});
        QVERIFY(fs::exists(folder / "model.safetensors.index.json"));
        std::size_t shards = 0;
        for (const std::string& name : result.files) {
            if (!name.ends_with(".safetensors"))
                continue;
            ++shards;
            // Data within the limit, beside a header of some kilobytes.
            QVERIFY(fs::file_size(folder / name) <= limit + (std::size_t{32} << 10U));
        }
        QVERIFY(shards > 1);
        QCOMPARE(Model::open(folder).checkpoint().files().size(), shards);
    }

    void exportsCanBeExportedAndReplacedAgain()
    {
        const Model model = Model::open(demo);
        const exporting::Replacements replacements(model, m_device);
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        exportModel(model.withLinears(replacements.source()), *m_device, parent / "first", {}, {});
        const Model first = Model::open(parent / "first");

        exportModel(first, *m_device, parent / "second", {}, {});
        auto expected = exporting::contentOf(parent / "first");
        QVERIFY(expected == exporting::contentOf(parent / "second"));

        const exporting::Replacements again(first, m_device, 1, 0.25);
        const Model smaller = first.withLinears(again.source());
        exportModel(smaller, *m_device, parent / "third", {}, {});
        const std::vector<std::int32_t> ids = exporting::someIds(model, 32);
        QCOMPARE(exporting::relativeDifference(exporting::logitsOf(smaller, *m_device, ids),
                                               exporting::logitsOf(Model::open(parent / "third"), *m_device, ids)),
                 0.0);
        QVERIFY(fs::file_size(parent / "third" / "model.safetensors") <
                fs::file_size(parent / "first" / "model.safetensors"));
    }

    void identityOverAllColumnsIsWrittenDense()
    {
        const Model model = Model::open(demo);
        const Model compressed = model.withLinears([&](const LinearInfo& info) {
            std::shared_ptr<const LinearWeights> replaced;
            if (info.role == Role::Up) {
                BlockIdentityWeights identity;
                identity.B = model.readDense(info);
                identity.A2 = Matrix<float>(info.shape.columns, 0);
                for (std::uint32_t column = 0; column < info.shape.columns; ++column)
                    identity.pivots.push_back(column);
                replaced = std::make_shared<const LinearWeights>(LinearWeights{std::move(identity), {}});
            }
            return replaced;
        });
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        QCOMPARE(exportModel(compressed, *m_device, folder, {}, {}).largestLogitDifference, 0.0);
        QCOMPARE(Model::open(folder).linear(0, Role::Up).structure, StructureKind::Dense);
        QVERIFY(!fs::exists(folder / "modeling_rankwright.py"));
    }

    void tokenizerFilesAreKeptAndCompleted()
    {
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        const fs::path source = parent / "source";
        fs::create_directory(source);
        for (const char* name : {"config.json", "model.safetensors"})
            fs::copy(demo / name, source / name);
        const auto run = [&](const char* name) {
            exportModel(Model::open(source), *m_device, parent / name, {}, {});
            return parent / name;
        };

        const fs::path without = run("without");
        QVERIFY(!fs::exists(without / "tokenizer.json") && !fs::exists(without / "tokenizer_config.json"));
        QVERIFY(readFile(without / "README.md").find("There is no tokenizer") != std::string::npos);

        fs::copy(demo / "tokenizer.json", source / "tokenizer.json");
        writeFileAtomically(source / "tokenizer_config.json",
                            R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "chat_template": "{{x}}",)"
                            R"( "auto_map": {"AutoTokenizer": ["other.Code", null]}})");
        const fs::path completed = run("completed");
        QCOMPARE(readFile(completed / "tokenizer.json"), readFile(demo / "tokenizer.json"));
        const Json config = readJson(completed / "tokenizer_config.json");
        QVERIFY(config["tokenizer_class"] == "PreTrainedTokenizerFast" && !config.contains("auto_map"));
        QVERIFY(config["chat_template"] == "{{x}}" && config["bos_token"] == "<s>");
        QVERIFY(config["model_input_names"] == Json::array({"input_ids", "attention_mask"}));

        // The class puts a template of its own in place of the file's; the export, which names no such class, has it.
        writeFileAtomically(source / "tokenizer_config.json",
                            R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>",)"
                            R"( "add_eos_token": true})");
        const auto ended = Tokenizer::open(run("ended") / "tokenizer.json");
        QCOMPARE(ended->prefix(), std::vector<std::int32_t>{1});
        QCOMPARE(ended->suffix(), std::vector<std::int32_t>{2});

        // vocab.json and merges.txt alone name no class: an equivalent tokenizer.json is made of them.
        fs::remove(source / "tokenizer.json");
        fs::remove(source / "tokenizer_config.json");
        for (const char* name : {"vocab.json", "merges.txt"})
            fs::copy(fs::path(RANKWRIGHT_TEST_DATA) / "tokenizers" / "gpt2" / name, source / name);
        const fs::path made = run("made");
        const char* text = "Don't tokenise  12345 caf\xc3\xa9!\n";
        QCOMPARE(Tokenizer::open(made / "tokenizer.json")->encode(text), Tokenizer::open(source)->encode(text));

        writeFileAtomically(source / "tokenizer_config.json", "{broken");
        const auto error = hostile::errorOf([&] { run("broken"); });
        QVERIFY(error && error->kind() == ErrorKind::Corrupt);
        QVERIFY(!fs::exists(parent / "broken"));
    }

    void cardStatesWhatWasMeasured()
    {
        const Model model = Model::open(demo);
        const exporting::Replacements replacements(model, m_device);
        const Json card = {{"method", "whitened-svd"},
                           {"methodTitle", "Whitened SVD"},
                           {"model", "stories260K"},
                           {"parameters", {{"damping", 0.25}}},
                           {"targetKeptRatio", 0.8},
                           {"calibration", {{"text", "a|b.txt"}, {"windows", 128}}},
                           {"surprise", "kept"},
                           {"evaluations",
                            {{{"text", "heldout.txt"},
                              {"window", 256},
                              {"windows", 7},
                              {"originalPerplexity", 4.25},
                              {"compressedPerplexity", 5.125}}}}};
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        exportModel(model.withLinears(replacements.source()), *m_device, folder, {.card = card}, {});
        const std::string text = readFile(folder / "README.md");
        std::size_t linears = 0;
        std::size_t dense = 0;
        for (const LinearInfo& info : model.linears()) {
            const auto replaced = replacements.source()(info);
            linears += replaced ? replaced->parameters() : info.shape.parameters();
            dense += info.shape.parameters();
        }
        QCOMPARE(dense, model.linearParameterCount());
        const std::size_t others = model.parameterCount() - dense;
        const QString counts = QStringLiteral("| linears of the blocks | %1 | %2 |").arg(linears).arg(dense);
        const QString whole =
            QStringLiteral("| whole model | %1 | %2 |").arg(linears + others).arg(model.parameterCount());
        for (const std::string& line :
             {counts.toStdString(), whole.toStdString(), std::string("Whitened SVD (`whitened-svd`)"),
              std::string("| parameter damping | 0.25 |"), std::string("| calibration: text | a\\|b.txt |"),
              std::string("| surprise | kept |"), std::string("| kept ratio asked for | 0.8 |"),
              std::string("| heldout.txt | 256 | 7 | 4.2500 | 5.1250 |"), std::string("trust_remote_code=True"),
              std::string("Copied from it: `LICENSE`")})
            QVERIFY2(text.find(line) != std::string::npos, line.c_str());
        QVERIFY(text.find("saves nothing") == std::string::npos);
    }

private:
    std::shared_ptr<const Device> m_device;
};

QTEST_GUILESS_MAIN(TestExport)
#include "tst_export.moc"
