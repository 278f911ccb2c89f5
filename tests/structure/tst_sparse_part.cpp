#include "core/base/error.h"
#include "core/structure/linear_gradients.h"

#include <QTest>

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

/// About a fifth of the places, row 2 without any.
template <typename T>
SparseMatrix<T> randomSparse(std::size_t rows, std::size_t columns, unsigned seed)
{
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    SparseMatrix<T> S{.columns = columns, .rowStart = {0}, .column = {}, .values = {}};
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < columns; ++j)
            if (i != 2 && generator() % 5 == 0) {
                S.column.push_back(static_cast<std::uint32_t>(j));
                S.values.push_back(static_cast<T>(normal(generator)));
            }
        S.rowStart.push_back(S.values.size());
    }
    return S;
}

/// By an independent walk: the entry of every place.
template <typename T>
Matrix<double> laidOut(const SparseMatrix<T>& S)
{
    Matrix<double> result(S.rowStart.size() - 1, S.columns);
    std::size_t row = 0;
    for (std::size_t e = 0; e < S.values.size(); ++e) {
        while (S.rowStart[row + 1] <= e)
            ++row;
        result(row, S.column[e]) = static_cast<double>(S.values[e]);
    }
    return result;
}

std::string refusal(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error.kind() == ErrorKind::Corrupt ? error.what() : "another kind";
    }
    return {};
}

} // namespace

/// Factors with a sparse S beside them: what they store, compute and pass back.
class TestSparsePart : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    LinearWeights weightsOf(std::size_t m, std::size_t n, std::size_t rank, StructureKind kind,
                            DType storage = DType::F32) const
    {
        Factorisation factorisation{m_device->qr(randomMatrix<double>(m, rank, 1)).Q, randomMatrix<double>(rank, n, 2)};
        factorisation.sparse = randomSparse<double>(m, n, 3);
        return storeFactorisation(*m_device, factorisation, kind, storage);
    }

