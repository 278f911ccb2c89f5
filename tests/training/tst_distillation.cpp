#include "core/structure/linear_gradients.h"
#include "core/training/adam.h"
#include "core/training/distill.h"
#include "core/training/distillation_loss.h"
#include "student.h"
#include "tests/compute/random_matrix.h"

#include <QTest>

#include <cmath>
#include <map>
#include <set>

using namespace rankwright;

namespace {

/// Lillama's loss of one token, written down from the paper, in float64.
double plainLoss(const std::vector<double>& a, const std::vector<double>& y)
{
    double distance = 0.0;
    double product = 0.0;
    double squareA = 0.0;
    double squareY = 0.0;
    for (std::size_t j = 0; j < a.size(); ++j) {
        distance += std::abs(a[j] - y[j]) / static_cast<double>(a.size());
        product += a[j] * y[j];
        squareA += a[j] * a[j];
        squareY += y[j] * y[j];
    }
    return distance - std::log(1.0 / (1.0 + std::exp(-product / std::sqrt(squareA * squareY))));
}

LinearWeights randomFactors(int form, std::size_t m, std::size_t n)
{
    LinearWeights weights;
    if (form == 0)
        weights.form = FactorWeights{test::randomMatrix<float>(m, 3, 1), test::randomMatrix<float>(3, n, 2)};
    else
        weights.form = BlockIdentityWeights{
            test::randomMatrix<float>(m, 3, 1), test::randomMatrix<float>(3, n - 3, 2), {1, 4, 6}, {0, 2, 3, 5}};
    weights.bias.assign(m, 0.25F);
    return weights;
}

/// A student and what local distillation makes of it.
struct Student : tiny::Student
{
    std::map<std::size_t, BlockOutcome> outcomes;

    explicit Student(StructureKind structure = StructureKind::Factors)
        : tiny::Student(structure)
    {}

    void train(const DistillationOptions& options, const PassOptions& pass = {.threads = 1})
    {
        const DistillationPlan plan{
            .roles = rolesOf(),
            .finished = [this](std::size_t block) { return outcomes.contains(block); },
            .keep =
                [this](std::size_t block, const TrainedBlock& trained, const BlockOutcome& outcome) {
                    outcomes[block] = outcome;
                    put(block, trained);
                }};
        distillBlocks(*teacher, student(), *device, windows, options, pass, noting(), observing(), plan);
    }
};

DistillationOptions quick(DistillationInputs inputs)
{
    return {.inputs = inputs, .training = {.epochs = 6, .batch = 4, .learningRate = 3e-3}};
}

} // namespace

class TestDistillation : public QObject
{
    Q_OBJECT

private slots:
    void lossHasItsGradient()
    {
        constexpr std::size_t width = 6;
        Matrix<float> output = test::randomMatrix<float>(2, width, 3);
        const Matrix<float> target = test::randomMatrix<float>(2, width, 4);
        Matrix<float> gradient(2, width);
        const double loss = distillationLoss(std::as_const(output).view(), target.view(), 0.5, gradient.view());
        const auto plain = [&](const Matrix<double>& a) {
            double sum = 0.0;
            for (std::size_t t = 0; t < 2; ++t)
                sum += plainLoss({a.row(t), a.row(t) + width}, {target.row(t), target.row(t) + width});
            return sum;
        };
        auto a = convertMatrix<double>(output);
        QVERIFY(std::abs(loss - plain(a)) < 1e-12 * loss);
        for (std::size_t i = 0; i < a.size(); ++i) {
            constexpr double step = 1e-6;
            const double start = a.data()[i];
            a.data()[i] = start + step;
            const double above = plain(a);
            a.data()[i] = start - step;
            const double below = plain(a);
            a.data()[i] = start;
            // Float32 holds a gradient to 6e-8 of it, the differences are good to 1e-9.
            QVERIFY(std::abs(static_cast<double>(gradient.data()[i]) - 0.5 * (above - below) / (2.0 * step)) < 1e-7);
        }
        const Matrix<float> nothing(1, width);
        Matrix<float> ofNothing(1, width);
        QVERIFY(std::isfinite(distillationLoss(nothing.view(), nothing.view(), 1.0, ofNothing.view())));
        for (const float value : ofNothing.span())
            QCOMPARE(value, 0.0F);
    }

