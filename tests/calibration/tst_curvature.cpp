#include "core/base/error.h"
#include "core/base/file.h"
#include "core/calibration/curvature.h"
#include "reference_gradients.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/support/plain_gradients.h"
#include "tiny_model.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace rankwright;

namespace {

CalibrationSet curvatureOf(const Model& model, const TokenWindows& windows, const CurvatureOptions& curvature,
                           const std::filesystem::path& cache, const PassOptions& options = {.threads = 1})
{
    return calibrateCurvature(model, *makeCpuDevice(1), windows, curvature, cache, options, {});
}

/// All tap files of a set, one after the other.
std::string bytesOf(const CalibrationSet& set)
{
    std::string bytes;
    for (std::size_t i = 0; i < set.summaries().size(); ++i)
        bytes += readFile(set.folder() / fmt::format("tap-{:05}.safetensors", i));
    return bytes;
}

/// inputs += V^T V, outputs += V V^T.
void addGram(const Matrix<double>& V, Matrix<double>& inputs, Matrix<double>& outputs)
{
    if (inputs.empty()) {
        inputs = Matrix<double>(V.columns(), V.columns());
        outputs = Matrix<double>(V.rows(), V.rows());
    }
    for (std::size_t i = 0; i < V.rows(); ++i)
        for (std::size_t j = 0; j < V.columns(); ++j) {
            for (std::size_t k = 0; k < V.columns(); ++k)
                inputs(j, k) += V(i, j) * V(i, k);
            for (std::size_t k = 0; k < V.rows(); ++k)
                outputs(i, k) += V(i, j) * V(k, j);
        }
}

} // namespace

