#include "tests/export/transformers_check.h"

#include "core/base/file.h"
#include "core/model/architecture.h"

#include <QProcess>
#include <QTest>

#include <algorithm>

namespace rankwright::exporting {

namespace {

constexpr std::size_t tokens = 32;
constexpr std::size_t generatedTokens = 6;

std::vector<std::string> factorTensors(const Model& exported)
{
    std::vector<std::string> names;
    for (const TensorInfo& tensor : exported.checkpoint().tensors()) {
        const auto has = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
        if (has(".A.") || has(".B.") || has(".A2.") || has(".S.") || tensor.name.ends_with(".pivots"))
            names.push_back(tensor.name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> stringsOf(const Json& list)
{
    return list.get<std::vector<std::string>>();
}

} // namespace

TransformersCheck::TransformersCheck(std::filesystem::path place, std::shared_ptr<const Device> device)
    : m_place(std::move(place))
    , m_device(std::move(device))
{
    createFolders(m_place / "scratch");
}

void TransformersCheck::add(const std::string& name, const std::filesystem::path& source, ExportFormat format,
                            const std::vector<std::string>& texts, std::size_t every, bool thorough, bool biases,
                            bool shared, bool sparse)
{
    const Model model = Model::open(source);
    const Replacements replacements(model, m_device, every, 0.5, biases, shared, sparse);
    add(name, model.withLinears(replacements.source()), format, texts, thorough);
}

std::filesystem::path TransformersCheck::add(const std::string& name, const Model& model, ExportFormat format,
                                             const std::vector<std::string>& texts, bool thorough)
{
    const std::filesystem::path folder = m_place / name;
    exportModel(model, *m_device, folder, {.format = format}, {});

    const std::vector<std::int32_t> ids = someIds(model, tokens);
    const Matrix<float> logits = logitsOf(model, *m_device, ids);
    const std::filesystem::path logitsFile = m_place / (name + ".logits");
    const auto bytes = std::as_bytes(logits.span());
    AtomicFile file(logitsFile);
    file.write(bytes);
    file.commit();

    Json tokenIds = Json::array();
    for (const std::string& text : texts)
        tokenIds.push_back(model.tokenizer()->encode(text));
    const bool custom = format == ExportFormat::Factored;
    const Model reopened = Model::open(folder);
    m_exports.push_back({{"name", name},
                         {"folder", folder.string()},
                         {"custom", custom},
                         {"class", architectureOf(reopened.config()).causalClass},
                         {"ids", ids},
                         {"logits", logitsFile.string()},
                         {"generate", generatedTokens},
                         {"texts", texts},
                         {"tokenIds", tokenIds},
                         {"thorough", thorough}});
    std::vector<std::int32_t> withSpecial;
    if (!texts.empty()) {
        withSpecial = model.tokenizer()->prefix();
        for (const std::vector<std::int32_t>& more : {model.tokenizer()->encode(texts[0]), model.tokenizer()->suffix()})
            withSpecial.insert(withSpecial.end(), more.begin(), more.end());
    }
    m_expected.push_back({.name = name,
                          .causalClass = std::string(architectureOf(reopened.config()).causalClass),
                          .generated = greedy(model, *m_device, ids, generatedTokens),
                          .factors = factorTensors(reopened),
                          .parameters = reopened.parameterCount(),
                          .custom = custom,
                          .tied = model.config().tiedHead,
                          .thorough = thorough,
                          .tokenizer = !texts.empty(),
                          .withSpecial = std::move(withSpecial)});
    return folder;
}

Json TransformersCheck::run(const std::vector<std::filesystem::path>& stocks, bool stockFirst) const
{
    Json stockFolders = Json::array();
    for (const std::filesystem::path& stock : stocks)
        stockFolders.push_back(stock.string());
    const Json job = {{"exports", m_exports},
                      {"stocks", stockFolders},
                      {"stockFirst", stockFirst},
                      {"scratch", (m_place / "scratch").string()}};
    const std::filesystem::path file = m_place / "job.json";
    writeFileAtomically(file, dumpJson(job));
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    // The module cache of transformers belongs to this test, and nobody is asked for permission.
    environment.insert(QStringLiteral("HF_HOME"), QString::fromStdString((m_place / "huggingface").string()));
    environment.insert(QStringLiteral("OMP_NUM_THREADS"), QStringLiteral("2"));
    process.setProcessEnvironment(environment);
    process.setStandardInputFile(QProcess::nullDevice());
    process.start(qEnvironmentVariable("RANKWRIGHT_PYTHON"),
                  {QStringLiteral(CHECK_EXPORTS), QString::fromStdString(file.string())});
    if (!process.waitForFinished(540000) || process.exitStatus() != QProcess::NormalExit || process.exitCode() != 0) {
        QTest::qFail(process.readAllStandardError().right(4000).constData(), __FILE__, __LINE__);
        return {};
    }
    return parseJson(process.readAllStandardOutput().toStdString(), "check_exports.py");
}

void TransformersCheck::compare(const Json& found, double bound) const
{
    for (const Expected& expected : m_expected) {
        const char* name = expected.name.c_str();
        QVERIFY2(found.contains("exports") && found["exports"].contains(expected.name), name);
        const Json& result = found["exports"][expected.name];
        // transformers before 4.51 has no Qwen3.
        if (result.contains("absent")) {
            QVERIFY2(expected.causalClass == "Qwen3ForCausalLM", name);
            qInfo("%s: transformers %s has no such class", name, found["transformers"].get<std::string>().c_str());
            continue;
        }
        const auto number = [&](const char* key) { return result[key].get<double>(); };
        qInfo("%s: largest logit difference %.3g of the largest with transformers %s, torch %s", name,
              number("difference"), found["transformers"].get<std::string>().c_str(),
              found["torch"].get<std::string>().c_str());
        QVERIFY2(result["class"] == ((expected.custom ? "Rankwright" : "") + expected.causalClass), name);
        QVERIFY2(number("difference") <= bound, name);
        QVERIFY2(result["generated"].get<std::vector<std::int32_t>>() == expected.generated, name);
        QVERIFY2(result["tied"] == expected.tied && result["savedTied"] == expected.tied, name);
        QVERIFY2(result["parameters"].get<std::size_t>() == expected.parameters, name);
        QVERIFY2(stringsOf(result["factors"]) == expected.factors, name);
        QVERIFY2(expected.factors.empty() != expected.custom, name);
        QVERIFY2(stringsOf(result["savedFactors"]) == expected.factors, name);
        QVERIFY2(number("savedDifference") == 0.0 && result["savedEqual"] == true, name);
        const std::vector<std::string> saved = stringsOf(result["savedFiles"]);
        QVERIFY2(std::binary_search(saved.begin(), saved.end(), "modeling_rankwright.py") == expected.custom, name);
        if (expected.thorough) {
            qInfo("%s: in bfloat16 %.3g of the largest", name, number("halfDifference"));
            QVERIFY2(result["halfDtypes"] == Json::array({"torch.bfloat16"}), name);
            QVERIFY2(number("halfDifference") <= exportLogitBound(DType::BF16) && result["halfPivots"] == true, name);
        }
        if (expected.thorough && expected.custom) {
            QVERIFY2(number("baseDifference") == 0.0 && number("rotaryDifference") == 0.0, name);
            QVERIFY2(result["gradients"] == true && result["freshFinite"] == true, name);
        }
        if (expected.tokenizer) {
            const Json& tokenizer = result["tokenizer"];
            QVERIFY2(tokenizer["wrong"].empty(), dumpJson(tokenizer).c_str());
            QVERIFY2(tokenizer["withSpecial"].get<std::vector<std::int32_t>>() == expected.withSpecial, name);
        }
    }
}

} // namespace rankwright::exporting
