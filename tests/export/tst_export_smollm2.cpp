#include "tests/export/transformers_check.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;
using exporting::TransformersCheck;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> texts{
    "The quick brown fox jumps over the lazy dog.",
    "  leading and   inner spaces\t\ttabs\n\n\nlines\r\n",
    "In 1984 the price was $1,234,567.89 (12345678901234567890).",
    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c, "
    "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
    "<|im_start|>user\nI'll don't we've<|im_end|>\n<|endoftext|>",
    "def f(x):\n    return {'a': [x, x**2], \"b\": None}  # comment"};

} // namespace

/// The GGUF file of SmolLM2 as a Hugging Face folder: weights, configuration and tokenizer come from its metadata.
class TestExportSmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    void memoryStaysWithinItsLimit()
    {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        QSKIP("a sanitizer's own memory counts as resident: only a build without says what the export takes");
#endif
        // The head alone takes 108 MiB in float32, all weights 513 MiB.
        constexpr std::size_t limit = std::size_t{192} << 20U;
        const QTemporaryDir folder;
        QProcess process;
        process.start(QStringLiteral(EXPORT_HELPER),
                      {QStringLiteral("--peak"), qEnvironmentVariable("RANKWRIGHT_SMOLLM2"),
                       folder.filePath(QStringLiteral("out")), QString::number(limit)});
        QVERIFY(process.waitForFinished(240000));
        QVERIFY2(process.exitCode() == 0, process.readAllStandardError().constData());
        const std::size_t peak = process.readAllStandardOutput().trimmed().toULongLong();
        qInfo("peak resident memory %zu MiB with a limit of %zu MiB", peak >> 20U, limit >> 20U);
        QVERIFY(peak > 0 && peak <= limit);
    }

    void ggufExportsLoadInTransformers()
    {
        const fs::path gguf = qEnvironmentVariable("RANKWRIGHT_SMOLLM2").toStdString();
        const QTemporaryDir folder;
        const fs::path place = folder.path().toStdString();
        TransformersCheck check(place, makeCpuDevice());
        // Ten of the thirty blocks are replaced: all three kinds of block, in a tenth of the time.
        check.add("smollm2-0.5", gguf, ExportFormat::Factored, texts, 3, false);
        check.add("smollm2-dense", gguf, ExportFormat::Dense, texts, 10, false);
        const Json found = check.run({fs::path(RANKWRIGHT_DEMO) / "stories260K"}, true);
        if (QTest::currentTestFailed())
            return;
        // float32 sums in another order over 30 blocks; the contract is 1e-3.
        check.compare(found, 1e-4);
        QVERIFY(found["stockAfter"][0]["exact"] == true);
        for (const char* name : {"smollm2-0.5", "smollm2-dense"}) {
            const Model model = Model::open(place / name);
            QVERIFY(found["exports"][name]["tokenizer"]["bos"] == model.config().bosToken.value());
            QVERIFY(found["exports"][name]["tokenizer"]["eos"] == model.config().eosToken.value());
        }
    }
};

QTEST_GUILESS_MAIN(TestExportSmolLm2)
#include "tst_export_smollm2.moc"
