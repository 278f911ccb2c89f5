#include "run_support.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <algorithm>
#include <cmath>

using namespace rankwright;
using tiny::TinyLlama;

/// What a run says of v and o singly where joint v/o moves the value bias into o's.
class TestValueBias : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_biased.fill(7);
        for (auto& [name, tensor] : m_biased.tensors)
            if (name.ends_with("v_proj.bias"))
                for (float& value : tensor.values)
                    value *= 3.0F; // far above what is lost
        m_folded = m_biased;
        for (std::size_t block = 0; block < m_biased.blocks; ++block)
            fold(block);
        write(m_biased, m_folder.path() / "biased");
        write(m_folded, m_folder.path() / "folded");
    }

    void modelsAreOne()
    {
        const auto ids = tiny::randomIds(1, 30, 512, 3).front();
        const Matrix<double> a = m_biased.logits(ids);
        const Matrix<double> b = m_folded.logits(ids);
        for (std::size_t i = 0; i < a.size(); ++i)
            QVERIFY(std::abs(a.data()[i] - b.data()[i]) < 1e-5);
    }

    void nothingIsSaidOfAFoldThatChangesNothing_data()
    {
        QTest::addColumn<std::string>("method");
        QTest::addColumn<bool>("biasUpdate");
        for (const char* method : {"joint-vo", "latentllm"})
            for (const bool update : {false, true})
                QTest::addRow("%s%s", method, update ? ", updated bias" : "") << std::string(method) << update;
    }

    /// The model with the value bias and the one that has it in o's from the start are one model, and lose the same:
    /// linear by linear in nats, and so in the forecast.
    void nothingIsSaidOfAFoldThatChangesNothing()
    {
        QFETCH(std::string, method);
        QFETCH(bool, biasUpdate);
        const RunResult biased = run("biased", method, biasUpdate);
        const RunResult folded = run("folded", method, biasUpdate);
        QVERIFY(folded.predictedNats > 0.0);
        QVERIFY2(std::abs(biased.predictedNats - folded.predictedNats) < 2e-3 * folded.predictedNats,
                 qPrintable(QStringLiteral("%1 %2").arg(biased.predictedNats).arg(folded.predictedNats)));
        std::size_t compared = 0;
        for (std::size_t i = 0; i < folded.linears.size(); ++i) {
            const LinearOutcome& a = biased.linears[i];
            const LinearOutcome& b = folded.linears[i];
            QCOMPARE(a.name, b.name);
            QVERIFY2(
                std::abs(a.nats - b.nats) <= 5e-3 * b.nats + 1e-7 * folded.predictedNats,
                qPrintable(QStringLiteral("%1: %2 %3").arg(QString::fromStdString(a.name)).arg(a.nats).arg(b.nats)));
            // A constant in the outputs makes the same error a smaller part of them, never a larger one by much.
            QVERIFY2(a.heldOutError <= 1.5 * b.heldOutError, a.name.c_str());
            compared += b.nats > 0.0 ? 1 : 0;
        }
        QVERIFY(compared >= 4);
    }

    /// Where the means are moved too, v is as far from the original as without.
    void movedMeansAreNoLoss()
    {
        for (const char* model : {"biased", "folded"}) {
            const RunResult without = run(model, "joint-vo", false);
            const RunResult with = run(model, "joint-vo", true);
            for (std::size_t i = 0; i < with.linears.size(); ++i)
                QVERIFY2(with.linears[i].heldOutError <= 1.3 * without.linears[i].heldOutError,
                         with.linears[i].name.c_str());
        }
    }

private:
    /// v's bias goes into o's: attention weights sum to 1.
    void fold(std::size_t block)
    {
        const std::string prefix = "model.layers." + std::to_string(block) + ".self_attn.";
        std::vector<float>& value = m_folded.values(prefix + "v_proj.bias");
        std::vector<float>& output = m_folded.values(prefix + "o_proj.bias");
        const std::vector<float>& W = m_folded.values(prefix + "o_proj.weight");
        const std::size_t columns = m_folded.heads * m_folded.headWidth;
        const std::size_t sharing = m_folded.heads / m_folded.keyValueHeads;
        for (std::size_t row = 0; row < output.size(); ++row) {
            double sum = static_cast<double>(output[row]);
            for (std::size_t column = 0; column < columns; ++column) {
                const std::size_t head = column / m_folded.headWidth / sharing;
                sum += static_cast<double>(W[row * columns + column]) *
                       static_cast<double>(value[head * m_folded.headWidth + column % m_folded.headWidth]);
            }
            output[row] = static_cast<float>(sum);
        }
        std::ranges::fill(value, 0.0F);
    }

    static void write(const TinyLlama& model, const std::filesystem::path& folder)
    {
        std::filesystem::create_directories(folder);
        model.write(folder);
        std::filesystem::copy(std::string(RANKWRIGHT_DEMO) + "/stories260K/tokenizer.json", folder);
    }

    RunResult run(const char* model, const std::string& method, bool biasUpdate)
    {
        Place place;
        Recipe recipe = demoRecipe(method);
        recipe.model = m_folder.path() / model;
        recipe.structure = StructureKind::BlockIdentity;
        recipe.keptRatio = 0.9;
        recipe.forecast = true;
        recipe.evaluations.clear();
        recipe.heldOutWindows = 2;
        // Labels of the text itself: sampled ones would be the same only as far as logits are.
        recipe.curvature.labels = GradientLabels::Text;
        recipe.parameters = {{"biasUpdate", biasUpdate ? 1.0 : 0.0}};
        return place.run(recipe);
    }

    const hostile::Folder m_folder;
    TinyLlama m_biased{.vocabulary = 512, .biases = true};
    TinyLlama m_folded;
};

QTEST_GUILESS_MAIN(TestValueBias)
#include "tst_value_bias.moc"
