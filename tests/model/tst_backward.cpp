#include "tests/compute/random_matrix.h"
#include "tests/support/plain_gradients.h"
#include "tests/support/tiny_llama.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <random>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

std::vector<std::pair<const char*, TinyLlama>> variants()
{
    std::vector<std::pair<const char*, TinyLlama>> list;
    list.emplace_back("grouped queries", TinyLlama{});
    list.emplace_back("own head, no groups", TinyLlama{.keyValueHeads = 4, .tied = false});
    list.emplace_back("one key head, biases", TinyLlama{.keyValueHeads = 1, .normEpsilon = 1e-2, .biases = true});
    for (auto& [name, tiny] : list)
        tiny.fill(11);
    return list;
}

/// Summed negative log-likelihood of the next tokens, from the plain float64 loops.
double lossOf(const TinyLlama& tiny, const std::vector<std::int32_t>& ids)
{
    const Matrix<double> logits = tiny.logits(ids);
    double loss = 0.0;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
        const std::span<const double> row = logits.view().rowSpan(t);
        const double largest = *std::ranges::max_element(row);
        double sum = 0.0;
        for (const double value : row)
            sum += std::exp(value - largest);
        loss += std::log(sum) + largest - row[static_cast<std::size_t>(ids[t + 1])];
    }
    return loss;
}

/// d loss / d value, by central differences of two steps and Richardson's extrapolation: error of fourth order.
double derivative(TinyLlama& tiny, float& value, const std::vector<std::int32_t>& ids)
{
    const float start = value;
    const auto difference = [&](float step) {
        value = start + step;
        const double high = value;
        const double above = lossOf(tiny, ids);
        value = start - step;
        const double low = value;
        const double below = lossOf(tiny, ids);
        value = start;
        return (above - below) / (high - low);
    };
    const double wide = difference(0x1p-7F);
    const double narrow = difference(0x1p-8F);
    return (4.0 * narrow - wide) / 3.0;
}

} // namespace

class TestBackward : public QObject
{
    Q_OBJECT

private slots:
    /// Gradients of every linear's weights against finite differences of plain loops in float64. 140 tokens, so that
    /// queries of more than one block (128) meet.
    void equalsFiniteDifferences_data()
    {
        QTest::addColumn<std::size_t>("variant");
        for (std::size_t i = 0; const auto& [name, tiny] : variants())
            QTest::newRow(name) << i++;
    }
    void equalsFiniteDifferences()
    {
        QFETCH(std::size_t, variant);
        TinyLlama tiny = variants()[variant].second;
        const QTemporaryDir folder;
        tiny.write(folder.path().toStdString());
        const Model model = Model::open(folder.path().toStdString());
        const std::vector<std::int32_t> ids = tiny::randomIds(1, 140, tiny.vocabulary, 3).front();
        std::map<std::string, LinearGradient> gradients;
        const double loss = addGradients(model, *makeCpuDevice(1), ids, gradients);
        QVERIFY(std::abs(loss - lossOf(tiny, ids)) < 1e-5 * loss);
        QCOMPARE(gradients.size(), model.linears().size());
        std::mt19937 random(5);
        for (const LinearInfo& info : model.linears()) {
            const Matrix<double>& gradient = gradients.at(info.name).weight;
            double largest = 0.0;
            for (const double value : gradient.span())
                largest = std::max(largest, std::abs(value));
            QVERIFY(largest > 0.0);
            std::vector<float>& values = tiny.values(info.name + ".weight");
            for (int i = 0; i < 3; ++i) {
                const std::size_t at = random() % values.size();
                const double expected = derivative(tiny, values[at], ids);
                // Float32 through two blocks and back: 1e-5 of the largest; the differences themselves are better.
                const double error = std::abs(gradient.data()[at] - expected);
                QVERIFY2(error < 2e-5 * largest, qPrintable(QStringLiteral("%1: %2 instead of %3, largest %4")
                                                                .arg(QString::fromStdString(info.name))
                                                                .arg(gradient.data()[at])
                                                                .arg(expected)
                                                                .arg(largest)));
            }
        }
    }

    /// The gradient with respect to an input is dY W_hat, in every structure.
    void linearsPassGradients_data()
    {
        QTest::addColumn<int>("form");
        QTest::newRow("dense") << 0;
        QTest::newRow("factors") << 1;
        QTest::newRow("block identity") << 2;
        QTest::newRow("block identity, full rank") << 3;
    }
    void linearsPassGradients()
    {
        QFETCH(int, form);
        constexpr std::size_t m = 9;
        constexpr std::size_t n = 7;
        LinearWeights weights;
        const auto random = [](std::size_t rows, std::size_t columns, unsigned seed) {
            return test::randomMatrix<float>(rows, columns, seed);
        };
        if (form == 0)
            weights.form = DenseWeights{random(m, n, 1)};
        else if (form == 1)
            weights.form = FactorWeights{random(m, 3, 1), random(3, n, 2)};
        else if (form == 2)
            weights.form = BlockIdentityWeights{random(m, 3, 1), random(3, n - 3, 2), {1, 4, 6}, {0, 2, 3, 5}};
        else
            weights.form = BlockIdentityWeights{random(m, n, 1), {}, {0, 1, 2, 3, 4, 5, 6}, {}};
        const auto device = makeCpuDevice(1);
        const Matrix<double> W = expandLinear(*device, weights);
        const Matrix<float> dY = random(5, m, 3);
        const Matrix<float> before = random(5, n, 4);
        LinearScratch scratch;
        for (const bool add : {false, true}) {
            Matrix<float> dX = before;
            applyLinearTransposed(*device, weights, dY.view(), dX.view(), add, scratch);
            for (std::size_t t = 0; t < 5; ++t)
                for (std::size_t j = 0; j < n; ++j) {
                    double expected = add ? static_cast<double>(before(t, j)) : 0.0;
                    for (std::size_t i = 0; i < m; ++i)
                        expected += static_cast<double>(dY(t, i)) * W(i, j);
                    QVERIFY(std::abs(static_cast<double>(dX(t, j)) - expected) < 1e-5 * (1.0 + std::abs(expected)));
                }
        }
    }
};

QTEST_GUILESS_MAIN(TestBackward)
#include "tst_backward.moc"
