#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/model/summary.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/export/export_support.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <csignal>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

const fs::path demo = fs::path(RANKWRIGHT_DEMO) / "stories260K";
const fs::path babyllama = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "babyllama-tok105";

std::vector<std::int32_t> someIds(const Model& model, std::size_t count)
{
    std::vector<std::int32_t> ids(count);
    for (std::size_t i = 0; i < count; ++i)
        ids[i] = static_cast<std::int32_t>((1 + 37 * i) % model.config().vocabularySize);
    return ids;
}

/// Kind of the Error that `call` throws; nothing if it throws none.
template <typename Call>
std::optional<ErrorKind> kindOf(Call call, std::string* message = nullptr)
{
    try {
        call();
    } catch (const Error& error) {
        if (message)
            *message = error.what();
        return error.kind();
    }
    return {};
}

/// Names of everything in a folder, hidden ones too.
std::set<std::string> entries(const fs::path& folder)
{
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

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
        const std::vector<std::int32_t> ids = someIds(model, 64);
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
        const std::vector<std::int32_t> ids = someIds(model, 64);
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
        const std::vector<std::int32_t> ids = someIds(model, 64);
        const Matrix<float> logits = exporting::logitsOf(compressed, *m_device, ids);
        QVERIFY(exporting::relativeDifference(logits, exporting::logitsOf(reopened, *m_device, ids)) <=
                (dense ? 1e-5 : 0.0));
        QVERIFY(exporting::relativeDifference(logits, exporting::logitsOf(model, *m_device, ids)) > 1e-3);
        exportModel(reopened, *m_device, again, {.format = format}, {});
        QVERIFY(exporting::contentOf(folder).at("model.safetensors") ==
                exporting::contentOf(again).at("model.safetensors"));
    }

    void biasesThatTheStockClassCannotHaveAreRefused()
    {
        const fs::path random = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random";
        for (const char* name : {"mistral", "qwen2", "qwen3"}) {
            const Model model = Model::open(random / name);
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
        const Model model = Model::open(fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random" / "gpt2");
        const Model compressed = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.role != Role::K && (info.role != Role::Down || info.block != 1))
                return nullptr;
            LinearWeights weights = model.readLinear(info);
            weights.bias.clear();
            return std::make_shared<const LinearWeights>(std::move(weights));
        });
        const std::vector<std::int32_t> ids = someIds(model, 40);
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

    /// Masks of GPT-2 files before 2023 and a tied head stored once more: no export has them.
    void onlyTensorsOfTheModelAreCounted()
    {
        const fs::path source = fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random" / "gpt2";
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
            fs::copy(fs::path(RANKWRIGHT_TEST_DATA) / "models" / "random" / name, source);
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
        const std::vector<std::int32_t> ids = someIds(model, 32);
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

        // vocab.json and merges.txt alone name no class: an equivalent tokenizer.json is made of them.
        fs::remove(source / "tokenizer.json");
        fs::remove(source / "tokenizer_config.json");
        for (const char* name : {"vocab.json", "merges.txt"})
            fs::copy(fs::path(RANKWRIGHT_TEST_DATA) / "tokenizers" / "gpt2" / name, source / name);
        const fs::path made = run("made");
        const char* text = "Don't tokenise  12345 caf\xc3\xa9!\n";
        QCOMPARE(Tokenizer::open(made / "tokenizer.json")->encode(text), Tokenizer::open(source)->encode(text));

        writeFileAtomically(source / "tokenizer_config.json", "{broken");
        QCOMPARE(kindOf([&] { run("broken"); }), ErrorKind::Corrupt);
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

    void wrongCallsAreRefused()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        const auto attempt = [&](const fs::path& folder, const ExportOptions& options) {
            return kindOf([&] { exportModel(model, *m_device, folder, options, {}); });
        };
        QCOMPARE(attempt(parent / "a", {.dtype = DType::Q8_0}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt(parent / "a", {.shardBytes = 0}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt({}, {}), ErrorKind::InvalidArgument);
        writeFileAtomically(parent / "file", "not a folder");
        QCOMPARE(attempt(parent / "file", {}), ErrorKind::InvalidArgument);
        QCOMPARE(readFile(parent / "file"), std::string("not a folder"));
        fs::create_directory(parent / "full");
        writeFileAtomically(parent / "full" / "precious", "kept");
        QCOMPARE(attempt(parent / "full", {}), ErrorKind::InvalidArgument);
        QCOMPARE(readFile(parent / "full" / "precious"), std::string("kept"));
        QCOMPARE(attempt(demo, {}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt(parent / "file" / "below", {}), ErrorKind::Io);
        QCOMPARE(entries(parent), (std::set<std::string>{"file", "full"}));
        QCOMPARE(kindOf([] { exportFormatFromName("zip"); }), ErrorKind::InvalidArgument);

        fs::create_directory(parent / "empty");
        QCOMPARE(attempt(parent / "empty" / "", {}), std::nullopt);
        QCOMPARE(Model::open(parent / "empty").linears().size(), model.linears().size());
    }

    void readOnlyParentIsAnError()
    {
        const Model model = Model::open(demo);
        // Root writes into folders without write permission, but nobody makes folders in /proc.
        std::string message;
        QCOMPARE(kindOf([&] { exportModel(model, *m_device, "/proc/rankwright-export", {}, {}); }, &message),
                 ErrorKind::Io);
        QVERIFY(message.find("/proc/rankwright-export") != std::string::npos);
        if (::geteuid() == 0)
            return;
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        QCOMPARE(::chmod(parent.c_str(), 0500), 0);
        QCOMPARE(kindOf([&] { exportModel(model, *m_device, parent / "out", {}, {}); }), ErrorKind::Io);
        QCOMPARE(::chmod(parent.c_str(), 0700), 0);
        QVERIFY(entries(parent).empty());
    }

    void failuresInTheMiddleLeaveNothing()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        // The first pass over the blocks reads this one, the second does not get it any more.
        std::size_t calls = 0;
        const Model failing = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.block == 3 && info.role == Role::Q && ++calls == 2)
                throw Error(ErrorKind::Corrupt, "the run's folder was damaged");
            return nullptr;
        });
        QCOMPARE(kindOf([&] { exportModel(failing, *m_device, folder, {}, {}); }), ErrorKind::Corrupt);
        QVERIFY(entries(folder.parent_path()).empty());

        // 1e6 does not fit F16; the tensor is named.
        const Model large = model.withLinears([&](const LinearInfo& info) {
            std::shared_ptr<const LinearWeights> replaced;
            if (info.block == 2 && info.role == Role::V) {
                DenseWeights dense{model.readDense(info)};
                dense.W(0, 0) = 1e6F;
                replaced = std::make_shared<const LinearWeights>(LinearWeights{std::move(dense), {}});
            }
            return replaced;
        });
        std::string message;
        QCOMPARE(kindOf([&] { exportModel(large, *m_device, folder, {.dtype = DType::F16}, {}); }, &message),
                 ErrorKind::NonFinite);
        QVERIFY(message.find("model.layers.2.self_attn.v_proj.weight") != std::string::npos);
        QVERIFY(entries(folder.parent_path()).empty());
    }

    void differentLogitsAreNotAccepted()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        // A source that gives other weights once they were written: the reopened folder no longer agrees.
        std::size_t calls = 0;
        const Model changing = model.withLinears([&](const LinearInfo& info) {
            std::shared_ptr<const LinearWeights> replaced;
            if (info.block == 1 && info.role == Role::Down && ++calls > 2) {
                DenseWeights dense{model.readDense(info)};
                for (float& value : dense.W.span())
                    value = -value;
                replaced = std::make_shared<const LinearWeights>(LinearWeights{std::move(dense), {}});
            }
            return replaced;
        });
        QCOMPARE(kindOf([&] { exportModel(changing, *m_device, folder, {}, {}); }), ErrorKind::Mismatch);
        QVERIFY(entries(folder.parent_path()).empty());
    }

    void cancelAtAnyStepLeavesNothing()
    {
        const Model model = Model::open(demo);
        const exporting::Replacements replacements(model, m_device);
        const Model compressed = model.withLinears(replacements.source());
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        std::size_t steps = 0;
        exportModel(compressed, *m_device, folder.parent_path() / "whole", {},
                    {.progress = [&](const Progress&) { ++steps; }});
        QVERIFY(steps > 50);
        for (std::size_t at = 0; at < steps; at += 7) {
            std::stop_source stop;
            std::size_t step = 0;
            const TaskContext context{.stop = stop.get_token(), .progress = [&](const Progress&) {
                                          if (step++ == at)
                                              stop.request_stop();
                                      }};
            QCOMPARE(kindOf([&] { exportModel(compressed, *m_device, folder, {}, context); }), ErrorKind::Cancelled);
            QCOMPARE(entries(folder.parent_path()), (std::set<std::string>{"whole"}));
        }
    }

    void fullDiskLeavesNothing()
    {
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        for (const char* limit : {"0", "1000", "100000"}) {
            QProcess process;
            process.start(QStringLiteral(EXPORT_HELPER),
                          {QString::fromStdString(folder.string()), QString::fromLatin1(limit)});
            QVERIFY(process.waitForFinished(60000));
            const QByteArray text = process.readAllStandardError();
            QVERIFY2(process.exitStatus() == QProcess::NormalExit && process.exitCode() == 1, text.constData());
            QVERIFY2(text.startsWith("io: "), text.constData());
            QVERIFY(entries(folder.parent_path()).empty());
        }
    }

    void killedExportsLeaveNothingThatLooksWhole()
    {
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        const fs::path whole = parent / "whole";
        QCOMPARE(QProcess::execute(QStringLiteral(EXPORT_HELPER), {QString::fromStdString(whole.string())}), 0);
        const auto expected = exporting::contentOf(whole);
        int killed = 0;
        for (int attempt = 0; attempt < 12; ++attempt) {
            const fs::path folder = parent / ("out" + std::to_string(attempt));
            QProcess process;
            process.start(QStringLiteral(EXPORT_HELPER), {QString::fromStdString(folder.string())});
            QVERIFY(process.waitForStarted());
            std::this_thread::sleep_for(std::chrono::milliseconds(10 * attempt));
            process.kill();
            QVERIFY(process.waitForFinished(60000));
            killed += process.exitStatus() == QProcess::CrashExit ? 1 : 0;
            // Under its name the folder is whole or not there at all.
            if (fs::exists(folder))
                QVERIFY(exporting::contentOf(folder) == expected);
        }
        for (const std::string& name : entries(parent)) {
            if (!name.starts_with("out"))
                QVERIFY2(name == "whole" || name.ends_with(".partial"), name.c_str());
        }
        qInfo("%d of 12 exports were killed before their end", killed);
        QVERIFY(killed > 0);
    }

private:
    std::shared_ptr<const Device> m_device;
};

QTEST_GUILESS_MAIN(TestExport)
#include "tst_export.moc"
