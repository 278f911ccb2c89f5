#include "reference_gradients.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;

class TestCurvatureSmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    void equalsTorch()
    {
        const QTemporaryDir cache;
        const std::string differences = compareGradients(
            qgetenv("RANKWRIGHT_SMOLLM2").toStdString(), RANKWRIGHT_TEST_DATA "/texts/wikitext2-raw/wiki.valid.raw",
            "gradients-smollm2-wikitext2-valid-256.json", cache.path().toStdString());
        QVERIFY2(differences.empty(), differences.c_str());
    }
};

QTEST_GUILESS_MAIN(TestCurvatureSmolLm2)
#include "tst_curvature_smollm2.moc"
