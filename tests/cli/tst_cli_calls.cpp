#include "cli_process.h"
#include "core/base/file.h"

#include <QTest>

#include <algorithm>
#include <cmath>

using rankwright::Json;

namespace {

/// compress with a method that needs no calibration, on one role.
CliResult compressNamed(const CliHome& home, const QString& name)
{
    return home.run({u"compress"_s, demoModel(), u"--method"_s, u"svd"_s, u"--keep"_s, u"0.5"_s, u"--only"_s, u"q"_s,
                     u"--name"_s, name});
}

/// Whether a terminal would show the text as it is: UTF-8, and no control character but line ends.
bool isText(const QByteArray& text)
{
    const QString read = QString::fromUtf8(text);
    return read.toUtf8() == text &&
           std::ranges::none_of(read, [](QChar c) { return c.category() == QChar::Other_Control && c != u'\n'; });
}

/// The same, and nothing of it was replaced.
bool isPlain(const QByteArray& text)
{
    return isText(text) && !QString::fromUtf8(text).contains(QChar::ReplacementCharacter);
}

/// The value of a line "  name  value" of a report; empty without.
QString factOf(const CliResult& result, const QString& name)
{
    for (const QString& line : QString::fromUtf8(result.out).split(u'\n'))
        if (line.startsWith(u"  "_s + name + u"  "_s))
            return line.mid(2 + name.size()).trimmed();
    return {};
}

/// A short training that cannot go well: the first step throws the factors out of all bounds.
QStringList divergingTraining(const QString& stage, const QString& kind)
{
    return {stage,
            kind,
            stage + u"-windows"_s,
            u"24"_s,
            stage + u"-epochs"_s,
            u"3"_s,
            stage + u"-batch"_s,
            u"4"_s,
            stage + u"-learning-rate"_s,
            u"1e30"_s};
}

} // namespace

/// Calls that are right, or whose fault shows only in the work, and what is printed for them.
class TestCliCalls : public QObject
{
    Q_OBJECT

private slots:
    void namesOfRunsBreakNoTable()
    {
        CliHome home;
        const QString broken = u"line\nbreak \x1b[31mred \u009b32m"_s;
        const QString accents = QString(60, u'\u00e9');
        for (const QString& name : {broken, accents, u"\u65e5\u672c\u8a9e"_s, u"plain"_s}) {
            const CliResult result = compressNamed(home, name);
            QVERIFY2(result.code == 0, result.all().constData());
            QVERIFY2(isPlain(result.out), result.out.constData());
        }
        const QByteArray list = home.run({u"runs"_s}).out;
        QVERIFY2(isPlain(list), list.constData());
        const QStringList lines = QString::fromUtf8(list).split(u'\n');
        QCOMPARE(lines.size(), 2 + 4 + 1); // titles, rule, runs, and the end
        // A wide character takes two columns.
        const qsizetype column = lines[2].indexOf(u"stories260K"_s);
        QVERIFY(lines[2].contains(u"plain"_s) && lines[3].contains(u"\u65e5"_s));
        QCOMPARE(lines[3].indexOf(u"stories260K"_s), column - 3);
        QCOMPARE(lines[4].indexOf(u"stories260K"_s), column);
        for (const QStringList& call :
             {QStringList{u"runs"_s, u"show"_s, u"1"_s}, QStringList{u"runs"_s, u"show"_s, u"2"_s},
              QStringList{u"runs"_s, u"compare"_s, u"1"_s, u"2"_s}}) {
            const CliResult shown = home.run(call);
            QVERIFY2(shown.code == 0 && isPlain(shown.out), shown.all().constData());
        }
        const Json run = home.run({u"runs"_s, u"show"_s, u"1"_s, u"--json"_s}).json();
        QCOMPARE(toQ(run.at("name").get<std::string>()), broken);
        QVERIFY(run.at("command").get<std::string>().find('\n') != std::string::npos);
    }

