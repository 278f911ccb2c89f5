#include "core/base/error.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/evaluation_memory.h"
#include "core/evaluation/token_comparison.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

std::vector<double> softmax(const Matrix<double>& logits, std::size_t row)
{
    std::vector<double> p(logits.columns());
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i)
        sum += p[i] = std::exp(logits(row, i));
    for (double& value : p)
        value /= sum;
    return p;
}

bool near(double a, double b, double tolerance)
{
    return std::abs(a - b) <= tolerance;
}

double sumOf(const std::vector<double>& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Every number of a comparison in one list, the NaN in front left out.
std::vector<double> numbersOf(const TokenComparison& comparison)
{
    std::vector<double> numbers(comparison.divergence);
    for (const auto* values : {&comparison.originalLogProbability, &comparison.otherLogProbability})
        numbers.insert(numbers.end(), values->begin() + 1, values->end());
    for (const auto* tops : {&comparison.originalTop, &comparison.otherTop})
        for (const auto& top : *tops)
            for (const TokenChance& chance : top) {
                numbers.push_back(chance.token);
                numbers.push_back(chance.probability);
            }
    return numbers;
}

} // namespace

class TestTokenComparison : public QObject
{
    Q_OBJECT

private slots:
    void equalsPlainLoop()
    {
        TinyLlama original;
        original.fill(4);
        TinyLlama other{.inner = 30, .blocks = 1, .tied = false};
        other.fill(5);
        const auto ids = tiny::randomIds(1, 40, 50, 6).front();
        const TokenComparison result =
            compareTokens(open(original, "original"), open(other, "other"), *m_device, ids, {}, {});
        QCOMPARE(result.tokens, ids);
        QVERIFY(std::isnan(result.originalLogProbability.at(0)) && std::isnan(result.otherLogProbability.at(0)));
        const Matrix<double> x = original.logits(ids);
        const Matrix<double> y = other.logits(ids);
        for (std::size_t t = 0; t < ids.size(); ++t) {
            const std::vector<double> p = softmax(x, t);
            const std::vector<double> q = softmax(y, t);
            double kl = 0;
            for (std::size_t i = 0; i < p.size(); ++i)
                kl += p[i] * std::log(p[i] / q[i]);
            QVERIFY(near(result.divergence.at(t), kl, 1e-5 * kl));
            if (t + 1 < ids.size()) {
                const auto next = static_cast<std::size_t>(ids[t + 1]);
                QVERIFY(near(result.originalLogProbability.at(t + 1), std::log(p[next]), 1e-5));
                QVERIFY(near(result.otherLogProbability.at(t + 1), std::log(q[next]), 1e-5));
            }
            for (const auto& [top, all] :
                 {std::pair{result.originalTop.at(t), p}, std::pair{result.otherTop.at(t), q}}) {
                QCOMPARE(top.size(), std::size_t{5});
                std::vector<std::size_t> order(all.size());
                std::iota(order.begin(), order.end(), std::size_t{0});
                std::stable_sort(order.begin(), order.end(),
                                 [&](std::size_t a, std::size_t b) { return all[a] > all[b]; });
                for (std::size_t i = 0; i < top.size(); ++i) {
                    QCOMPARE(static_cast<std::size_t>(top[i].token), order[i]);
                    QVERIFY(near(top[i].probability, all[order[i]], 1e-6));
                }
            }
        }
    }

