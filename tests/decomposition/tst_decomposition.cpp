#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/decomposition/method.h"
#include "reference.h"

#include <QTest>

#include <functional>
#include <map>

using namespace rankwright;
using namespace reference;

namespace {

bool hasEvent(const Analysis& analysis, const std::string& kind, double value)
{
    return std::any_of(analysis.events().begin(), analysis.events().end(),
                       [&](const NumericEvent& event) { return event.kind == kind && event.value == value; });
}

LinearProblem problemOf(const Matrix<double>& W, const TapStatistics& statistics, const TapStatistics& gradients)
{
    return {.name = "x", .W = W, .statistics = &statistics, .gradients = &gradients};
}

ErrorKind kindOfFailure(const std::function<void()>& call, std::string* tensor = nullptr)
{
    try {
        call();
    } catch (const Error& error) {
        if (tensor != nullptr)
            *tensor = error.tensor();
        return error.kind();
    }
    return ErrorKind::Internal;
}

} // namespace

class TestDecomposition : public QObject
{
    Q_OBJECT

    std::shared_ptr<const Device> m_device = makeCpuDevice(1);

    std::unique_ptr<Analysis> analyze(std::string_view method, const Matrix<double>& W, const TapStatistics* statistics,
                                      const MethodParameters& parameters = {}) const
    {
        return findMethod(method).analyze(*m_device, {"model.layers.0.self_attn.q_proj", W, statistics}, parameters);
    }

