#include "core/base/error.h"
#include "core/evaluation/evaluation.h"
#include "core/evaluation/evaluation_memory.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/compute/random_matrix.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

struct Variant
{
    const char* name;
    TinyLlama model;
};

std::vector<Variant> variants()
{
    const Json llama3 = {{"rope_type", "llama3"},
                         {"factor", 8.0},
                         {"low_freq_factor", 1.0},
                         {"high_freq_factor", 4.0},
                         {"original_max_position_embeddings", 64}};
    std::vector<Variant> list;
    list.push_back({"grouped queries", {}});
    list.push_back({"own head, no groups", {.keyValueHeads = 4, .tied = false}});
    list.push_back({"one key head", {.keyValueHeads = 1, .normEpsilon = 1e-2}});
    list.push_back({"wide heads", {.heads = 3, .keyValueHeads = 1, .headWidth = 14, .ropeTheta = 500000.0}});
    list.push_back({"biases", {.biases = true}});
    list.push_back({"llama3 scaling", {.headWidth = 16, .ropeScaling = llama3}});
    list.push_back({"linear scaling", {.ropeScaling = {{"rope_type", "linear"}, {"factor", 4.0}}}});
    for (Variant& variant : list)
        variant.model.fill(7);
    return list;
}

std::vector<std::size_t> allPositions(std::size_t length)
{
    std::vector<std::size_t> positions(length);
    std::iota(positions.begin(), positions.end(), 0);
    return positions;
}

template <typename Expected>
double relativeDifference(const Matrix<float>& values, const Matrix<Expected>& expected)
{
    double largest = 0;
    double difference = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto wanted = static_cast<double>(expected.data()[i]);
        largest = std::max(largest, std::abs(wanted));
        difference = std::max(difference, std::abs(static_cast<double>(values.data()[i]) - wanted));
    }
    return difference / largest;
}

/// Rounding of float32 through two blocks; measured about 1e-6 here.
constexpr double rounding = 1e-5;

} // namespace

class TestForward : public QObject
{
    Q_OBJECT

private slots:
    void equalsPlainLoop_data() { variantRows(); }
    void equalsPlainLoop()
    {
        QFETCH(std::size_t, variant);
        const TinyLlama tiny = variants()[variant].model;
        tiny.write(m_folder.path());
        const std::vector<std::int32_t> ids = tiny::randomIds(1, 150, tiny.vocabulary, 1).front();
        QVERIFY(relativeDifference(logitsOf(m_folder.path(), ids), tiny.logits(ids)) < rounding);
    }

    void ggufEqualsSafetensors_data() { variantRows(); }
    void ggufEqualsSafetensors()
    {
        QFETCH(std::size_t, variant);
        const TinyLlama tiny = variants()[variant].model;
        tiny.write(m_folder.path());
        tiny.writeGguf(m_folder.path() / "tiny.gguf");
        const std::vector<std::int32_t> ids = tiny::randomIds(1, 150, tiny.vocabulary, 1).front();
        const Matrix<float> fromGguf = logitsOf(m_folder.path() / "tiny.gguf", ids);
        // The factors of llama3 in GGUF are float32 themselves, all else is the same computation.
        const double tolerance = tiny.ropeScaling.is_null() || tiny.ropeScaling["rope_type"] == "linear" ? 0.0 : 1e-5;
        QVERIFY(relativeDifference(fromGguf, logitsOf(m_folder.path(), ids)) <= tolerance);
    }

    /// Windows longer than a span of rows (512), several and alone, so that every way of sharing the work is taken.
    void doesNotDependOnThreadsAndMemory_data()
    {
        QTest::addColumn<std::size_t>("windows");
        QTest::newRow("one window") << std::size_t{1};
        QTest::newRow("five windows") << std::size_t{5};
    }
    void doesNotDependOnThreadsAndMemory()
    {
        QFETCH(std::size_t, windows);
        TinyLlama tiny{.context = 1200, .tied = false};
        tiny.fill(3);
        tiny.write(m_folder.path());
        const Model model = Model::open(m_folder.path());
        TokenWindows tokens;
        tokens.ids = tiny::randomIds(windows, 1100, tiny.vocabulary, 2);
        const PerplexityResult expected = evaluatePerplexity(model, *m_device, tokens, {.threads = 1}, {});
        const std::size_t least = perplexityMemory(model, 1100, 1).least();
        for (const std::size_t threads : {1, 2, 3}) {
            for (const std::size_t limit : {std::size_t{0}, least, 2 * least}) {
                const PassOptions options{.threads = threads, .memoryLimit = limit};
                QCOMPARE(evaluatePerplexity(model, *m_device, tokens, options, {}).windowNll, expected.windowNll);
            }
        }
    }

