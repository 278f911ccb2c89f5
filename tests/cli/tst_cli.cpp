#include "cli_process.h"
#include "core/base/file.h"
#include "core/tokenizer/tokenizer.h"

#include <QTest>

#include <cmath>
#include <set>

using rankwright::Json;

namespace {

const std::filesystem::path testData = RANKWRIGHT_TEST_DATA;

QString storiesText()
{
    return QStringLiteral(RANKWRIGHT_TEST_DATA "/texts/tinystories/v2-valid-head-12stories.txt");
}

Json reference()
{
    return rankwright::readJson(testData / "reference/stories260K-tinystories-v2-512.json");
}

bool near(double a, double b, double relative)
{
    return std::abs(a - b) <= relative * std::abs(b);
}

/// Keys of `wanted` that an object lacks.
QString missingKeys(const Json& object, const std::vector<std::string>& wanted)
{
    QString missing;
    for (const std::string& key : wanted)
        if (!object.contains(key))
            missing += toQ(key) + QLatin1Char(' ');
    return missing;
}

} // namespace

#define QVERIFY_DONE(call)                                                                                             \
    do {                                                                                                               \
        const CliResult& done = (call);                                                                                \
        QVERIFY2(done.code == 0 && !done.crashed, done.all().constData());                                             \
    } while (false)

/// The contract of the command line on the demo model: shapes of JSON, figures against references, verbs that agree.
class TestCli : public QObject
{
    Q_OBJECT

private slots:
    void inspectListsTheLinears()
    {
        CliHome home;
        const CliResult result = home.run({u"inspect"_s, demoModel(), u"--json"_s});
        QVERIFY_DONE(result);
        QVERIFY(result.err.isEmpty());
        const Json json = result.json();
        QCOMPARE_JSON(json.at("architecture"), "llama");
        QCOMPARE_JSON(json.at("vocabulary"), 512);
        QCOMPARE_JSON(json.at("blocks"), 5);
        QCOMPARE_JSON(json.at("parameters"), 260032);
        QCOMPARE(json.at("linears").size(), std::size_t{35});
        std::size_t sum = 0;
        for (const Json& linear : json.at("linears")) {
            QCOMPARE(missingKeys(linear,
                                 {"name", "block", "role", "rows", "columns", "dtype", "parameters", "breakEvenRank"}),
                     QString());
            const auto m = linear.at("rows").get<std::size_t>();
            const auto n = linear.at("columns").get<std::size_t>();
            QCOMPARE(linear.at("parameters").get<std::size_t>(), m * n);
            QCOMPARE(linear.at("breakEvenRank").get<std::size_t>(), m * n / (m + n));
            sum += m * n;
        }
        QCOMPARE(json.at("linearParameters").get<std::size_t>(), sum);
        QCOMPARE_JSON(json.at("linears")[0].at("name"), "model.layers.0.self_attn.q_proj");

        const CliResult table = home.run({u"inspect"_s, demoModel()});
        QVERIFY_DONE(table);
        QVERIFY(table.out.contains("260,032"));
        QVERIFY(table.out.count('\n') < 20);
        QVERIFY(home.run({u"inspect"_s, demoModel(), u"--linears"_s}).out.count('\n') > 35);
    }

    void tokenizeGivesTheIds()
    {
        CliHome home;
        const CliResult result = home.run({u"tokenize"_s, demoModel(), u"--text"_s, storiesText(), u"--json"_s});
        QVERIFY_DONE(result);
        const Json json = result.json();
        const Json expected = reference();
        QCOMPARE_JSON(json.at("count"), expected.at("tokens_without_special"));
        const auto ids = json.at("ids").get<std::vector<std::int32_t>>();
        QCOMPARE(ids.size(), json.at("count").get<std::size_t>());
        const auto first = expected.at("first_ids").get<std::vector<std::int32_t>>();
        QVERIFY(std::equal(first.begin(), first.end(), ids.begin()));

        // A tokenizer without weights serves as well.
        const CliResult alone =
            home.run({u"tokenize"_s, demoModel() + u"/tokenizer.json"_s, u"--text"_s, storiesText(), u"--json"_s});
        QVERIFY_DONE(alone);
        QCOMPARE_JSON(alone.json(), json);

        // Special tokens in a text are recognised, none is added.
        rankwright::writeFileAtomically(home.path() / "special.txt", "<s>Once</s>");
        const CliResult special = home.run({u"tokenize"_s, demoModel(), u"--text"_s, u"special.txt"_s, u"--json"_s});
        QVERIFY_DONE(special);
        QCOMPARE_JSON(special.json().at("ids").front(), 1);
        QCOMPARE_JSON(special.json().at("ids").back(), 2);
    }

