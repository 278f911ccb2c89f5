#include "core/base/json.h"
#include "core/model/generation.h"

#include <QTest>

using namespace rankwright;

class TestGenerationSmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    void tokensEqualTransformers()
    {
        const Json reference = readJson(RANKWRIGHT_TEST_DATA "/reference/smollm2-generation.json");
        const Model model = Model::open(qgetenv("RANKWRIGHT_SMOLLM2").toStdString());
        const std::shared_ptr<const Device> device = makeCpuDevice();
        for (const Json& expected : reference["cases"]) {
            const GenerationResult result = generateGreedy(model, *device, expected["text"].get<std::string>(),
                                                           expected["new_tokens"].get<std::size_t>(), {}, {});
            QCOMPARE(result.prompt, expected["prompt"].get<std::vector<std::int32_t>>());
            QCOMPARE(result.generated, expected["generated"].get<std::vector<std::int32_t>>());
        }
    }
};

QTEST_GUILESS_MAIN(TestGenerationSmolLm2)
#include "tst_generation_smollm2.moc"
