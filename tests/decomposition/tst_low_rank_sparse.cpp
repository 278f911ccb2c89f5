#include "core/base/error.h"
#include "core/decomposition/low_rank_sparse.h"
#include "core/decomposition/refit.h"
#include "reference.h"

#include <QTest>

#include <functional>
#include <set>

using namespace rankwright;
using namespace reference;

namespace {

/// ||(W - V) X||_F^2.
double errorOf(const Matrix<double>& W, const Matrix<double>& V, const Matrix<double>& X)
{
    return squaredNorm(product(difference(W, V), X));
}

/// S as a dense matrix, and its places.
Matrix<double> laidOut(const SparseMatrix<double>& S, std::size_t rows)
{
    return sumOf(Matrix<double>(rows, 1), Matrix<double>(1, S.columns), S);
}
std::set<std::pair<std::size_t, std::size_t>> placesOf(const SparseMatrix<double>& S)
{
    std::set<std::pair<std::size_t, std::size_t>> places;
    for (std::size_t i = 0; i < S.rows(); ++i)
        for (std::size_t e = S.begin(i); e < S.end(i); ++e)
            places.emplace(i, S.column[e]);
    return places;
}

/// Inputs of every kind that has been trouble.
Matrix<double> inputsOf(const std::string& kind, std::size_t channels)
{
    Matrix<double> X = correlatedInputs(channels, kind == "few tokens" ? channels / 3 : 5 * channels, 40);
    for (std::size_t t = 0; t < X.columns(); ++t) {
        if (kind == "dead channel")
            X(1, t) = X(channels - 1, t) = 0.0;
        if (kind == "massive channel")
            X(channels / 2, t) *= 800.0;
    }
    return X;
}

/// The textbook way: iterative hard thresholding with steps of 1 / lambda_max(C) in turn with a truncated SVD of
/// (W - S) C^{1/2}; returns the objective.
double byHardThresholding(const Matrix<double>& W, const Matrix<double>& C, std::size_t rank, std::size_t entries,
                          std::size_t iterations)
{
    const Matrix<double> root = symmetricPower(C, 0.5);
    const Matrix<double> back = symmetricPower(C, -0.5);
    const double step = 1.0 / std::pow(svd(root).S.front(), 2);
    Matrix<double> S(W.rows(), W.columns());
    Matrix<double> L = product(svd(product(W, root)).truncated(rank), back);
    for (std::size_t iteration = 0; iteration < iterations; ++iteration) {
        const Matrix<double> gradient = product(difference(difference(W, L), S), C);
        std::vector<double> sizes;
        for (std::size_t i = 0; i < S.size(); ++i) {
            S.data()[i] += step * gradient.data()[i];
            sizes.push_back(std::abs(S.data()[i]));
        }
        std::sort(sizes.rbegin(), sizes.rend());
        for (double& value : S.span())
            if (std::abs(value) < sizes[entries - 1])
                value = 0.0;
        L = product(svd(product(difference(W, S), root)).truncated(rank), back);
    }
    return squaredNorm(product(difference(difference(W, L), S), root));
}

ErrorKind kindOfFailure(const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::Internal;
}

} // namespace

/// Factors and a sparse part beside them.
class TestLowRankSparse : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    std::unique_ptr<Analysis> analyze(const Matrix<double>& W, const TapStatistics& statistics,
                                      const MethodParameters& parameters = {}) const
    {
        return findMethod("low-rank-sparse").analyze(*m_device, {"x", W, &statistics}, parameters);
    }

    static void kinds()
    {
        QTest::addColumn<QString>("inputs");
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        for (const char* inputs : {"correlated", "few tokens", "dead channel", "massive channel"}) {
            QTest::addRow("%s, wide", inputs) << QString::fromLatin1(inputs) << 18 << 30;
            QTest::addRow("%s, tall", inputs) << QString::fromLatin1(inputs) << 30 << 18;
        }
    }