    /// Also bytes that are no UTF-8, which file systems take.
    void namesOfFilesBreakNoText()
    {
        CliHome home;
        const QString model = u"$'mo\\xffd\\x1b[31mel\\xc2\\x9b'"_s;
        const QString text = u"$'te\\xe2\\x82xt'"_s;
        const CliResult copied =
            home.shell(u"cp -r $DEMO/stories260K %1 && cp $DEMO/stories-heldout.txt %2"_s.arg(model, text));
        QVERIFY2(copied.code == 0, copied.all().constData());
        const QString compress = u"compress "_s + model + u" --method svd --keep 0.5 --only q"_s;
        const QString windows = u" --window 64 --windows 1"_s;
        const QString shown = u"mo\ufffdd [31mel"_s;
        for (const QString& call :
             {compress + u" --dry-run"_s, compress + u" --out out$'\\xff'"_s, u"runs"_s, u"runs show 1"_s,
              u"runs --filter $'\\xff'"_s, u"inspect "_s + model, u"spectra "_s + model + u" --linear q"_s,
              u"tokenize "_s + model + u" --text "_s + text,
              u"evaluate "_s + model + u" --text "_s + text + windows + u" --against "_s + model,
              u"calibrate "_s + model + u" --text "_s + text + windows,
              u"similarity "_s + model + u" --text "_s + text + u" --against "_s + text + windows,
              u"generate "_s + model + u" --prompt Once --tokens 2 --against "_s + model}) {
            const CliResult result = home.shell(u"rankwright-cli "_s + call);
            QVERIFY2(result.code == 0, result.all().constData());
            QVERIFY2(isText(result.out) && isText(result.err), (call.toUtf8() + '\n' + result.all()).constData());
        }
        const QString headline =
            QString::fromUtf8(home.shell(u"rankwright-cli "_s + compress).out).section(u'\n', 0, 0);
        QVERIFY2(headline.endsWith(u" of "_s + shown + u" "_s), qPrintable(headline));
        const CliResult missing = home.shell(u"rankwright-cli inspect $'no\\xff\\x1b'"_s);
        QVERIFY2(missing.code == 1 && isText(missing.err), missing.all().constData());
    }

    /// A name that is no text is refused before any work; the recipe of a dry run shows no control characters.
    void namesOfRunsAreText()
    {
        CliHome home;
        const QString call = u"rankwright-cli compress $DEMO/stories260K --method svd --keep 0.5 --only q --name "_s;
        const CliResult bytes = home.shell(call + u"$'a\\xffb'"_s);
        QCOMPARE(bytes.code, 2);
        QVERIFY2(bytes.errors().value(0).contains(u"not UTF-8: byte 0xff at offset 1"_s), bytes.err.constData());
        QVERIFY(!std::filesystem::exists(home.path() / "data"));
        const CliResult dry = home.shell(call + u"$'a\\x1b[31m\\xc2\\x9bb' --dry-run"_s);
        QVERIFY2(dry.code == 0 && isPlain(dry.out), dry.all().constData());
    }