    void evaluateAgreesWithTransformers()
    {
        CliHome home;
        const CliResult result =
            home.run({u"evaluate"_s, demoModel(), u"--text"_s, storiesText(), u"--window"_s, u"512"_s, u"--json"_s});
        QVERIFY_DONE(result);
        const Json json = result.json();
        const Json expected = reference();
        QVERIFY(near(json.at("perplexity"), expected.at("perplexity"), 1e-4));
        QCOMPARE_JSON(json.at("windows"), expected.at("windows"));
        QCOMPARE(json.at("predictedTokens").get<std::size_t>(), std::size_t{10 * 511});
        QCOMPARE(json.at("windowNll").size(), std::size_t{10});
        for (std::size_t i = 0; i < 10; ++i)
            QVERIFY(near(json.at("windowNll")[i], expected.at("window_nll_sums")[i], 1e-4));
        QVERIFY(json.at("seconds").get<double>() > 0.0 && json.at("tokensPerSecond").get<double>() > 0.0);
        QVERIFY(result.errors().isEmpty());
    }

    void calibrateAgreesWithTransformersAndIsReused()
    {
        CliHome home;
        const QStringList call = {u"calibrate"_s, demoModel(),    u"--text"_s, storiesText(), u"--window"_s,
                                  u"512"_s,       u"--windows"_s, u"4"_s,      u"--json"_s};
        const CliResult result = home.run(call);
        QVERIFY_DONE(result);
        const Json json = result.json();
        const Json expected = reference().at("statistics").at("linears");
        std::size_t linears = 0;
        for (const Json& tap : json.at("taps"))
            for (const Json& linear : tap.at("linears")) {
                const Json& figures = expected.at(linear.get<std::string>());
                QCOMPARE_JSON(tap.at("tokens"), figures.at("tokens"));
                QVERIFY(near(tap.at("trace"), figures.at("trace"), 1e-4));
                QVERIFY(near(tap.at("frobenius"), figures.at("frobenius"), 1e-4));
                QVERIFY(tap.contains("meanNorm"));
                ++linears;
            }
        QCOMPARE(linears, std::size_t{35});
        QCOMPARE_JSON(json.at("reused"), false);
        const Json again = home.run(call).json();
        QCOMPARE_JSON(again.at("reused"), true);
        QCOMPARE_JSON(again.at("fingerprint"), json.at("fingerprint"));
        QCOMPARE_JSON(again.at("taps"), json.at("taps"));
        const Json random = home.run(call + QStringList{u"--order"_s, u"random"_s, u"--seed"_s, u"3"_s}).json();
        QVERIFY(random.at("fingerprint") != json.at("fingerprint"));
    }

    void similarityOfTexts()
    {
        CliHome home;
        const QStringList windows = {u"--window"_s, u"64"_s, u"--windows"_s, u"8"_s, u"--json"_s};
        const CliResult result =
            home.run(QStringList{u"similarity"_s, demoModel(), u"--text"_s, calibrationText(), u"--against"_s,
                                 calibrationText(), u"--against"_s, heldOutText(), u"--directions"_s, u"4"_s} +
                     windows);
        QVERIFY_DONE(result);
        const Json json = result.json();
        QCOMPARE(missingKeys(json, {"model", "text", "windows", "windowLength", "directions", "against"}), QString());
        QCOMPARE_JSON(json.at("directions"), 4);
        QCOMPARE(json.at("against").size(), std::size_t{2});
        const Json& same = json.at("against")[0];
        const Json& other = json.at("against")[1];
        QCOMPARE(missingKeys(other, {"text", "cosine", "overlap", "sites", "taps"}), QString());
        QCOMPARE(other.at("sites").size(), std::size_t{4});
        QCOMPARE(other.at("taps").size(), std::size_t{20});
        for (const char* measure : {"cosine", "overlap"}) {
            QVERIFY(near(same.at(measure).at("mean"), 1.0, 1e-9));
            QVERIFY(same.at(measure).at("deviation").get<double>() < 1e-9);
            double sum = 0.0;
            for (const Json& tap : other.at("taps")) {
                const auto value = tap.at(measure).get<double>();
                QVERIFY(value > 0.0 && value <= 1.0 + 1e-12);
                sum += value;
            }
            QVERIFY(near(other.at(measure).at("mean"), sum / 20.0, 1e-12));
            QVERIFY(sum / 20.0 < 0.9999);
        }
        QCOMPARE(home.run(QStringList{u"similarity"_s, demoModel(), u"--text"_s, calibrationText()} + windows).code, 2);
    }

