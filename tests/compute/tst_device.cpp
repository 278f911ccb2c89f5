#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/device.h"
#include "core/compute/machine_rates.h"
#include "core/compute/stoppable_device.h"
#include "tests/compute/random_matrix.h"

#include <QTest>

#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

using namespace rankwright;
using test::randomMatrix;

namespace {

template <typename T>
T element(const ConstMatrixView<T>& A, Transpose transpose, std::size_t i, std::size_t j)
{
    return transpose == Transpose::Yes ? A(j, i) : A(i, j);
}

/// Largest |C - (alpha op(A) op(B) + beta C0)| over the bound epsilon * sum |a b| of rounding in a dot product.
template <typename T>
double gemmExcess(const Device& device, Transpose tA, Transpose tB, std::size_t m, std::size_t n, std::size_t k,
                  T alpha, T beta, std::size_t padding)
{
    const auto stored = [&](Transpose t, std::size_t rows, std::size_t columns, std::uint64_t seed) {
        if (t == Transpose::Yes)
            std::swap(rows, columns);
        return randomMatrix<T>(rows + 2, columns + padding, seed);
    };
    const auto inner = [&](const Matrix<T>& S, std::size_t rows, std::size_t columns, Transpose t) {
        if (t == Transpose::Yes)
            std::swap(rows, columns);
        return S.view().rowRange(1, rows).columnRange(padding / 2, columns);
    };
    const Matrix<T> sA = stored(tA, m, k, 1);
    const Matrix<T> sB = stored(tB, k, n, 2);
    const Matrix<T> before = stored(Transpose::No, m, n, 3);
    Matrix<T> after = before;
    const auto A = inner(sA, m, k, tA);
    const auto B = inner(sB, k, n, tB);
    device.gemm(tA, tB, alpha, A, B, beta, after.view().rowRange(1, m).columnRange(padding / 2, n));
    double worst = 0;
    for (std::size_t i = 0; i < before.rows(); ++i)
        for (std::size_t j = 0; j < before.columns(); ++j) {
            const bool inside = i >= 1 && i < m + 1 && j >= padding / 2 && j < padding / 2 + n;
            double expected = static_cast<double>(before(i, j));
            double bound = 0;
            if (inside) {
                double sum = 0;
                double sumAbs = 0;
                for (std::size_t l = 0; l < k; ++l) {
                    const double product = static_cast<double>(element(A, tA, i - 1, l)) *
                                           static_cast<double>(element(B, tB, l, j - padding / 2));
                    sum += product;
                    sumAbs += std::abs(product);
                }
                expected = static_cast<double>(alpha) * sum + static_cast<double>(beta) * expected;
                bound = static_cast<double>(std::numeric_limits<T>::epsilon()) * (sumAbs + 1) *
                        (4 + std::sqrt(static_cast<double>(k)));
            }
            const double difference = std::abs(static_cast<double>(after(i, j)) - expected);
            if (!(difference <= bound))
                worst = std::max(worst, std::isnan(difference) ? 1e300 : difference / std::max(bound, 1e-300));
        }
    return worst;
}

/// Symmetric matrix with the given eigenvalues: Q diag(values) Q^T, Q from Householder reflections.
Matrix<double> symmetricWith(const std::vector<double>& values, std::uint64_t seed)
{
    const std::size_t n = values.size();
    Matrix<double> A(n, n);
    for (std::size_t i = 0; i < n; ++i)
        A(i, i) = values[i];
    for (std::uint64_t round = 0; round < 3; ++round) {
        const Matrix<double> v = randomMatrix<double>(1, n, seed + round);
        const double norm = std::inner_product(v.span().begin(), v.span().end(), v.span().begin(), 0.0);
        std::vector<double> w(n);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j)
                w[i] += A(i, j) * v(0, j) * 2 / norm;
        const double vw = std::inner_product(v.span().begin(), v.span().end(), w.begin(), 0.0) / norm;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j)
                A(i, j) += 2 * vw * v(0, i) * v(0, j) - v(0, i) * w[j] - w[i] * v(0, j);
    }
    return A;
}