    void lossesSayWhatTheyAreSharesOf_data()
    {
        QTest::addColumn<QStringList>("method");
        QTest::addColumn<QString>("total");
        const auto row = [](const QStringList& method, const QString& total, bool calibrated = true) {
            QTest::newRow(qPrintable(method.join(u' ') + (calibrated ? QString() : u" without a text"_s)))
                << (calibrated ? method + smallCalibration() : method) << total;
        };
        row({u"svd"_s}, u"the energy of the weights"_s, false);
        for (const QString& method : {u"svd"_s, u"whitened-svd"_s, u"joint-latents"_s})
            row({method}, u"the output energy"_s);
        row({u"afm"_s}, u"the energy of the centred outputs"_s);
        row({u"whitened-svd"_s, u"--parameter"_s, u"biasUpdate=1"_s}, u"the energy of the centred outputs"_s);
        row({u"joint-qk"_s}, u"the output energy (q with k: of the attention logits)"_s);
        row({u"joint-vo"_s}, u"the output energy (v with o: of the paths of the heads)"_s);
        row({u"latentllm"_s},
            u"the output energy (q with k: of the attention logits; v with o: of the paths of the heads)"_s);
        for (const QString& method : {u"curvature-svd"_s, u"fwsvd"_s, u"gfwsvd"_s, u"curvature-latents"_s})
            row({method}, u"the nats of rank 0"_s);
    }
    void lossesSayWhatTheyAreSharesOf()
    {
        QFETCH(QStringList, method);
        QFETCH(QString, total);
        CliHome home;
        const CliResult result =
            home.run(QStringList{u"compress"_s, demoModel(), u"--keep"_s, u"0.7"_s, u"--method"_s} + method);
        QVERIFY2(result.code == 0, result.all().constData());
        const QString says = u" of "_s + total + u" predicted, mean over the linears"_s;
        QVERIFY2(factOf(result, u"loss"_s).endsWith(says), result.all().constData());
        const CliResult shown = home.run({u"runs"_s, u"show"_s, u"1"_s});
        QCOMPARE(factOf(shown, u"loss"_s), factOf(result, u"loss"_s));
        if (total.contains(u"nats"_s))
            return; // spectra show the nats themselves
        const CliResult spectra = home.run(
            QStringList{u"spectra"_s, demoModel(), u"--linear"_s, u"model.layers.0.*"_s, u"--method"_s} + method);
        QVERIFY2(spectra.out.contains(u"error: root of the loss over %1, "_s.arg(total).toUtf8()),
                 spectra.all().constData());
    }

    /// What the totals are: those of joint latents are the energies of whitened SVD, those of LatentLLM belong to two
    /// linears together.
    void totalsAreWhatLossesAreSharesOf()
    {
        CliHome home;
        const auto totals = [&](const QString& method) {
            std::vector<double> result;
            const Json run = home.run(compressCall(method, u"0.7"_s, {u"--json"_s})).json();
            for (const Json& linear : run.at("linears"))
                result.push_back(linear.at("totalEnergy").get<double>());
            return result;
        };
        const std::vector<double> outputs = totals(u"whitened-svd"_s);
        const std::vector<double> latents = totals(u"joint-latents"_s);
        const std::vector<double> joint = totals(u"latentllm"_s);
        QCOMPARE(outputs.size(), std::size_t{35});
        for (std::size_t i = 0; i < outputs.size(); ++i)
            QVERIFY(std::abs(latents.at(i) - outputs[i]) <= 1e-9 * outputs[i]);
        for (std::size_t block = 0; block < 5; ++block) { // q, k, v, o, gate, up, down
            const double* own = &joint.at(7 * block);
            QVERIFY(std::abs(own[0] - own[1]) <= 1e-9 * own[0] && std::abs(own[2] - own[3]) <= 1e-9 * own[2]);
            QVERIFY(own[0] > 2.0 * outputs[7 * block]);
            for (std::size_t i = 4; i < 7; ++i)
                QVERIFY(std::abs(own[i] - outputs[7 * block + i]) <= 1e-9 * own[i]);
        }
    }

