#include "core/base/error.h"
#include "core/structure/linear_weights.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <random>

using namespace rankwright;

namespace {

template <typename T>
Matrix<T> randomMatrix(std::size_t rows, std::size_t columns, unsigned seed)
{
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    Matrix<T> result(rows, columns);
    for (T& value : result.span())
        value = static_cast<T>(normal(generator));
    return result;
}

/// Plain loops: the reference that uses no BLAS.
Matrix<double> plainProduct(const Matrix<double>& A, const Matrix<double>& B)
{
    Matrix<double> C(A.rows(), B.columns());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t k = 0; k < A.columns(); ++k)
            for (std::size_t j = 0; j < B.columns(); ++j)
                C(i, j) += A(i, k) * B(k, j);
    return C;
}

double largestDifference(const Matrix<double>& A, const Matrix<double>& B)
{
    if (A.rows() != B.rows() || A.columns() != B.columns())
        return INFINITY;
    double largest = 0.0;
    for (std::size_t i = 0; i < A.size(); ++i)
        largest = std::max(largest, std::abs(A.data()[i] - B.data()[i]));
    return largest;
}

double largestOf(const Matrix<double>& A)
{
    double largest = 0.0;
    for (const double value : A.span())
        largest = std::max(largest, std::abs(value));
    return largest;
}

/// B with orthonormal columns (Gram-Schmidt twice) and A = B^T W, as the methods give it.
Factorisation projection(const Matrix<double>& W, std::size_t rank, unsigned seed)
{
    Matrix<double> B = randomMatrix<double>(W.rows(), rank, seed);
    for (std::size_t j = 0; j < rank; ++j) {
        for (int pass = 0; pass < 2; ++pass)
            for (std::size_t k = 0; k < j; ++k) {
                double dot = 0.0;
                for (std::size_t i = 0; i < W.rows(); ++i)
                    dot += B(i, j) * B(i, k);
                for (std::size_t i = 0; i < W.rows(); ++i)
                    B(i, j) -= dot * B(i, k);
            }
        double norm = 0.0;
        for (std::size_t i = 0; i < W.rows(); ++i)
            norm += B(i, j) * B(i, j);
        for (std::size_t i = 0; i < W.rows(); ++i)
            B(i, j) /= std::sqrt(norm);
    }
    Matrix<double> A(rank, W.columns());
    for (std::size_t i = 0; i < W.rows(); ++i)
        for (std::size_t k = 0; k < rank; ++k)
            for (std::size_t j = 0; j < W.columns(); ++j)
                A(k, j) += B(i, k) * W(i, j);
    return {std::move(B), std::move(A)};
}

constexpr double kFloatEpsilon = 0x1p-23;

} // namespace

class TestStructure : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

