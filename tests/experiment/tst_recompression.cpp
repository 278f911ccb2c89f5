#include "core/experiment/linear_file.h"
#include "core/experiment/recompression.h"
#include "core/experiment/run_folder.h"
#include "core/experiment/runner.h"
#include "run_support.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <iterator>

using namespace rankwright;

namespace {

constexpr const char* queryName = "model.layers.0.self_attn.q_proj";
constexpr const char* keyName = "model.layers.0.self_attn.k_proj";

/// What the files of a model hold, tensor by tensor.
struct Counted
{
    std::size_t parameters = 0;
    std::size_t bytes = 0;
};

Counted countTensors(const std::filesystem::path& model, const std::string& prefix = {})
{
    Counted counted;
    const Checkpoint checkpoint = Checkpoint::open(model);
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        if (!tensor.name.starts_with(prefix))
            continue;
        std::size_t elements = 1;
        for (const std::size_t dimension : tensor.shape)
            elements *= dimension;
        counted.parameters += isFloating(tensor.dtype) ? elements : 0;
        counted.bytes += elements * 4; // F32 and I32
    }
    return counted;
}

bool saysWhatIsExported(const RunResult& result, const std::filesystem::path& before,
                        const std::filesystem::path& exported)
{
    const Counted there = countTensors(exported);
    const double ratio = static_cast<double>(there.parameters) / static_cast<double>(countTensors(before).parameters);
    if (result.parameters == there.parameters && result.bytes == there.bytes &&
        std::abs(result.wholeModelRatio - ratio) < 1e-12)
        return true;
    qWarning("%zu parameters, %zu bytes and a ratio of %g are reported, %zu, %zu and %g exported", result.parameters,
             result.bytes, result.wholeModelRatio, there.parameters, there.bytes, ratio);
    return false;
}

const LinearOutcome& outcomeOf(const RunResult& result, const std::string& name)
{
    return *std::ranges::find(result.linears, name, &LinearOutcome::name);
}

Recipe plainRecipe(const std::filesystem::path& model, double keptRatio)
{
    Recipe recipe = demoRecipe("svd");
    recipe.model = model;
    recipe.keptRatio = keptRatio;
    recipe.calibration.reset();
    return recipe;
}

} // namespace

/// Runs on models that this program exported, and figures of what is not in the checkpoint.
class TestRecompression : public QObject
{
    Q_OBJECT

private slots:
    void init() { m_place.emplace(); }

    void readersOfLostLatentsAreCounted_data()
    {
        QTest::addColumn<QString>("structure");
        QTest::newRow("factors") << QStringLiteral("factors");
        QTest::newRow("block identity") << QStringLiteral("block-identity");
    }
    /// k and v read the latents of q: where q alone gets other factors they need an A of their own.
    void readersOfLostLatentsAreCounted()
    {
        QFETCH(QString, structure);
        const std::filesystem::path joint = m_place->path / "joint";
        const std::filesystem::path again = m_place->path / "again";
        Recipe recipe = demoRecipe("joint-latents");
        recipe.structure = structureFromName(structure.toStdString());
        recipe.keptRatio = 0.7; // a rank above the rows of k with a block identity
        recipe.out = joint;
        QVERIFY(saysWhatIsExported(m_place->run(recipe), recipe.model, joint));
        const LinearInfo key = Model::open(joint).linear(keyName);
        QCOMPARE(key.structure, StructureKind::SharedLatent);

        recipe = plainRecipe(joint, 0.9);
        recipe.only = {"q"};
        recipe.out = again;
        QVERIFY(saysWhatIsExported(m_place->run(recipe), joint, again));
        QVERIFY(countTensors(again, keyName).parameters > countTensors(joint, keyName).parameters);

        // The same of a chosen reader that is left because its rank saves nothing.
        recipe.only = {"q", "k"};
        recipe.ranks = {{keyName, 32}};
        recipe.out = m_place->path / "both";
        const RunResult both = m_place->run(recipe);
        QVERIFY(saysWhatIsExported(both, joint, recipe.out));
        const LinearOutcome& outcome = outcomeOf(both, keyName);
        QVERIFY(outcome.left && !outcomeOf(both, queryName).left);
        QCOMPARE(outcome.structure, structureFromName(structure.toStdString()));
        QCOMPARE(outcome.rank, key.rank);
        QCOMPARE(outcome.keptParameters, countTensors(recipe.out, keyName).parameters);
        QVERIFY(outcome.notes.front().starts_with("set by hand; left as it is: "));
    }

