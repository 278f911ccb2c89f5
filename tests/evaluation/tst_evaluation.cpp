#include "core/base/error.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/evaluation_memory.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/compute/random_matrix.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <array>
#include <cmath>
#include <mutex>
#include <set>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

TokenWindows windowsOf(std::vector<std::vector<std::int32_t>> ids)
{
    TokenWindows windows;
    windows.ids = std::move(ids);
    return windows;
}

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

std::size_t largestOf(const std::vector<double>& p)
{
    return static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
}

/// q, o and up replaced: factors, block identity and a dense matrix with another bias.
std::shared_ptr<const LinearWeights> replacement(const Model& model, const LinearInfo& info)
{
    auto weights = std::make_shared<LinearWeights>(model.readLinear(info));
    const auto values = [&](std::size_t rows, std::size_t columns, std::uint64_t seed) {
        Matrix<float> matrix = test::randomMatrix<float>(rows, columns, seed + info.index);
        for (float& value : matrix.span())
            value *= 0.3F;
        return matrix;
    };
    if (info.role == Role::Q) {
        weights->form = FactorWeights{values(info.shape.rows, 6, 1), values(6, info.shape.columns, 2)};
    } else if (info.role == Role::O) {
        BlockIdentityWeights block;
        block.B = values(info.shape.rows, 4, 3);
        block.A2 = values(4, info.shape.columns - 4, 4);
        block.pivots = {1, 2, 5, 9};
        for (std::uint32_t column = 0; column < info.shape.columns; ++column) {
            if (!std::ranges::binary_search(block.pivots, column))
                block.rest.push_back(column);
        }
        weights->form = std::move(block);
    } else if (info.role == Role::Up) {
        for (float& value : std::get<DenseWeights>(weights->form).W.span())
            value += 0.01F;
        weights->bias.assign(info.shape.rows, 0.25F);
    } else {
        return nullptr;
    }
    return weights;
}

} // namespace

class TestEvaluation : public QObject
{
    Q_OBJECT

private slots:
    /// A final norm of zeros gives equal logits, so every token has probability 1 / vocabulary.
    void constantLogitsGiveTheVocabulary()
    {
        TinyLlama tiny;
        tiny.fill(1);
        std::ranges::fill(tiny.values("model.norm.weight"), 0.0F);
        const PerplexityResult result =
            evaluatePerplexity(open(tiny, "model"), *m_device, windowsOf(tiny::randomIds(3, 20, 50, 2)), {}, {});
        QVERIFY(std::abs(result.perplexity - 50.0) < 1e-11);
        QCOMPARE(result.predictedTokens, std::size_t{57});
        QCOMPARE(result.windowNll.size(), std::size_t{3});
    }

    /// Blocks that add nothing, width 2, tokens 0 = (1, 0), 1 = (0, 1): the logits after token i are s at token i + 1
    /// and 0 at the two others, s = 1 / sqrt(1/2 + epsilon).
    void threeTokensByHand()
    {
        TinyLlama tiny{.hidden = 2,
                       .inner = 2,
                       .blocks = 1,
                       .heads = 1,
                       .keyValueHeads = 1,
                       .headWidth = 2,
                       .vocabulary = 3,
                       .tied = false};
        tiny.fill(1);
        std::ranges::fill(tiny.values("model.layers.0.self_attn.o_proj.weight"), 0.0F);
        std::ranges::fill(tiny.values("model.layers.0.mlp.down_proj.weight"), 0.0F);
        std::ranges::fill(tiny.values("model.norm.weight"), 1.0F);
        tiny.values("model.embed_tokens.weight") = {1, 0, 0, 1, 1, 1};
        tiny.values("lm_head.weight") = {0, 0, 1, 0, 0, 1};
        const PerplexityResult result =
            evaluatePerplexity(open(tiny, "model"), *m_device, windowsOf({{0, 1, 2}}), {}, {});
        const double s = 1.0 / std::sqrt(0.5 + 1e-5);
        QVERIFY(std::abs(result.windowNll.at(0) - 2.0 * std::log(1.0 + 2.0 * std::exp(-s))) < 1e-6);
        QVERIFY(std::abs(result.perplexity - (1.0 + 2.0 * std::exp(-s))) < 1e-6);
        QCOMPARE(result.predictedTokens, std::size_t{2});
    }

    void divergenceFromItselfIsZero()
    {
        TinyLlama tiny;
        tiny.fill(2);
        const Model model = open(tiny, "model");
        const TokenWindows windows = windowsOf(tiny::randomIds(4, 300, 50, 3));
        // The same files opened twice have heads of their own.
        for (const Model& other : {model, Model::open(m_folder.path() / "model")}) {
            const DivergenceResult result = evaluateDivergence(model, other, *m_device, windows, {}, {});
            QCOMPARE(result.klDivergence, 0.0);
            QCOMPARE(result.klStandardError, 0.0);
            QCOMPARE(result.topOneAgreement, 1.0);
            QCOMPARE(result.positions, std::size_t{1200});
        }
    }