private slots:
    void withoutEntriesItIsWhitenedSvd()
    {
        for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{18, 30}, {30, 18}}) {
            const Matrix<double> W = randomWeights(m, n, 1);
            const Matrix<double> X = correlatedInputs(n, 4 * n, 2);
            const TapStatistics statistics = statisticsOf(X);
            const auto none = analyze(W, statistics, {{"sparseShare", 0.0}});
            const Svd direct = svd(product(W, cholesky(statistics.secondMoment)));
            QVERIFY(none->planningIsExact());
            for (std::size_t r = 1; r < std::min(m, n); ++r) {
                QVERIFY(std::abs(none->loss(r) - direct.tail(r)) < 1e-10 * direct.tail(r));
                const Matrix<double> expected =
                    product(direct.truncated(r), inverse(cholesky(statistics.secondMoment)));
                QVERIFY(squaredNorm(difference(approximation(*none, r), expected)) < 1e-20 * squaredNorm(W));
                QVERIFY(none->factorize(r).sparse.empty());
            }
        }
    }

    void theObjectiveNeverRises_data() { kinds(); }
    /// And is the error of the outputs, by plain loops.
    void theObjectiveNeverRises()
    {
        QFETCH(QString, inputs);
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<double> W = randomWeights(m, n, 3);
        const Matrix<double> X = inputsOf(inputs.toStdString(), n);
        const TapStatistics statistics = statisticsOf(X);
        const double total = squaredNorm(product(W, X));
        const LowRankSparse solver(*m_device, W, statistics.secondMoment, std::min(n, X.columns()));
        for (const std::size_t rank : {1UL, 4UL, 11UL, 18UL})
            for (const std::size_t entries : {1UL, 23UL, 150UL, m * n}) {
                constexpr std::size_t iterations = 12;
                const LowRankSparseParts parts = solver.solve(rank, entries, iterations);
                QCOMPARE(parts.objective.size(), 2 * iterations + 1);
                for (std::size_t step = 1; step < parts.objective.size(); ++step)
                    QVERIFY2(parts.objective[step] <= parts.objective[step - 1] * (1.0 + 1e-10) + 1e-13 * total,
                             qPrintable(QStringLiteral("rank %1, %2 entries, step %3: %4 after %5")
                                            .arg(rank)
                                            .arg(entries)
                                            .arg(step)
                                            .arg(parts.objective[step], 0, 'g', 17)
                                            .arg(parts.objective[step - 1], 0, 'g', 17)));
                const double found = errorOf(W, sumOf(parts.B, parts.A, parts.S), X);
                QVERIFY(std::abs(parts.objective.back() - found) <= 1e-9 * found + 1e-13 * total);
                // All places at once need no factors.
                if (entries == m * n)
                    QVERIFY(found < 1e-6 * total);
                QCOMPARE(parts.S.entries(), entries);
                QCOMPARE(placesOf(parts.S).size(), entries);
                for (const double value : parts.S.values)
                    QVERIFY(std::isfinite(value));
            }
    }

    void factorsAreTheWhitenedSvdOfTheRest()
    {
        for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{18, 30}, {30, 18}}) {
            const Matrix<double> W = randomWeights(m, n, 5);
            const Matrix<double> X = correlatedInputs(n, 4 * n, 6);
            const Matrix<double> C = statisticsOf(X).secondMoment;
            const LowRankSparseParts parts = LowRankSparse(*m_device, W, C, n).solve(5, 60, 6);
            const Matrix<double> rest = difference(W, laidOut(parts.S, m));
            const Svd direct = svd(product(rest, cholesky(C)));
            QVERIFY(std::abs(parts.objective.back() - direct.tail(5)) < 1e-10 * direct.tail(5));
            const Matrix<double> expected = product(direct.truncated(5), inverse(cholesky(C)));
            QVERIFY(squaredNorm(difference(product(parts.B, parts.A), expected)) < 1e-18 * squaredNorm(W));
        }
    }

    /// With B A fixed no other values on the places of S, nor another place for one of them, do better at a fixed
    /// point.
    void theSparsePartIsTheBestOnItsPlaces()
    {
        const Matrix<double> W = randomWeights(14, 20, 7);
        const Matrix<double> X = correlatedInputs(20, 100, 8);
        const Matrix<double> C = statisticsOf(X).secondMoment;
        const LowRankSparse solver(*m_device, W, C, 20);
        // Long after the last change: the factors of the last step are those that S was fitted to.
        const LowRankSparseParts parts = solver.solve(4, 30, 400);
        const Matrix<double> V = sumOf(parts.B, parts.A, parts.S);
        const double least = errorOf(W, V, X);
        for (std::size_t i = 0; i < parts.S.rows(); ++i)
            for (std::size_t e = parts.S.begin(i); e < parts.S.end(i); ++e)
                for (const double change : {1e-3, -1e-3}) {
                    Matrix<double> other = V;
                    other(i, parts.S.column[e]) += change * std::abs(parts.S.values[e]);
                    QVERIFY(errorOf(W, other, X) > least * (1.0 - 1e-12));
                }
    }

    /// A matrix that is low rank plus sparse is found again, where neither part alone comes near it. Inputs are
    /// independent: strongly correlated ones leave other local minima.
    void whatIsLowRankPlusSparseIsRecovered()
    {
        constexpr std::size_t m = 40;
        constexpr std::size_t n = 48;
        constexpr std::size_t rank = 4;
        Matrix<double> W = product(randomMatrix(m, rank, 9), randomMatrix(rank, n, 10));
        std::set<std::pair<std::size_t, std::size_t>> planted;
        std::mt19937 random(11);
        while (planted.size() < 60)
            planted.emplace(random() % m, random() % n);
        for (const auto& [i, j] : planted)
            W(i, j) += random() % 2 == 0 ? 9.0 : -9.0;
        const Matrix<double> X = randomMatrix(n, 6 * n, 12);
        const TapStatistics statistics = statisticsOf(X);
        const double total = squaredNorm(product(W, X));
        const LowRankSparseParts parts =
            LowRankSparse(*m_device, W, statistics.secondMoment, n).solve(rank, planted.size(), 60);
        QVERIFY(parts.objective.back() < 1e-12 * total);
        QCOMPARE(placesOf(parts.S), planted);
        for (const auto& [i, j] : planted)
            QVERIFY(std::abs(laidOut(parts.S, m)(i, j)) > 8.99);

        // At as many parameters: factors alone, and entries alone.
        const LinearShape shape{m, n};
        const std::size_t parameters = parameterCount(StoredRank{StructureKind::Factors, rank, planted.size()}, shape);
        const std::size_t factors = parameters / (m + n);
        QVERIFY(svd(product(W, cholesky(statistics.secondMoment))).tail(factors) > 1e-3 * total);
        std::vector<double> sizes;
        for (const double value : W.span())
            sizes.push_back(std::abs(value));
        std::sort(sizes.rbegin(), sizes.rend());
        Matrix<double> alone = W;
        for (double& value : alone.span())
            if (std::abs(value) < sizes[(parameters - m) / 2])
                value = 0.0;
        QVERIFY(errorOf(W, alone, X) > 1e-3 * total);
    }

    /// A channel that one token uses, and hardly: without a bound its entries would repair the error of that token, by
    /// values of error over input.
    void aRareChannelTakesNoHugeValues()
    {
        const Matrix<double> W = randomWeights(20, 28, 25);
        Matrix<double> X = correlatedInputs(28, 140, 26);
        for (std::size_t t = 0; t < X.columns(); ++t)
            X(9, t) = t == 60 ? 1e-5 * X(9, t) : 0.0;
        const Matrix<double> C = statisticsOf(X).secondMoment;
        const LowRankSparseParts parts = LowRankSparse(*m_device, W, C, 28).solve(5, 200, 20);
        const auto largest = [](std::span<const double> values) {
            return std::abs(*std::ranges::max_element(values, {}, [](double value) { return std::abs(value); }));
        };
        QVERIFY(largest(parts.S.values) < 20.0 * largest(W.span()));
        QVERIFY(largest(parts.B.span()) <= 1.0 + 1e-12);
        QVERIFY(largest(parts.A.span()) < 20.0 * largest(W.span()));
        // And gives nothing away: it comes to half of the loss without S.
        QVERIFY(parts.objective.back() < 0.5 * parts.objective.front());
        qInfo("largest entry %.3g, of W %.3g, loss %.3g of that without S", largest(parts.S.values), largest(W.span()),
              parts.objective.back() / parts.objective.front());
    }

    /// Ten alternations are ahead of fifty of the textbook's, also past a channel that shortens its steps.
    void aheadOfPlainThresholding()
    {
        for (const bool massive : {false, true}) {
            const Matrix<double> W = randomWeights(20, 28, 13);
            const Matrix<double> X = inputsOf(massive ? "massive channel" : "correlated", 28);
            const Matrix<double> C = statisticsOf(X).secondMoment;
            const double start = svd(product(W, symmetricPower(C, 0.5))).tail(6);
            const double plain = byHardThresholding(W, C, 6, 70, 50);
            const double found = LowRankSparse(*m_device, W, C, 28).solve(6, 70, 10).objective.back();
            qInfo("of the loss without S: %.4f after 50 plain alternations, %.4f after 10", plain / start,
                  found / start);
            QVERIFY(found < plain);
            QVERIFY(plain < start);
        }
    }

    void losses_data() { kinds(); }
    void losses()
    {
        QFETCH(QString, inputs);
        QFETCH(int, rows);
        QFETCH(int, columns);
        const auto m = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(columns);
        const Matrix<double> W = randomWeights(m, n, 15);
        const Matrix<double> X = inputsOf(inputs.toStdString(), n);
        const TapStatistics statistics = statisticsOf(X);
        const auto analysis = analyze(W, statistics, {{"sparseShare", 0.4}});
        const auto plain = findMethod("whitened-svd").analyze(*m_device, {"x", W, &statistics}, {});
        const double total = squaredNorm(product(W, X));
        QVERIFY(std::abs(analysis->loss(0) - total) < 1e-11 * total);
        QVERIFY(std::abs(analysis->totalEnergy() - total) < 1e-11 * total);
        for (std::size_t r = 1; r <= 18; ++r) {
            const double found = errorOf(W, approximation(*analysis, r), X);
            QVERIFY(std::abs(analysis->loss(r) - found) <= 1e-9 * found + 1e-13 * total);
            QVERIFY(analysis->loss(r) <= plain->loss(r) + 1e-13 * total);
            QCOMPARE(analysis->factorize(r).sparse.entries(), sparseEntries({m, n}, r, 0.4));
        }
        // A plan falls, and its fewer alternations are within a factor of two in ranks that are worth storing.
        const std::vector<double> curve = analysis->planningCurve();
        QCOMPARE(curve.size(), std::size_t{19});
        for (std::size_t r = 1; r < curve.size(); ++r)
            QVERIFY(curve[r] <= curve[r - 1]);
        for (const std::size_t r : {3UL, 5UL, 8UL})
            if (analysis->loss(r) > 1e-3 * total)
                QVERIFY2(curve[r] < 2.0 * analysis->loss(r) && curve[r] > 0.5 * analysis->loss(r),
                         qPrintable(QStringLiteral("rank %1: %2 planned, %3 exact")
                                        .arg(r)
                                        .arg(curve[r] / total)
                                        .arg(analysis->loss(r) / total)));
        QVERIFY(!analysis->planningIsExact());
    }

    /// What one rank gives does not depend on what was asked before.
    void ranksAreSolvedOnTheirOwn()
    {
        const Matrix<double> W = randomWeights(24, 20, 17);
        const TapStatistics statistics = statisticsOf(correlatedInputs(20, 90, 18));
        const auto first = analyze(W, statistics);
        const auto second = analyze(W, statistics);
        first->planningCurve();
        for (const std::size_t rank : {9UL, 3UL, 9UL})
            first->factorize(rank);
        const Factorisation a = first->factorize(6);
        const Factorisation b = second->factorize(6);
        QVERIFY(std::equal(a.B.data(), a.B.data() + a.B.size(), b.B.data()));
        QVERIFY(std::equal(a.A.data(), a.A.data() + a.A.size(), b.A.data()));
        QVERIFY(a.sparse == b.sparse);
        QVERIFY(!a.sparse.empty());
        QCOMPARE(first->loss(6), second->loss(6));
    }

    /// New inputs: the factors are fitted again to W - S, and S stays.
    void refitsKeepTheSparsePart()
    {
        const Matrix<double> W = randomWeights(16, 22, 19);
        const Matrix<double> X = shiftedInputs(22, 120, 20);
        Matrix<double> Xh = X;
        const Matrix<double> noise = shiftedInputs(22, 120, 21);
        for (std::size_t i = 0; i < Xh.size(); ++i)
            Xh.data()[i] = 0.8 * Xh.data()[i] + 0.4 * noise.data()[i];
        const TapStatistics before = statisticsOf(X);
        const TapStatistics after = statisticsOf(Xh);
        const Method& method = findMethod("low-rank-sparse");
        for (const double update : {0.0, 1.0}) {
            const MethodParameters parameters{{"biasUpdate", update}};
            const Factorisation start = method.analyze(*m_device, {"x", W, &before}, parameters)->factorize(6);
            QVERIFY(!start.sparse.empty());
            const Refit found = refitFactors(*m_device, method, {"x", W, &after}, parameters, start, 5);
            QVERIFY(found.factorisation.sparse == start.sparse);
            const auto errorWith = [&](const Factorisation& factors) {
                Matrix<double> E = product(difference(W, sumOf(factors.B, factors.A, factors.sparse)), Xh);
                for (std::size_t i = 0; i < E.rows() && !factors.bias.empty(); ++i)
                    for (std::size_t t = 0; t < E.columns(); ++t)
                        E(i, t) -= factors.bias[i];
                return squaredNorm(E);
            };
            QVERIFY(std::abs(errorWith(found.factorisation) - found.loss) < 1e-9 * found.loss);
            QVERIFY(found.loss < errorWith(start));
        }
    }

    void wrongCallsAreRefused()
    {
        const Matrix<double> W = randomWeights(12, 16, 23);
        const TapStatistics statistics = statisticsOf(correlatedInputs(16, 60, 24));
        const auto refused = [&](const MethodParameters& parameters) {
            return kindOfFailure([&] { analyze(W, statistics, parameters); }) == ErrorKind::InvalidArgument;
        };
        QVERIFY(refused({{"sparseShare", 1.0}}));
        QVERIFY(refused({{"sparseShare", -0.1}}));
        QVERIFY(refused({{"iterations", 0.0}}));
        QVERIFY(refused({{"iterations", 2.5}}));
        QVERIFY(refused({{"sparseshare", 0.2}}));
        const Method& method = findMethod("low-rank-sparse");
        QVERIFY(kindOfFailure([&] { method.analyze(*m_device, {"x", W, nullptr}, {}); }) == ErrorKind::InvalidArgument);
        const auto analysis = analyze(W, statistics);
        QVERIFY(kindOfFailure([&] { analysis->loss(13); }) == ErrorKind::InvalidArgument);
        QVERIFY(kindOfFailure([&] { analysis->factorize(0); }) == ErrorKind::InvalidArgument);
        // One entry is a sparse part too.
        const auto share = [](std::size_t entries) {
            const double sparse = static_cast<double>(sparseParameters({12, 16}, entries));
            return sparse / (sparse + 3.0 * 28.0);
        };
        QCOMPARE(analyze(W, statistics, {{"sparseShare", share(1)}})->factorize(3).sparse.entries(), std::size_t{1});
    }
};

QTEST_GUILESS_MAIN(TestLowRankSparse)
#include "tst_low_rank_sparse.moc"