    void factorsEqualTheirProduct_data()
    {
        QTest::addColumn<bool>("identity");
        QTest::newRow("factors") << false;
        QTest::newRow("block identity") << true;
    }
    void factorsEqualTheirProduct()
    {
        QFETCH(bool, identity);
        TinyLlama tiny{.biases = true};
        tiny.fill(4);
        const std::filesystem::path original = m_folder.path() / "original";
        tiny.write(original);
        const Model model = Model::open(original);
        const Model replaced = model.withLinears([&](const LinearInfo& info) {
            auto weights = std::make_shared<LinearWeights>(model.readLinear(info));
            replace(*weights, info, identity);
            // The product goes into the plain loop's weights.
            const Matrix<double> W = productOf(*weights);
            std::vector<float>& values = tiny.values(info.name + ".weight");
            for (std::size_t i = 0; i < W.size(); ++i)
                values[i] = static_cast<float>(W.data()[i]);
            return weights;
        });
        const std::vector<std::int32_t> ids = tiny::randomIds(1, 60, tiny.vocabulary, 5).front();
        const std::vector<std::size_t> positions = allPositions(ids.size());
        const Matrix<float> logits = windowLogits(replaced, *m_device, ids, positions, {});
        const double difference = relativeDifference(logits, tiny.logits(ids));
        QVERIFY2(difference < rounding, qPrintable(QString::number(difference)));
        tiny.write(m_folder.path() / "product");
        QVERIFY(relativeDifference(logits, logitsOf(m_folder.path() / "product", ids)) < rounding);
        QVERIFY(relativeDifference(logits, logitsOf(original, ids)) > 0.01);
    }

    void refusesNonFiniteWeights_data()
    {
        QTest::addColumn<std::string>("tensor");
        for (const char* name :
             {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
              "model.layers.1.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
              "model.layers.1.self_attn.k_proj.weight", "model.layers.0.mlp.down_proj.bias"})
            QTest::newRow(name) << std::string(name);
    }
    void refusesNonFiniteWeights()
    {
        QFETCH(std::string, tensor);
        TinyLlama tiny{.tied = false, .biases = true};
        tiny.fill(5);
        tiny.values(tensor).at(3) = std::numeric_limits<float>::quiet_NaN();
        tiny.write(m_folder.path());
        const Model model = Model::open(m_folder.path());
        TokenWindows tokens;
        tokens.ids = tiny::randomIds(3, 40, tiny.vocabulary, 6);
        tokens.ids[1][2] = 0; // the damaged embedding
        const auto whole = hostile::errorOf([&] { model.requireFinite(); });
        QVERIFY(whole && whole->kind() == ErrorKind::NonFinite);
        QCOMPARE(whole->tensor(), tensor);
        const auto run = hostile::errorOf([&] { evaluatePerplexity(model, *m_device, tokens, {}, {}); });
        QVERIFY(run && run->kind() == ErrorKind::NonFinite);
        QCOMPARE(run->tensor(), tensor);
    }

    void refusesOverflow_data()
    {
        QTest::addColumn<std::string>("tensor");
        QTest::addColumn<std::string>("named");
        QTest::newRow("in a block") << std::string("model.layers.1.mlp.down_proj.weight")
                                    << std::string("model.layers.1");
        QTest::newRow("in the head") << std::string("lm_head.weight") << std::string("logits");
    }
    void refusesOverflow()
    {
        QFETCH(std::string, tensor);
        QFETCH(std::string, named);
        TinyLlama tiny{.tied = false};
        tiny.fill(6);
        for (float& value : tiny.values(tensor))
            value = 3e38F;
        if (tensor != "lm_head.weight") {
            for (float& value : tiny.values("model.layers.1.mlp.up_proj.weight"))
                value *= 1e3F;
        }
        tiny.write(m_folder.path());
        const Model model = Model::open(m_folder.path());
        TokenWindows tokens;
        tokens.ids = tiny::randomIds(2, 40, tiny.vocabulary, 7);
        const auto error = hostile::errorOf([&] { evaluatePerplexity(model, *m_device, tokens, {}, {}); });
        QVERIFY(error && error->kind() == ErrorKind::NonFinite);
        QVERIFY2(std::string(error->what()).find(named) != std::string::npos, error->what());
    }