private slots:
    void everyStoredNumberCounts()
    {
        QCOMPARE(indexType(255), DType::U8);
        QCOMPARE(indexType(256), DType::I16);
        QCOMPARE(indexType(32767), DType::I16);
        QCOMPARE(indexType(32768), DType::I32);
        // r (m + n), less r^2, and value and column of an entry and the count of every row.
        const LinearShape shape{30, 300};
        QCOMPARE(parameterCount(StoredRank{StructureKind::Factors, 7, 100}, shape), 7 * 330UL + 200 + 30);
        QCOMPARE(parameterCount(StoredRank{StructureKind::BlockIdentity, 7, 100}, shape), 7 * 323UL + 200 + 30);
        QCOMPARE(parameterCount(StoredRank{StructureKind::Factors, 7, 0}, shape), 7 * 330UL);
        QCOMPARE(parameterCount(StoredRank{StructureKind::Factors, 2, 10}, {5, 40000}), 2 * 40005UL + 30 + 10);
        // 16-bit storage takes what is counted, 32-bit less, narrow rows less still.
        QCOMPARE(storedBytes(StoredRank{StructureKind::Factors, 7, 100}, shape, DType::BF16),
                 2 * parameterCount(StoredRank{StructureKind::Factors, 7, 100}, shape));
        QCOMPARE(storedBytes(StoredRank{StructureKind::Factors, 7, 100}, shape, DType::F32),
                 4 * (7 * 330UL + 100) + 260);
        QCOMPARE(storedBytes(StoredRank{StructureKind::BlockIdentity, 3, 9}, {20, 40}, DType::F16),
                 2 * (3 * 57UL + 9) + 29 + 12);
        QCOMPARE(storedBytes(StoredRank{StructureKind::Factors, 2, 10}, {5, 40000}, DType::BF16),
                 2 * (2 * 40005UL + 10) + 4 * 15);
    }

    /// The share bounds S, and no further entry would do.
    void entriesFillTheirShare()
    {
        for (const LinearShape shape : {LinearShape{64, 64}, {192, 576}, {576, 192}, {8, 40000}})
            for (const double share : {0.05, 0.2, 0.5, 0.9})
                for (const std::size_t rank : {1UL, 2UL, 7UL, shape.fullRank() / 2}) {
                    const std::size_t entries = sparseEntries(shape, rank, share);
                    const auto factors = static_cast<double>(rank * (shape.rows + shape.columns));
                    const auto within = [&](std::size_t count) {
                        const auto sparse = static_cast<double>(sparseParameters(shape, count));
                        return sparse <= share * (sparse + factors) * (1.0 + 1e-9);
                    };
                    QVERIFY(within(entries));
                    QVERIFY(!within(entries + 1) || entries == shape.parameters());
                    QVERIFY(sparseEntries(shape, rank + 1, share) >= entries);
                }
        QCOMPARE(sparseEntries({64, 64}, 20, 0.0), std::size_t{0});
        QCOMPARE(sparseEntries({64, 64}, 0, 0.5), std::size_t{0});
        // 0.2 is not exact in binary, a quarter of 32 * 128 = 1024 is: 2 k + 64 = 1024.
        QCOMPARE(sparseEntries({64, 64}, 32, 0.2), std::size_t{480});
    }

    void ranksLeaveRoomForTheSparsePart()
    {
        for (const LinearShape shape : {LinearShape{64, 64}, {192, 576}, {576, 192}})
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity}) {
                const Structure structure(kind, 0.25);
                for (const double ratio : {0.3, 0.6, 0.8, 1.0}) {
                    const std::size_t rank = rankForKeptRatio(structure, shape, ratio);
                    const double budget = ratio * static_cast<double>(shape.parameters()) + 1e-6;
                    QVERIFY(static_cast<double>(parameterCount(structure, shape, rank)) <= budget);
                    QVERIFY(rank == shape.fullRank() ||
                            static_cast<double>(parameterCount(structure, shape, rank + 1)) > budget);
                    QVERIFY(rank < rankForKeptRatio(kind, shape, ratio));
                }
                const std::size_t edge = breakEvenRank(structure, shape);
                QVERIFY(edge < breakEvenRank(kind, shape));
                QVERIFY(parameterCount(structure, shape, edge) <= shape.parameters());
                QVERIFY(parameterCount(structure, shape, edge + 1) > shape.parameters());
            }
    }

    void outputsAndGradientsAreThoseOfTheSum_data()
    {
        QTest::addColumn<int>("tokens");
        QTest::addColumn<int>("kind");
        for (const int tokens : {1, 15, 16, 33})
            for (const StructureKind kind : {StructureKind::Factors, StructureKind::BlockIdentity})
                QTest::addRow("%d tokens, %s", tokens, std::string(structureName(kind)).c_str())
                    << tokens << static_cast<int>(kind);
    }
    /// Against plain loops over the dense W_hat, whose S comes of an independent walk.
    void outputsAndGradientsAreThoseOfTheSum()
    {
        QFETCH(int, tokens);
        QFETCH(int, kind);
        const auto T = static_cast<std::size_t>(tokens);
        constexpr std::size_t m = 19;
        constexpr std::size_t n = 27;
        LinearWeights weights = weightsOf(m, n, 5, static_cast<StructureKind>(kind));
        for (std::size_t i = 0; i < m; ++i)
            weights.bias.push_back(0.1F * static_cast<float>(i));
        const Matrix<double> S = laidOut(weights.sparse);
        LinearWeights factors = weights;
        factors.sparse = {};
        Matrix<double> W = expandLinear(*m_device, factors);
        for (std::size_t i = 0; i < W.size(); ++i)
            W.data()[i] += S.data()[i];
        const Matrix<double> whole = expandLinear(*m_device, weights);
        for (std::size_t i = 0; i < W.size(); ++i)
            QVERIFY(std::abs(whole.data()[i] - W.data()[i]) < 1e-14);
        QCOMPARE(weights.parameters(), factors.parameters() + 2 * weights.sparse.entries() + m);

        const Matrix<float> X = randomMatrix<float>(T, n, 4);
        const Matrix<float> dY = randomMatrix<float>(T, m, 5);
        Matrix<float> Y(T, m);
        Matrix<float> dX = randomMatrix<float>(T, n, 6);
        const Matrix<float> before = dX;
        Matrix<float> fresh(T, n);
        LinearScratch scratch;
        applyLinear(*m_device, weights, X.view(), Y.view(), scratch);
        applyLinearTransposed(*m_device, weights, dY.view(), dX.view(), true, scratch);
        applyLinearTransposed(*m_device, weights, dY.view(), fresh.view(), false, scratch);
        constexpr double bound = 1e-4; // float32 sums of up to 27 products of order 1
        for (std::size_t t = 0; t < T; ++t) {
            for (std::size_t i = 0; i < m; ++i) {
                double sum = static_cast<double>(weights.bias[i]);
                for (std::size_t j = 0; j < n; ++j)
                    sum += W(i, j) * static_cast<double>(X(t, j));
                QVERIFY(std::abs(static_cast<double>(Y(t, i)) - sum) < bound);
            }
            for (std::size_t j = 0; j < n; ++j) {
                double sum = 0.0;
                for (std::size_t i = 0; i < m; ++i)
                    sum += static_cast<double>(dY(t, i)) * W(i, j);
                QVERIFY(std::abs(static_cast<double>(fresh(t, j)) - sum) < bound);
                QVERIFY(std::abs(static_cast<double>(dX(t, j) - before(t, j)) - sum) < bound);
            }
        }

        LinearWeights gradient = weights;
        for (const std::span<float> part : trainedValues(gradient))
            std::fill(part.begin(), part.end(), 1.0F);
        QCOMPARE(trainedValues(gradient).size(), std::size_t{4}); // two factors, bias, S
        LinearGradientScratch gradientScratch;
        addLinearGradients(*m_device, weights, X.view(), dY.view(), gradient, gradientScratch);
        for (std::size_t row = 0, e = 0; row < m; ++row)
            for (; e < weights.sparse.rowStart[row + 1]; ++e) {
                double sum = 1.0;
                for (std::size_t t = 0; t < T; ++t)
                    sum += static_cast<double>(dY(t, row)) * static_cast<double>(X(t, weights.sparse.column[e]));
                QVERIFY(std::abs(static_cast<double>(gradient.sparse.values[e]) - sum) < bound);
            }
        QCOMPARE(gradient.sparse.column, weights.sparse.column);
    }

    void valuesAreRoundedToTheStorage()
    {
        for (const DType storage : {DType::BF16, DType::F16}) {
            const LinearWeights weights = weightsOf(12, 20, 4, StructureKind::Factors, storage);
            const SparseMatrix<double> exact = randomSparse<double>(12, 20, 3);
            QCOMPARE(weights.sparse.entries(), exact.entries());
            std::vector<std::byte> bytes(bytesFor(storage, exact.entries()));
            const std::vector<float> single(exact.values.begin(), exact.values.end());
            convertFromFloat(single, storage, bytes);
            std::vector<float> expected(exact.entries());
            convertToFloat(storage, bytes, expected);
            QCOMPARE(weights.sparse.values, expected);
        }
        Factorisation huge{m_device->qr(randomMatrix<double>(6, 2, 1)).Q, randomMatrix<double>(2, 9, 2)};
        huge.sparse = randomSparse<double>(6, 9, 3);
        huge.sparse.values.front() = 1e6;
        QVERIFY_EXCEPTION_THROWN(storeFactorisation(*m_device, huge, StructureKind::Factors, DType::F16), Error);
    }

    void partsThatAreNoMatrixAreRefused()
    {
        const SparseMatrix<float> S = randomSparse<float>(6, 9, 7);
        const SparseParts parts = sparseParts(S);
        const LinearShape shape{6, 9};
        QVERIFY(sparseMatrix(shape, parts, S.values) == S);
        const auto refused = [&](const auto& change, const char* word) {
            SparseParts wrong = parts;
            change(wrong);
            const std::string why = refusal([&] { sparseMatrix(shape, wrong, S.values); });
            return why.find(word) != std::string::npos;
        };
        QVERIFY(refused([](SparseParts& p) { p.counts.pop_back(); }, "row counts"));
        QVERIFY(refused([](SparseParts& p) { p.columns.pop_back(); }, "columns"));
        QVERIFY(refused([](SparseParts& p) { p.counts[0] = -1; }, "-1 entries"));
        QVERIFY(refused([](SparseParts& p) { p.counts[5] += 1; }, "left"));
        QVERIFY(refused([](SparseParts& p) { p.counts[5] -= 1; }, "in all"));
        QVERIFY(refused([](SparseParts& p) { p.columns.back() = 9; }, "does not ascend"));
        QVERIFY(refused([](SparseParts& p) { p.columns.front() = -1; }, "does not ascend"));
        QVERIFY(refused(
            [](SparseParts& p) {
                p.counts = {2, 0, 0, 0, 0, static_cast<std::int32_t>(p.columns.size()) - 2};
                p.columns[0] = p.columns[1] = 3;
            },
            "does not ascend"));
    }
};

QTEST_GUILESS_MAIN(TestSparsePart)
#include "tst_sparse_part.moc"
