#include "reference_perplexity.h"

#include <QTest>

using namespace rankwright;

class TestPerplexitySmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    /// The first 4 of the 16 windows, so that it takes seconds; RANKWRIGHT_ALL_WINDOWS=1 in the environment runs all.
    void perplexityEqualsTransformers()
    {
        const std::string differences = comparePerplexity(
            qgetenv("RANKWRIGHT_SMOLLM2").toStdString(), RANKWRIGHT_TEST_DATA "/texts/wikitext2-raw/wiki.test.raw",
            "smollm2-wikitext2-2048.json", qEnvironmentVariableIsSet("RANKWRIGHT_ALL_WINDOWS") ? 0 : 4);
        QVERIFY2(differences.empty(), differences.c_str());
    }
};

QTEST_GUILESS_MAIN(TestPerplexitySmolLm2)
#include "tst_perplexity_smollm2.moc"