    /// The window crosses the 256 rows of one chunk of logits.
    void addsUpToPerplexityAndDivergence()
    {
        const Model model = Model::open(RANKWRIGHT_DEMO "/stories260K");
        const Model other = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.role != Role::Down)
                return nullptr;
            auto weights = std::make_shared<LinearWeights>(model.readLinear(info));
            for (float& value : std::get<DenseWeights>(weights->form).W.span())
                value *= 0.8F;
            return weights;
        });
        TokenWindows windows = makeWindows(
            *model.tokenizer(), {.text = RANKWRIGHT_DEMO "/stories-heldout.txt", .length = 500, .count = 1}, {});
        const TokenComparison result = compareTokens(model, other, *m_device, windows.ids[0], {}, {});
        const DivergenceResult divergence = evaluateDivergence(model, other, *m_device, windows, {}, {});
        QCOMPARE(sumOf(result.divergence), divergence.windowKl.at(0));
        std::size_t agreed = 0;
        for (std::size_t t = 0; t < 500; ++t)
            agreed += result.originalTop[t][0].token == result.otherTop[t][0].token ? 1 : 0;
        QCOMPARE(static_cast<double>(agreed) / 500, divergence.topOneAgreement);
        for (const auto& [compared, logProbability] :
             {std::pair{model, result.originalLogProbability}, std::pair{other, result.otherLogProbability}}) {
            const double nll = evaluatePerplexity(compared, *m_device, windows, {}, {}).windowNll.at(0);
            // The last row of logits is not asked for there, and BLAS may sum other rows in another order.
            QVERIFY(near(-std::accumulate(logProbability.begin() + 1, logProbability.end(), 0.0), nll, 1e-6 * nll));
        }
    }

    void comparedWithItselfNothingDiffers()
    {
        TinyLlama tiny;
        tiny.fill(2);
        const Model model = open(tiny, "model");
        const auto ids = tiny::randomIds(1, 300, 50, 3).front();
        const TokenComparison result = compareTokens(model, model, *m_device, ids, {}, {});
        QCOMPARE(result.divergence, std::vector<double>(300, 0.0));
        for (std::size_t t = 1; t < 300; ++t)
            QCOMPARE(result.originalLogProbability[t], result.otherLogProbability[t]);
    }

    /// Equal logits: the lower ids come first, and there may be fewer than five tokens.
    void equalChancesComeInOrder()
    {
        TinyLlama tiny{.vocabulary = 3};
        tiny.fill(1);
        std::ranges::fill(tiny.values("model.norm.weight"), 0.0F);
        const Model model = open(tiny, "model");
        const std::vector<std::int32_t> ids{2, 0};
        const TokenComparison result = compareTokens(model, model, *m_device, ids, {}, {});
        QCOMPARE(result.originalTop.at(0).size(), std::size_t{3});
        for (std::int32_t i = 0; i < 3; ++i) {
            QCOMPARE(result.originalTop[0][static_cast<std::size_t>(i)].token, i);
            QVERIFY(near(result.originalTop[0][static_cast<std::size_t>(i)].probability, 1.0 / 3.0, 1e-15));
        }
        QVERIFY(near(result.originalLogProbability.at(1), -std::log(3.0), 1e-15));
    }

    void anyLengthUpToTheContext()
    {
        TinyLlama tiny{.context = 300};
        tiny.fill(7);
        const Model model = open(tiny, "model");
        const auto ids = tiny::randomIds(1, 301, 50, 8).front();
        const auto lengthOf = [&](std::size_t length) {
            return compareTokens(model, model, *m_device, std::span(ids).first(length), {}, {}).divergence.size();
        };
        for (const std::size_t length : {1, 2, 255, 256, 257, 300})
            QCOMPARE(lengthOf(length), length);
        for (const std::size_t length : {std::size_t{0}, std::size_t{301}}) {
            const auto error = hostile::errorOf([&] { lengthOf(length); });
            QVERIFY(error.has_value());
            QCOMPARE(error->kind(), ErrorKind::InvalidArgument);
        }
        for (const std::int32_t token : {-1, 50}) {
            const std::vector<std::int32_t> outside{1, token};
            const auto error = hostile::errorOf([&] { compareTokens(model, model, *m_device, outside, {}, {}); });
            QVERIFY(error.has_value());
            QCOMPARE(error->kind(), ErrorKind::InvalidArgument);
        }
        TinyLlama wide{.vocabulary = 51};
        wide.fill(7);
        const Model other = open(wide, "wide");
        const auto error = hostile::errorOf([&] { compareTokens(model, other, *m_device, ids, {}, {}); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Mismatch);
        std::stop_source stop;
        stop.request_stop();
        const auto stopped = hostile::errorOf(
            [&] { compareTokens(model, model, *m_device, std::span(ids).first(9), {}, {.stop = stop.get_token()}); });
        QVERIFY(stopped.has_value());
        QCOMPARE(stopped->kind(), ErrorKind::Cancelled);
    }

    void doesNotDependOnThreadsAndMemory()
    {
        TinyLlama tiny{.context = 700};
        tiny.fill(11);
        const Model model = open(tiny, "model");
        TinyLlama changed = tiny;
        changed.values("model.layers.1.mlp.down_proj.weight").at(5) += 1.0F;
        const Model other = open(changed, "changed");
        const auto ids = tiny::randomIds(1, 600, 50, 12).front();
        const auto expected = numbersOf(compareTokens(model, other, *m_device, ids, {.threads = 1}, {}));
        const std::size_t least = divergenceMemory(model, other, ids.size(), 1).least();
        for (const std::size_t threads : {1, 2, 3})
            for (const std::size_t limit : {std::size_t{0}, least, 2 * least})
                QCOMPARE(numbersOf(compareTokens(model, other, *m_device, ids,
                                                 {.threads = threads, .memoryLimit = limit}, {})),
                         expected);
    }

private:
    Model open(const TinyLlama& tiny, const std::string& name) const
    {
        tiny.write(m_folder.path() / name);
        return Model::open(m_folder.path() / name);
    }

    hostile::Folder m_folder;
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestTokenComparison)
#include "tst_token_comparison.moc"