    void divergenceEqualsPlainLoop()
    {
        TinyLlama original;
        original.fill(4);
        TinyLlama other{.inner = 30, .blocks = 1, .tied = false};
        other.fill(5);
        other.tensors["model.embed_tokens.weight"] = original.tensors["model.embed_tokens.weight"];
        // The embedding and head of the original: near enough that some of the most likely tokens agree.
        other.tensors["lm_head.weight"] = original.tensors["model.embed_tokens.weight"];
        const auto ids = tiny::randomIds(3, 40, 50, 6);
        const DivergenceResult result =
            evaluateDivergence(open(original, "original"), open(other, "other"), *m_device, windowsOf(ids), {}, {});
        double total = 0;
        double squares = 0;
        std::size_t agreed = 0;
        for (std::size_t window = 0; window < ids.size(); ++window) {
            const Matrix<double> x = original.logits(ids[window]);
            const Matrix<double> y = other.logits(ids[window]);
            double sum = 0;
            for (std::size_t t = 0; t < 40; ++t) {
                const std::vector<double> p = softmax(x, t);
                const std::vector<double> q = softmax(y, t);
                for (std::size_t i = 0; i < p.size(); ++i)
                    sum += p[i] * std::log(p[i] / q[i]);
                agreed += largestOf(p) == largestOf(q) ? 1 : 0;
            }
            QVERIFY(std::abs(result.windowKl.at(window) - sum) < 1e-5 * sum);
            total += sum;
            squares += (sum / 40) * (sum / 40);
        }
        const double mean = total / 120;
        QVERIFY(agreed > 0 && agreed < 120);
        QCOMPARE(result.topOneAgreement, static_cast<double>(agreed) / 120);
        QVERIFY(std::abs(result.klDivergence - mean) < 1e-5 * mean);
        const double variance = (squares - 3 * mean * mean) / 2;
        QVERIFY(std::abs(result.klStandardError - std::sqrt(variance / 3)) < 1e-4 * result.klStandardError);
    }

    void errorsEqualPlainLoop()
    {
        TinyLlama tiny;
        tiny.fill(7);
        const Model model = open(tiny, "model");
        const Model other = model.withLinears([&](const LinearInfo& info) { return replacement(model, info); });
        const auto ids = tiny::randomIds(3, 50, 50, 8);
        const std::vector<LinearErrorResult> results =
            evaluateLinearErrors(model, other, *m_device, windowsOf(ids), {}, {});

        std::map<std::string, std::pair<double, double>> sums; // squares of Y - Y_hat and of Y
        for (const auto& window : ids) {
            tiny.logits(window, [&](const std::string& name, const Matrix<double>& X) {
                const LinearInfo& info = model.linear(name);
                const auto replaced = replacement(model, info);
                if (!replaced)
                    return;
                const Matrix<double> W_hat = expandLinear(*m_device, *replaced);
                const std::vector<float>& W = tiny.values(name + ".weight");
                for (std::size_t t = 0; t < X.rows(); ++t) {
                    for (std::size_t i = 0; i < info.shape.rows; ++i) {
                        double y = 0;
                        double difference = replaced->bias.empty() ? 0.0 : -static_cast<double>(replaced->bias[i]);
                        for (std::size_t j = 0; j < X.columns(); ++j) {
                            const auto w = static_cast<double>(W[i * X.columns() + j]);
                            y += w * X(t, j);
                            difference += (w - W_hat(i, j)) * X(t, j);
                        }
                        sums[name].first += difference * difference;
                        sums[name].second += y * y;
                    }
                }
            });
        }
        QCOMPARE(sums.size(), std::size_t{6});
        QCOMPARE(results.size(), model.linears().size());
        for (std::size_t i = 0; i < results.size(); ++i) {
            QCOMPARE(results[i].name, model.linears()[i].name);
            const auto found = sums.find(results[i].name);
            if (found == sums.end()) {
                QCOMPARE(results[i].relativeError, 0.0);
                continue;
            }
            const double expected = std::sqrt(found->second.first / found->second.second);
            QVERIFY2(std::abs(results[i].relativeError - expected) < 1e-5 * expected, results[i].name.c_str());
        }
    }

