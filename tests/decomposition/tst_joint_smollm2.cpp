#include "core/decomposition/head_pairs.h"
#include "core/decomposition/method_list.h"
#include "core/experiment/linear_groups.h"
#include "logit_map.h"
#include "reference.h"

#include <QTest>

using namespace rankwright;

/// LatentLLM's joint queries and keys on trained weights with rotary embedding and grouped queries.
class TestJointSmolLm2 : public QObject
{
    Q_OBJECT

private slots:
    void averagedDistancesAreCloserAtEqualParameters()
    {
        const auto device = makeCpuDevice(1);
        const Model model = Model::open(qgetenv("RANKWRIGHT_SMOLLM2").toStdString());
        constexpr std::size_t length = 256;
        constexpr std::size_t blocks = 3;
        constexpr std::size_t rank = 160;
        const TokenWindows windows = makeWindows(*model.tokenizer(),
                                                 {.text = RANKWRIGHT_TEST_DATA "/texts/wikitext2-raw/wiki.valid.raw",
                                                  .rows = true,
                                                  .length = length,
                                                  .count = 4},
                                                 {});
        const auto inputs = attentionInputs(model, *device, windows, blocks);
        for (std::size_t block = 0; block < blocks; ++block) {
            const TapStatistics statistics = reference::statisticsOf(inputs[block]);
            const std::vector<const LinearInfo*> group = groupOf(model, jointQk(), model.linear(block, Role::Q));
            const LoadedGroup loaded = loadGroup(model, *device, group, &statistics);
            const GroupProblem& problem = loaded.problem;
            const QueriesAndKeys whole{problem.members[0].problem.W, problem.members[1].problem.W, {}, {}};
            const auto with = [&](const auto& q, const auto& k) {
                return QueriesAndKeys{reference::product(q.B, q.A), reference::product(k.B, k.A), {}, {}};
            };
            // The attention logits themselves: every pair at the distance it has in its window.
            const auto errorOf = [&](const QueriesAndKeys& other) {
                return logitError(whole, other, problem.attention, inputs[block], length, LogitPairs::Causal);
            };
            const auto joint =
                jointQk().analyzeGroup(*device, problem, {{"largestDistance", static_cast<double>(length - 1)}});
            const std::vector<std::optional<std::size_t>> ranks{rank, rank};
            const auto factors = joint->factorize(ranks);
            const auto alone = [&](std::size_t member) {
                return whitenedSvd().analyze(*device, problem.members[member].problem, {})->factorize(rank);
            };
            const auto metric = std::make_shared<const Matrix<double>>(statistics.secondMoment);
            const std::size_t n = metric->rows();
            const HeadPairSolver unrotated(*device, {.left = {whole.Wq, metric, n},
                                                     .right = {whole.Wk, metric, n},
                                                     .headWidth = problem.attention.headWidth,
                                                     .rotations = {}});
            const auto [left, right] = unrotated.both(rank, rank, 2);
            const double averaged = errorOf(with(*factors[0], *factors[1]));
            const double separate = errorOf(with(alone(0), alone(1)));
            const double ignored = errorOf(with(left, right));
            qInfo("block %zu: averaged over distances %.6g, separate %.6g, rotation ignored %.6g", block, averaged,
                  separate, ignored);
            QVERIFY(averaged < separate);
            QVERIFY(averaged < ignored);
        }
    }
};

QTEST_GUILESS_MAIN(TestJointSmolLm2)
#include "tst_joint_smollm2.moc"
