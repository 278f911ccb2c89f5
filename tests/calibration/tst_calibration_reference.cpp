#include "reference_statistics.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;

/// Statistics against those of transformers, float64 sums of float32 activations.
class TestCalibrationReference : public QObject
{
    Q_OBJECT

private slots:
    void statisticsEqualTransformers_data()
    {
        QTest::addColumn<std::string>("model");
        QTest::addColumn<std::string>("text");
        QTest::addColumn<std::string>("reference");
        const std::string texts = RANKWRIGHT_TEST_DATA "/texts/";
        const std::string stories = texts + "tinystories/v2-valid-head-12stories.txt";
        QTest::newRow("stories260K") << std::string(RANKWRIGHT_DEMO "/stories260K") << stories
                                     << std::string("stories260K-tinystories-v2-512.json");
        QTest::newRow("babyllama") << std::string(RANKWRIGHT_TEST_DATA "/models/babyllama-tok105") << stories
                                   << std::string("babyllama-tok105-tinystories-v2-256.json");
        QTest::newRow("OPT") << std::string(RANKWRIGHT_TEST_DATA "/models/opt-shakespeare")
                             << texts + "tinyshakespeare/input.txt"
                             << std::string("opt-shakespeare-tinyshakespeare-256.json");
    }

    void statisticsEqualTransformers()
    {
        QFETCH(std::string, model);
        QFETCH(std::string, text);
        QFETCH(std::string, reference);
        const QTemporaryDir cache;
        const std::string differences = compareStatistics(model, text, reference, cache.path().toStdString());
        QVERIFY2(differences.empty(), differences.c_str());
    }
};

QTEST_GUILESS_MAIN(TestCalibrationReference)
#include "tst_calibration_reference.moc"