    /// A change in the last places of float32 is measured, not lost in the rounding of the outputs.
    void errorsBelowRounding()
    {
        TinyLlama tiny{.blocks = 1};
        tiny.fill(9);
        const Model model = open(tiny, "original");
        std::vector<float>& values = tiny.values("model.layers.0.mlp.gate_proj.weight");
        for (float& value : values)
            value *= 1.0F + 0x1p-22F;
        const Model other = open(tiny, "other");
        const auto results =
            evaluateLinearErrors(model, other, *m_device, windowsOf(tiny::randomIds(2, 50, 50, 10)), {}, {});
        for (const LinearErrorResult& result : results) {
            if (result.name == "model.layers.0.mlp.gate_proj") {
                // Each value moved by 2^-22 of itself, rounded to the 2^-23 to 2^-24 grid.
                QVERIFY(result.relativeError > 0x1p-23 && result.relativeError < 0x1p-21);
            } else {
                QCOMPARE(result.relativeError, 0.0);
            }
        }
    }

    void doesNotDependOnThreadsAndMemory_data()
    {
        QTest::addColumn<std::size_t>("windows");
        QTest::newRow("one window") << std::size_t{1};
        QTest::newRow("five windows") << std::size_t{5};
    }
    void doesNotDependOnThreadsAndMemory()
    {
        QFETCH(std::size_t, windows);
        TinyLlama tiny{.context = 1200};
        tiny.fill(11);
        const Model model = open(tiny, "model");
        const Model other = model.withLinears([&](const LinearInfo& info) { return replacement(model, info); });
        TinyLlama changed = tiny;
        changed.values("model.layers.1.mlp.down_proj.weight").at(5) += 1.0F;
        const Model second = open(changed, "changed");
        const TokenWindows tokens = windowsOf(tiny::randomIds(windows, 600, 50, 12));
        const auto all = [&](const PassOptions& options) {
            std::vector<double> numbers;
            for (const Model& compared : {other, second}) {
                const DivergenceResult divergence = evaluateDivergence(model, compared, *m_device, tokens, options, {});
                numbers.insert(numbers.end(), divergence.windowKl.begin(), divergence.windowKl.end());
                numbers.push_back(divergence.topOneAgreement);
                for (const auto& error : evaluateLinearErrors(model, compared, *m_device, tokens, options, {}))
                    numbers.push_back(error.relativeError);
            }
            return numbers;
        };
        const std::vector<double> expected = all({.threads = 1});
        const std::size_t least =
            std::max(divergenceMemory(model, second, 600, 1).least(), linearErrorMemory(model, 600).least());
        for (const std::size_t threads : {1, 2, 3}) {
            for (const std::size_t limit : {std::size_t{0}, least, 2 * least})
                QCOMPARE(all({.threads = threads, .memoryLimit = limit}), expected);
        }
    }

    void limitsThatCannotBeKeptAreRefused_data()
    {
        QTest::addColumn<int>("evaluation");
        QTest::newRow("perplexity") << 0;
        QTest::newRow("divergence") << 1;
        QTest::newRow("errors of linears") << 2;
    }
    /// The least limit that is taken holds what no way of sharing the work can do without, and gives the same numbers.
    void limitsThatCannotBeKeptAreRefused()
    {
        QFETCH(int, evaluation);
        TinyLlama tiny{.context = 1200};
        tiny.fill(11);
        const Model model = open(tiny, "model");
        const Model other = model.withLinears([&](const LinearInfo& info) { return replacement(model, info); });
        const TokenWindows tokens = windowsOf(tiny::randomIds(3, 600, 50, 12));
        const auto numbers = [&](const PassOptions& options) {
            if (evaluation == 0)
                return evaluatePerplexity(other, *m_device, tokens, options, {}).windowNll;
            if (evaluation == 1)
                return evaluateDivergence(model, other, *m_device, tokens, options, {}).windowKl;
            std::vector<double> errors;
            for (const LinearErrorResult& error : evaluateLinearErrors(model, other, *m_device, tokens, options, {}))
                errors.push_back(error.relativeError);
            return errors;
        };
        std::size_t refused = 0; // which stands for no limit
        std::size_t least = std::size_t{1} << 26U;
        while (least - refused > 1) {
            const std::size_t middle = (least + refused) / 2;
            const auto error = hostile::errorOf([&] { numbers({.threads = 3, .memoryLimit = middle}); });
            if (error) {
                QCOMPARE(error->kind(), ErrorKind::Memory);
                QVERIFY2(std::string(error->what()).find("600 tokens") != std::string::npos, error->what());
                QVERIFY(error->file() == m_folder.path() / "model");
                refused = middle;
            } else {
                least = middle;
            }
        }
        QVERIFY(refused > 0);
        // In float32: a block, the states of a window, gate and up of 512 rows, the scores of 128 queries of two heads.
        constexpr std::size_t block = 2 * 24 * 24 + 2 * 12 * 24 + 3 * 40 * 24;
        constexpr std::size_t bytes = 4 * (block + 600 * 24 + 2 * 512 * 40 + 2 * 128 * 600);
        QVERIFY2(least > bytes && least < 3 * bytes, qPrintable(QString::number(least)));
        QCOMPARE(numbers({.threads = 3, .memoryLimit = least}), numbers({.threads = 1}));
    }