    static void shapes()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::newRow("wide") << 20 << 34;
        QTest::newRow("tall") << 34 << 20;
        QTest::newRow("square") << 26 << 26;
        QTest::newRow("one output") << 1 << 12;
        QTest::newRow("one input") << 12 << 1;
    }
    static std::pair<std::size_t, std::size_t> shape()
    {
        QFETCH(int, rows);
        QFETCH(int, columns);
        return {static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
    }

private slots:
    void plainSvdIsTheSvd_data() { shapes(); }
    void plainSvdIsTheSvd()
    {
        const auto [m, n] = shape();
        const Matrix<double> W = randomWeights(m, n, 1);
        const Svd direct = svd(W);
        const auto analysis = analyze("svd", W, nullptr);
        QCOMPARE(analysis->singularValues().size(), direct.S.size());
        for (std::size_t i = 0; i < direct.S.size(); ++i)
            QVERIFY(std::abs(analysis->singularValues()[i] - direct.S[i]) < 1e-13 * direct.S[0]);
        QVERIFY(relative(analysis->totalEnergy(), squaredNorm(W)) < 1e-13);
        for (std::size_t r = 1; r < direct.S.size(); ++r) {
            QVERIFY(relative(analysis->loss(r), direct.tail(r)) < 1e-10);
            QVERIFY(squaredNorm(difference(approximation(*analysis, r), direct.truncated(r))) < 1e-20 * squaredNorm(W));
        }
    }

    void plainSvdResolvesSmallSingularValues()
    {
        // Singular values over twelve decades: an eigenproblem of the squares alone would lose those below 1e-8.
        // Vectors of a level down to 1e-5 of its largest singular value s lean by rounding into the next level, which
        // so carries an error of up to 2^-52 s / 1e-5 = 2.2e-11 s; how much of it depends on the order of the sums.
        const std::size_t n = 24;
        Svd exact = svd(randomMatrix(n, n, 2));
        for (std::size_t i = 0; i < n; ++i)
            exact.S[i] = std::pow(10.0, -0.5 * static_cast<double>(i));
        const Matrix<double> W = exact.truncated(n);
        const auto analysis = analyze("svd", W, nullptr);
        for (std::size_t i = 0; i < n; ++i)
            QVERIFY(std::abs(analysis->singularValues()[i] - exact.S[i]) < 2.2e-11);
        for (std::size_t r = 0; r < 18; ++r)
            QVERIFY(relative(analysis->loss(r), exact.tail(r)) < 1e-5);
    }

    void whitenedSvdEqualsTheFactorRoutes_data() { shapes(); }
    void whitenedSvdEqualsTheFactorRoutes()
    {
        const auto [m, n] = shape();
        const Matrix<double> W = randomWeights(m, n, 3);
        const Matrix<double> X = correlatedInputs(n, 4 * n, 4);
        const TapStatistics statistics = statisticsOf(X);
        const Matrix<double> factor = cholesky(statistics.secondMoment);
        const Matrix<double> root = symmetricPower(statistics.secondMoment, 0.5);
        const auto analysis = analyze("whitened-svd", W, &statistics);
        QVERIFY(analysis->events().empty());
        for (const Matrix<double>& P : {factor, root}) {
            const Svd direct = svd(product(W, P));
            const Matrix<double> back = inverse(P);
            for (std::size_t r = 0; r < direct.S.size(); ++r) {
                QVERIFY(relative(analysis->loss(r), direct.tail(r)) < 1e-10);
                QVERIFY(relative(analysis->singularValues()[r], direct.S[r]) < 1e-10);
                if (r == 0)
                    continue;
                const Matrix<double> expected = product(direct.truncated(r), back);
                QVERIFY(squaredNorm(difference(approximation(*analysis, r), expected)) < 1e-20 * squaredNorm(W));
                QVERIFY(relative(outputError(W, X, approximation(*analysis, r), X), direct.tail(r)) < 1e-10);
            }
        }
        QVERIFY(relative(analysis->totalEnergy(), squaredNorm(product(W, X))) < 1e-12);
    }

    void whitenedSvdIsNotImprovedByPerturbations()
    {
        const Matrix<double> W = randomWeights(18, 28, 5);
        const TapStatistics statistics = statisticsOf(correlatedInputs(28, 120, 6));
        const auto analysis = analyze("whitened-svd", W, &statistics);
        const Factorisation best = analysis->factorize(6);
        const double loss = measureLoss(*m_device, W, product(best.B, best.A), &statistics);
        QVERIFY(relative(analysis->loss(6), loss) < 1e-12);
        for (unsigned trial = 0; trial < 200; ++trial) {
            // Either factor alone (the refit identities) and both, small and large steps.
            Factorisation other = best;
            const double step = std::pow(10.0, -static_cast<double>(trial % 5));
            const Matrix<double> changeB = randomMatrix(18, 6, 100 + trial);
            const Matrix<double> changeA = randomMatrix(6, 28, 400 + trial);
            for (std::size_t i = 0; i < changeB.size() && trial % 3 != 0; ++i)
                other.B.data()[i] += step * 0.2 * changeB.data()[i];
            for (std::size_t i = 0; i < changeA.size() && trial % 3 != 1; ++i)
                other.A.data()[i] += step * 0.05 * changeA.data()[i];
            QVERIFY(measureLoss(*m_device, W, product(other.B, other.A), &statistics) > loss);
        }
    }

    void asvdEqualsScaledSvd_data() { shapes(); }
    void asvdEqualsScaledSvd()
    {
        const auto [m, n] = shape();
        const Matrix<double> W = randomWeights(m, n, 7);
        const Matrix<double> X = correlatedInputs(n, 3 * n + 5, 8);
        const TapStatistics statistics = statisticsOf(X);
        for (const double alpha : {0.5, 1.0}) {
            const auto analysis = analyze("asvd", W, &statistics, {{"alpha", alpha}});
            Matrix<double> scaled = W;
            std::vector<double> scale(n);
            for (std::size_t j = 0; j < n; ++j)
                scale[j] = std::pow(statistics.sumAbs[j] / static_cast<double>(statistics.tokens), alpha);
            for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n; ++j)
                    scaled(i, j) *= scale[j];
            const Svd direct = svd(scaled);
            for (std::size_t r = 1; r < direct.S.size(); ++r) {
                Matrix<double> expected = direct.truncated(r);
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = 0; j < n; ++j)
                        expected(i, j) /= scale[j];
                QVERIFY(squaredNorm(difference(approximation(*analysis, r), expected)) < 1e-20 * squaredNorm(W));
                QVERIFY(relative(analysis->loss(r), outputError(W, X, expected, X)) < 1e-10);
                QVERIFY(relative(analysis->singularValues()[r], direct.S[r]) < 1e-10);
            }
        }
        const auto plain = analyze("svd", W, &statistics);
        const auto unscaled = analyze("asvd", W, &statistics, {{"alpha", 0.0}});
        for (std::size_t r = 0; r < std::min(m, n); ++r)
            QVERIFY(relative(unscaled->loss(r), plain->loss(r)) < 1e-12);
    }

    void nsvdEqualsTheDirectConstruction_data() { shapes(); }
    void nsvdEqualsTheDirectConstruction()
    {
        const auto [m, n] = shape();
        const Matrix<double> W = randomWeights(m, n, 9);
        const Matrix<double> X = correlatedInputs(n, 4 * n, 10);
        const TapStatistics statistics = statisticsOf(X);
        const Matrix<double> L = cholesky(statistics.secondMoment);
        const Matrix<double> back = inverse(L);
        const Svd first = svd(product(W, L));
        const std::size_t full = std::min(m, n);
        const auto whitened = analyze("whitened-svd", W, &statistics);
        for (const double share : {0.95, 0.6, 0.0}) {
            const auto analysis = analyze("nsvd", W, &statistics, {{"share", share}});
            const std::vector<double> all = analysis->lossAtEveryRank();
            QCOMPARE(all.size(), full + 1);
            for (std::size_t k = 1; k < full; ++k) {
                const auto k1 =
                    std::min(static_cast<std::size_t>(std::lround(share * static_cast<double>(k))), k >= 2 ? k - 1 : k);
                const std::size_t stage1 = k >= 2 ? k1 : 1;
                const Matrix<double> W1 = product(first.truncated(stage1), back);
                Matrix<double> expected = W1;
                const Matrix<double> W2 = svd(difference(W, W1)).truncated(k - stage1);
                for (std::size_t i = 0; i < expected.size(); ++i)
                    expected.data()[i] += W2.data()[i];
                QVERIFY(squaredNorm(difference(approximation(*analysis, k), expected)) < 1e-18 * squaredNorm(W));
                QVERIFY(relative(analysis->loss(k), outputError(W, X, expected, X)) < 1e-9);
                QVERIFY(relative(all[k], analysis->loss(k)) < 1e-9);
                // More calibration loss than one stage of the rank, less Frobenius error than stage 1 alone.
                QVERIFY(analysis->loss(k) >= whitened->loss(k) * (1.0 - 1e-12));
                if (k >= 2)
                    QVERIFY(squaredNorm(difference(W, approximation(*analysis, k))) < squaredNorm(difference(W, W1)));
            }
            QCOMPARE(all.front(), analysis->totalEnergy());
        }
    }

    void nsvdPlanningCurveIsCloseAndMonotone()
    {
        const Matrix<double> W = randomWeights(96, 128, 11);
        const TapStatistics statistics = statisticsOf(correlatedInputs(128, 600, 12));
        const auto analysis = analyze("nsvd", W, &statistics);
        const std::vector<double> exact = analysis->lossAtEveryRank();
        const std::vector<double> curve = analysis->planningCurve();
        QCOMPARE(curve.size(), exact.size());
        QVERIFY(std::is_sorted(curve.rbegin(), curve.rend()));
        std::size_t equal = 0;
        for (std::size_t r = 0; r < exact.size(); ++r) {
            QVERIFY2(std::abs(curve[r] - exact[r]) <= 0.05 * exact[r] + 1e-9 * exact[0],
                     qPrintable(QStringLiteral("rank %1: %2 for %3").arg(r).arg(curve[r]).arg(exact[r])));
            equal += relative(curve[r], exact[r]) < 1e-9 ? 1 : 0;
        }
        QVERIFY(equal >= 20);
    }

    void nsvdMayBeAskedFromSeveralThreads()
    {
        const Matrix<double> W = randomWeights(40, 48, 13);
        const TapStatistics statistics = statisticsOf(correlatedInputs(48, 200, 14));
        const auto analysis = analyze("nsvd", W, &statistics);
        const BlasThreads single(1);
        std::vector<double> losses(400);
        parallelFor(losses.size(), 4,
                    [&](std::size_t i, std::size_t) { losses[i] = analysis->loss(1 + (i * 7) % 40); });
        for (std::size_t i = 0; i < losses.size(); ++i)
            QCOMPARE(losses[i], analyze("nsvd", W, &statistics)->loss(1 + (i * 7) % 40));
    }

    void fullRankGivesTheWeightsAgain_data() { shapes(); }
    void fullRankGivesTheWeightsAgain()
    {
        const auto [m, n] = shape();
        const Matrix<double> W = randomWeights(m, n, 15);
        // Fewer tokens than channels: most directions are not seen by the statistics.
        const TapStatistics statistics = statisticsOf(correlatedInputs(n, std::max<std::size_t>(1, n / 3), 16));
        const TapStatistics gradients = gradientsOf(correlatedInputs(m, 90, 50), n);
        for (const Method* method : methods()) {
            const auto analysis = method->analyze(*m_device, problemOf(W, statistics, gradients), {});
            const std::size_t full = std::min(m, n);
            const Matrix<double> again = approximation(*analysis, full);
            for (std::size_t i = 0; i < W.size(); ++i)
                QVERIFY(std::abs(again.data()[i] - W.data()[i]) < 1e-13);
            QVERIFY(analysis->loss(full) <= 1e-14 * analysis->totalEnergy());
            QVERIFY(kindOfFailure([&] { analysis->factorize(full + 1); }) == ErrorKind::InvalidArgument);
            QVERIFY(kindOfFailure([&] { analysis->factorize(0); }) == ErrorKind::InvalidArgument);
            QVERIFY(kindOfFailure([&] { analysis->loss(full + 1); }) == ErrorKind::InvalidArgument);
        }
    }

    void fewerTokensThanChannels()
    {
        const std::size_t n = 40;
        const std::size_t tokens = 12;
        const Matrix<double> W = randomWeights(24, n, 17);
        const Matrix<double> X = correlatedInputs(n, tokens, 18);
        const TapStatistics statistics = statisticsOf(X);
        const Svd direct = svd(product(W, X));
        const auto analysis = analyze("whitened-svd", W, &statistics);
        QVERIFY(hasEvent(*analysis, "singularStatistics", 12.0));
        // The route with the pseudo-inverse of the root: SVD_r(W C^{1/2}) C^{-1/2}.
        const Svd byRoot = svd(product(W, symmetricPower(statistics.secondMoment, 0.5)));
        for (std::size_t r = 0; r < tokens; ++r) {
            QVERIFY(relative(analysis->loss(r), direct.tail(r)) < 1e-9);
            QVERIFY(relative(analysis->loss(r), byRoot.tail(r)) < 1e-6);
        }
        QVERIFY(analysis->loss(tokens) < 1e-14 * analysis->totalEnergy());
        // Beyond the statistics ranks go to what is left of W, largest first.
        const Svd rest = svd(difference(W, approximation(*analysis, tokens)));
        for (std::size_t r = tokens; r < 24; ++r) {
            const double plain = squaredNorm(difference(W, approximation(*analysis, r)));
            QVERIFY(relative(plain, rest.tail(r - tokens)) < 1e-8);
        }
    }

    void deadChannels()
    {
        const Matrix<double> W = randomWeights(20, 30, 19);
        Matrix<double> X = correlatedInputs(30, 200, 20);
        for (const std::size_t dead : {std::size_t{0}, std::size_t{7}, std::size_t{29}})
            for (std::size_t t = 0; t < X.columns(); ++t)
                X(dead, t) = 0.0;
        const TapStatistics statistics = statisticsOf(X);
        const Svd direct = svd(product(W, X));
        const TapStatistics gradients = gradientsOf(correlatedInputs(20, 90, 50), 30);
        for (const Method* method : methods()) {
            const auto analysis = method->analyze(*m_device, problemOf(W, statistics, gradients), {});
            QVERIFY(hasEvent(*analysis, "singularStatistics", 27.0));
            for (const double loss : analysis->lossAtEveryRank())
                QVERIFY(std::isfinite(loss));
            for (std::size_t r = 1; r <= 20; ++r) {
                const Factorisation factors = analysis->factorize(r);
                for (const double value : factors.A.span())
                    QVERIFY(std::isfinite(value));
            }
        }
        const auto analysis = analyze("whitened-svd", W, &statistics);
        for (std::size_t r = 0; r < 20; ++r)
            QVERIFY(relative(analysis->loss(r), direct.tail(r)) < 1e-10);
    }

    void massiveChannels()
    {
        // Two channels 800 times the others: C then spans 12 decades and more.
        for (const auto& [m, n] : {std::pair<std::size_t, std::size_t>{48, 64}, {64, 48}}) {
            const Matrix<double> W = randomWeights(m, n, 21);
            Matrix<double> X = correlatedInputs(n, 500, 22);
            for (std::size_t t = 0; t < X.columns(); ++t) {
                X(3, t) *= 800.0;
                X(17, t) *= 800.0;
            }
            const TapStatistics statistics = statisticsOf(X);
            const Svd direct = svd(product(W, X));
            const auto analysis = analyze("whitened-svd", W, &statistics);
            for (std::size_t r = 0; r < 48; ++r)
                QVERIFY(relative(analysis->loss(r), direct.tail(r)) < 1e-7);
        }
    }

    void degenerateWeights()
    {
        const TapStatistics statistics = statisticsOf(correlatedInputs(30, 90, 23));
        const Matrix<double> nothing(20, 30);
        Matrix<double> lowRank = product(randomMatrix(20, 3, 24), randomMatrix(3, 30, 25));
        const TapStatistics gradients = gradientsOf(correlatedInputs(20, 90, 50), 30);
        for (const Method* method : methods()) {
            const auto empty = method->analyze(*m_device, problemOf(nothing, statistics, gradients), {});
            QCOMPARE(empty->totalEnergy(), 0.0);
            QCOMPARE(squaredNorm(approximation(*empty, 5)), 0.0);
            const auto analysis = method->analyze(*m_device, problemOf(lowRank, statistics, gradients), {});
            QVERIFY(analysis->loss(3) < 1e-20 * analysis->totalEnergy() || method->name() == "nsvd" ||
                    method->name() == "nid");
            QVERIFY(squaredNorm(difference(approximation(*analysis, 20), lowRank)) < 1e-20 * squaredNorm(lowRank));
            // Orthonormal in the metric of the outputs, which is the identity for the others.
            if (method->needsGradients())
                continue;
            const Factorisation factors = analysis->factorize(10);
            const Matrix<double> S = product(transposed(factors.B), factors.B);
            for (std::size_t i = 0; i < 10; ++i)
                for (std::size_t j = 0; j < 10; ++j)
                    QVERIFY(std::abs(S(i, j) - (i == j ? 1.0 : 0.0)) < 1e-12);
        }
    }

    void badInputIsRefusedByName()
    {
        Matrix<double> W = randomWeights(6, 8, 36);
        TapStatistics statistics = statisticsOf(correlatedInputs(8, 30, 37));
        std::string tensor;
        W(2, 3) = std::nan("");
        const TapStatistics gradients = gradientsOf(correlatedInputs(6, 90, 50), 8);
        for (const Method* method : methods()) {
            QCOMPARE(kindOfFailure(
                         [&] {
                             LinearProblem problem = problemOf(W, statistics, gradients);
                             problem.name = "down_proj";
                             method->analyze(*m_device, problem, {});
                         },
                         &tensor),
                     ErrorKind::NonFinite);
            QCOMPARE(tensor, std::string("down_proj"));
        }
        W(2, 3) = 0.0;
        statistics.secondMoment(1, 1) = INFINITY;
        QCOMPARE(kindOfFailure([&] { analyze("whitened-svd", W, &statistics); }), ErrorKind::NonFinite);
        statistics = statisticsOf(correlatedInputs(8, 30, 37));
        statistics.sumAbs[2] = std::nan("");
        QCOMPARE(kindOfFailure([&] { analyze("asvd", W, &statistics); }), ErrorKind::NonFinite);
        statistics = statisticsOf(correlatedInputs(7, 30, 37));
        for (const Method* method : methods())
            QCOMPARE(kindOfFailure([&] { method->analyze(*m_device, problemOf(W, statistics, gradients), {}); }),
                     ErrorKind::Mismatch);
        for (const std::string_view method : {"asvd", "whitened-svd", "nsvd", "curvature-svd"})
            QCOMPARE(kindOfFailure([&] { analyze(method, W, nullptr); }), ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] { analyze("svd", Matrix<double>(), nullptr); }), ErrorKind::InvalidArgument);
    }

    void methodsAreFoundByNameAndAlias()
    {
        QCOMPARE(findMethod("svd-llm").name(), std::string_view("whitened-svd"));
        QCOMPARE(findMethod("root-covariance").name(), std::string_view("whitened-svd"));
        QCOMPARE(methods().size(), std::size_t{20});
        try {
            findMethod("whitend-svd");
            QFAIL("found a misspelt method");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::InvalidArgument);
            QVERIFY(QString::fromUtf8(error.what()).contains(QStringLiteral("did you mean \"whitened-svd\"")));
            QVERIFY(QString::fromUtf8(error.what()).contains(QStringLiteral("nsvd")));
        }
        const Method& nsvd = findMethod("nsvd");
        QCOMPARE(parameterValue(nsvd, {}, "share"), 0.95);
        QCOMPARE(parameterValue(nsvd, {{"share", 0.5}}, "share"), 0.5);
        for (const MethodParameters& wrong :
             {MethodParameters{{"shar", 0.5}}, MethodParameters{{"share", 1.5}}, MethodParameters{{"share", -0.1}},
              MethodParameters{{"share", std::nan("")}}, MethodParameters{{"share", 0.5}, {"share", 0.6}}})
            QCOMPARE(kindOfFailure([&] { checkParameters(nsvd, wrong); }), ErrorKind::InvalidArgument);
        QCOMPARE(kindOfFailure([&] {
                     checkParameters(findMethod("svd"), {{"alpha", 1.0}});
                 }),
                 ErrorKind::InvalidArgument);
    }

    void namesOfThePapersAreTheMethodsTheyAre()
    {
        for (const auto& [name, method] :
             std::vector<std::pair<std::string_view, std::string_view>>{{"asvd-0", "asvd"},
                                                                        {"asvd-i", "whitened-svd"},
                                                                        {"asvd-ii", "whitened-svd"},
                                                                        {"svd-llm-v2", "whitened-svd"},
                                                                        {"nsvd-i", "nsvd"},
                                                                        {"nsvd-ii", "nsvd"},
                                                                        {"res-svd", "nsvd"},
                                                                        {"nid-i", "nid"},
                                                                        {"nid-ii", "nid"}})
            QCOMPARE(findMethod(name).name(), method);
        for (const Method* method : methods())
            for (const Method* other : methods())
                for (const std::string_view alias : method->aliases())
                    QVERIFY(alias != other->name());
    }

    void choicesStandByName()
    {
        const Method& method = findMethod("preconditioned-svd");
        const double value = parameterFromText(method, "preconditioner", "covariance");
        QVERIFY(parametersToJson(method, {{"preconditioner", value}})["preconditioner"] == "covariance");
        QVERIFY(parametersToJson(method, {})["preconditioner"] == "diagonal-hessian");
        QCOMPARE(parameterFromText(method, "damping", "0.25"), 0.25);
        for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
                 {"preconditioner", "covarianc"}, {"preconditioner", "3"}, {"damping", "much"}, {"dampin", "1"}})
            QCOMPARE(kindOfFailure([&, &n = name, &t = text] { parameterFromText(method, n, t); }),
                     ErrorKind::InvalidArgument);
    }

    void preconditionersEqualTheDirectConstruction()
    {
        // W_hat = SVD_r(W P) P^-1 with P from its definition.
        const std::size_t n = 24;
        const Matrix<double> W = randomWeights(18, n, 41);
        const Matrix<double> X = correlatedInputs(n, 120, 42);
        const TapStatistics statistics = statisticsOf(X);
        const Matrix<double>& C = statistics.secondMoment;
        double trace = 0.0;
        for (std::size_t j = 0; j < n; ++j)
            trace += C(j, j);
        Matrix<double> damped = C;
        for (std::size_t j = 0; j < n; ++j)
            damped(j, j) += 0.01 * trace / static_cast<double>(n);
        const Matrix<double> inverted = inverse(damped);
        const auto diagonal = [&](const std::function<double(std::size_t)>& value) {
            Matrix<double> P(n, n);
            for (std::size_t j = 0; j < n; ++j)
                P(j, j) = value(j);
            return P;
        };
        const std::vector<std::pair<std::string, Matrix<double>>> expected{
            {"diagonal-hessian", diagonal([&](std::size_t j) { return std::pow(inverted(j, j), -0.5); })},
            {"diagonal-l1", diagonal([&](std::size_t j) { return std::sqrt(statistics.sumAbs[j]); })},
            {"diagonal-l2", diagonal([&](std::size_t j) { return std::sqrt(C(j, j)); })},
            {"covariance", damped},
            {"root-covariance", symmetricPower(damped, 0.5)},
            {"identity", diagonal([](std::size_t) { return 1.0; })}};
        std::map<std::string, double> losses;
        const Method& method = findMethod("preconditioned-svd");
        for (const auto& [name, P] : expected) {
            const auto analysis = analyze("preconditioned-svd", W, &statistics,
                                          {{"preconditioner", parameterFromText(method, "preconditioner", name)}});
            const Svd direct = svd(product(W, P));
            const Matrix<double> back = inverse(P);
            for (std::size_t r = 1; r < 18; ++r) {
                const Matrix<double> W_hat = product(direct.truncated(r), back);
                QVERIFY2(squaredNorm(difference(approximation(*analysis, r), W_hat)) < 1e-16 * squaredNorm(W),
                         name.c_str());
                QVERIFY(relative(analysis->loss(r), outputError(W, X, W_hat, X)) < 1e-8);
            }
            losses[name] = analysis->loss(8);
        }
        const auto best = analyze("whitened-svd", W, &statistics);
        for (const auto& [name, loss] : losses)
            QVERIFY2(loss >= best->loss(8) * (1.0 - 1e-12), name.c_str());
        const auto root = analyze(
            "preconditioned-svd", W, &statistics,
            {{"preconditioner", parameterFromText(method, "preconditioner", "root-covariance")}, {"damping", 0.0}});
        for (std::size_t r = 1; r < 18; ++r)
            QVERIFY(relative(root->loss(r), best->loss(r)) < 1e-10);
        QVERIFY(root->events().size() == 1 && root->events()[0].kind == "damping" && root->events()[0].value == 0.0);
        // Without damping a singular C has no inverse: refused by name, not guessed.
        const TapStatistics few = statisticsOf(correlatedInputs(n, 9, 43));
        QCOMPARE(kindOfFailure([&] {
                     analyze("preconditioned-svd", W, &few, {{"damping", 0.0}});
                 }),
                 ErrorKind::Numeric);
    }

    /// Any metric is as good: nothing is lost, and nothing is refused.
    void inputsThatAreZeroLoseNothing()
    {
        const Matrix<double> W = randomWeights(12, 20, 47);
        const TapStatistics statistics = statisticsOf(Matrix<double>(20, 64));
        const Method& method = findMethod("preconditioned-svd");
        for (const char* name :
             {"diagonal-hessian", "diagonal-l1", "diagonal-l2", "covariance", "root-covariance", "identity"}) {
            const auto analysis = analyze("preconditioned-svd", W, &statistics,
                                          {{"preconditioner", parameterFromText(method, "preconditioner", name)}});
            for (const std::size_t rank : {1, 5, 12}) {
                QVERIFY2(analysis->loss(rank) == 0.0, name);
                const Matrix<double> kept = approximation(*analysis, rank);
                QVERIFY2(std::ranges::all_of(kept.span(), [](double value) { return std::isfinite(value); }), name);
            }
        }
    }

    void interpolativeStageIsTheLeastSquaresOne()
    {
        // R ~ R[:, J] Z with J from a pivoted QR and Z = R[:, J]^+ R (methods 2.4).
        const std::size_t n = 34;
        const Matrix<double> W = randomWeights(22, n, 45);
        const Matrix<double> X = correlatedInputs(n, 150, 46);
        const TapStatistics statistics = statisticsOf(X);
        const Matrix<double> L = cholesky(statistics.secondMoment);
        const Matrix<double> back = inverse(L);
        const Svd first = svd(product(W, L));
        const auto nested = analyze("nsvd", W, &statistics, {{"share", 0.6}});
        const auto analysis = analyze("nid", W, &statistics, {{"share", 0.6}});
        const std::vector<double> all = analysis->lossAtEveryRank();
        for (std::size_t k = 2; k < 22; ++k) {
            const auto k1 = std::min(static_cast<std::size_t>(std::lround(0.6 * static_cast<double>(k))), k - 1);
            const Matrix<double> W1 = product(first.truncated(k1), back);
            const Matrix<double> R = difference(W, W1);
            Matrix<double> pivoted = R;
            std::vector<int> order(n);
            std::vector<double> tau(22);
            QCOMPARE(LAPACKE_dgeqp3(LAPACK_ROW_MAJOR, 22, static_cast<int>(n), pivoted.data(), static_cast<int>(n),
                                    order.data(), tau.data()),
                     0);
            Matrix<double> columns(22, k - k1);
            for (std::size_t i = 0; i < 22; ++i)
                for (std::size_t j = 0; j < k - k1; ++j)
                    columns(i, j) = R(i, static_cast<std::size_t>(order[j] - 1));
            const Matrix<double> S = inverse(product(transposed(columns), columns));
            const Matrix<double> W2 = product(columns, product(S, product(transposed(columns), R)));
            Matrix<double> expected = W1;
            for (std::size_t i = 0; i < expected.size(); ++i)
                expected.data()[i] += W2.data()[i];
            QVERIFY(squaredNorm(difference(approximation(*analysis, k), expected)) < 1e-16 * squaredNorm(W));
            QVERIFY(relative(analysis->loss(k), outputError(W, X, expected, X)) < 1e-9);
            QVERIFY(relative(all[k], analysis->loss(k)) < 1e-9);
            // The plain SVD of the residual is closest to W of all second stages.
            QVERIFY(squaredNorm(difference(W, approximation(*nested, k))) <=
                    squaredNorm(difference(W, approximation(*analysis, k))) * (1.0 + 1e-12));
        }
    }

    void spectrumMeasures()
    {
        const std::vector<double> flat(8, 2.5);
        QVERIFY(relative(effectiveRank(flat), 8.0) < 1e-14);
        QVERIFY(relative(stableRank(flat), 8.0) < 1e-14);
        const std::vector<double> steep{2.0, 1.0, 1.0};
        // Entropy of (1/2, 1/4, 1/4) is 1.5 ln 2.
        QVERIFY(relative(effectiveRank(steep), std::pow(2.0, 1.5)) < 1e-14);
        QVERIFY(relative(stableRank(steep), 1.5) < 1e-14);
        QCOMPARE(effectiveRank(std::vector<double>(3, 0.0)), 0.0);
        QCOMPARE(stableRank(std::vector<double>()), 0.0);
    }
};

QTEST_GUILESS_MAIN(TestDecomposition)
#include "tst_decomposition.moc"
