#include "core/allocation/plan_totals.h"

#include <QTest>

#include <cmath>

using namespace rankwright;

namespace {

LinearInfo linearOf(LinearShape shape, DType dtype = DType::F32)
{
    return {.name = "linear", .shape = shape, .dtype = dtype, .rank = shape.fullRank()};
}

} // namespace

class TestPlanTotals : public QObject
{
    Q_OBJECT

private slots:
    void aModelByHand()
    {
        // 1000 parameters beside the linears, all in F16.
        const ModelTotals model{.parameters = 1000 + 600 + 400, .bytes = 2 * (1000 + 600 + 400)};
        const LinearInfo a = linearOf({20, 30}, DType::F16);
        const LinearInfo b = linearOf({20, 20}, DType::F16);
        std::vector<LinearCost> costs{linearCost(a, {StructureKind::Factors, 6}, DType::F32, 0.25),
                                      linearCost(b, {StructureKind::Dense, 20}, DType::F32, 0.0)};
        PlanTotals totals = planTotals(model, costs);
        QCOMPARE(totals.denseParameters, std::size_t{1000});
        QCOMPARE(totals.keptParameters, std::size_t{6 * 50 + 400});
        QCOMPARE(totals.keptRatio, 0.7);
        QCOMPARE(totals.wholeModelParameters, std::size_t{1700});
        QCOMPARE(totals.wholeModelRatio, 0.85);
        QCOMPARE(totals.bytes, std::size_t{2 * (1000 + 400) + 4 * 300});
        QCOMPARE(totals.relativeLoss, 0.125);

        // One linear changed is one cost changed: 4 (40) - 4^2 parameters of BF16 and 4 indices of 4 bytes.
        costs[1] = linearCost(b, {StructureKind::BlockIdentity, 4}, DType::BF16, 0.5);
        totals = planTotals(model, costs);
        QCOMPARE(totals.keptParameters, std::size_t{300 + 144});
        QCOMPARE(totals.bytes, std::size_t{2 * 1000 + 4 * 300 + 2 * 144 + 16});
        QCOMPARE(totals.relativeLoss, 0.375);
        costs[0].relativeLoss = std::nan("");
        QVERIFY(std::isnan(planTotals(model, costs).relativeLoss));
        QCOMPARE(planTotals(model, costs).keptParameters, std::size_t{444});
    }

    void whatIsFactoredAlreadyCountsAsItIsStored()
    {
        LinearInfo linear = linearOf({20, 30});
        linear.structure = StructureKind::BlockIdentity;
        linear.rank = 5;
        const std::size_t before = 5 * 50 - 25;
        const ModelTotals model{.parameters = 100 + before, .bytes = 4 * (100 + before) + 5 * 4};
        const LinearCost left = linearCost(linear, {StructureKind::Dense, 20}, DType::F32);
        QCOMPARE(left.denseParameters, std::size_t{600});
        QCOMPARE(left.keptParameters, before);
        QVERIFY(std::isnan(left.relativeLoss));
        QCOMPARE(planTotals(model, std::span(&left, 1)).bytes, model.bytes);
        const LinearCost smaller = linearCost(linear, {StructureKind::Factors, 3}, DType::F32);
        const PlanTotals totals = planTotals(model, std::span(&smaller, 1));
        QCOMPARE(totals.wholeModelParameters, std::size_t{100 + 150});
        QCOMPARE(totals.bytes, std::size_t{4 * 250});
    }

    void lossesAreRelative()
    {
        const std::vector<double> loss{8.0, 4.0, 1.0, 0.0};
        QCOMPARE(relativeLoss(loss, StructureKind::Factors, 1), 0.5);
        QCOMPARE(relativeLoss(loss, StructureKind::Factors, 3), 0.0);
        QCOMPARE(relativeLoss(loss, StructureKind::Dense, 3), 0.0);
        QVERIFY(std::isnan(relativeLoss(loss, StructureKind::Factors, 4)));
        QVERIFY(std::isnan(relativeLoss({}, StructureKind::Factors, 1)));
        QCOMPARE(relativeLoss(std::vector<double>{0.0, 0.0}, StructureKind::Factors, 1), 0.0);
    }

    void modelsAreCountedWhole()
    {
        const Model model = Model::open(RANKWRIGHT_DEMO "/stories260K");
        const ModelTotals totals = modelTotals(model);
        QCOMPARE(totals.parameters, model.parameterCount());
        std::size_t parameters = 0;
        for (const TensorInfo& tensor : model.checkpoint().tensors())
            parameters += tensor.elements();
        QCOMPARE(totals.parameters, parameters);
        QCOMPARE(totals.bytes, 4 * parameters);
        std::vector<LinearCost> costs;
        for (const LinearInfo& linear : model.linears())
            costs.push_back(linearCost(linear, {StructureKind::Dense, linear.rank}, DType::F32));
        const PlanTotals untouched = planTotals(totals, costs);
        QCOMPARE(untouched.bytes, totals.bytes);
        QCOMPARE(untouched.wholeModelRatio, 1.0);
        QCOMPARE(untouched.denseParameters, model.linearParameterCount());
    }
};

QTEST_GUILESS_MAIN(TestPlanTotals)
#include "tst_plan_totals.moc"