    void spectraPredictEveryRank()
    {
        CliHome home;
        const CliResult result = home.run(
            {u"spectra"_s, demoModel(), u"--linear"_s, u"v"_s, u"--linear"_s, u"model.layers.1.mlp.*"_s, u"--json"_s});
        QVERIFY_DONE(result);
        const Json json = result.json();
        QCOMPARE(json.at("linears").size(), std::size_t{8});
        for (const Json& linear : json.at("linears")) {
            const auto sigma = linear.at("singularValues").get<std::vector<double>>();
            const auto loss = linear.at("loss").get<std::vector<double>>();
            const auto energy = linear.at("energy").get<std::vector<double>>();
            QCOMPARE(loss.size(), sigma.size() + 1);
            QCOMPARE(energy.size(), sigma.size());
            double total = 0.0, sum = 0.0, entropy = 0.0;
            for (const double s : sigma) {
                total += s * s;
                sum += s;
            }
            for (const double s : sigma)
                entropy -= s > 0.0 ? s / sum * std::log(s / sum) : 0.0;
            double head = 0.0;
            for (std::size_t r = 0; r < loss.size(); ++r) {
                QVERIFY(std::abs(loss[r] - (total - head)) <= 1e-9 * total);
                if (r < sigma.size()) {
                    head += sigma[r] * sigma[r];
                    QVERIFY(near(energy[r], head / total, 1e-9));
                }
            }
            QVERIFY(near(linear.at("effectiveRank"), std::exp(entropy), 1e-9));
            QVERIFY(near(linear.at("stableRank"), total / (sigma[0] * sigma[0]), 1e-9));
            QVERIFY(linear.at("breakEvenRank").get<std::size_t>() > 0);
        }
        // The loss of the run is the loss of the slider.
        const Json whitened =
            home.run(QStringList{u"spectra"_s, demoModel(), u"--linear"_s, u"v"_s, u"--json"_s} + smallCalibration())
                .json();
        QCOMPARE_JSON(whitened.at("method"), "whitened-svd");
        const CliResult run = home.run(compressCall(u"whitened-svd"_s, u"0.7"_s, {u"--only"_s, u"v"_s, u"--json"_s}));
        QVERIFY_DONE(run);
        const Json compressed = run.json();
        QCOMPARE(compressed.at("linears").size(), whitened.at("linears").size());
        for (std::size_t i = 0; i < compressed.at("linears").size(); ++i) {
            const Json& linear = compressed.at("linears")[i];
            const double predicted = whitened.at("linears")[i].at("loss")[linear.at("rank").get<std::size_t>()];
            QVERIFY(near(linear.at("predictedLoss"), predicted, 1e-12));
            QVERIFY(near(linear.at("measuredLoss"), predicted, 1e-6));
        }
    }

