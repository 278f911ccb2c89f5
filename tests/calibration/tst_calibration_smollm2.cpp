#include "reference_statistics.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;

class TestCalibrationSmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    void statisticsEqualTransformers()
    {
        const QTemporaryDir cache;
        const std::string differences = compareStatistics(qgetenv("RANKWRIGHT_SMOLLM2").toStdString(),
                                                          RANKWRIGHT_TEST_DATA "/texts/wikitext2-raw/wiki.test.raw",
                                                          "smollm2-wikitext2-2048.json", cache.path().toStdString());
        QVERIFY2(differences.empty(), differences.c_str());
    }
};

QTEST_GUILESS_MAIN(TestCalibrationSmolLm2)
#include "tst_calibration_smollm2.moc"