    void whatIsLeftInFactorsIsSaidToBe()
    {
        const std::filesystem::path identity = m_place->path / "identity";
        Recipe recipe = demoRecipe();
        recipe.structure = StructureKind::BlockIdentity;
        recipe.out = identity;
        m_place->run(recipe);
        const Model model = Model::open(identity);

        recipe = plainRecipe(identity, 1.0);
        recipe.out = m_place->path / "same";
        for (const bool resumed : {false, true}) {
            const RunResult result = m_place->run(recipe);
            recipe.out.clear();
            QCOMPARE(result.linears.size(), demoLinears);
            QVERIFY(saysWhatIsExported(result, identity, m_place->path / "same"));
            QCOMPARE(result.parameters, countTensors(identity).parameters);
            const LinearSource source = runLinears(result.folder, result.fingerprint);
            for (const LinearInfo& info : model.linears()) {
                const LinearOutcome& outcome = result.linears[info.index];
                QCOMPARE(outcome.resumed, resumed);
                QVERIFY(outcome.left && source(info) == nullptr);
                QCOMPARE(outcome.structure, StructureKind::BlockIdentity);
                QCOMPARE(outcome.rank, info.rank);
                QCOMPARE(outcome.keptParameters, countTensors(identity, info.name).parameters);
                QVERIFY2(outcome.notes.front().starts_with("left as it is: stored as block-identity of rank " +
                                                           std::to_string(info.rank) + ", and rank "),
                         outcome.notes.front().c_str());
            }
            QCOMPARE(m_place->store.run(result.id).result.linears[0].structure, StructureKind::BlockIdentity);
        }
    }

    /// Kept ratios are of dense linears: one above that of the checkpoint makes it larger, and that is said before and
    /// after, with what the files hold.
    void modelsThatGrowAreNoted()
    {
        const auto notesOf = [](const RunResult& result) {
            std::vector<NumericEvent> notes;
            std::ranges::copy_if(result.events, std::back_inserter(notes),
                                 [](const NumericEvent& event) { return event.kind == "storesMore"; });
            return notes;
        };
        const auto percent = [](std::size_t part, std::size_t whole) {
            return QString::number(100.0 * static_cast<double>(part) / static_cast<double>(whole), 'f', 2) +
                   QStringLiteral(" %");
        };
        const std::filesystem::path half = m_place->path / "half";
        Recipe recipe = plainRecipe(demo / "stories260K", 0.9);
        QVERIFY(plannedEvents(recipe, Model::open(recipe.model)).empty());
        recipe.keptRatio = 0.5;
        recipe.out = half;
        QVERIFY(notesOf(m_place->run(recipe)).empty());

        const Model model = Model::open(half);
        std::size_t inFactors = 0;
        std::size_t dense = 0;
        for (const LinearInfo& info : model.linears()) {
            inFactors += countTensors(half, info.name).parameters;
            dense += info.shape.rows * info.shape.columns;
        }
        for (const char* allocation : {"uniform", "marginal-loss"}) {
            recipe = plainRecipe(half, 0.9);
            recipe.allocation = allocation;
            recipe.out = m_place->path / allocation;
            const std::vector<NumericEvent> planned = plannedEvents(recipe, model);
            const RunResult result = m_place->run(recipe);
            const std::size_t before = countTensors(half).parameters;
            const std::size_t after = countTensors(recipe.out).parameters;
            QVERIFY(after > before);
            QCOMPARE(notesOf(result).size(), std::size_t{1});
            const NumericEvent note = notesOf(result).front();
            QCOMPARE(note.value, static_cast<double>(after) / static_cast<double>(before));
            const QString text = QString::fromStdString(note.message);
            QVERIFY2(text.startsWith(QString::number(after) + QStringLiteral(" parameters are stored, ") +
                                     percent(after, before)) &&
                         text.contains(percent(inFactors, dense) + QStringLiteral(" of the dense")),
                     note.message.c_str());
            QCOMPARE(planned.size(), std::size_t{1});
            // Losses spend less of the budget where the rank is known.
            if (recipe.allocation == "uniform")
                QCOMPARE(planned.front().message, note.message);
            else
                QVERIFY(planned.front().message.starts_with("with uniform ranks ") &&
                        planned.front().value > note.value);
            QCOMPARE(notesOf(m_place->store.run(result.id).result).size(), std::size_t{1});
        }
        recipe = plainRecipe(half, 0.4);
        QVERIFY(plannedEvents(recipe, model).empty());
        QVERIFY(notesOf(m_place->run(recipe)).empty());
    }

    /// afm adds a bias to every linear, which has none in the checkpoint.
    void addedBiasesAreCounted()
    {
        Recipe recipe = demoRecipe("afm");
        recipe.out = m_place->path / "biased";
        const RunResult result = m_place->run(recipe);
        QVERIFY(Checkpoint::open(recipe.out).find(std::string(queryName) + ".B.bias"));
        QVERIFY(saysWhatIsExported(result, recipe.model, recipe.out));
        QCOMPARE(m_place->store.run(result.id).result.parameters, result.parameters);
        // What is taken over from files counts too.
        recipe.out.clear();
        const RunResult again = m_place->run(recipe);
        QVERIFY(again.linears[0].resumed);
        QCOMPARE(again.parameters, result.parameters);
        QCOMPARE(again.bytes, result.bytes);

        // A bias that is there already is no new one.
        const std::filesystem::path biased = m_place->path / "biased";
        recipe.model = biased;
        recipe.keptRatio = 0.5;
        recipe.out = m_place->path / "smaller";
        QVERIFY(saysWhatIsExported(m_place->run(recipe), biased, recipe.out));
    }

private:
    std::optional<Place> m_place;
};

QTEST_GUILESS_MAIN(TestRecompression)
#include "tst_recompression.moc"