    /// A method with losses in nats, and one whose nats are asked for: what runs of them report.
    void spectraTellNats_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QStringList>("spectra");
        QTest::addColumn<QStringList>("compress");
        QTest::newRow("curvature-svd") << u"curvature-svd"_s << QStringList() << QStringList();
        QTest::newRow("gfwsvd, labels of the text")
            << u"gfwsvd"_s << QStringList{u"--curvature"_s, u"text"_s} << QStringList{u"--curvature"_s, u"text"_s};
        QTest::newRow("whitened-svd, seed 3") << u"whitened-svd"_s << QStringList{u"--curvature-seed"_s, u"3"_s}
                                              << QStringList{u"--curvature-seed"_s, u"3"_s, u"--forecast"_s};
    }
    void spectraTellNats()
    {
        QFETCH(QString, method);
        QFETCH(QStringList, spectra);
        QFETCH(QStringList, compress);
        CliHome home;
        const QStringList call = QStringList{u"spectra"_s, demoModel(), u"--linear"_s, u"v"_s, u"--method"_s, method} +
                                 smallCalibration() + spectra;
        const CliResult shown = home.run(call);
        QVERIFY_DONE(shown);
        QVERIFY2(shown.out.contains("nats at 0.8") && shown.out.contains("\nnats: "), shown.all().constData());
        const Json before = home.run(call + QStringList{u"--json"_s}).json();
        const CliResult run =
            home.run(compressCall(method, u"0.7"_s, QStringList{u"--only"_s, u"v"_s, u"--json"_s} + compress));
        QVERIFY_DONE(run);
        const Json after = run.json();
        QCOMPARE(before.at("linears").size(), after.at("linears").size());
        for (std::size_t i = 0; i < after.at("linears").size(); ++i) {
            const Json& linear = after.at("linears")[i];
            const Json& spectrum = before.at("linears")[i];
            const auto rank = linear.at("rank").get<std::size_t>();
            QCOMPARE(spectrum.at("nats").size(), spectrum.at("singularValues").size() + 1);
            QVERIFY(near(linear.at("predictedLoss"), spectrum.at("loss")[rank], 1e-12));
            // The curve of curvature-svd is of damped gradients, as its losses; the others are measured on factors in
            // float32.
            if (method == u"curvature-svd"_s)
                QCOMPARE(spectrum.at("nats")[rank].get<double>(), spectrum.at("loss")[rank].get<double>());
            else
                QVERIFY(near(linear.at("nats"), spectrum.at("nats")[rank], 1e-5));
        }
        QCOMPARE(home.run(QStringList{u"spectra"_s, demoModel(), u"--method"_s, method} + spectra).code, 2);
    }

    void forecastBeforeAndAfter()
    {
        CliHome home;
        const QStringList evaluation = {
            u"--evaluate-text"_s, heldOutText(), u"--evaluate-window"_s, u"128"_s, u"--evaluate-windows"_s, u"4"_s,
            u"--json"_s};
        const QStringList recipe = smallCalibration() + evaluation;
        const QStringList method = {u"--method"_s, u"whitened-svd"_s, u"--allocation"_s, u"curvature"_s};
        const CliResult before = home.run(
            QStringList{u"forecast"_s, demoModel(), u"--at"_s, u"0.9"_s, u"--at"_s, u"0.7"_s} + method + recipe);
        QVERIFY_DONE(before);
        const Json planned = before.json().at("forecasts");
        QCOMPARE(planned.size(), std::size_t{2});
        QCOMPARE_JSON(planned[1].at("perplexities")[0].at("basis"), "prior");
        const CliResult run = home.run(
            compressCall(u"whitened-svd"_s, u"0.7"_s, evaluation + method.mid(2) + QStringList{u"--forecast"_s}));
        QVERIFY_DONE(run);
        const Json json = run.json();
        QVERIFY(near(json.at("predictedNats"), planned[1].at("predictedNats").get<double>(), 1e-5));
        QVERIFY(json.at("linears")[0].at("nats").is_number());
        const double measured = json.at("evaluations")[0].at("compressed").get<double>();
        const CliResult after =
            home.run(QStringList{u"forecast"_s, demoModel(), u"--at"_s, u"0.7"_s} + method + recipe);
        QVERIFY_DONE(after);
        const Json forecast = after.json().at("forecasts")[0].at("perplexities")[0];
        QCOMPARE_JSON(forecast.at("basis"), "text");
        const auto off = [&](const Json& f) { return std::abs(std::log(f.at("perplexity").get<double>() / measured)); };
        QVERIFY(off(forecast) < off(planned[1].at("perplexities")[0]));
        const CliResult check = home.run({u"forecast"_s, u"check"_s, u"--json"_s});
        QVERIFY_DONE(check);
        QCOMPARE(check.json().at("checks").size(), std::size_t{3});
        QCOMPARE(check.json().at("checks")[0].at("count").get<int>(), 1);
        QCOMPARE(home.run(QStringList{u"forecast"_s, demoModel(), u"--at"_s, u"1.5"_s} + method + recipe).code, 2);
        QCOMPARE(home.run({u"forecast"_s, demoModel(), u"--method"_s, u"svd"_s}).code, 2); // no text
    }

    void compressExportGenerate()
    {
        CliHome home;
        const QStringList evaluation = {u"--evaluate-text"_s,    heldOutText(), u"--evaluate-window"_s, u"128"_s,
                                        u"--evaluate-windows"_s, u"8"_s};
        const CliResult result = home.run(
            compressCall(u"whitened-svd"_s, u"0.8"_s,
                         evaluation + QStringList{u"--out"_s, u"out"_s, u"--held-out-windows"_s, u"2"_s, u"--json"_s}));
        QVERIFY_DONE(result);
        const Json json = result.json();
        QCOMPARE(missingKeys(json, {"runId", "fingerprint", "linears", "keptRatio", "wholeModelRatio", "parameters",
                                    "bytes", "perplexity", "evaluations", "seconds", "events", "exportFolder"}),
                 QString());
        QCOMPARE(json.at("linears").size(), std::size_t{35});
        double relativeLosses = 0.0;
        for (const Json& linear : json.at("linears"))
            relativeLosses += linear.at("predictedLoss").get<double>() / linear.at("totalEnergy").get<double>();
        QVERIFY(near(json.at("meanPredictedLoss"), relativeLosses / 35.0, 1e-12));
        for (const Json& linear : json.at("linears")) {
            QCOMPARE(missingKeys(linear, {"name", "rank", "structure", "keptParameters", "denseParameters",
                                          "predictedLoss", "measuredLoss", "relativeError", "notes"}),
                     QString());
            const auto rows = linear.at("denseParameters").get<std::size_t>();
            QVERIFY(linear.at("keptParameters").get<double>() <= 0.8 * static_cast<double>(rows));
            QVERIFY(near(linear.at("measuredLoss"), linear.at("predictedLoss"), 1e-6));
            QVERIFY(linear.at("heldOutError").get<double>() > 0.0);
        }
        QVERIFY(json.at("keptRatio").get<double>() <= 0.8 && json.at("keptRatio").get<double>() > 0.75);
        for (const char* stage : {"calibrate", "analyse", "factorise", "evaluate", "export"})
            QVERIFY(json.at("seconds").contains(stage));
        QCOMPARE_JSON(json.at("perplexity").at("compressed"), json.at("evaluations")[0].at("compressed"));

        // The export is a model like any other.
        const Json inspected = home.run({u"inspect"_s, u"out"_s, u"--json"_s}).json();
        QCOMPARE_JSON(inspected.at("parameters"), json.at("parameters"));
        // 4 key/value heads of 8, keys and values, 5 blocks; latents are less only where their rank is.
        QCOMPARE_JSON(json.at("keyValueCache").at("valuesPerToken"), 2 * 4 * 8 * 5);
        QCOMPARE_JSON(json.at("keyValueCache"), inspected.at("keyValueCache"));
        std::size_t latents = 0;
        for (const Json& linear : json.at("linears")) {
            const auto name = linear.at("name").get<std::string>();
            if (name.ends_with("k_proj") || name.ends_with("v_proj"))
                latents += linear.at("rank").get<std::size_t>();
        }
        QCOMPARE_JSON(json.at("keyValueCache").at("latentValuesPerToken"), latents);
        QCOMPARE_JSON(inspected.at("linears")[0].at("structure"), "factors");
        QCOMPARE_JSON(inspected.at("linears")[0].at("rank"), json.at("linears")[0].at("rank"));
        const QStringList score = {u"--text"_s, heldOutText(), u"--window"_s, u"128"_s, u"--windows"_s, u"8"_s};
        const CliResult scored =
            home.run(QStringList{u"evaluate"_s, u"out"_s, u"--against"_s, demoModel(), u"--json"_s} + score);
        QVERIFY_DONE(scored);
        QVERIFY(near(scored.json().at("perplexity"), json.at("perplexity").at("compressed"), 1e-6));
        const Json divergence = scored.json().at("divergence");
        QVERIFY(divergence.at("klDivergence").get<double>() > 0.0);
        QVERIFY(divergence.at("topOneAgreement").get<double>() > 0.0 &&
                divergence.at("topOneAgreement").get<double>() < 1.0);

        // Exported again from the store, as products.
        const QString id = QString::number(json.at("runId").get<int>());
        const CliResult dense =
            home.run({u"export"_s, id, u"--format"_s, u"dense"_s, u"--out"_s, u"dense"_s, u"--json"_s});
        QVERIFY_DONE(dense);
        QCOMPARE(missingKeys(dense.json(), {"runId", "folder", "format", "dtype", "files", "bytes"}), QString());
        const Json denseScore = home.run(QStringList{u"evaluate"_s, u"dense"_s, u"--json"_s} + score).json();
        QVERIFY(near(denseScore.at("perplexity"), json.at("perplexity").at("compressed"), 1e-5));
        const CliResult factored = home.run({u"export"_s, id, u"--format"_s, u"factored"_s, u"--out"_s, u"again"_s});
        QVERIFY_DONE(factored);
        QCOMPARE(difference(contentOf(home.path() / "again"), contentOf(home.path() / "out")), QString());

        const QStringList prompt = {u"--prompt"_s, u"Once upon a time"_s, u"--tokens"_s, u"12"_s};
        const CliResult text = home.run(QStringList{u"generate"_s, u"out"_s, u"--json"_s} + prompt);
        QVERIFY_DONE(text);
        QCOMPARE(text.json().at("ids").size(), std::size_t{12});
        const CliResult shown = home.run(QStringList{u"generate"_s, u"out"_s} + prompt);
        QVERIFY_DONE(shown);
        QCOMPARE(toQ("Once upon a time" + text.json().at("text").get<std::string>() + "\n"),
                 QString::fromUtf8(shown.out));
        const Json side =
            home.run(QStringList{u"generate"_s, demoModel(), u"--against"_s, demoModel(), u"--json"_s} + prompt).json();
        QCOMPARE_JSON(side.at("commonTokens"), 12);
        QCOMPARE_JSON(side.at("text"), side.at("against").at("text"));
    }

    /// The run that is told is the best of the trials, scored on the evaluation text only now.
    void compressWithTheBestRecipe()
    {
        CliHome home;
        const CliResult result = home.run(compressCall(
            u"best"_s, u"0.8"_s,
            {u"--search-windows"_s, u"4"_s, u"--search-minutes"_s, u"0.001"_s, u"--evaluate-text"_s, heldOutText(),
             u"--evaluate-window"_s, u"128"_s, u"--evaluate-windows"_s, u"8"_s, u"--out"_s, u"out"_s, u"--json"_s}));
        QVERIFY_DONE(result);
        const Json json = result.json();
        const Json& search = json.at("search");
        QCOMPARE(search.at("trials").size(), std::size_t{1}); // of so short a time
        QVERIFY(search.at("end").get<std::string>().find("time limit") != std::string::npos);
        const Json& trial = search.at("trials")[search.at("best").get<std::size_t>()];
        QCOMPARE_JSON(json.at("recipe").at("method"), trial.at("method"));
        QCOMPARE_JSON(json.at("keptRatio"), trial.at("keptRatio"));
        QCOMPARE(json.at("evaluations").size(), std::size_t{1});
        for (const Json& linear : json.at("linears"))
            QCOMPARE_JSON(linear.at("resumed"), true);
        QVERIFY_DONE(home.run({u"inspect"_s, u"out"_s, u"--json"_s}));

        // Told before: the trials at most, and what the first and the last take.
        const QStringList dryRun = {u"--search-windows"_s, u"4"_s, u"--search-minutes"_s, u"15"_s, u"--out"_s, u"new"_s,
                                    u"--dry-run"_s};
        const CliResult dry = home.run(compressCall(u"best"_s, u"0.8"_s, dryRun + QStringList{u"--json"_s}));
        QVERIFY_DONE(dry);
        const Json plan = dry.json();
        QCOMPARE(missingKeys(plan, {"recipe", "search", "estimate"}), QString());
        QCOMPARE_JSON(plan.at("search").at("seconds"), 900.0);
        QCOMPARE_JSON(plan.at("search").at("windows"), 4);
        QVERIFY(plan.at("search").at("perplexityRatio").is_null());
        QCOMPARE_JSON(plan.at("search").at("trials")[0].at("change"), "start");
        QCOMPARE_JSON(plan.at("recipe").at("method"), trial.at("method")); // the first, of so short a time
        QCOMPARE_JSON(plan.at("recipe").at("allocation"), trial.at("allocation"));
        const Json& estimate = plan.at("estimate");
        double all = 0.0;
        for (const Json& each : plan.at("search").at("trials")) {
            all += each.at("seconds").get<double>();
            QVERIFY(each.at("memory") <= estimate.at("memory"));
        }
        const double searching = estimate.at("stages").at("search").get<double>();
        QVERIFY(searching > 0.0 && searching < all);
        QVERIFY(estimate.at("seconds").get<double>() > searching);
        QVERIFY(estimate.at("stages").at("export").get<double>() > 0.0);
        QVERIFY(!std::filesystem::exists(home.path() / "new"));
        const CliResult shown = home.run(compressCall(u"best"_s, u"0.8"_s, dryRun));
        QVERIFY_DONE(shown);
        QVERIFY(shown.out.contains("no trial starts that is likely to end after 15 min 0 s"));
        QVERIFY(shown.out.contains(QByteArray("at most ") +
                                   QByteArray::number(static_cast<qsizetype>(plan.at("search").at("trials").size()))));

        const CliResult decided = home.run(compressCall(u"best"_s, u"0.8"_s, {u"--allocation"_s, u"uniform"_s}));
        QCOMPARE(decided.code, 2);
        QVERIFY(decided.all().contains("the search decides this"));
        QCOMPARE(home.run(compressCall(u"svd"_s, u"0.8"_s, {u"--search-windows"_s, u"4"_s})).code, 2);
    }

    void runsAreListedShownAndCompared()
    {
        CliHome home;
        QVERIFY(home.run({u"runs"_s}).out.contains("no runs yet"));
        QCOMPARE(home.run({u"runs"_s, u"--json"_s}).json().at("runs").size(), std::size_t{0});
        const QStringList evaluation = {u"--evaluate-text"_s,    heldOutText(), u"--evaluate-window"_s, u"64"_s,
                                        u"--evaluate-windows"_s, u"4"_s};
        for (const QString& method : {u"svd"_s, u"asvd"_s})
            QVERIFY_DONE(
                home.run(compressCall(method, u"0.7"_s, evaluation + QStringList{u"--name"_s, u"of "_s + method})));
        const Json runs = home.run({u"runs"_s, u"--json"_s}).json().at("runs");
        QCOMPARE(runs.size(), std::size_t{2});
        QCOMPARE_JSON(runs[0].at("method"), "asvd");
        QCOMPARE_JSON(runs[1].at("state"), "finished");
        QCOMPARE(home.run({u"runs"_s, u"--filter"_s, u"OF SVD"_s, u"--json"_s}).json().at("runs").size(),
                 std::size_t{1});

        const Json shown = home.run({u"runs"_s, u"show"_s, u"1"_s, u"--json"_s}).json();
        QCOMPARE(missingKeys(shown, {"runId", "state", "recipe", "command", "environment", "linears", "perplexity",
                                     "seconds", "keptRatio"}),
                 QString());
        QCOMPARE(shown.at("linears").size(), std::size_t{35});
        QVERIFY(home.run({u"runs"_s, u"show"_s, u"1"_s}).out.contains("rankwright-cli compress "));

        const CliResult compared = home.run({u"runs"_s, u"compare"_s, u"1"_s, u"2"_s, u"--json"_s});
        QVERIFY_DONE(compared);
        const Json json = compared.json();
        std::set<std::string> differing;
        for (const Json& difference : json.at("recipe"))
            differing.insert(difference.at("key").get<std::string>());
        QCOMPARE(differing, (std::set<std::string>{"name", "method"}));
        QCOMPARE(json.at("linears").size(), std::size_t{35});
        QCOMPARE_JSON(json.at("linears")[0].at("rank").at("a"), json.at("linears")[0].at("rank").at("b"));
        QVERIFY(json.at("linears")[0].at("relativeError").at("a") != json.at("linears")[0].at("relativeError").at("b"));
        const CliResult table = home.run({u"runs"_s, u"compare"_s, u"1"_s, u"2"_s});
        QVERIFY_DONE(table);
        QVERIFY(!table.out.contains("keptRatio"));
    }

    /// Pasted, what a run says of itself is about the store it is in.
    void nextStepsNameTheStore()
    {
        CliHome home;
        const QStringList call = {u"compress"_s, demoModel(), u"--method"_s, u"svd"_s, u"--keep"_s, u"0.5"_s};
        QVERIFY(home.run(call + QStringList{u"--store"_s, u"my runs.sqlite"_s})
                    .out.contains("rankwright-cli runs show 1 --store 'my runs.sqlite' shows it again, "
                                  "rankwright-cli export 1 --store 'my runs.sqlite' --out DIR exports it"));
        QVERIFY(home.run(call).out.contains("rankwright-cli runs show 1 shows it again"));
    }

    /// A run that was refused before it had read the model is of that model all the same.
    void refusedRunsAreComparedByTheirModel()
    {
        CliHome home;
        const QStringList call = {u"compress"_s, demoModel(), u"--method"_s, u"svd"_s, u"--keep"_s};
        QCOMPARE(home.run(call + QStringList{u"1e-9"_s}).code, 1);
        QCOMPARE(home.run(call + QStringList{u"0.5"_s}).code, 0);
        const CliResult result = home.run({u"runs"_s, u"compare"_s, u"1"_s, u"2"_s, u"--json"_s});
        QVERIFY_DONE(result);
        QCOMPARE_JSON(result.json().at("sameModel"), true);
    }

    void devicesKnowTheProcessor()
    {
        CliHome home;
        const Json json = home.run({u"devices"_s, u"--json"_s}).json();
        QCOMPARE_JSON(json.at("devices")[0].at("id"), "cpu");
        QVERIFY(json.at("devices")[0].at("memoryTotal").get<std::size_t>() > 0);
    }

    void recipesAndCommandsAgree_data()
    {
        QTest::addColumn<QStringList>("options");
        const QStringList text = smallCalibration();
        QTest::newRow("plain") << QStringList{u"--method"_s, u"svd"_s, u"--keep"_s, u"0.5"_s};
        QTest::newRow("calibrated") << QStringList{u"--method"_s, u"nsvd"_s,        u"--keep"_s,
                                                   u"0.3"_s,      u"--parameter"_s, u"share=0.9"_s} +
                                           text;
        QTest::newRow("everything") << QStringList{u"--method"_s,
                                                   u"whitened-svd"_s,
                                                   u"--keep"_s,
                                                   u"0.65"_s,
                                                   u"--allocation"_s,
                                                   u"marginal-loss"_s,
                                                   u"--structure"_s,
                                                   u"block-identity"_s,
                                                   u"--sequential"_s,
                                                   u"anchored"_s,
                                                   u"--storage"_s,
                                                   u"BF16"_s,
                                                   u"--rank"_s,
                                                   u"model.layers.0.self_attn.q_proj=7"_s,
                                                   u"--only"_s,
                                                   u"q"_s,
                                                   u"--only"_s,
                                                   u"model.layers.?.mlp.*"_s,
                                                   u"--name"_s,
                                                   u"it's \"quoted\" $HOME"_s,
                                                   u"--held-out-windows"_s,
                                                   u"3"_s,
                                                   u"--evaluate-text"_s,
                                                   heldOutText(),
                                                   u"--evaluate-text"_s,
                                                   calibrationText(),
                                                   u"--evaluate-rows"_s,
                                                   u"--evaluate-window"_s,
                                                   u"77"_s,
                                                   u"--evaluate-windows"_s,
                                                   u"5"_s,
                                                   u"--out"_s,
                                                   u"a folder"_s,
                                                   u"--format"_s,
                                                   u"dense"_s,
                                                   u"--dtype"_s,
                                                   u"f16"_s,
                                                   u"--threads"_s,
                                                   u"1"_s,
                                                   u"--memory-limit"_s,
                                                   u"1.5GiB"_s,
                                                   u"--calibration-rows"_s} +
                                           text;
        QTest::newRow("random") << QStringList{u"--method"_s,
                                               u"asvd"_s,
                                               u"--keep"_s,
                                               u"1"_s,
                                               u"--calibration-order"_s,
                                               u"random"_s,
                                               u"--seed"_s,
                                               u"12345678901234567890"_s,
                                               u"--calibration-bos-per-window"_s} +
                                       text;
    }
    void recipesAndCommandsAgree()
    {
        QFETCH(QStringList, options);
        CliHome home;
        const CliResult first =
            home.run(QStringList{u"compress"_s, demoModel(), u"--dry-run"_s, u"--json"_s} + options);
        QVERIFY_DONE(first);
        const Json recipe = first.json().at("recipe");
        // The command line of the recipe, read again by a shell, is the same recipe.
        const CliResult second =
            home.shell(toQ(first.json().at("command").get<std::string>()) + u" --dry-run --json"_s);
        QVERIFY_DONE(second);
        QCOMPARE(toQ(second.json().at("recipe").dump(1)), toQ(recipe.dump(1)));
        // So is the recipe as a file; options beside it replace what it says.
        rankwright::writeFileAtomically(home.path() / "recipe.json", recipe.dump());
        const CliResult third = home.run(
            {u"compress"_s, u"--recipe"_s, u"recipe.json"_s, u"--keep"_s, u"0.25"_s, u"--dry-run"_s, u"--json"_s});
        QVERIFY_DONE(third);
        Json changed = recipe;
        changed["keptRatio"] = 0.25;
        QCOMPARE(toQ(third.json().at("recipe").dump(1)), toQ(changed.dump(1)));
        QVERIFY(third.json().at("estimate").at("seconds").get<double>() > 0.0);
        QVERIFY(!std::filesystem::exists(home.path() / "data"));
    }

    void quietIsQuietAndProgressIsOnStandardError()
    {
        CliHome home;
        const CliResult loud = home.run(compressCall(u"svd"_s, u"0.5"_s, {u"--json"_s}));
        QVERIFY_DONE(loud);
        QVERIFY(!loud.json().is_null());
        QVERIFY(loud.err.contains("factorise"));
        QVERIFY(!loud.err.contains('\r') && !loud.err.contains('\x1b'));
        const CliResult quiet = home.run(compressCall(u"svd"_s, u"0.4"_s, {u"--quiet"_s}));
        QVERIFY_DONE(quiet);
        QVERIFY2(quiet.err.isEmpty(), quiet.err.constData());
    }
};

QTEST_GUILESS_MAIN(TestCli)
#include "tst_cli.moc"
