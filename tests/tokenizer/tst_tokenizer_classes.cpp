#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/tokenizer/tokenizer.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <filesystem>

using namespace rankwright;

/// What tokenizer_config.json changes, against the AutoTokenizer of transformers.
class TestTokenizerClasses : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        QProcess process;
        process.setProcessChannelMode(QProcess::MergedChannels);
        process.start(QString::fromLocal8Bit(qgetenv("RANKWRIGHT_PYTHON")),
                      {QStringLiteral(RANKWRIGHT_SOURCE_DIR "/tests/tokenizer/make_tokenizer_classes.py"),
                       QStringLiteral(RANKWRIGHT_DEMO "/stories260K"),
                       QStringLiteral(RANKWRIGHT_TEST_DATA "/tokenizers/gpt2"), m_folder.path()});
        QVERIFY(process.waitForFinished(600000));
        QVERIFY2(process.exitCode() == 0, process.readAll().constData());
    }

    void idsEqualTransformers_data()
    {
        QTest::addColumn<std::string>("name");
        for (const char* name : {"llama", "llama-no-post-processor", "llama-fast-eos", "llama-no-bos",
                                 "llama-other-bos", "as-the-file-says", "qwen2-class", "gpt2-class"})
            QTest::newRow(name) << std::string(name);
    }

    void idsEqualTransformers()
    {
        QFETCH(std::string, name);
        const std::filesystem::path folder = std::filesystem::path(m_folder.path().toStdString()) / name;
        const auto tokenizer = Tokenizer::open(folder);
        const Json reference = readJson(folder / "reference.json");
        QVERIFY(!reference.empty());
        for (const Json& one : reference) {
            const std::vector<std::int32_t> bare = tokenizer->encode(one["text"].get<std::string>());
            QCOMPARE(bare, one["bare"].get<std::vector<std::int32_t>>());
            std::vector<std::int32_t> whole = tokenizer->prefix();
            whole.insert(whole.end(), bare.begin(), bare.end());
            const std::vector<std::int32_t> suffix = tokenizer->suffix();
            whole.insert(whole.end(), suffix.begin(), suffix.end());
            QCOMPARE(whole, one["whole"].get<std::vector<std::int32_t>>());
        }
    }

    void otherClassesOfVocabularyFilesAreNamed()
    {
        const std::filesystem::path folder = std::filesystem::path(m_folder.path().toStdString()) / "qwen2-class";
        writeFileAtomically(folder / "tokenizer_config.json", R"({"tokenizer_class": "RobertaTokenizer"})");
        QVERIFY_EXCEPTION_THROWN(Tokenizer::open(folder), Error);
        writeFileAtomically(
            folder / "tokenizer_config.json",
            R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"x": {"content": "y"}}})");
        QVERIFY_EXCEPTION_THROWN(Tokenizer::open(folder), Error);
    }

private:
    QTemporaryDir m_folder;
};

QTEST_GUILESS_MAIN(TestTokenizerClasses)
#include "tst_tokenizer_classes.moc"