Matrix<double> randomSymmetric(std::size_t n, std::uint64_t seed)
{
    Matrix<double> A = randomMatrix<double>(n, n, seed);
    mirrorUpperToLower(A.view());
    return A;
}

double largestAbs(const Matrix<double>& A)
{
    double largest = 0;
    for (const double value : A.span())
        largest = std::max(largest, std::abs(value));
    return largest;
}

/// Largest entry of V A - diag(values) V over n max|A|.
double eigenResidual(const Matrix<double>& A, const SymmetricEigen& eigen)
{
    const std::size_t n = A.rows();
    double worst = 0;
    for (std::size_t i = 0; i < eigen.values.size(); ++i)
        for (std::size_t j = 0; j < n; ++j) {
            double sum = 0;
            for (std::size_t l = 0; l < n; ++l)
                sum += A(j, l) * eigen.vectors(i, l);
            worst = std::max(worst, std::abs(sum - eigen.values[i] * eigen.vectors(i, j)));
        }
    return worst / (static_cast<double>(n) * largestAbs(A));
}

double orthonormalityError(const Matrix<double>& V)
{
    double worst = 0;
    for (std::size_t i = 0; i < V.rows(); ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            const double dot = std::inner_product(V.row(i), V.row(i) + V.columns(), V.row(j), 0.0);
            worst = std::max(worst, std::abs(dot - (i == j ? 1.0 : 0.0)));
        }
    return worst;
}