    /// The second step of a training at 1e30 cannot be finite; after eight that are undone it ends.
    void trainingsThatDivergeAreTold()
    {
        CliHome home;
        const CliResult result = home.run(compressCall(u"svd"_s, u"0.6"_s,
                                                       divergingTraining(u"--distill"_s, u"teacher"_s) +
                                                           divergingTraining(u"--recover"_s, u"text"_s)));
        QVERIFY2(result.code == 0, result.all().constData());
        const QString distillation =
            u"diverged at step 2 in model.layers.0 and 4 more blocks, undone 40 times with half the learning rate "
            u"after, then given up in 5 of them; no gain on held-out windows in model.layers.0 and 4 more blocks: the "
            u"factors from before training are kept"_s;
        const QString recovery = u"diverged at step 2, undone 8 times with half the learning rate after, then given "
                                 u"up; no gain on held-out windows: the factors from before training are kept"_s;
        for (const CliResult& report : {result, home.run({u"runs"_s, u"show"_s, u"1"_s})}) {
            QCOMPARE(factOf(report, u"distillation"_s), distillation);
            QCOMPARE(factOf(report, u"recovery"_s), recovery);
        }
        const CliResult good = home.run(compressCall(
            u"svd"_s, u"0.6"_s,
            {u"--recover"_s, u"text"_s, u"--recover-windows"_s, u"24"_s, u"--recover-learning-rate"_s, u"0.001"_s}));
        QVERIFY2(good.code == 0 && !good.out.contains("diverged") && !good.out.contains("no gain"),
                 good.all().constData());
    }

    /// Of an export made smaller than the ratio it is compressed again with.
    void largerModelsAreTold()
    {
        CliHome home;
        const auto compress = [&](const QString& model, const QString& keep, const QStringList& more) {
            return home.run(
                QStringList{u"compress"_s, model, u"--method"_s, u"svd"_s, u"--keep"_s, keep, u"--quiet"_s} + more);
        };
        const CliResult first = compress(demoModel(), u"0.5"_s, {u"--out"_s, u"half"_s});
        QVERIFY2(first.code == 0 && factOf(first, u"note"_s).isEmpty(), first.all().constData());
        const Json before = home.run({u"inspect"_s, u"half"_s, u"--json"_s}).json();
        const QString dry = factOf(compress(u"half"_s, u"0.9"_s, {u"--dry-run"_s}), u"note"_s);
        const QString told = factOf(compress(u"half"_s, u"0.9"_s, {u"--out"_s, u"again"_s}), u"note"_s);
        const Json after = home.run({u"inspect"_s, u"again"_s, u"--json"_s}).json();
        const double share = 100.0 * after.at("parameters").get<double>() / before.at("parameters").get<double>();
        QVERIFY2(told.startsWith(u"%1 parameters are stored, %2 % of what the checkpoint has"_s
                                     .arg(after.at("parameters").get<std::size_t>())
                                     .arg(share, 0, 'f', 2)),
                 qPrintable(told));
        QCOMPARE(dry, told);
        QCOMPARE(factOf(home.run({u"runs"_s, u"show"_s, u"2"_s}), u"note"_s), told);
        const auto isTold = [&](const Json& report) {
            const Json& events = report.at("events");
            return std::ranges::any_of(events, [&](const Json& event) {
                return event.at("kind") == "storesMore" && toQ(event.at("message").get<std::string>()) == told;
            });
        };
        QVERIFY(isTold(home.run({u"runs"_s, u"show"_s, u"2"_s, u"--json"_s}).json()));
        QVERIFY(isTold(compress(u"half"_s, u"0.9"_s, {u"--dry-run"_s, u"--json"_s}).json()));
        QVERIFY(compress(u"half"_s, u"0.3"_s, {u"--dry-run"_s, u"--json"_s}).json().at("events").empty());
        const QStringList search = {u"compress"_s, u"half"_s, u"--method"_s, u"best"_s,
                                    u"--keep"_s,   u"0.9"_s,  u"--dry-run"_s};
        QVERIFY(factOf(home.run(search + smallCalibration()), u"note"_s).contains(u"kept ratios are of the dense"_s));
        QCOMPARE(home.run(search + smallCalibration() + QStringList{u"--json"_s}).json().at("events").size(),
                 std::size_t{1});
        QVERIFY(factOf(compress(u"half"_s, u"0.3"_s, {u"--dry-run"_s}), u"note"_s).isEmpty());
    }