class TestCurvature : public QObject
{
    Q_OBJECT

private slots:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        tiny::writeModel(path("model"), 3);
    }

    void equalsTorch()
    {
        const std::string differences = compareGradients(
            RANKWRIGHT_DEMO "/stories260K", RANKWRIGHT_TEST_DATA "/texts/tinystories/v2-valid-head-12stories.txt",
            "gradients-stories260K-tinystories-v2-256.json", path("cache"));
        QVERIFY2(differences.empty(), differences.c_str());
    }

    void isTheSumOverWindows()
    {
        const Model model = Model::open(path("model"));
        const TokenWindows windows = tiny::randomWindows(5, 30, 4);
        const CalibrationSet set = curvatureOf(model, windows, {.labels = GradientLabels::Text}, path("cache"));
        const CalibrationSet withMoments =
            curvatureOf(model, windows, {.labels = GradientLabels::Text, .weightMoments = true}, path("cache"));
        QVERIFY(withMoments.fingerprint() != set.fingerprint());
        std::map<std::string, LinearGradient> expected;
        std::map<std::string, std::vector<double>> squares; // of the weight gradient of every window, by input channel
        std::map<std::string, Matrix<double>> inputMoments;
        std::map<std::string, Matrix<double>> outputMoments;
        for (const std::vector<std::int32_t>& ids : windows.ids) {
            addGradients(model, *makeCpuDevice(1), ids, expected);
            std::map<std::string, LinearGradient> own;
            addGradients(model, *makeCpuDevice(1), ids, own);
            for (const auto& [name, gradient] : own) {
                std::vector<double>& sums = squares[name];
                sums.resize(gradient.weight.columns());
                for (std::size_t i = 0; i < gradient.weight.rows(); ++i)
                    for (std::size_t j = 0; j < sums.size(); ++j)
                        sums[j] += gradient.weight(i, j) * gradient.weight(i, j);
                addGram(gradient.weight, inputMoments[name], outputMoments[name]);
            }
        }
        for (const LinearInfo& linear : model.linears()) {
            const TapStatistics statistics = set.load(linear.index);
            QCOMPARE(statistics.tokens, std::size_t{150});
            const std::vector<double>& weightSquares = squares.at(linear.name);
            QCOMPARE(statistics.weightSquares.size(), linear.shape.columns);
            // Float32 against float64, relative to the largest: a channel that cancels is known less well.
            const double largest = *std::ranges::max_element(weightSquares);
            for (std::size_t j = 0; j < weightSquares.size(); ++j)
                QVERIFY(std::abs(statistics.weightSquares[j] - weightSquares[j]) <= 1e-4 * largest);
            const TapStatistics more = withMoments.load(linear.index);
            QVERIFY(statistics.weightInputs.empty() && statistics.weightOutputs.empty());
            QVERIFY(withMoments.summaries()[linear.index].weightMoments);
            // Sums of products in float32 against float64.
            const auto equal = [](const Matrix<double>& a, const Matrix<double>& b) {
                double largestValue = 0.0;
                double worst = 0.0;
                for (std::size_t i = 0; i < b.size(); ++i) {
                    largestValue = std::max(largestValue, std::abs(b.data()[i]));
                    worst = std::max(worst, std::abs(a.data()[i] - b.data()[i]));
                }
                return a.rows() == b.rows() && a.columns() == b.columns() && worst <= 1e-5 * largestValue;
            };
            QVERIFY(equal(more.weightInputs, inputMoments.at(linear.name)));
            QVERIFY(equal(more.weightOutputs, outputMoments.at(linear.name)));
            QVERIFY(equal(more.secondMoment, statistics.secondMoment));
            for (std::size_t j = 0; j < weightSquares.size(); ++j)
                QVERIFY(std::abs(more.weightSquares[j] - statistics.weightSquares[j]) <= 1e-6 * largest);
            const Matrix<double>& square = expected.at(linear.name).square;
            for (std::size_t i = 0; i < square.rows(); ++i)
                for (std::size_t j = 0; j < square.columns(); ++j)
                    QVERIFY(std::abs(statistics.secondMoment(i, j) - square(i, j)) <=
                            1e-5 * std::sqrt(square(i, i) * square(j, j)));
        }
    }

    /// Groups of windows, spilled states and threads are all taken: 9 windows of 300 tokens are three groups.
    void doesNotDependOnThreadsAndMemory_data()
    {
        QTest::addColumn<bool>("weightMoments");
        QTest::newRow("plain") << false;
        QTest::newRow("with moments of weight gradients") << true;
    }
    void doesNotDependOnThreadsAndMemory()
    {
        QFETCH(bool, weightMoments);
        const CurvatureOptions options{.weightMoments = weightMoments};
        const Model model = Model::open(path("model"));
        const TokenWindows windows = tiny::randomWindows(9, 300, 5);
        const std::string expected = bytesOf(curvatureOf(model, windows, options, path("one")));
        QCOMPARE(bytesOf(curvatureOf(model, windows, options, path("three"), {.threads = 3})), expected);
        const std::size_t least = estimateCurvature(model, 9, 300, weightMoments).memory;
        QCOMPARE(bytesOf(curvatureOf(model, windows, options, path("spilled"), {.threads = 3, .memoryLimit = least})),
                 expected);
        const auto error = hostile::errorOf(
            [&] { curvatureOf(model, windows, options, path("little"), {.threads = 1, .memoryLimit = least - 1}); });
        QVERIFY(error && error->kind() == ErrorKind::Memory);
        QVERIFY(!std::filesystem::exists(path("little") / curvatureFingerprint(model, windows, options)));
    }

    /// Labels drawn from the model: equal seeds draw equal labels, others differ by no more than their spread allows.
    void drawsLabels()
    {
        const Model model = Model::open(path("model"));
        const TokenWindows windows = tiny::randomWindows(24, 200, 6);
        const CalibrationSet first = curvatureOf(model, windows, {.seed = 1}, path("cache"));
        QVERIFY(!first.reused());
        QVERIFY(curvatureOf(model, windows, {.seed = 1}, path("cache")).reused());
        QCOMPARE(bytesOf(curvatureOf(model, windows, {.seed = 1}, path("again"))), bytesOf(first));
        const CalibrationSet second = curvatureOf(model, windows, {.seed = 2}, path("cache"));
        QVERIFY(second.fingerprint() != first.fingerprint());
        for (std::size_t i = 0; i < model.linears().size(); ++i) {
            const TapSummary& a = first.summaries()[i];
            const TapSummary& b = second.summaries()[i];
            QVERIFY(a.spread > 0.0 && a.spread < 0.5);
            QVERIFY(a.trace != b.trace);
            // Six standard errors of the difference of two independent means.
            QVERIFY(std::abs(a.trace - b.trace) < 6.0 * std::hypot(a.spread * a.trace, b.spread * b.trace));
        }
    }

    /// E[p - onehot(label)] = 0 for labels drawn from p: the mean gradient vanishes, not so for the text's own tokens.
    void sampledGradientsHaveNoMean()
    {
        const Model model = Model::open(RANKWRIGHT_DEMO "/stories260K");
        WindowOptions options;
        options.text = RANKWRIGHT_TEST_DATA "/texts/tinystories/v2-valid-head-12stories.txt";
        options.length = 128;
        options.count = 16;
        const TokenWindows windows = makeWindows(*model.tokenizer(), options, {});
        const LinearInfo& last = model.linear(model.config().blocks - 1, Role::Down);
        // The last down projection is followed by a norm and the head only: gradients of different tokens have
        // independent labels, and |sum g|^2 has the expectation of sum |g|^2.
        const auto ratio = [&](GradientLabels labels) {
            const TapStatistics sums =
                curvatureOf(model, windows, {.labels = labels, .seed = 3}, path("cache")).load(last.index);
            double length = 0.0;
            double trace = 0.0;
            for (std::size_t i = 0; i < sums.sum.size(); ++i) {
                length += sums.sum[i] * sums.sum[i];
                trace += sums.secondMoment(i, i);
            }
            return length / trace;
        };
        QVERIFY(ratio(GradientLabels::Sampled) < 2.0);
    }

    void namesLabels()
    {
        for (const GradientLabels labels : {GradientLabels::Sampled, GradientLabels::Text})
            QCOMPARE(gradientLabelsFromName(gradientLabelsName(labels)), labels);
        const auto error = hostile::errorOf([] { gradientLabelsFromName("exact"); });
        QVERIFY(error && error->kind() == ErrorKind::InvalidArgument);
    }

private:
    std::filesystem::path path(const char* name) const
    {
        return std::filesystem::path(m_folder->path().toStdString()) / name;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

QTEST_GUILESS_MAIN(TestCurvature)
#include "tst_curvature.moc"