    /// Against finite differences of sum dY . Y in float64: linear in each factor, so that any step is exact.
    void factorsHaveGradients_data()
    {
        QTest::addColumn<int>("form");
        QTest::newRow("factors") << 0;
        QTest::newRow("block identity") << 1;
    }
    void factorsHaveGradients()
    {
        QFETCH(int, form);
        constexpr std::size_t m = 9;
        constexpr std::size_t n = 7;
        const auto device = makeCpuDevice(1);
        LinearWeights weights = randomFactors(form, m, n);
        const Matrix<float> X = test::randomMatrix<float>(5, n, 3);
        const Matrix<float> dY = test::randomMatrix<float>(5, m, 4);
        LinearWeights gradient = weights;
        for (const std::span<float> part : trainedValues(gradient))
            std::ranges::fill(part, 1.0F); // gradients are added
        LinearGradientScratch scratch;
        addLinearGradients(*device, weights, X.view(), dY.view(), gradient, scratch);
        const auto value = [&] {
            const Matrix<double> W = expandLinear(*device, weights);
            double sum = 0.0;
            for (std::size_t t = 0; t < 5; ++t)
                for (std::size_t i = 0; i < m; ++i) {
                    double y = weights.bias[i];
                    for (std::size_t j = 0; j < n; ++j)
                        y += W(i, j) * static_cast<double>(X(t, j));
                    sum += y * static_cast<double>(dY(t, i));
                }
            return sum;
        };
        const std::vector<std::span<float>> parts = trainedValues(weights);
        const std::vector<std::span<float>> gradients = trainedValues(gradient);
        QCOMPARE(parts.size(), std::size_t{3});
        for (std::size_t part = 0; part < parts.size(); ++part)
            for (std::size_t i = 0; i < parts[part].size(); ++i) {
                const float start = parts[part][i];
                parts[part][i] = start + 1.0F;
                const double above = value();
                const double high = parts[part][i];
                parts[part][i] = start - 1.0F;
                const double difference = (above - value()) / (high - static_cast<double>(parts[part][i]));
                parts[part][i] = start;
                QVERIFY(std::abs(static_cast<double>(gradients[part][i]) - 1.0 - difference) <
                        1e-5 * (1.0 + std::abs(difference)));
            }
    }

    void balancingKeepsTheProduct()
    {
        const auto device = makeCpuDevice(1);
        LinearWeights weights = randomFactors(0, 9, 7);
        for (float& value : std::get<FactorWeights>(weights.form).A.span())
            value *= 100.0F;
        const Matrix<double> before = expandLinear(*device, weights);
        balanceFactors(weights);
        const Matrix<double> after = expandLinear(*device, weights);
        for (std::size_t i = 0; i < before.size(); ++i)
            QVERIFY(std::abs(before.data()[i] - after.data()[i]) < 1e-4); // of about 100, in float32
        const auto& factors = std::get<FactorWeights>(weights.form);
        for (std::size_t k = 0; k < 3; ++k) {
            double left = 0.0;
            double right = 0.0;
            for (std::size_t i = 0; i < 9; ++i)
                left += static_cast<double>(factors.B(i, k)) * static_cast<double>(factors.B(i, k));
            for (std::size_t j = 0; j < 7; ++j)
                right += static_cast<double>(factors.A(k, j)) * static_cast<double>(factors.A(k, j));
            QVERIFY(std::abs(left - right) < 1e-5 * left);
        }
    }

    /// AdamW by its own formulas in float64.
    void adamTakesItsSteps()
    {
        constexpr double rate = 0.01;
        constexpr double decay = 0.1;
        AlignedVector<float> values{0.5F, -2.0F, 0.0F};
        const std::vector<std::vector<float>> gradients{{1.0F, -3.0F, 0.0F}, {-0.5F, 2.0F, 1e-3F}, {4.0F, 0.0F, 1.0F}};
        std::vector<double> w(values.begin(), values.end());
        std::vector<double> m(3);
        std::vector<double> v(3);
        AdamState state(3);
        for (std::size_t step = 0; step < gradients.size(); ++step) {
            ++state.steps;
            adamStep(state, 0, values, gradients[step], rate, decay);
            for (std::size_t i = 0; i < 3; ++i) {
                const double g = gradients[step][i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                const double t = static_cast<double>(step + 1);
                w[i] -= rate * decay * w[i];
                w[i] -=
                    rate * (m[i] / (1.0 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1.0 - std::pow(0.999, t))) + 1e-8);
                // Float32 sums of a few terms; decay and step together or in turn differ by rate^2 decay.
                QVERIFY(std::abs(w[i] - static_cast<double>(values[i])) < 3e-5);
            }
        }
    }

