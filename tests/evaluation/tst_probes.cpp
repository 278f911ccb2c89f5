#include "core/base/error.h"
#include "core/evaluation/probes.h"
#include "tests/support/tiny_llama.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

using namespace rankwright;
using tiny::TinyLlama;

namespace {

TokenWindows windowsOf(const std::vector<std::vector<std::int32_t>>& ids)
{
    TokenWindows windows;
    windows.ids = ids;
    windows.fingerprint = "test";
    return windows;
}

LinearWeights scaled(const Model& model, const LinearInfo& info, float factor)
{
    LinearWeights weights = model.readLinear(info);
    for (float& value : std::get<DenseWeights>(weights.form).W.span())
        value *= factor;
    return weights;
}

} // namespace

/// Perplexities with one linear replaced, against whole models with it replaced.
class TestProbes : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        TinyLlama llama{.blocks = 3, .biases = true};
        llama.fill(3);
        llama.write(m_folder.path().toStdString());
        m_windows = windowsOf(tiny::randomIds(3, 20, 50, 8));
    }

    void equalWholeModels_data()
    {
        QTest::addColumn<int>("threads");
        QTest::addColumn<qulonglong>("memoryLimit");
        QTest::newRow("one thread") << 1 << 0ULL;
        QTest::newRow("three threads") << 3 << 0ULL;
        QTest::newRow("one probe at a time") << 2 << 1ULL;
    }
    void equalWholeModels()
    {
        QFETCH(int, threads);
        QFETCH(qulonglong, memoryLimit);
        const Model model = Model::open(m_folder.path().toStdString());
        const PassOptions options{.threads = static_cast<std::size_t>(threads),
                                  .memoryLimit = static_cast<std::size_t>(memoryLimit)};
        // The middle block is not tried, of the others two forms of all but keys.
        constexpr std::array factors{0.5F, -1.0F};
        const auto source = [&](const LinearInfo& info) {
            std::vector<LinearWeights> forms;
            if (info.block != 1 && info.role != Role::K)
                for (const float factor : factors)
                    forms.push_back(scaled(model, info, factor));
            return forms;
        };
        std::vector<std::pair<std::size_t, std::size_t>> seen;
        evaluateProbes(model, *m_device, m_windows, options, {}, source,
                       [&](const LinearInfo& linear, std::size_t form, const PerplexityResult& result) {
                           const auto weights =
                               std::make_shared<const LinearWeights>(scaled(model, linear, factors.at(form)));
                           const Model replaced = model.withLinears(
                               [&](const LinearInfo& info) { return info.index == linear.index ? weights : nullptr; });
                           const PerplexityResult expected =
                               evaluatePerplexity(replaced, *m_device, m_windows, {.threads = 1}, {});
                           QCOMPARE(result.windowNll, expected.windowNll);
                           QCOMPARE(result.perplexity, expected.perplexity);
                           QCOMPARE(result.predictedTokens, expected.predictedTokens);
                           seen.emplace_back(linear.index, form);
                       });
        QCOMPARE(seen.size(), std::size_t(24));
        QVERIFY(std::ranges::is_sorted(seen));
    }

    void nonFiniteProbesAreRefusedByName()
    {
        const Model model = Model::open(m_folder.path().toStdString());
        const LinearInfo& bad = model.linear(1, Role::Up);
        const auto source = [&](const LinearInfo& info) {
            std::vector<LinearWeights> forms;
            if (info.index == bad.index)
                forms.push_back(scaled(model, bad, std::numeric_limits<float>::infinity()));
            return forms;
        };
        try {
            evaluateProbes(model, *m_device, m_windows, {}, {}, source, {});
            QFAIL("accepted");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::NonFinite);
            QVERIFY(QString::fromUtf8(error.what()).contains(QString::fromStdString(bad.name)));
        }
    }

private:
    QTemporaryDir m_folder;
    TokenWindows m_windows;
    std::shared_ptr<const Device> m_device = openDevice("cpu", 1);
};

QTEST_GUILESS_MAIN(TestProbes)
#include "tst_probes.moc"
