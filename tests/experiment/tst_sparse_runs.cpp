#include "core/allocation/plan_totals.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/linear_file.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/runner.h"
#include "core/model/summary.h"
#include "run_support.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <functional>
#include <map>

using namespace rankwright;

/// Runs of low-rank-sparse, whose linears have an S beside their factors.
class TestSparseRuns : public QObject
{
    Q_OBJECT

private slots:
    /// An S beside the factors: in the run's files, in an export, in what is counted, and after a cut-off.
    void sparsePartsAreStoredAndCounted_data()
    {
        QTest::addColumn<QString>("structure");
        QTest::newRow("factors") << QStringLiteral("factors");
        QTest::newRow("block identity") << QStringLiteral("block-identity");
    }
    void sparsePartsAreStoredAndCounted()
    {
        QFETCH(QString, structure);
        Place place;
        Recipe recipe = demoRecipe("low-rank-sparse");
        recipe.structure = structureFromName(structure.toStdString());
        recipe.storage = DType::F16;
        recipe.out = place.path / "out";
        const RunResult result = place.run(recipe);
        const Model model = Model::open(recipe.model);
        std::size_t sparse = 0;
        std::size_t savedBytes = 0;
        for (const LinearInfo& info : model.linears()) {
            const LinearOutcome& outcome = result.linears[info.index];
            const Checkpoint file = Checkpoint::open(linearFile(result.folder, info.index));
            std::size_t numbers = 0;
            std::size_t bytes = 0;
            for (const TensorInfo& tensor : file.tensors()) {
                if (tensor.name == "singularValues")
                    continue;
                bytes += tensor.bytes;
                numbers += tensor.name == "pivots" ? 0 : tensor.elements();
            }
            QCOMPARE(numbers, outcome.keptParameters);
            QCOMPARE(bytes, storedBytes(outcome.stored(), info.shape, DType::F16));
            savedBytes += info.shape.parameters() * sizeof(float) - bytes;
            sparse += outcome.entries;
            // The share of the method, in place of rank.
            QCOMPARE(outcome.entries, sparseEntries(info.shape, outcome.rank, 0.2));
            QVERIFY(outcome.rank < rankForKeptRatio(recipe.structure, info.shape, recipe.keptRatio));
            QCOMPARE(rankForKeptRatio(storedStructure(recipe), info.shape, recipe.keptRatio), outcome.rank);
        }
        QVERIFY(sparse > demoLinears * 100);
        QCOMPARE(result.bytes, modelTotals(model).bytes - savedBytes);

        const Model exported = Model::open(recipe.out);
        QCOMPARE(exported.parameterCount(), result.parameters);
        const Model compressed = model.withLinears(runLinears(result.folder, result.fingerprint));
        for (const LinearInfo& info : exported.linears()) {
            QCOMPARE(info.stored(), result.linears[info.index].stored());
            const auto there = exported.loadBlock(info.block);
            const auto here = compressed.loadBlock(info.block);
            QVERIFY(there->linear(info.role).sparse == here->linear(info.role).sparse);
        }
        // Kept keys and values stay expanded: latents do not hold what S reads.
        QCOMPARE(cacheWidth(exported).latent, cacheWidth(exported).expanded);
        QCOMPARE(place.store.run(result.id).result.linears[3].entries, result.linears[3].entries);

        // Less is lost than by plain factors alone of as many parameters.
        Recipe alone = recipe;
        alone.method = "whitened-svd";
        alone.out.clear();
        const RunResult factors = place.run(alone);
        QVERIFY(std::abs(factors.keptRatio - result.keptRatio) < 0.02);
        // A block identity takes r^2 parameters less, which S does not.
        if (recipe.structure == StructureKind::Factors)
            for (const LinearInfo& info : model.linears())
                QVERIFY(result.linears[info.index].measuredLoss < factors.linears[info.index].measuredLoss);

        const auto expected = contentOf(result.folder);
        std::filesystem::remove(linearFile(result.folder, model.linear(1, Role::K).index));
        std::filesystem::remove(linearFile(result.folder, model.linear(2, Role::Q).index));
        recipe.out.clear();
        const RunResult again = place.run(recipe);
        QCOMPARE(difference(contentOf(again.folder), expected), QString());

        // A damaged S is computed again, not run.
        const std::filesystem::path damaged = linearFile(result.folder, model.linear(0, Role::O).index);
        LinearRecord record = readLinearFile(damaged, result.fingerprint, model.linear(0, Role::O));
        record.weights->sparse.column.front() = 65;
        writeLinearFile(damaged, result.fingerprint, record, DType::F16);
        const std::optional<Error> error =
            errorOf([&] { readLinearFile(damaged, result.fingerprint, model.linear(0, Role::O)); });
        QVERIFY(error && error->kind() == ErrorKind::Corrupt);
        QVERIFY(QString::fromUtf8(error->what()).contains(QStringLiteral("column 65")));
        QCOMPARE(difference(contentOf(place.run(recipe).folder), expected), QString());
    }

    /// Statistics of what is compressed before, factors fitted again to them, and training.
    void sparsePartsGoThroughSequentialModesAndTraining()
    {
        for (const SequentialMode mode : {SequentialMode::Compressed, SequentialMode::Anchored, SequentialMode::Update,
                                          SequentialMode::Alternate}) {
            Place place;
            Recipe recipe = demoRecipe("low-rank-sparse");
            recipe.sequential = mode;
            for (const LinearOutcome& outcome : place.run(recipe).linears) {
                QVERIFY(outcome.entries > 0);
                QVERIFY(std::abs(outcome.predictedLoss - outcome.measuredLoss) <= 1e-5 * outcome.measuredLoss);
            }
        }
        Place place;
        Recipe recipe = demoRecipe("low-rank-sparse");
        recipe.distillation = DistillationOptions();
        recipe.distillation->training.epochs = 10;
        recipe.distillation->training.batch = 2;
        recipe.distillation->training.learningRate = 1e-3;
        recipe.evaluations = {heldOutStories()};
        const RunResult trained = place.run(recipe);
        recipe.distillation.reset();
        const RunResult plain = place.run(recipe);
        QVERIFY(trained.evaluations[0].compressed.perplexity < plain.evaluations[0].compressed.perplexity);
        const Model model = Model::open(recipe.model);
        const LinearInfo& info = model.linear(1, Role::Up);
        const LinearRecord before = readLinearFile(linearFile(trained.folder, info.index), trained.fingerprint, info);
        const LinearRecord after =
            readLinearFile(linearFile(trained.folder, info.index, "distilled"), trained.fingerprint, info);
        QCOMPARE(after.weights->sparse.column, before.weights->sparse.column);
        QVERIFY(after.weights->sparse.values != before.weights->sparse.values);
    }
};

QTEST_GUILESS_MAIN(TestSparseRuns)
#include "tst_sparse_runs.moc"