    /// --format and --dtype need an export, which may be that of the recipe.
    void formatOfTheExportOfARecipe()
    {
        CliHome home;
        const auto write = [&](const char* file, const char* key, const char* value) {
            const Json recipe = {{"model", demoModel().toStdString()}, {"method", "svd"}, {key, value}};
            rankwright::writeFileAtomically(home.path() / file, recipe.dump());
        };
        write("out.json", "out", "new");
        write("none.json", "exportFormat", "dense");
        const auto dryRun = [&](const QString& file, const QStringList& more) {
            return home.run(QStringList{u"compress"_s, u"--recipe"_s, file, u"--dry-run"_s, u"--json"_s} + more);
        };
        const QStringList options = {u"--format"_s, u"dense"_s, u"--dtype"_s, u"F16"_s};
        const CliResult given = dryRun(u"out.json"_s, options);
        QVERIFY2(given.code == 0, given.all().constData());
        QCOMPARE_JSON(given.json().at("recipe").at("exportFormat"), "dense");
        QCOMPARE_JSON(given.json().at("recipe").at("exportDtype"), "F16");
        QCOMPARE(dryRun(u"none.json"_s, options).code, 2);
        // Of a recipe the format alone is no fault, and its command can be run.
        const CliResult alone = dryRun(u"none.json"_s, {});
        QVERIFY2(alone.code == 0, alone.all().constData());
        QCOMPARE(home.shell(toQ(alone.json().at("command").get<std::string>()) + u" --dry-run"_s).code, 0);
    }

    /// A rank correlation needs three runs.
    void forecastCheckOfOneRun()
    {
        CliHome home;
        const CliResult run =
            home.run(compressCall(u"svd"_s, u"0.7"_s,
                                  {u"--forecast"_s, u"--evaluate-text"_s, heldOutText(), u"--evaluate-window"_s,
                                   u"64"_s, u"--evaluate-windows"_s, u"4"_s}));
        QVERIFY2(run.code == 0, run.all().constData());
        const CliResult check = home.run({u"forecast"_s, u"check"_s});
        QVERIFY2(check.code == 0 && !check.out.contains("nan"), check.all().constData());
        QVERIFY2(check.out.contains("  -\n"), check.out.constData());
        const Json json = home.run({u"forecast"_s, u"check"_s, u"--json"_s}).json();
        QVERIFY(json.at("checks")[0].at("rankCorrelation").is_null());
    }

    void generateAgainstAnotherVocabulary()
    {
        CliHome home;
        const CliResult result = home.run({u"generate"_s, demoModel(), u"--prompt"_s, u"Once"_s, u"--against"_s,
                                           QStringLiteral(RANKWRIGHT_TEST_DATA "/models/babyllama-tok105")});
        QCOMPARE(result.code, 1);
        QVERIFY(result.out.isEmpty());
        QVERIFY2(result.errors().value(0).contains(u"vocabularies of 512 and 105 tokens cannot be compared"_s),
                 result.err.constData());
    }

    void generateFromALongPrompt()
    {
        CliHome home;
        const auto generate = [&](int words, const QString& tokens) {
            const CliResult result = home.run({u"generate"_s, demoModel(), u"--prompt"_s, u"Once "_s.repeated(words),
                                               u"--tokens"_s, tokens, u"--json"_s});
            return result.code == 1 ? result.errors().value(0) : QString::fromUtf8(result.all());
        };
        const QString tooLong = generate(2000, u"4"_s);
        QVERIFY2(tooLong.contains(u"the prompt itself has "_s) && tooLong.contains(u"the model 512 positions"_s),
                 qPrintable(tooLong));
        const QString tooMany = generate(2, u"512"_s);
        QVERIFY2(tooMany.contains(u"ask for fewer tokens"_s), qPrintable(tooMany));
    }
};

QTEST_GUILESS_MAIN(TestCliCalls)
#include "tst_cli_calls.moc"