    void generatesSideBySide()
    {
        const Model model = Model::open(RANKWRIGHT_DEMO "/stories260K");
        const Model other = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.name != "model.layers.4.mlp.down_proj")
                return nullptr;
            auto weights = std::make_shared<LinearWeights>(model.readLinear(info));
            for (float& value : std::get<DenseWeights>(weights->form).W.span())
                value *= 0.5F;
            return weights;
        });
        const std::string prompt = "Once upon a time";
        const GenerationComparison result = generateSideBySide(model, other, *m_device, prompt, 40, {}, {});
        QCOMPARE(result.original.generated, generateGreedy(model, *m_device, prompt, 40, {}, {}).generated);
        QCOMPARE(result.other.generated, generateGreedy(other, *m_device, prompt, 40, {}, {}).generated);
        const std::size_t same = result.sameTokens;
        QVERIFY(same < 40);
        QVERIFY(std::equal(result.original.generated.begin(), result.original.generated.begin() + same,
                           result.other.generated.begin()));
        QVERIFY(result.original.generated[same] != result.other.generated[same]);
        QCOMPARE(generateSideBySide(model, model, *m_device, prompt, 40, {}, {}).sameTokens, std::size_t{40});
    }

    void refuses()
    {
        TinyLlama tiny;
        tiny.fill(13);
        const Model model = open(tiny, "model");
        TinyLlama wide{.inner = 44, .vocabulary = 51};
        wide.fill(13);
        const Model other = open(wide, "wide");
        const TokenWindows windows = windowsOf(tiny::randomIds(2, 20, 50, 14));
        const auto kindOf = [](const std::optional<Error>& error) {
            return error ? std::string(errorKindName(error->kind())) : std::string("none");
        };
        QCOMPARE(kindOf(hostile::errorOf([&] { evaluateDivergence(model, other, *m_device, windows, {}, {}); })),
                 std::string("mismatch"));
        QCOMPARE(kindOf(hostile::errorOf([&] { evaluateLinearErrors(model, other, *m_device, windows, {}, {}); })),
                 std::string("mismatch"));
        QCOMPARE(kindOf(hostile::errorOf([&] { evaluateDivergence(model, model, *m_device, {}, {}, {}); })),
                 std::string("invalidArgument"));
        QCOMPARE(kindOf(hostile::errorOf([&] { evaluateLinearErrors(model, model, *m_device, {}, {}, {}); })),
                 std::string("invalidArgument"));

        TinyLlama huge = tiny;
        for (float& value : huge.values("model.layers.1.self_attn.v_proj.weight"))
            value *= 3e38F;
        const Model overflowing = open(huge, "huge");
        const auto divergence =
            hostile::errorOf([&] { evaluateDivergence(model, overflowing, *m_device, windows, {}, {}); });
        QCOMPARE(kindOf(divergence), std::string("nonFinite"));
        QVERIFY2(std::string(divergence->what()).find("model.layers.1") != std::string::npos, divergence->what());
        const auto errors =
            hostile::errorOf([&] { evaluateLinearErrors(model, overflowing, *m_device, windows, {}, {}); });
        QCOMPARE(kindOf(errors), std::string("nonFinite"));
        QCOMPARE(errors->tensor(), std::string("model.layers.1.self_attn.v_proj"));
    }

    void canBeStoppedAndReports()
    {
        TinyLlama tiny;
        tiny.fill(15);
        const Model model = open(tiny, "model");
        const TokenWindows windows = windowsOf(tiny::randomIds(2, 20, 50, 16));
        std::mutex mutex;
        std::set<std::pair<std::size_t, std::size_t>> steps;
        evaluateDivergence(model, model, *m_device, windows, {}, {.progress = [&](const Progress& progress) {
                               const std::lock_guard lock(mutex);
                               steps.insert({progress.done, progress.total});
                           }});
        // 2 models of 2 blocks and 2 windows.
        QCOMPARE(steps.size(), std::size_t{8});
        QCOMPARE(*steps.rbegin(), (std::pair<std::size_t, std::size_t>{8, 8}));
        std::stop_source source;
        source.request_stop();
        const TaskContext stopped{.stop = source.get_token()};
        const auto divergence =
            hostile::errorOf([&] { evaluateDivergence(model, model, *m_device, windows, {}, stopped); });
        QVERIFY(divergence && divergence->kind() == ErrorKind::Cancelled);
        const auto errors =
            hostile::errorOf([&] { evaluateLinearErrors(model, model, *m_device, windows, {}, stopped); });
        QVERIFY(errors && errors->kind() == ErrorKind::Cancelled);
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

QTEST_GUILESS_MAIN(TestEvaluation)
#include "tst_evaluation.moc"