template <typename T>
bool sameBytes(std::span<const T> a, std::span<const T> b)
{
    return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

template <typename Function>
ErrorKind kindOfError(Function&& function)
{
    try {
        function();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::Cancelled;
}

} // namespace

class TestDevice : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

private slots:
    void gemmEqualsPlainLoops_data()
    {
        QTest::addColumn<int>("m");
        QTest::addColumn<int>("n");
        QTest::addColumn<int>("k");
        QTest::addColumn<int>("padding");
        QTest::newRow("single") << 1 << 1 << 1 << 0;
        QTest::newRow("odd, views") << 17 << 33 << 65 << 5;
        QTest::newRow("vector") << 1 << 131 << 77 << 3;
        QTest::newRow("column") << 95 << 1 << 64 << 2;
        QTest::newRow("square") << 128 << 128 << 128 << 0;
        QTest::newRow("long inner") << 9 << 14 << 1500 << 4;
        QTest::newRow("no inner") << 5 << 6 << 0 << 2;
        QTest::newRow("no rows") << 0 << 6 << 3 << 2;
    }

    void gemmEqualsPlainLoops()
    {
        QFETCH(int, m);
        QFETCH(int, n);
        QFETCH(int, k);
        QFETCH(int, padding);
        const auto size = [](int value) { return static_cast<std::size_t>(value); };
        for (const Transpose tA : {Transpose::No, Transpose::Yes})
            for (const Transpose tB : {Transpose::No, Transpose::Yes})
                for (const double beta : {0.0, 1.0, -0.5}) {
                    QCOMPARE(gemmExcess<float>(*m_device, tA, tB, size(m), size(n), size(k), 1.5F,
                                               static_cast<float>(beta), size(padding)),
                             0.0);
                    QCOMPARE(gemmExcess<double>(*m_device, tA, tB, size(m), size(n), size(k), 1.5, beta, size(padding)),
                             0.0);
                }
    }

    void gemmWithBetaZeroIgnoresTheOldContent()
    {
        const Matrix<float> A = randomMatrix<float>(7, 7, 1);
        Matrix<float> C(7, 7);
        std::ranges::fill(C.span(), std::numeric_limits<float>::quiet_NaN());
        m_device->gemm(Transpose::No, Transpose::No, 1.0F, A.view(), A.view(), 0.0F, C.view());
        QVERIFY(std::ranges::all_of(C.span(), [](float v) { return std::isfinite(v); }));
    }

    void wrongShapesAreRefused()
    {
        Matrix<float> A(3, 4);
        Matrix<float> C(3, 3);
        Matrix<double> D(3, 3);
        Matrix<double> E(4, 2);
        const auto multiply = [&] {
            m_device->gemm(Transpose::No, Transpose::No, 1.0F, A.view(), A.view(), 0.0F, C.view());
        };
        QCOMPARE(kindOfError(multiply), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->addSecondMoment(A.view(), D.view()); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->gram(Transpose::No, E.view(), D.view()); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->symmetricEigen(E); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->symmetricEigen(D, 4); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->solve(D, E.view()); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->solvePositiveDefinite(D, E.view()); }), ErrorKind::Internal);
        QCOMPARE(kindOfError([&] { m_device->pivotedColumns(E); }), ErrorKind::Internal);
        const std::size_t beyond = std::size_t{1} << 31U;
        const auto tooLong = [&] {
            m_device->gemm(Transpose::No, Transpose::No, 1.0F, ConstMatrixView<float>{A.data(), 0, beyond, beyond},
                           ConstMatrixView<float>{A.data(), beyond, 0, 0}, 0.0F, MatrixView<float>{C.data(), 0, 0, 0});
        };
        QCOMPARE(kindOfError(tooLong), ErrorKind::Numeric);
    }

    void gramEqualsPlainLoops()
    {
        const Matrix<double> whole = randomMatrix<double>(40, 70, 5);
        const auto A = whole.view().rowRange(2, 37).columnRange(3, 61);
        for (const Transpose t : {Transpose::No, Transpose::Yes}) {
            const std::size_t n = t == Transpose::Yes ? A.columns : A.rows;
            const std::size_t k = t == Transpose::Yes ? A.rows : A.columns;
            Matrix<double> C(n, n + 4);
            std::ranges::fill(C.span(), 7.0);
            m_device->gram(t, A, C.view().columnRange(1, n));
            for (std::size_t i = 0; i < n; ++i) {
                for (std::size_t j = 0; j < n; ++j) {
                    double sum = 0;
                    for (std::size_t l = 0; l < k; ++l)
                        sum += element(A, t, i, l) * element(A, t, j, l);
                    QVERIFY(std::abs(C(i, j + 1) - sum) < 1e-13);
                    QCOMPARE(C(i, j + 1), C(j, i + 1));
                }
                QCOMPARE(C(i, 0), 7.0);
                QCOMPARE(C(i, n + 1), 7.0);
            }
        }
    }

    void secondMomentIsAddedToTheUpperTriangle_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::newRow("one row") << 1 << 5;
        QTest::newRow("several blocks of rows") << 4100 << 9;
        QTest::newRow("several tiles of columns") << 3 << 1100;
        QTest::newRow("no rows") << 0 << 4;
    }

    void secondMomentIsAddedToTheUpperTriangle()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto T = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<float> X = randomMatrix<float>(T, n + 3, 6);
        const auto part = X.view().columnRange(2, n);
        Matrix<double> C(n, n + 1);
        std::ranges::fill(C.span(), -2.0);
        m_device->addSecondMoment(part, C.view().columnRange(0, n));
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n + 1; ++j) {
                double expected = -2.0;
                double sumAbs = 0;
                if (j >= i && j < n)
                    for (std::size_t t = 0; t < T; ++t) {
                        const double product = static_cast<double>(part(t, i)) * static_cast<double>(part(t, j));
                        expected += product;
                        sumAbs += std::abs(product);
                    }
                // Rounding of float32 sums over at most 2048 terms, far below its bound of 2048 epsilon.
                if (!(std::abs(C(i, j) - expected) <= 2 * 1.2e-7 * sumAbs))
                    QCOMPARE(C(i, j), expected);
            }
    }

    void secondMomentSumsBlocksInFloat64()
    {
        // 2^24 in the first block, then 1 in every row of the second: float32 sums would lose the ones.
        Matrix<float> X(4096, 1);
        X(0, 0) = 4096.0F;
        for (std::size_t t = 2048; t < 4096; ++t)
            X(t, 0) = 1.0F;
        Matrix<double> C(1, 1);
        for (int repeat = 0; repeat < 3; ++repeat)
            m_device->addSecondMoment(X.view(), C.view());
        QCOMPARE(C(0, 0), 3.0 * (16777216.0 + 2048.0));
    }

    void mirrorCopiesTheUpperTriangle()
    {
        for (const std::size_t n :
             {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{32}, std::size_t{77}}) {
            const Matrix<double> before = randomMatrix<double>(n, n, 8);
            Matrix<double> after = before;
            mirrorUpperToLower(after.view());
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < n; ++j)
                    QCOMPARE(after(i, j), before(std::min(i, j), std::max(i, j)));
        }
    }

    void eigenOfRandomSymmetricMatrices_data()
    {
        QTest::addColumn<int>("size");
        for (const int n : {1, 2, 3, 31, 64, 129, 130, 200, 257})
            QTest::addRow("%d", n) << n;
    }

    void eigenOfRandomSymmetricMatrices()
    {
        QFETCH(int, size);
        const auto n = static_cast<std::size_t>(size);
        const Matrix<double> A = randomSymmetric(n, static_cast<std::uint64_t>(n));
        Matrix<double> upperOnly = A;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < i; ++j)
                upperOnly(i, j) = std::numeric_limits<double>::quiet_NaN();
        const SymmetricEigen all = m_device->symmetricEigen(upperOnly);
        QCOMPARE(all.values.size(), n);
        QCOMPARE(all.vectors.rows(), n);
        QVERIFY(std::ranges::is_sorted(all.values, std::ranges::greater()));
        QVERIFY(eigenResidual(A, all) < 1e-14);
        QVERIFY(orthonormalityError(all.vectors) < 1e-13);
        double trace = 0;
        for (std::size_t i = 0; i < n; ++i)
            trace += A(i, i);
        const double sum = std::accumulate(all.values.begin(), all.values.end(), 0.0);
        QVERIFY(std::abs(sum - trace) < 1e-12 * static_cast<double>(n));

        for (const std::size_t wanted : {std::size_t{1}, (n + 3) / 4, (n + 1) / 2, n}) {
            const SymmetricEigen part = m_device->symmetricEigen(A, wanted);
            QCOMPARE(part.values.size(), wanted);
            QCOMPARE(part.vectors.rows(), wanted);
            QCOMPARE(part.vectors.columns(), n);
            for (std::size_t i = 0; i < wanted; ++i)
                QCOMPARE(part.values[i], all.values[i]);
            // The same reflections applied to fewer columns: equal up to the order of products inside BLAS.
            for (std::size_t i = 0; i < wanted * n; ++i)
                QVERIFY(std::abs(part.vectors.data()[i] - all.vectors.data()[i]) < 1e-13);
        }
    }

    void eigenvaluesAreTheKnownOnes()
    {
        std::vector<double> values(90);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = i < 60 ? std::pow(10.0, 3.0 - 0.2 * static_cast<double>(i)) : 0.0;
        values[2] = values[1]; // a double eigenvalue
        values[89] = -5.0;
        const Matrix<double> A = symmetricWith(values, 11);
        const SymmetricEigen eigen = m_device->symmetricEigen(A);
        std::ranges::sort(values, std::ranges::greater());
        for (std::size_t i = 0; i < values.size(); ++i)
            QVERIFY(std::abs(eigen.values[i] - values[i]) < 1e-12 * values[0]);
        QVERIFY(eigenResidual(A, eigen) < 1e-14);
        QVERIFY(orthonormalityError(eigen.vectors) < 1e-13);
    }

    void eigenOfExtremeScales_data()
    {
        QTest::addColumn<double>("scale");
        QTest::newRow("subnormal squares") << 1e-290;
        QTest::newRow("overflowing squares") << 1e290;
        QTest::newRow("smallest") << 1e-307;
    }

    void eigenOfExtremeScales()
    {
        QFETCH(double, scale);
        const Matrix<double> A = randomSymmetric(40, 3);
        Matrix<double> scaled = A;
        for (double& value : scaled.span())
            value *= scale;
        const SymmetricEigen plain = m_device->symmetricEigen(A);
        const SymmetricEigen extreme = m_device->symmetricEigen(scaled);
        for (std::size_t i = 0; i < 40; ++i)
            QVERIFY(std::abs(extreme.values[i] / scale - plain.values[i]) < 1e-13 * plain.values[0] + 1e-15);
        QVERIFY(orthonormalityError(extreme.vectors) < 1e-13);
    }

    void eigenOfZeroAndOfNothing()
    {
        const SymmetricEigen zero = m_device->symmetricEigen(Matrix<double>(20, 20), 5);
        QVERIFY(std::ranges::all_of(zero.values, [](double v) { return v == 0; }));
        QVERIFY(orthonormalityError(zero.vectors) < 1e-15);
        QVERIFY(m_device->symmetricEigen(Matrix<double>()).values.empty());
    }

    void nonFiniteInputIsRefused()
    {
        for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
            Matrix<double> A = randomSymmetric(30, 4);
            A(3, 17) = bad;
            Matrix<double> R = randomMatrix<double>(30, 2, 4);
            QCOMPARE(kindOfError([&] { m_device->symmetricEigen(A); }), ErrorKind::NonFinite);
            QCOMPARE(kindOfError([&] { m_device->solve(A, R.view()); }), ErrorKind::NonFinite);
            QCOMPARE(kindOfError([&] { m_device->solvePositiveDefinite(A, R.view()); }), ErrorKind::NonFinite);
            QCOMPARE(kindOfError([&] { m_device->pivotedColumns(A); }), ErrorKind::NonFinite);
        }
    }

    void solversFindTheKnownSolution_data()
    {
        QTest::addColumn<int>("size");
        QTest::addColumn<int>("columns");
        QTest::newRow("1x1") << 1 << 1;
        QTest::newRow("small") << 5 << 3;
        QTest::newRow("odd") << 67 << 10;
        QTest::newRow("more columns than rows") << 20 << 45;
        QTest::newRow("blocked") << 200 << 7;
    }

    void solversFindTheKnownSolution()
    {
        QFETCH(int, size);
        QFETCH(int, columns);
        const auto n = static_cast<std::size_t>(size);
        const auto k = static_cast<std::size_t>(columns);
        const Matrix<double> J = randomMatrix<double>(n, n, 21);
        const Matrix<double> X = randomMatrix<double>(n, k, 22);
        Matrix<double> S(n, n);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i; j < n; ++j) {
                for (std::size_t l = 0; l < n; ++l)
                    S(i, j) += J(l, i) * J(l, j);
                S(i, j) += i == j ? 0.5 : 0.0;
            }
        const auto times = [&](const Matrix<double>& A, bool upperOnly) {
            Matrix<double> R(n, k + 2);
            std::ranges::fill(R.span(), 9.0);
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < k; ++j) {
                    R(i, j + 1) = 0;
                    for (std::size_t l = 0; l < n; ++l)
                        R(i, j + 1) += (upperOnly && l < i ? A(l, i) : A(i, l)) * X(l, j);
                }
            return R;
        };
        Matrix<double> general = times(J, false);
        m_device->solve(J, general.view().columnRange(1, k));
        Matrix<double> definite = times(S, true);
        m_device->solvePositiveDefinite(S, definite.view().columnRange(1, k));
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < k; ++j) {
                QVERIFY(std::abs(general(i, j + 1) - X(i, j)) < 1e-10);
                QVERIFY(std::abs(definite(i, j + 1) - X(i, j)) < 1e-10);
            }
            QCOMPARE(general(i, 0), 9.0);
            QCOMPARE(definite(i, k + 1), 9.0);
        }
    }

    void unsolvableSystemsAreRefused()
    {
        Matrix<double> R = randomMatrix<double>(6, 2, 1);
        QCOMPARE(kindOfError([&] { m_device->solve(Matrix<double>(6, 6), R.view()); }), ErrorKind::Numeric);
        QCOMPARE(kindOfError([&] { m_device->solvePositiveDefinite(Matrix<double>(6, 6), R.view()); }),
                 ErrorKind::Numeric);
        const std::vector<double> indefinite = {5, 4, 3, 2, 1, -1};
        QCOMPARE(kindOfError([&] { m_device->solvePositiveDefinite(symmetricWith(indefinite, 2), R.view()); }),
                 ErrorKind::Numeric);
        const std::vector<double> nearlySingular = {1e9, 4, 3, 2, 1, 1e-9};
        QCOMPARE(kindOfError([&] { m_device->solve(symmetricWith(nearlySingular, 2), R.view()); }), ErrorKind::Numeric);
        QCOMPARE(kindOfError([&] { m_device->solvePositiveDefinite(symmetricWith(nearlySingular, 2), R.view()); }),
                 ErrorKind::Numeric);
    }

    /// Both ways of qr(): condition numbers far below, near and above the bound of the Cholesky form.
    void qrOfTallMatricesIsAccurate()
    {
        constexpr std::size_t m = 300;
        constexpr std::size_t n = 50;
        for (const double smallest : {1.0, 1e-3, 1e-5, 1e-6, 1e-9, 1e-15}) {
            const Matrix<double> left = randomMatrix<double>(m, n, 1);
            const Matrix<double> right = randomMatrix<double>(n, n, 2);
            Matrix<double> A(m, n);
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n; ++j)
                    for (std::size_t k = 0; k < n; ++k)
                        A(i, j) += left(i, k) * right(k, j) * std::pow(smallest, static_cast<double>(k) / (n - 1));
            const QrFactors factors = m_device->qr(A);
            double departure = 0.0;
            double error = 0.0;
            double norm = 0.0;
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < n; ++j) {
                    double dot = i == j ? -1.0 : 0.0;
                    for (std::size_t k = 0; k < m; ++k)
                        dot += factors.Q(k, i) * factors.Q(k, j);
                    departure += dot * dot;
                    QVERIFY(i <= j || factors.R(i, j) == 0.0);
                }
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n; ++j) {
                    double sum = -A(i, j);
                    for (std::size_t k = 0; k < n; ++k)
                        sum += factors.Q(i, k) * factors.R(k, j);
                    error += sum * sum;
                    norm += A(i, j) * A(i, j);
                }
            // Working precision: n eps = 1.1e-14.
            QVERIFY2(std::sqrt(departure) < 1.1e-14, qPrintable(QString::number(std::sqrt(departure))));
            QVERIFY2(std::sqrt(error / norm) < 1.1e-14, qPrintable(QString::number(std::sqrt(error / norm))));
        }
    }

    void qrIsOrthonormalAlsoWhereSingular()
    {
        Matrix<double> A(9, 5);
        for (std::size_t i = 0; i < 9; ++i)
            for (std::size_t j = 0; j < 5; ++j)
                A(i, j) = j == 3 ? 2.0 * A(i, 1) : std::sin(static_cast<double>(i * 5 + j)) * std::pow(1e-4, j);
        for (const auto& matrix : {A, Matrix<double>(9, 5)}) {
            const QrFactors factors = m_device->qr(matrix);
            for (std::size_t i = 0; i < 5; ++i)
                for (std::size_t j = 0; j < 5; ++j) {
                    double dot = 0.0;
                    for (std::size_t k = 0; k < 9; ++k)
                        dot += factors.Q(k, i) * factors.Q(k, j);
                    QVERIFY(std::abs(dot - (i == j ? 1.0 : 0.0)) < 1e-14);
                    QVERIFY(i <= j || factors.R(i, j) == 0.0);
                }
            for (std::size_t i = 0; i < 9; ++i)
                for (std::size_t j = 0; j < 5; ++j) {
                    double sum = 0.0;
                    for (std::size_t k = 0; k < 5; ++k)
                        sum += factors.Q(i, k) * factors.R(k, j);
                    QVERIFY(std::abs(sum - matrix(i, j)) < 1e-15);
                }
        }
        QCOMPARE(kindOfError([&] { m_device->qr(Matrix<double>(3, 4)); }), ErrorKind::Internal);
        QVERIFY(m_device->qr(Matrix<double>(3, 0)).R.empty());
    }

    void pivotedColumnsAreWellConditioned()
    {
        const std::size_t r = 12;
        const std::size_t n = 50;
        // The first columns are nearly parallel, so they are a bad basis.
        Matrix<double> A = randomMatrix<double>(r, n, 31);
        for (std::size_t j = 1; j < 10; ++j)
            for (std::size_t i = 0; i < r; ++i)
                A(i, j) = A(i, 0) + 1e-6 * A(i, j);
        const std::vector<std::size_t> order = m_device->pivotedColumns(A);
        std::vector<std::size_t> sorted = order;
        std::ranges::sort(sorted);
        std::vector<std::size_t> identity(n);
        std::iota(identity.begin(), identity.end(), std::size_t{0});
        QCOMPARE(sorted, identity);

        std::vector<double> norms(n);
        for (std::size_t j = 0; j < n; ++j)
            for (std::size_t i = 0; i < r; ++i)
                norms[j] += A(i, j) * A(i, j);
        QCOMPARE(order[0], static_cast<std::size_t>(std::ranges::max_element(norms) - norms.begin()));

        const auto condition = [&](const std::vector<std::size_t>& columns) {
            Matrix<double> gram(r, r);
            for (std::size_t a = 0; a < r; ++a)
                for (std::size_t b = 0; b < r; ++b)
                    for (std::size_t i = 0; i < r; ++i)
                        gram(a, b) += A(i, columns[a]) * A(i, columns[b]);
            const SymmetricEigen eigen = m_device->symmetricEigen(gram);
            return std::sqrt(eigen.values.front() / std::max(eigen.values.back(), 1e-300));
        };
        QVERIFY(condition(order) < 100);
        QVERIFY(condition(identity) > 1e5);
    }

    void pivotedColumnsOfEdgeShapes()
    {
        QCOMPARE(m_device->pivotedColumns(Matrix<double>(0, 3)), (std::vector<std::size_t>{0, 1, 2}));
        QVERIFY(m_device->pivotedColumns(Matrix<double>()).empty());
        Matrix<double> row(1, 3);
        row(0, 1) = -4;
        row(0, 2) = 2;
        QCOMPARE(m_device->pivotedColumns(row).front(), std::size_t{1});
    }

    void concurrentCallsGiveTheSerialBits()
    {
        const BlasThreads single(1);
        constexpr std::size_t tasks = 12;
        struct Results
        {
            Matrix<float> product;
            Matrix<double> moment;
            SymmetricEigen eigen;
            Matrix<double> solution;
            std::vector<std::size_t> order;
        };
        const auto compute = [&](std::size_t task) {
            const std::size_t n = 60 + 13 * task;
            const Matrix<float> X = randomMatrix<float>(100 + task, n, task);
            Results results{Matrix<float>(n, n), Matrix<double>(n, n), {}, randomMatrix<double>(n, 3, task), {}};
            m_device->gemm(Transpose::Yes, Transpose::No, 1.0F, X.view(), X.view(), 0.0F, results.product.view());
            m_device->addSecondMoment(X.view(), results.moment.view());
            results.eigen = m_device->symmetricEigen(results.moment, n / 2);
            m_device->solve(randomMatrix<double>(n, n, task), results.solution.view());
            results.order = m_device->pivotedColumns(results.eigen.vectors);
            return results;
        };
        std::vector<Results> serial;
        for (std::size_t task = 0; task < tasks; ++task)
            serial.push_back(compute(task));
        for (int repeat = 0; repeat < 3; ++repeat) {
            std::vector<Results> parallel(tasks);
            parallelFor(tasks, 4, [&](std::size_t task, std::size_t) { parallel[task] = compute(task); });
            for (std::size_t task = 0; task < tasks; ++task) {
                QVERIFY(sameBytes<float>(parallel[task].product.span(), serial[task].product.span()));
                QVERIFY(sameBytes<double>(parallel[task].moment.span(), serial[task].moment.span()));
                QVERIFY(sameBytes<double>(parallel[task].eigen.values, serial[task].eigen.values));
                QVERIFY(sameBytes<double>(parallel[task].eigen.vectors.span(), serial[task].eigen.vectors.span()));
                QVERIFY(sameBytes<double>(parallel[task].solution.span(), serial[task].solution.span()));
                QCOMPARE(parallel[task].order, serial[task].order);
            }
        }
    }

    void theLeastOfSeveralThreadCountsHolds()
    {
        const int before = openblas_get_num_threads();
        auto first = std::make_unique<BlasThreads>(4);
        QCOMPARE(openblas_get_num_threads(), 4);
        auto second = std::make_unique<BlasThreads>(1);
        QCOMPARE(openblas_get_num_threads(), 1);
        auto third = std::make_unique<BlasThreads>(3);
        QCOMPARE(openblas_get_num_threads(), 1);
        // Not in the order they were made: two jobs of a program end when they end.
        first.reset();
        QCOMPARE(openblas_get_num_threads(), 1);
        second.reset();
        QCOMPARE(openblas_get_num_threads(), 3);
        third.reset();
        QCOMPARE(openblas_get_num_threads(), before);
    }

    void ratesAreMeasuredOnce()
    {
        const MachineRates one = measuredRates(*m_device, 1);
        QVERIFY(one.floats > 1e8 && one.doubles > 1e8);
        const MachineRates again = measuredRates(*m_device, 1);
        QCOMPARE(again.floats, one.floats);
        QCOMPARE(again.doubles, one.doubles);
        const MachineRates all = measuredRates(*m_device, processorCount());
        QVERIFY(all.floats > 1e8 && (processorCount() == 1 || all.floats != one.floats));
        // More threads than processors compute no faster, and are not started to see that.
        const MachineRates more = measuredRates(*m_device, processorCount() + 40);
        QCOMPARE(more.floats, all.floats);
        QCOMPARE(more.doubles, all.doubles);
    }

    void deviceDescribesItself()
    {
        const DeviceInfo info = makeCpuDevice(3)->info();
        QCOMPARE(info.id, std::string("cpu"));
        QCOMPARE(info.threads, std::size_t{3});
        QVERIFY(info.library.starts_with("OpenBLAS "));
        QVERIFY(!info.name.empty());
        QVERIFY(info.memoryFree > 0 && info.memoryFree <= info.memoryTotal);
        QCOMPARE(makeCpuDevice()->info().threads, processorCount());
    }

    void aStoppedDeviceStartsNothing()
    {
        std::stop_source stop;
        const std::shared_ptr<const Device> plain = makeCpuDevice(1);
        const std::shared_ptr<const Device> device = makeStoppableDevice(plain, stop.get_token());
        Matrix<double> A = randomMatrix<double>(12, 12, 3);
        for (std::size_t i = 0; i < 12; ++i)
            for (std::size_t j = 0; j < 12; ++j)
                A(i, j) = i == j ? 20.0 : A(std::min(i, j), std::max(i, j));
        const SymmetricEigen expected = plain->symmetricEigen(A, 0);
        const SymmetricEigen found = device->symmetricEigen(A, 0);
        QCOMPARE(found.values, expected.values);
        QCOMPARE(device->info().id, plain->info().id);

        stop.request_stop();
        Matrix<double> R = randomMatrix<double>(12, 2, 4);
        const Matrix<float> X = randomMatrix<float>(12, 12, 5);
        Matrix<float> Y(12, 12);
        Matrix<double> C(12, 12);
        const std::vector<std::function<void()>> operations{
            [&] { device->gemm(Transpose::No, Transpose::No, 1.0F, X.view(), X.view(), 0.0F, Y.view()); },
            [&] { device->gemm(Transpose::No, Transpose::No, 1.0, A.view(), A.view(), 0.0, C.view()); },
            [&] { device->addSecondMoment(X.view(), C.view()); },
            [&] { device->gram(Transpose::No, A.view(), C.view()); },
            [&] { device->symmetricEigen(A, 0); },
            [&] { device->solvePositiveDefinite(A, R.view()); },
            [&] { device->cholesky(A); },
            [&] { device->solveLower(Transpose::No, A, R.view()); },
            [&] { device->solve(A, R.view()); },
            [&] { device->qr(A); },
            [&] { device->pivotedColumns(A); }};
        for (const auto& operation : operations) {
            bool cancelled = false;
            try {
                operation();
            } catch (const Error& error) {
                cancelled = error.kind() == ErrorKind::Cancelled;
            }
            QVERIFY(cancelled);
        }
        for (std::size_t i = 0; i < 12; ++i)
            for (std::size_t j = 0; j < 12; ++j)
                QCOMPARE(C(i, j), 0.0);
    }
};

QTEST_GUILESS_MAIN(TestDevice)
#include "tst_device.moc"
