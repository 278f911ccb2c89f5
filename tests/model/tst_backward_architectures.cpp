#include "core/base/json.h"
#include "tests/support/plain_gradients.h"

#include <QTest>

#include <cmath>

using namespace rankwright;

namespace {

double frobenius(const Matrix<double>& A)
{
    double squares = 0.0;
    for (const double value : A.span())
        squares += value * value;
    return std::sqrt(squares);
}

double trace(const Matrix<double>& A)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < A.rows(); ++i)
        sum += A(i, i);
    return sum;
}

double largest(const Matrix<double>& A)
{
    double value = 0.0;
    for (const double entry : A.span())
        value = std::max(value, std::abs(entry));
    return value;
}

} // namespace

/// Gradients of small random checkpoints of every architecture (tests/data/models/random/make_gradients.py).
class TestBackwardArchitectures : public QObject
{
    Q_OBJECT

    /// 1e-4 of `scale`: a forward and a backward pass in float32 through three blocks against float64.
    static bool close(double value, const Json& expected, double scale)
    {
        return std::abs(value - expected.get<double>()) <= 1e-4 * scale;
    }

private slots:
    void equalTorch_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name : {"mistral", "qwen2", "qwen3", "opt", "gpt2"})
            QTest::newRow(name) << QString::fromUtf8(name);
    }
    void equalTorch()
    {
        QFETCH(QString, name);
        const auto folder = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "models/random" / name.toStdString();
        const Json reference = readJson(folder / "gradients.json");
        const Json windows = readJson(folder / "reference.json")["windows"];
        const Model model = Model::open(folder);
        const auto device = makeCpuDevice(1);
        std::map<std::string, LinearGradient> gradients;
        double loss = 0.0;
        for (const Json& ids : windows)
            loss += addGradients(model, *device, ids.get<std::vector<std::int32_t>>(), gradients);
        QVERIFY(close(loss, reference["summedNll"], loss));
        QCOMPARE(reference["linears"].size(), model.linears().size());
        for (const auto& [linear, expected] : reference["linears"].items()) {
            const LinearGradient& found = gradients.at(linear);
            const double norm = frobenius(found.weight);
            QVERIFY2(close(trace(found.square), expected["trace"], trace(found.square)), linear.c_str());
            QVERIFY2(close(frobenius(found.square), expected["frobenius"], frobenius(found.square)), linear.c_str());
            QVERIFY2(close(norm, expected["weightFrobenius"], norm), linear.c_str());
            for (std::size_t i = 0; i < 3; ++i)
                for (std::size_t j = 0; j < 3; ++j) {
                    QVERIFY2(close(found.square(i, j), expected["corner"][i][j],
                                   std::sqrt(found.square(i, i) * found.square(j, j))),
                             linear.c_str());
                    QVERIFY2(close(found.weight(i, j), expected["weightCorner"][i][j], largest(found.weight)),
                             linear.c_str());
                }
            QCOMPARE(expected["differences"].size(), std::size_t{2});
            for (const Json& difference : expected["differences"])
                QVERIFY2(close(found.weight(difference[0].get<std::size_t>(), difference[1].get<std::size_t>()),
                               difference[2], largest(found.weight)),
                         linear.c_str());
        }
    }
};

QTEST_GUILESS_MAIN(TestBackwardArchitectures)
#include "tst_backward_architectures.moc"