    void learns_data()
    {
        QTest::addColumn<int>("inputs");
        QTest::addColumn<int>("structure");
        for (const auto inputs : {DistillationInputs::Teacher, DistillationInputs::Student, DistillationInputs::Joint})
            for (const auto structure : {StructureKind::Factors, StructureKind::BlockIdentity})
                QTest::addRow("%s %s", std::string(distillationInputsName(inputs)).c_str(),
                              std::string(structureName(structure)).c_str())
                    << static_cast<int>(inputs) << static_cast<int>(structure);
    }
    void learns()
    {
        QFETCH(int, inputs);
        QFETCH(int, structure);
        Student student(static_cast<StructureKind>(structure));
        student.train(quick(static_cast<DistillationInputs>(inputs)));
        QCOMPARE(student.outcomes.size(), std::size_t{2});
        for (const auto& [block, outcome] : student.outcomes)
            QVERIFY2(outcome.endLoss < 0.97 * outcome.startLoss,
                     qPrintable(QStringLiteral("%1 to %2").arg(outcome.startLoss).arg(outcome.endLoss)));
        // 3 batches of 11 windows in 6 epochs, and 7 looks at the held-out one, per block.
        QCOMPARE(student.points.size(), std::size_t{2 * (6 * 3 + 7)});
    }

    void doesNotDependOnThreadsAndMemory_data()
    {
        QTest::addColumn<int>("inputs");
        QTest::newRow("teacher") << static_cast<int>(DistillationInputs::Teacher);
        QTest::newRow("joint") << static_cast<int>(DistillationInputs::Joint);
    }
    void doesNotDependOnThreadsAndMemory()
    {
        QFETCH(int, inputs);
        DistillationOptions options = quick(static_cast<DistillationInputs>(inputs));
        options.training.epochs = 2;
        Student one;
        one.train(options);
        Student three;
        three.train(options, {.threads = 3});
        QCOMPARE(three.values(), one.values());
        Student spilled;
        const std::size_t block = spilled.teacher->linearParameterCount() * sizeof(float) / 2;
        spilled.train(options, {.threads = 3,
                                .memoryLimit = 2 * block + 64 * 1024 +
                                               distillationBytes(spilled.teacher->config(), block, 40, 1)});
        QCOMPARE(spilled.values(), one.values());
        Student other;
        options.training.seed = 1;
        other.train(options);
        QVERIFY(other.values() != one.values());
    }

    /// A block that is finished is not trained again, and those behind it come out the same.
    void goesOnWhereItStopped()
    {
        const DistillationOptions options = quick(DistillationInputs::Joint);
        Student whole;
        whole.train(options);
        Student resumed;
        resumed.outcomes[0] = {};
        for (const LinearInfo& info : resumed.teacher->linears(0))
            resumed.linears[info.name] = whole.linears.at(info.name);
        resumed.train(options);
        QCOMPARE(resumed.values(), whole.values());
        for (const TrainingPoint& point : resumed.points)
            QVERIFY(point.part != whole.points.front().part);
    }

    /// Steps of 1e30 leave float32: every one is undone and told, and what is kept is no worse than the start.
    void undoesDivergingSteps()
    {
        DistillationOptions options = quick(DistillationInputs::Joint);
        options.training.learningRate = 1e30;
        Student student;
        const auto before = student.values();
        student.train(options);
        std::set<std::string> blocks;
        for (const NumericEvent& event : student.events)
            if (event.kind == "divergedStep")
                blocks.insert(event.linear);
        QCOMPARE(blocks.size(), std::size_t{2});
        for (const auto& [name, values] : student.values())
            for (const float value : values)
                QVERIFY(std::isfinite(value));
        for (const auto& [block, outcome] : student.outcomes)
            QVERIFY(outcome.endLoss <= outcome.startLoss);
    }

    void batchesTakeEveryWindowOnce()
    {
        for (std::size_t epoch = 0; epoch < 3; ++epoch) {
            std::set<std::size_t> seen;
            for (const auto& batch : trainingBatches(11, 4, 9, epoch)) {
                QVERIFY(batch.size() <= 4);
                seen.insert(batch.begin(), batch.end());
            }
            QCOMPARE(seen.size(), std::size_t{11});
        }
        QVERIFY(trainingBatches(11, 4, 9, 0) == trainingBatches(11, 4, 9, 0));
        QVERIFY(trainingBatches(11, 4, 9, 0) != trainingBatches(11, 4, 9, 1));
        QVERIFY(trainingBatches(11, 4, 9, 0) != trainingBatches(11, 4, 8, 0));
    }
};

QTEST_GUILESS_MAIN(TestDistillation)
#include "tst_distillation.moc"
