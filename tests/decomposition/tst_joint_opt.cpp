#include "core/decomposition/method_list.h"
#include "core/experiment/linear_groups.h"
#include "core/model/forward.h"
#include "logit_map.h"
#include "reference.h"

#include <QTest>

#include <algorithm>
#include <cmath>

using namespace rankwright;

namespace {

QueriesAndKeys whole(const GroupProblem& problem)
{
    return {problem.members[0].problem.W, problem.members[1].problem.W, problem.members[0].problem.bias,
            problem.members[1].problem.bias};
}

/// As it would be stored and run, float32.
void replace(const Device& device, const Factorisation& factorisation, Matrix<double>& W, std::vector<float>& bias)
{
    const LinearWeights stored = storeFactorisation(device, factorisation, StructureKind::Factors, DType::F32);
    W = expandLinear(device, stored);
    if (!stored.bias.empty())
        bias = stored.bias;
}

} // namespace

/// LatentLLM's joint queries and keys on trained weights without rotation: an OPT with biases.
class TestJointOpt : public QObject
{
    Q_OBJECT

private slots:
    void jointLogitsAreCloserAtEqualParameters_data()
    {
        QTest::addColumn<double>("keptRatio");
        for (const double ratio : {0.8, 0.6, 0.4})
            QTest::addRow("kept %g", ratio) << ratio;
    }
    void jointLogitsAreCloserAtEqualParameters()
    {
        QFETCH(double, keptRatio);
        const auto device = makeCpuDevice(1);
        const Model model = Model::open(RANKWRIGHT_TEST_DATA "/models/opt-shakespeare");
        const auto windowsFrom = [&](std::size_t count) {
            return makeWindows(
                *model.tokenizer(),
                {.text = RANKWRIGHT_TEST_DATA "/texts/tinyshakespeare/input.txt", .length = 128, .count = count}, {});
        };
        TokenWindows windows = windowsFrom(8);
        TokenWindows others = windows;
        others.ids.assign(windows.ids.begin() + 4, windows.ids.end());
        windows.ids.resize(4);
        const std::size_t blocks = model.config().blocks;
        const auto inputs = attentionInputs(model, *device, windows, blocks);
        const auto heldOut = attentionInputs(model, *device, others, blocks);
        double jointHeldOut = 0.0;
        double separateHeldOut = 0.0;
        for (std::size_t block = 0; block < blocks; ++block) {
            const TapStatistics statistics = reference::statisticsOf(inputs[block]);
            const std::vector<const LinearInfo*> group = groupOf(model, jointQk(), model.linear(block, Role::Q));
            const LoadedGroup loaded = loadGroup(model, *device, group, &statistics);
            const GroupProblem& problem = loaded.problem;
            const LinearShape shape = group[0]->shape;
            QCOMPARE(shape.parameters(), group[1]->shape.parameters());
            const std::size_t rank = rankForKeptRatio(StructureKind::Factors, shape, keptRatio);

            QueriesAndKeys joint = whole(problem);
            const std::vector<std::optional<std::size_t>> ranks{rank, rank};
            const auto factors = jointQk().analyzeGroup(*device, problem, {})->factorize(ranks);
            replace(*device, *factors[0], joint.Wq, joint.bq);
            replace(*device, *factors[1], joint.Wk, joint.bk);

            QueriesAndKeys separate = whole(problem);
            const auto alone = [&](std::size_t member) {
                return whitenedSvd().analyze(*device, problem.members[member].problem, {})->factorize(rank);
            };
            replace(*device, alone(0), separate.Wq, separate.bq);
            replace(*device, alone(1), separate.Wk, separate.bk);

            const auto errorOf = [&](const QueriesAndKeys& other, const Matrix<double>& X, LogitPairs pairs) {
                return logitError(whole(problem), other, problem.attention, X, 128, pairs);
            };
            const double together = errorOf(joint, inputs[block], LogitPairs::All);
            const double apart = errorOf(separate, inputs[block], LogitPairs::All);
            qInfo("block %zu, rank %zu: joint %.6g, separate %.6g", block, rank, together, apart);
            QVERIFY(together < apart);
            jointHeldOut += errorOf(joint, heldOut[block], LogitPairs::Causal);
            separateHeldOut += errorOf(separate, heldOut[block], LogitPairs::Causal);
        }
        qInfo("causal logits of other text: joint %.6g, separate %.6g", jointHeldOut, separateHeldOut);
        QVERIFY(jointHeldOut < separateHeldOut);
    }

    /// An identity in A is another choice of the latents: the model computes the same.
    void blockIdentityChangesNoOutput()
    {
        const auto device = makeCpuDevice(1);
        const Model model = Model::open(RANKWRIGHT_TEST_DATA "/models/opt-shakespeare");
        const auto logitsOf = [&](StructureKind kind) {
            const Model compressed = model.withLinears([&](const LinearInfo& info) {
                const LoadedLinear linear = loadLinear(model, *device, info);
                const auto analysis = plainSvd().analyze(*device, {.name = info.name, .W = linear.W}, {});
                auto weights = std::make_shared<LinearWeights>(
                    storeFactorisation(*device, analysis->factorize(info.shape.fullRank() * 3 / 4), kind, DType::F32));
                weights->bias = linear.bias;
                return std::shared_ptr<const LinearWeights>(std::move(weights));
            });
            const std::vector<std::vector<std::int32_t>> windows{{2, 100, 200, 300, 400, 500, 600, 700}};
            const Head head(compressed, *device);
            std::vector<float> result;
            forwardWindows(compressed, *device, windows, {.threads = 1}, {},
                           [&](std::size_t, std::size_t, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                               const MatrixView<float> logits = head.chunk(hidden, 0, scratch);
                               for (std::size_t t = 0; t < logits.rows; ++t)
                                   result.insert(result.end(), logits.row(t), logits.row(t) + logits.columns);
                           });
            return result;
        };
        const std::vector<float> factors = logitsOf(StructureKind::Factors);
        const std::vector<float> identity = logitsOf(StructureKind::BlockIdentity);
        float largest = 0.0F;
        float difference = 0.0F;
        for (std::size_t i = 0; i < factors.size(); ++i) {
            largest = std::max(largest, std::abs(factors[i]));
            difference = std::max(difference, std::abs(factors[i] - identity[i]));
        }
        QVERIFY(difference > 0.0F);            // stored differently
        QVERIFY(difference < 2e-5F * largest); // float32 (6e-8) through 4 blocks of well-conditioned factors
    }
};

QTEST_GUILESS_MAIN(TestJointOpt)
#include "tst_joint_opt.moc"
