#include "core/base/file.h"
#include "core/base/json.h"
#include "core/evaluation/evaluation.h"
#include "core/model/generation.h"

#include <QDir>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <filesystem>

using namespace rankwright;

/// Random models of every kind of configuration, written, run and continued by transformers.
class TestLlamaVariants : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        QProcess process;
        process.setProcessChannelMode(QProcess::MergedChannels);
        process.start(QString::fromLocal8Bit(qgetenv("RANKWRIGHT_PYTHON")),
                      {QStringLiteral(RANKWRIGHT_SOURCE_DIR "/tests/model/make_llama_variants.py"),
                       QStringLiteral(RANKWRIGHT_DEMO "/stories260K"), m_folder.path()});
        QVERIFY(process.waitForFinished(600000));
        QVERIFY2(process.exitCode() == 0, process.readAll().constData());
    }

    void logitsAndTokensEqualTransformers_data()
    {
        QTest::addColumn<std::string>("name");
        for (const char* name : {"grouped", "own-head", "wide-heads", "biases", "llama3", "linear", "dynamic", "bf16",
                                 "f16", "mistral", "ends", "penalty"})
            QTest::newRow(name) << std::string(name);
    }

    void logitsAndTokensEqualTransformers()
    {
        QFETCH(std::string, name);
        compare(folder(name), folder(name));
    }

    /// The same rotary scaling as transformers 5 writes it.
    void rotaryParametersOfVersion5()
    {
        const std::filesystem::path copy = folder("llama3-version5");
        std::filesystem::copy(folder("llama3"), copy, std::filesystem::copy_options::recursive);
        Json config = readJson(copy / "config.json");
        Json parameters = config["rope_scaling"];
        parameters["rope_theta"] = config["rope_theta"];
        config.erase("rope_scaling");
        config.erase("rope_theta");
        config["rope_parameters"] = parameters;
        writeFileAtomically(copy / "config.json", dumpJson(config));
        compare(copy, folder("llama3"));
    }

private:
    std::filesystem::path folder(const std::string& name) const
    {
        return std::filesystem::path(m_folder.path().toStdString()) / name;
    }

    void compare(const std::filesystem::path& checkpoint, const std::filesystem::path& referenceFolder)
    {
        const Json reference = readJson(referenceFolder / "reference.json");
        const Model model = Model::open(checkpoint);
        const auto positions = reference["positions"].get<std::vector<std::size_t>>();
        const auto expected = reference["logits"].get<std::vector<std::vector<double>>>();
        const Matrix<float> logits =
            windowLogits(model, *m_device, reference["ids"].get<std::vector<std::int32_t>>(), positions, {});
        double largest = 0;
        double difference = 0;
        for (std::size_t i = 0; i < positions.size(); ++i) {
            for (std::size_t j = 0; j < logits.columns(); ++j) {
                largest = std::max(largest, std::abs(expected[i][j]));
                difference = std::max(difference, std::abs(static_cast<double>(logits(i, j)) - expected[i][j]));
            }
        }
        QVERIFY2(difference <= 1e-5 * largest, qPrintable(QStringLiteral("%1 of %2").arg(difference).arg(largest)));

        const GenerationResult result = generateGreedy(model, *m_device, reference["prompt_text"].get<std::string>(),
                                                       reference["new_tokens"].get<std::size_t>(), {}, {});
        QCOMPARE(result.prompt, reference["prompt"].get<std::vector<std::int32_t>>());
        QCOMPARE(result.generated, reference["generated"].get<std::vector<std::int32_t>>());
        QCOMPARE(result.ended, result.generated.size() < reference["new_tokens"].get<std::size_t>());
    }

    QTemporaryDir m_folder;
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestLlamaVariants)
#include "tst_llama_variants.moc"