private slots:
    void namesAreKnownAndMistakesNamed()
    {
        for (const StructureKind kind : {StructureKind::Dense, StructureKind::Factors, StructureKind::BlockIdentity})
            QCOMPARE(structureFromName(structureName(kind)), kind);
        try {
            structureFromName("block-identiy");
            QFAIL("accepted a misspelt structure");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::InvalidArgument);
            QVERIFY(QString::fromUtf8(error.what()).contains(QStringLiteral("did you mean \"block-identity\"")));
        }
    }

    void parametersOfStructures()
    {
        const LinearShape shape{192, 576};
        QCOMPARE(parameterCount(StructureKind::Dense, shape, 7), std::size_t{192 * 576});
        QCOMPARE(parameterCount(StructureKind::Factors, shape, 7), std::size_t{7 * (192 + 576)});
        QCOMPARE(parameterCount(StructureKind::BlockIdentity, shape, 7), std::size_t{7 * (192 + 576) - 49});
        QCOMPARE(parameterCount(StructureKind::BlockIdentity, shape, 192), shape.parameters());
        QCOMPARE(storedBytes(StructureKind::Factors, shape, 7, DType::BF16), std::size_t{2 * 7 * (192 + 576)});
        QCOMPARE(storedBytes(StructureKind::BlockIdentity, shape, 7, DType::F32),
                 std::size_t{4 * (7 * (192 + 576) - 49) + 4 * 7});
        QCOMPARE(breakEvenRank(StructureKind::Factors, shape), std::size_t{144});
        QCOMPARE(breakEvenRank(StructureKind::BlockIdentity, shape), std::size_t{192});
    }

    void ranksForARatio_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::addColumn<double>("ratio");
        QTest::addColumn<int>("factors");
        QTest::addColumn<int>("blockIdentity");
        QTest::newRow("576x576") << 576 << 576 << 0.8 << 230 << 318;
        QTest::newRow("4096x4096") << 4096 << 4096 << 0.8 << 1638 << 2264;
        QTest::newRow("768x768") << 768 << 768 << 0.8 << 307 << 424;
        QTest::newRow("4096x11008") << 4096 << 11008 << 0.8 << 2388 << 2973;
        QTest::newRow("768x3072") << 768 << 3072 << 0.8 << 491 << 578;
        QTest::newRow("whole number of a decimal ratio") << 10 << 10 << 0.6 << 3 << 3;
        QTest::newRow("everything") << 12 << 20 << 1.0 << 7 << 12;
        QTest::newRow("at least one") << 12 << 20 << 0.001 << 1 << 1;
    }

    void ranksForARatio()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        QFETCH(double, ratio);
        QFETCH(int, factors);
        QFETCH(int, blockIdentity);
        const LinearShape shape{static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
        QCOMPARE(rankForKeptRatio(StructureKind::Factors, shape, ratio), static_cast<std::size_t>(factors));
        QCOMPARE(rankForKeptRatio(StructureKind::BlockIdentity, shape, ratio), static_cast<std::size_t>(blockIdentity));
    }

    void ranksAreTheLargestWithinTheBudget()
    {
        for (const LinearShape shape : {LinearShape{7, 7}, LinearShape{5, 31}, LinearShape{64, 48}, LinearShape{1, 9}})
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity})
                for (int percent = 1; percent <= 100; ++percent) {
                    // Integers only: parameters * 100 <= percent * m n, whatever 0.01 percent rounds to.
                    std::size_t expected = 1;
                    for (std::size_t r = 1; r <= shape.fullRank(); ++r)
                        if (parameterCount(kind, shape, r) * 100 <=
                            static_cast<std::size_t>(percent) * shape.parameters())
                            expected = r;
                    QCOMPARE(rankForKeptRatio(kind, shape, percent / 100.0), expected);
                }
        for (const double bad : {0.0, -0.5, 1.0001, std::nan("")})
            QVERIFY_EXCEPTION_THROWN(rankForKeptRatio(StructureKind::Factors, {4, 4}, bad), Error);
    }

    void storedFactorsAreTheProduct_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::addColumn<int>("rank");
        QTest::newRow("wide") << 24 << 60 << 9;
        QTest::newRow("tall") << 60 << 24 << 9;
        QTest::newRow("rank one") << 24 << 60 << 1;
        QTest::newRow("full rank wide") << 24 << 60 << 24;
        QTest::newRow("full rank tall") << 60 << 24 << 24;
        QTest::newRow("full rank square") << 30 << 30 << 30;
    }

    void storedFactorsAreTheProduct()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        QFETCH(int, rank);
        const auto W = randomMatrix<double>(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), 1);
        const Factorisation factorisation = projection(W, static_cast<std::size_t>(rank), 2);
        const Matrix<double> exact = plainProduct(factorisation.B, factorisation.A);
        const double largest = largestOf(exact);
        for (const StructureKind kind : {StructureKind::Dense, StructureKind::Factors, StructureKind::BlockIdentity}) {
            const LinearWeights weights = storeFactorisation(*m_device, factorisation, kind, DType::F32);
            QCOMPARE(weights.structure(), kind);
            QCOMPARE(weights.shape(), (LinearShape{W.rows(), W.columns()}));
            QCOMPARE(weights.parameters(), parameterCount(kind, weights.shape(), static_cast<std::size_t>(rank)));
            // Sums of up to 30 float32 roundings of products.
            QVERIFY(largestDifference(expandLinear(*m_device, weights), exact) < 8 * kFloatEpsilon * largest);
        }
    }

    void applyEqualsTheDenseProduct()
    {
        const auto W = randomMatrix<double>(40, 70, 3);
        const Factorisation factorisation = projection(W, 17, 4);
        LinearScratch scratch;
        for (const StructureKind kind : {StructureKind::Dense, StructureKind::Factors, StructureKind::BlockIdentity})
            for (const bool withBias : {false, true})
                for (const std::size_t tokens : {std::size_t{1}, std::size_t{33}}) {
                    LinearWeights weights = storeFactorisation(*m_device, factorisation, kind, DType::F32);
                    if (withBias) {
                        const auto bias = randomMatrix<float>(1, 40, 5);
                        weights.bias.assign(bias.span().begin(), bias.span().end());
                    }
                    const auto X = randomMatrix<float>(tokens, 70, 6);
                    Matrix<float> Y(tokens, 40);
                    std::fill(Y.span().begin(), Y.span().end(), NAN);
                    applyLinear(*m_device, weights, X.view(), Y.view(), scratch);
                    const Matrix<double> expanded = expandLinear(*m_device, weights);
                    for (std::size_t t = 0; t < tokens; ++t)
                        for (std::size_t i = 0; i < 40; ++i) {
                            double expected = withBias ? static_cast<double>(weights.bias[i]) : 0.0;
                            for (std::size_t j = 0; j < 70; ++j)
                                expected += expanded(i, j) * static_cast<double>(X(t, j));
                            QVERIFY(std::abs(static_cast<double>(Y(t, i)) - expected) < 1e-4);
                        }
                }
        LinearWeights weights = storeFactorisation(*m_device, factorisation, StructureKind::Factors, DType::F32);
        const auto X = randomMatrix<float>(2, 69, 7);
        Matrix<float> Y(2, 40);
        QVERIFY_EXCEPTION_THROWN(applyLinear(*m_device, weights, X.view(), Y.view(), scratch), Error);
    }

    /// Linears under one another are the same whether their rows are stored together or share one A.
    void sharedLatentsAreRowsOfOneLinear()
    {
        const Matrix<double> W = randomMatrix<double>(30, 22, 50);
        const std::vector<std::size_t> rows{14, 6, 10};
        for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
            LinearWeights whole = storeFactorisation(*m_device, projection(W, 9, 51), kind, DType::F32);
            for (std::size_t i = 0; i < W.rows(); ++i)
                whole.bias.push_back(0.1F * static_cast<float>(i));
            const auto parts = splitRows(whole, rows);
            QCOMPARE(parts.size(), rows.size());
            QCOMPARE(parts[0]->structure(), kind);
            std::size_t parameters = 0;
            for (const auto& part : parts)
                parameters += part->parameters();
            QCOMPARE(parameters, whole.parameters()); // r (n + sum of m), less r^2 with a block identity

            const Matrix<float> X = randomMatrix<float>(7, 22, 52);
            Matrix<float> expected(7, 30);
            LinearScratch scratch;
            applyLinear(*m_device, whole, X.view(), expected.view(), scratch);
            std::vector<Matrix<float>> found;
            std::vector<const LinearWeights*> linears;
            std::vector<MatrixView<float>> outputs;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                found.emplace_back(7, rows[i]);
                linears.push_back(parts[i].get());
                QCOMPARE(parts[i]->shape(), (LinearShape{rows[i], 22}));
                QCOMPARE(parts[i]->rank(), std::size_t{9});
            }
            for (Matrix<float>& Y : found)
                outputs.push_back(Y.view());
            applyLinears(*m_device, linears, X.view(), outputs, scratch);
            const Matrix<double> product = expandLinear(*m_device, whole);
            std::size_t first = 0;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                Matrix<float> alone(7, rows[i]);
                applyLinear(*m_device, *parts[i], X.view(), alone.view(), scratch);
                const Matrix<double> part = expandLinear(*m_device, *parts[i]);
                const Matrix<double> own = expandLinear(*m_device, withOwnLatents(*parts[i]));
                for (std::size_t row = 0; row < rows[i]; ++row) {
                    for (std::size_t t = 0; t < 7; ++t) {
                        // float32 sums of 9 products in another order
                        QVERIFY(std::abs(found[i](t, row) - expected(t, first + row)) < 2e-5F);
                        QVERIFY(std::abs(alone(t, row) - expected(t, first + row)) < 2e-5F);
                    }
                    for (std::size_t j = 0; j < 22; ++j) {
                        QVERIFY(std::abs(part(row, j) - product(first + row, j)) < 1e-12);
                        QVERIFY(std::abs(own(row, j) - product(first + row, j)) < 1e-12);
                    }
                }
                const Matrix<float> dY = randomMatrix<float>(7, rows[i], 53);
                Matrix<float> dX(7, 22);
                applyLinearTransposed(*m_device, *parts[i], dY.view(), dX.view(), false, scratch);
                for (std::size_t t = 0; t < 7; ++t)
                    for (std::size_t j = 0; j < 22; ++j) {
                        double sum = 0.0;
                        for (std::size_t row = 0; row < rows[i]; ++row)
                            sum += static_cast<double>(dY(t, row)) * part(row, j);
                        QVERIFY(std::abs(static_cast<double>(dX(t, j)) - sum) < 1e-4);
                    }
                first += rows[i];
            }
        }
        const LinearWeights dense{DenseWeights{Matrix<float>(30, 22)}, {}};
        QVERIFY_EXCEPTION_THROWN(splitRows(dense, rows), Error);
        QCOMPARE(parameterCount(StructureKind::SharedLatent, {14, 22}, 9), std::size_t{126});
        QCOMPARE(storedBytes(StructureKind::SharedLatent, {14, 22}, 9, DType::F16), std::size_t{252});
    }

    void blockIdentityHasSmallEntriesAndAscendingIndices()
    {
        // Columns of very different size: the first r columns would be a bad junction.
        Matrix<double> W = randomMatrix<double>(48, 96, 8);
        for (std::size_t i = 0; i < W.rows(); ++i)
            for (std::size_t j = 0; j < W.columns(); ++j)
                W(i, j) *= std::pow(10.0, static_cast<double>(j) / 24.0 - 2.0);
        const Factorisation factorisation = projection(W, 20, 9);
        const LinearWeights weights =
            storeFactorisation(*m_device, factorisation, StructureKind::BlockIdentity, DType::F32);
        const auto& block = std::get<BlockIdentityWeights>(weights.form);
        QVERIFY(std::is_sorted(block.pivots.begin(), block.pivots.end()));
        QVERIFY(std::is_sorted(block.rest.begin(), block.rest.end()));
        QCOMPARE(block.pivots.size(), std::size_t{20});
        QCOMPARE(block.rest.size(), std::size_t{76});
        std::vector<std::uint32_t> all = block.pivots;
        all.insert(all.end(), block.rest.begin(), block.rest.end());
        std::sort(all.begin(), all.end());
        for (std::uint32_t j = 0; j < 96; ++j)
            QCOMPARE(all[j], j);
        QVERIFY(largestOf(convertMatrix<double>(block.A2)) < 4.0);
    }

    void refitOfRoundedFactorsBeatsPerturbations()
    {
        // bfloat16 makes the rounding of B large enough for the refit to matter.
        const auto W = randomMatrix<double>(30, 40, 10);
        const Factorisation factorisation = projection(W, 12, 11);
        const Matrix<double> exact = plainProduct(factorisation.B, factorisation.A);
        const auto distance = [&](const Matrix<double>& approximation) {
            double sum = 0.0;
            for (std::size_t i = 0; i < exact.size(); ++i)
                sum += std::pow(exact.data()[i] - approximation.data()[i], 2);
            return sum;
        };
        for (const DType storage : {DType::BF16, DType::F16}) {
            const LinearWeights weights = storeFactorisation(*m_device, factorisation, StructureKind::Factors, storage);
            const auto& factors = std::get<FactorWeights>(weights.form);
            Matrix<double> naive = factorisation.A;
            for (double& value : naive.span())
                value = static_cast<double>(static_cast<float>(value));
            // Rounding A to 16 bits as well is part of the stored product, none of the unrounded one: refit wins anyway
            // against B alone being rounded only if A is compared before rounding, so round both.
            std::vector<std::byte> bytes(2 * naive.size());
            Matrix<float> narrow = convertMatrix<float>(naive);
            convertFromFloat(narrow.span(), storage, bytes);
            convertToFloat(storage, bytes, narrow.span());
            const auto B = convertMatrix<double>(factors.B);
            QVERIFY(distance(expandLinear(*m_device, weights)) <
                    distance(plainProduct(B, convertMatrix<double>(narrow))));
        }
    }

    void storageTypesHoldTheirValuesExactly()
    {
        const auto W = randomMatrix<double>(20, 25, 12);
        const Factorisation factorisation = projection(W, 10, 13);
        for (const DType storage : {DType::BF16, DType::F16})
            for (const StructureKind kind : {StructureKind::Dense, StructureKind::Factors}) {
                const LinearWeights weights = storeFactorisation(*m_device, factorisation, kind, storage);
                const Matrix<float>& values = kind == StructureKind::Dense ? std::get<DenseWeights>(weights.form).W
                                                                           : std::get<FactorWeights>(weights.form).B;
                std::vector<std::byte> bytes(bytesFor(storage, values.size()));
                Matrix<float> again(values.rows(), values.columns());
                convertFromFloat(values.span(), storage, bytes);
                convertToFloat(storage, bytes, again.span());
                QVERIFY(std::equal(values.span().begin(), values.span().end(), again.span().begin()));
            }
        Factorisation huge = factorisation;
        for (double& value : huge.A.span())
            value *= 1e6;
        QVERIFY_EXCEPTION_THROWN(storeFactorisation(*m_device, huge, StructureKind::Factors, DType::F16), Error);
    }

    void matricesOfLowerRankThanAskedAreStored()
    {
        // Rank 3 in all, rank 8 asked for: the junction is singular.
        const Matrix<double> W = plainProduct(randomMatrix<double>(16, 3, 14), randomMatrix<double>(3, 30, 15));
        const Factorisation factorisation = projection(W, 8, 16);
        const Matrix<double> exact = plainProduct(factorisation.B, factorisation.A);
        const LinearWeights weights =
            storeFactorisation(*m_device, factorisation, StructureKind::BlockIdentity, DType::F32);
        // The pseudo-inverse drops directions below 1e-7 of the largest: close to, but not quite, float32 rounding.
        QVERIFY(largestDifference(expandLinear(*m_device, weights), exact) < 1e-5 * largestOf(exact));

        const Factorisation nothing = projection(Matrix<double>(16, 30), 8, 17);
        for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
            const LinearWeights zero = storeFactorisation(*m_device, nothing, kind, DType::F32);
            QCOMPARE(largestOf(expandLinear(*m_device, zero)), 0.0);
        }
    }

    void factorsThatAreNotOrthonormalAreStored()
    {
        const Factorisation factorisation{randomMatrix<double>(20, 6, 18), randomMatrix<double>(6, 33, 19)};
        const Matrix<double> exact = plainProduct(factorisation.B, factorisation.A);
        for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
            const LinearWeights weights = storeFactorisation(*m_device, factorisation, kind, DType::F32);
            QVERIFY(largestDifference(expandLinear(*m_device, weights), exact) < 16 * kFloatEpsilon * largestOf(exact));
        }
        const Factorisation wrong{Matrix<double>(4, 5), Matrix<double>(5, 9)};
        QVERIFY_EXCEPTION_THROWN(storeFactorisation(*m_device, wrong, StructureKind::Factors, DType::F32), Error);
    }
};

QTEST_GUILESS_MAIN(TestStructure)
#include "tst_structure.moc"
