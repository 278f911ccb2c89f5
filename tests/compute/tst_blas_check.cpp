#include "core/base/error.h"
#include "core/compute/blas_check.h"

#include <QElapsedTimer>
#include <QProcess>
#include <QTest>

#include <utility>

using namespace rankwright;

namespace {

enum class Fault { None, FloatProduct, DoubleTransposed, SecondMoment, Gram, Eigen };

/// The CPU device with one kind of wrong result, in the last element only and for odd sizes only.
class FaultyDevice final : public Device
{
public:
    explicit FaultyDevice(Fault fault)
        : m_fault(fault)
    {}
    DeviceInfo info() const override { return m_device->info(); }
    void gemm(Transpose tA, Transpose tB, float alpha, ConstMatrixView<float> A, ConstMatrixView<float> B, float beta,
              MatrixView<float> C) const override
    {
        m_device->gemm(tA, tB, alpha, A, B, beta, C);
        if (m_fault == Fault::FloatProduct && C.rows % 2 == 1 && C.columns % 2 == 1)
            C(C.rows - 1, C.columns - 1) += 1.0F;
    }
    void gemm(Transpose tA, Transpose tB, double alpha, ConstMatrixView<double> A, ConstMatrixView<double> B,
              double beta, MatrixView<double> C) const override
    {
        m_device->gemm(tA, tB, alpha, A, B, beta, C);
        if (m_fault == Fault::DoubleTransposed && tA == Transpose::Yes && tB == Transpose::Yes && C.columns > 200)
            C(0, 0) += 1.0;
    }
    void addSecondMoment(ConstMatrixView<float> X, MatrixView<double> C) const override
    {
        m_device->addSecondMoment(X, C);
        if (m_fault == Fault::SecondMoment)
            C(0, C.columns - 1) += 1.0;
    }
    void gram(Transpose t, ConstMatrixView<double> A, MatrixView<double> C) const override
    {
        m_device->gram(t, A, C);
        if (m_fault == Fault::Gram && t == Transpose::No)
            C(1, 1) += 1.0;
    }
    SymmetricEigen symmetricEigen(Matrix<double> A, std::size_t wanted) const override
    {
        SymmetricEigen eigen = m_device->symmetricEigen(A, wanted);
        if (m_fault == Fault::Eigen)
            eigen.vectors(7, 3) += 1e-6;
        return eigen;
    }
    void solvePositiveDefinite(Matrix<double> S, MatrixView<double> R) const override
    {
        m_device->solvePositiveDefinite(S, R);
    }
    Matrix<double> cholesky(Matrix<double> S) const override { return m_device->cholesky(S); }
    void solveLower(Transpose transposeL, const Matrix<double>& L, MatrixView<double> R) const override
    {
        m_device->solveLower(transposeL, L, R);
    }
    void solve(Matrix<double> J, MatrixView<double> R) const override { m_device->solve(J, R); }
    QrFactors qr(Matrix<double> A) const override { return m_device->qr(std::move(A)); }
    std::vector<std::size_t> pivotedColumns(Matrix<double> A) const override { return m_device->pivotedColumns(A); }

private:
    Fault m_fault;
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

struct Outcome
{
    int code;
    QByteArray output;
};

Outcome restart(const char* kernel)
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove(QStringLiteral("OPENBLAS_CORETYPE"));
    environment.remove(QStringLiteral("RANKWRIGHT_BLAS_TRIED"));
    process.setProcessEnvironment(environment);
    process.start(QStringLiteral(RANKWRIGHT_BLAS_RESTART), {QString::fromLatin1(kernel)});
    const bool finished = process.waitForFinished(60000);
    return {finished && process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            process.readAllStandardOutput()};
}

} // namespace

class TestBlasCheck : public QObject
{
    Q_OBJECT

private slots:
    void theBlasOfThisMachineIsRight()
    {
        QVERIFY(checkBlas().starts_with("OpenBLAS"));
        QElapsedTimer timer;
        qint64 fastest = 1'000'000'000;
        for (int repeat = 0; repeat < 5; ++repeat) {
            timer.start();
            checkBlas();
            fastest = std::min(fastest, timer.nsecsElapsed());
        }
        qInfo("check took %.1f ms", static_cast<double>(fastest) * 1e-6);
    }

    void everyFaultIsFound_data()
    {
        QTest::addColumn<int>("fault");
        QTest::addColumn<QByteArray>("word");
        const auto row = [](const char* word, Fault fault) {
            QTest::newRow(word) << static_cast<int>(fault) << QByteArray(word);
        };
        row("", Fault::None);
        row("sgemm", Fault::FloatProduct);
        row("dgemm", Fault::DoubleTransposed);
        row("ssyrk", Fault::SecondMoment);
        row("dsyrk", Fault::Gram);
        row("eigenvector", Fault::Eigen);
    }

    void everyFaultIsFound()
    {
        QFETCH(int, fault);
        QFETCH(QByteArray, word);
        const auto found = findDeviceFault(FaultyDevice(static_cast<Fault>(fault)));
        QCOMPARE(found.has_value(), static_cast<Fault>(fault) != Fault::None);
        if (found)
            QVERIFY2(QByteArray::fromStdString(*found).contains(word), found->c_str());
    }

    void theProgramStartsAgainWithASafeKernel()
    {
#if !defined(__x86_64__)
        QSKIP("OpenBLAS kernels of x86-64 only");
#endif
        const Outcome last = restart("Prescott");
        QCOMPARE(last.code, 0);
        QVERIFY2(last.output.contains("Prescott after "), last.output.constData());
        const Outcome none = restart("NoSuchKernel");
        QCOMPARE(none.code, 1);
        QVERIFY2(none.output.contains("OPENBLAS_CORETYPE") && none.output.contains("Prescott"),
                 none.output.constData());
    }
};

QTEST_GUILESS_MAIN(TestBlasCheck)
#include "tst_blas_check.moc"