    void refusesWindows()
    {
        TinyLlama tiny{.context = 32};
        tiny.fill(8);
        tiny.write(m_folder.path());
        const Model model = Model::open(m_folder.path());
        const auto kindFor = [&](const std::vector<std::vector<std::int32_t>>& ids) {
            TokenWindows tokens;
            tokens.ids = ids;
            const auto error = hostile::errorOf([&] { evaluatePerplexity(model, *m_device, tokens, {}, {}); });
            return error ? std::string(errorKindName(error->kind())) : std::string("none");
        };
        QCOMPARE(kindFor({}), std::string("invalidArgument"));
        QCOMPARE(kindFor({{1}}), std::string("invalidArgument"));
        QCOMPARE(kindFor({{1, 2, 3}, {1, 2}}), std::string("invalidArgument"));
        QCOMPARE(kindFor({{1, 50}}), std::string("invalidArgument"));
        QCOMPARE(kindFor({{1, -1}}), std::string("invalidArgument"));
        QCOMPARE(kindFor(tiny::randomIds(1, 33, 50, 1)), std::string("invalidArgument"));
        QCOMPARE(kindFor(tiny::randomIds(1, 32, 50, 1)), std::string("none"));
    }

private:
    static void variantRows()
    {
        QTest::addColumn<std::size_t>("variant");
        for (std::size_t i = 0; const Variant& variant : variants())
            QTest::newRow(variant.name) << i++;
    }

    Matrix<float> logitsOf(const std::filesystem::path& path, const std::vector<std::int32_t>& ids) const
    {
        return windowLogits(Model::open(path), *m_device, ids, allPositions(ids.size()), {});
    }

    /// Values as small as those of the other weights, so that rounding grows no more than there.
    static Matrix<float> small(std::size_t rows, std::size_t columns, std::uint64_t seed)
    {
        Matrix<float> values = test::randomMatrix<float>(rows, columns, seed);
        for (float& value : values.span())
            value *= 0.5F;
        return values;
    }

    static void replace(LinearWeights& weights, const LinearInfo& info, bool identity)
    {
        const std::size_t rank = 5 + info.index % 3;
        const LinearShape shape = info.shape;
        const Matrix<float> B = small(shape.rows, rank, 10 + info.index);
        if (!identity) {
            weights.form = FactorWeights{B, small(rank, shape.columns, 50 + info.index)};
            return;
        }
        BlockIdentityWeights block;
        block.B = B;
        block.A2 = small(rank, shape.columns - rank, 50 + info.index);
        for (std::uint32_t column = 0; column < shape.columns; ++column) {
            if (column % 3 == 1 && block.pivots.size() < rank)
                block.pivots.push_back(column);
            else
                block.rest.push_back(column);
        }
        weights.form = std::move(block);
    }

    static Matrix<double> productOf(const LinearWeights& weights)
    {
        const LinearShape shape = weights.shape();
        Matrix<double> W(shape.rows, shape.columns);
        const auto* factors = std::get_if<FactorWeights>(&weights.form);
        const auto* block = std::get_if<BlockIdentityWeights>(&weights.form);
        const Matrix<float>& B = factors ? factors->B : block->B;
        for (std::size_t i = 0; i < shape.rows; ++i) {
            for (std::size_t k = 0; k < B.columns(); ++k) {
                const auto b = static_cast<double>(B(i, k));
                if (factors) {
                    for (std::size_t j = 0; j < shape.columns; ++j)
                        W(i, j) += b * static_cast<double>(factors->A(k, j));
                } else {
                    W(i, block->pivots[k]) += b;
                    for (std::size_t j = 0; j < block->rest.size(); ++j)
                        W(i, block->rest[j]) += b * static_cast<double>(block->A2(k, j));
                }
            }
        }
        return W;
    }

    hostile::Folder m_folder;
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestForward)
#include "tst_forward.moc"
