#include "reference_perplexity.h"

#include <QTest>

using namespace rankwright;

class TestPerplexityReference : public QObject
{
    Q_OBJECT

private slots:
    void perplexityEqualsTransformers_data()
    {
        QTest::addColumn<std::string>("model");
        QTest::addColumn<std::string>("text");
        QTest::addColumn<std::string>("reference");
        const std::string stories = RANKWRIGHT_DEMO "/stories260K";
        const std::string texts = RANKWRIGHT_TEST_DATA "/texts/";
        QTest::newRow("stories260K on TinyStories") << stories << texts + "tinystories/v2-valid-head-12stories.txt"
                                                    << std::string("stories260K-tinystories-v2-512.json");
        QTest::newRow("stories260K, BOS per window") << stories << texts + "tinystories/train-head-197KB.txt"
                                                     << std::string("stories260K-tinystories-v1-512bos.json");
        QTest::newRow("stories260K on WikiText-2")
            << stories << texts + "wikitext2-raw/wiki.test.raw" << std::string("stories260K-wikitext2-512.json");
        QTest::newRow("babyllama") << std::string(RANKWRIGHT_TEST_DATA "/models/babyllama-tok105")
                                   << texts + "tinystories/v2-valid-head-12stories.txt"
                                   << std::string("babyllama-tok105-tinystories-v2-256.json");
        QTest::newRow("OPT") << std::string(RANKWRIGHT_TEST_DATA "/models/opt-shakespeare")
                             << texts + "tinyshakespeare/input.txt"
                             << std::string("opt-shakespeare-tinyshakespeare-256.json");
    }

    void perplexityEqualsTransformers()
    {
        QFETCH(std::string, model);
        QFETCH(std::string, text);
        QFETCH(std::string, reference);
        const std::string differences = comparePerplexity(model, text, reference);
        QVERIFY2(differences.empty(), differences.c_str());
    }
};

QTEST_GUILESS_MAIN(TestPerplexityReference)
#include "tst_perplexity_reference.moc"
