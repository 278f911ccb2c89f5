#include "cli_process.h"
#include "core/base/file.h"

#include <QTest>

#include <cstring>

using rankwright::Json;

namespace {

/// A copy of the demo model under a name.
std::filesystem::path copyModel(const CliHome& home, const std::string& name)
{
    const auto target = home.path() / name;
    std::filesystem::copy(demoModel().toStdString(), target, std::filesystem::copy_options::recursive);
    return target;
}

/// All bits of one element of a tensor set, which is a NaN.
void breakTensor(const std::filesystem::path& model, const std::string& tensor)
{
    const auto file = model / "model.safetensors";
    std::string bytes = rankwright::readFile(file);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const Json json = Json::parse(bytes.substr(8, header));
    const auto offset = json.at(tensor).at("data_offsets").at(0).get<std::size_t>();
    std::memset(bytes.data() + 8 + header + offset + 40, 0xff, 4);
    rankwright::writeFileAtomically(file, bytes);
}

} // namespace

/// What goes wrong is said in one line, with the right exit code, and leaves nothing behind.
class TestCliErrors : public QObject
{
    Q_OBJECT

    /// Both forms of a failing call: the line on standard error, and with --json the object alone on standard output.
    static Json expectError(const CliHome& home, const QStringList& arguments, int code)
    {
        const CliResult plain = home.run(arguments);
        const CliResult json = home.run(arguments + QStringList{u"--json"_s});
        for (const CliResult* result : {&plain, &json}) {
            if (result->crashed || result->code != code || result->errors().size() != 1) {
                QTest::qFail(result->all().constData(), __FILE__, __LINE__);
                return Json::object();
            }
        }
        const Json error = json.json().is_null() ? Json() : json.json().value("error", Json());
        if (!plain.out.isEmpty() || !error.is_object() || json.json().size() != 1 || error.size() != 4) {
            QTest::qFail((plain.out + json.out).constData(), __FILE__, __LINE__);
            return Json::object();
        }
        if (json.errors().front() != u"error: "_s + toQ(error.at("message").get<std::string>()))
            QTest::qFail("the line and the object differ", __FILE__, __LINE__);
        return error;
    }

private slots:
    void wrongCalls_data()
    {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<QString>("says");
        const auto row = [](const char* name, const QStringList& arguments, const QString& says) {
            QTest::newRow(name) << arguments << says;
        };
        row("no verb", {}, u"a verb is needed"_s);
        row("unknown verb", {u"compres"_s}, u"did you mean 'compress'?"_s);
        row("unknown verb below runs", {u"runs"_s, u"shw"_s, u"1"_s}, u"did you mean 'show'?"_s);
        row("no model", {u"inspect"_s}, u"MODEL is needed"_s);
        row("too many", {u"inspect"_s, u"a"_s, u"b"_s}, u"'b' is one argument too many"_s);
        row("unknown option", {u"inspect"_s, demoModel(), u"--linear"_s}, u"did you mean '--linears'?"_s);
        row("no window", {u"evaluate"_s, demoModel(), u"--text"_s, heldOutText()}, u"--window is needed"_s);
        row("negative window", {u"evaluate"_s, demoModel(), u"--text"_s, heldOutText(), u"--window"_s, u"-4"_s},
            u"--window: '-4' is not a whole number"_s);
        row("window of one", {u"evaluate"_s, demoModel(), u"--text"_s, heldOutText(), u"--window"_s, u"1"_s},
            u"at least 2"_s);
        row("unknown method", compressCall(u"whitend-svd"_s, u"0.5"_s), u"did you mean \"whitened-svd\"?"_s);
        for (const char* ratio : {"0", "-1", "1.5", "nan", "inf"})
            row(qPrintable(u"ratio "_s + QString::fromLatin1(ratio)),
                compressCall(u"svd"_s, QString::fromLatin1(ratio)), u"outside (0, 1]"_s);
        row("ratio that is no number", compressCall(u"svd"_s, u"0.5x"_s), u"'0.5x' is not a number"_s);
        row("no ratio", {u"compress"_s, demoModel(), u"--method"_s, u"svd"_s}, u"--keep is needed"_s);
        row("no calibration", {u"compress"_s, demoModel(), u"--method"_s, u"asvd"_s, u"--keep"_s, u"0.5"_s},
            u"needs a calibration text"_s);
        row("unknown structure", compressCall(u"svd"_s, u"0.5"_s, {u"--structure"_s, u"factor"_s}),
            u"did you mean \"factors\"? Known: factors, block-identity"_s);
        row("structure that compresses nothing", compressCall(u"svd"_s, u"0.5"_s, {u"--structure"_s, u"dense"_s}),
            u"use factors or block-identity"_s);
        row("unknown allocation", compressCall(u"svd"_s, u"0.5"_s, {u"--allocation"_s, u"unifrom"_s}),
            u"did you mean \"uniform\"?"_s);
        row("unknown format", compressCall(u"svd"_s, u"0.5"_s, {u"--format"_s, u"onnx"_s}), u"onnx"_s);
        for (const QString& method : {u"svd"_s, u"best"_s}) {
            row(qPrintable(u"format of no export, "_s + method),
                compressCall(method, u"0.5"_s, {u"--format"_s, u"dense"_s}), u"--format requires --out"_s);
            row(qPrintable(u"type of no export, "_s + method), compressCall(method, u"0.5"_s, {u"--dtype"_s, u"F16"_s}),
                u"--dtype requires --out"_s);
        }
        row("unknown parameter", compressCall(u"asvd"_s, u"0.5"_s, {u"--parameter"_s, u"alhpa=1"_s}), u"alpha"_s);
        row("no method that could be meant", compressCall(u"qqqqq"_s, u"0.5"_s),
            u"unknown method \"qqqqq\"; known: svd"_s);
        row("misspelt search", compressCall(u"bset"_s, u"0.5"_s), u"did you mean \"best\"?"_s);
        for (const auto& [option, value] : {std::pair{"--search-minutes", "0"},
                                            {"--search-minutes", "-1"},
                                            {"--search-minutes", "nan"},
                                            {"--search-windows", "0"},
                                            {"--perplexity-ratio", "0.5"},
                                            {"--perplexity-ratio", "nan"},
                                            {"--perplexity-ratio", "inf"}}) {
            const QStringList limit = {QString::fromLatin1(option), QString::fromLatin1(value)};
            row(qPrintable(limit.join(QLatin1Char(' '))), compressCall(u"best"_s, u"0.8"_s, limit), limit.front());
        }
        row("option with an empty value", compressCall(u"svd"_s, u"0.5"_s, {u"--out="_s, u"--quiet"_s}),
            u"--out= has no value"_s);
        row("empty model", {u"inspect"_s, QString()}, u"MODEL: the path is empty"_s);
        row("empty text", {u"evaluate"_s, demoModel(), u"--text"_s, QString(), u"--window"_s, u"64"_s},
            u"--text: the path is empty"_s);
        row("empty folder", compressCall(u"svd"_s, u"0.5"_s, {u"--out"_s, QString()}), u"--out: the path is empty"_s);
        const QString tooLarge = u"9223372036854775808"_s; // 2^63
        row("run beyond all numbers", {u"runs"_s, u"show"_s, tooLarge}, u"no run has the number "_s + tooLarge);
        row("runs beyond all numbers", {u"runs"_s, u"compare"_s, u"1"_s, tooLarge},
            u"no run has the number "_s + tooLarge);
        row("export beyond all numbers", {u"export"_s, tooLarge, u"--out"_s, u"x"_s},
            u"no run has the number "_s + tooLarge);
        const QStringList calibrate = {u"calibrate"_s, demoModel(), u"--text"_s, heldOutText(), u"--window"_s, u"64"_s};
        row("seed of no labels", calibrate + QStringList{u"--curvature-seed"_s, u"4"_s},
            u"--curvature-seed requires --curvature"_s);
        row("seed of no order", calibrate + QStringList{u"--seed"_s, u"3"_s}, u"--seed requires --order random"_s);
        row("seed of no calibration order", compressCall(u"asvd"_s, u"0.5"_s, {u"--seed"_s, u"3"_s}),
            u"--seed requires --calibration-order random"_s);
        row("two ranks of a linear", compressCall(u"svd"_s, u"0.5"_s, {u"--rank"_s, u"x=5"_s, u"--rank"_s, u"x=6"_s}),
            u"--rank: 'x' is given twice"_s);
        row("two values of a parameter",
            compressCall(u"asvd"_s, u"0.5"_s, {u"--parameter"_s, u"alpha=1"_s, u"--parameter"_s, u"alpha=0.5"_s}),
            u"--parameter: 'alpha' is given twice"_s);
        row("no value", compressCall(u"asvd"_s, u"0.5"_s, {u"--parameter"_s, u"alpha"_s}), u"NAME=VALUE"_s);
        row("rank of nothing", compressCall(u"svd"_s, u"0.5"_s, {u"--rank"_s, u"x=y"_s}), u"not a whole number"_s);
        row("memory", compressCall(u"svd"_s, u"0.5"_s, {u"--memory-limit"_s, u"huge"_s}), u"not a size"_s);
        row("evaluation without a text", compressCall(u"svd"_s, u"0.5"_s, {u"--evaluate-window"_s, u"7"_s}),
            u"--evaluate-text is needed"_s);
        row("run that is no number", {u"runs"_s, u"show"_s, u"last"_s}, u"'last' is not a whole number"_s);
        row("no folder", {u"export"_s, u"1"_s}, u"--out is needed"_s);
        row("unknown shell", {u"completion"_s, u"tcsh"_s}, u"bash"_s);
    }
    void wrongCalls()
    {
        QFETCH(QStringList, arguments);
        QFETCH(QString, says);
        CliHome home;
        const Json error = expectError(home, arguments, 2);
        QCOMPARE(error.value("kind", ""), std::string("invalidArgument"));
        const QString message = toQ(error.value("message", ""));
        QVERIFY2(message.contains(says), qPrintable(message));
        QVERIFY(!std::filesystem::exists(home.path() / "data"));
    }

    void onlyLikelyNamesAreSuggested()
    {
        CliHome home;
        for (const QStringList& call : {QStringList{u"help"_s}, QStringList{u"inspect"_s, demoModel(), u"--foo"_s}}) {
            const std::string message = expectError(home, call, 2).value("message", "");
            QVERIFY2(message.find("did you mean") == std::string::npos, message.c_str());
        }
    }

    void wrongRecipesNameTheFile()
    {
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "key.json", R"({"model": "m", "keptratio": 0.5})");
        Json error = expectError(home, {u"compress"_s, u"--recipe"_s, u"key.json"_s}, 2);
        QCOMPARE_JSON(error.at("file"), "key.json");
        QVERIFY(toQ(error.at("message").get<std::string>()).startsWith(u"key.json: recipe: keptratio: "_s));
        rankwright::writeFileAtomically(home.path() / "value.json",
                                        R"({"model": "m", "method": "svd", "keptRatio": 5})");
        error = expectError(home, {u"compress"_s, u"--recipe"_s, u"value.json"_s}, 2);
        QCOMPARE_JSON(error.at("file"), "value.json");
        // An option is no fault of the file.
        rankwright::writeFileAtomically(home.path() / "good.json",
                                        R"({"model": "m", "method": "svd", "keptRatio": 0.5})");
        error = expectError(home, {u"compress"_s, u"--recipe"_s, u"good.json"_s, u"--keep"_s, u"5"_s}, 2);
        QVERIFY(error.at("file").is_null());
    }

    void wrongRecipesNameTheKey()
    {
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "r.json", R"({"model": "m", "keptRatoi": 0.5})");
        QVERIFY(toQ(expectError(home, {u"compress"_s, u"--recipe"_s, u"r.json"_s}, 2).value("message", ""))
                    .contains(u"did you mean \"keptRatio\"?"_s));
        rankwright::writeFileAtomically(home.path() / "broken.json", R"({"model": )");
        QCOMPARE(expectError(home, {u"compress"_s, u"--recipe"_s, u"broken.json"_s}, 1).value("kind", ""),
                 std::string("corrupt"));
        QCOMPARE(expectError(home, {u"compress"_s, u"--recipe"_s, u"missing.json"_s}, 1).value("kind", ""),
                 std::string("notFound"));
    }

    void missingThings()
    {
        CliHome home;
        const QStringList text = {u"--text"_s, u"missing.txt"_s, u"--window"_s, u"64"_s};
        Json error = expectError(home, {u"inspect"_s, u"nowhere"_s}, 1);
        QCOMPARE(error.value("kind", ""), std::string("notFound"));
        QVERIFY(error.at("file").get<std::string>().ends_with("nowhere"));
        QVERIFY(error.at("tensor").is_null());
        error = expectError(home, QStringList{u"evaluate"_s, demoModel()} + text, 1);
        QCOMPARE(error.value("kind", ""), std::string("notFound"));
        QVERIFY(error.at("file").get<std::string>().ends_with("missing.txt"));
        QCOMPARE(expectError(home, {u"runs"_s, u"show"_s, u"3"_s}, 1).value("kind", ""), std::string("notFound"));
        QCOMPARE(expectError(home, {u"export"_s, u"3"_s, u"--out"_s, u"x"_s}, 1).value("kind", ""),
                 std::string("notFound"));
        QCOMPARE(expectError(home, {u"runs"_s, u"--store"_s, u"no/store.sqlite"_s}, 1).value("kind", ""),
                 std::string("notFound"));
        error = expectError(home, {u"spectra"_s, demoModel(), u"--linear"_s, u"model.layers.0.self_attn.q_prj"_s}, 1);
        QVERIFY(toQ(error.value("message", "")).contains(u"q_proj"_s));
        QCOMPARE(expectError(home, compressCall(u"svd"_s, u"0.5"_s, {u"--device"_s, u"cuda:9"_s}), 1).value("kind", ""),
                 std::string("notFound"));
    }

    void limitsOnMemoryAreKeptOrRefused()
    {
        CliHome home;
        const QStringList little = {u"--memory-limit"_s, u"100KB"_s};
        const QStringList score = {u"evaluate"_s, demoModel(), u"--text"_s, heldOutText(), u"--window"_s, u"64"_s};
        for (const QStringList& call :
             {score, score + QStringList{u"--against"_s, demoModel()}, QStringList{u"spectra"_s, demoModel()}}) {
            const Json error = expectError(home, call + little, 1);
            QCOMPARE(error.value("kind", ""), std::string("memory"));
            QVERIFY(error.at("file").get<std::string>().ends_with("stories260K"));
            QVERIFY(toQ(error.value("message", "")).contains(u"the memory limit"_s));
        }
        const Json free = home.run(score + QStringList{u"--json"_s}).json();
        const Json limited = home.run(score + QStringList{u"--json"_s, u"--memory-limit"_s, u"2MiB"_s}).json();
        QCOMPARE_JSON(limited.at("windowNll"), free.at("windowNll"));
    }

    /// What a run refuses of texts and folders its dry run does, and a search before its first trial.
    void dryRunsRefuseWhatRunsRefuse()
    {
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "short.txt", "Once upon a time");
        std::filesystem::create_directory(home.path() / "taken");
        rankwright::writeFileAtomically(home.path() / "taken/file", "mine");
        std::filesystem::create_symlink(home.path() / "nothing", home.path() / "astray");
        for (const QStringList& wrong :
             {QStringList{u"--evaluate-text"_s, u"missing.txt"_s, u"--evaluate-window"_s, u"64"_s},
              QStringList{u"--evaluate-text"_s, u"short.txt"_s, u"--evaluate-window"_s, u"64"_s},
              QStringList{u"--evaluate-text"_s, heldOutText(), u"--evaluate-window"_s, u"513"_s},
              QStringList{u"--out"_s, u"taken"_s}, QStringList{u"--out"_s, u"short.txt/sub/folder"_s},
              QStringList{u"--out"_s, u"astray"_s}, QStringList{u"--out"_s, QString(300, u'a')}})
            for (const QString& method : {u"whitened-svd"_s, u"best"_s}) {
                const QStringList call = compressCall(method, u"0.7"_s, wrong);
                const Json dry = expectError(home, call + QStringList{u"--dry-run"_s}, 1);
                QCOMPARE_JSON(dry, expectError(home, call, 1));
            }
        const Json runs = home.run({u"runs"_s, u"--json"_s}).json().at("runs");
        for (const Json& run : runs)
            QVERIFY(run.at("tags") != "search");
        QCOMPARE(expectError(home,
                             compressCall(u"best"_s, u"0.7"_s, {u"--search-windows"_s, u"100000"_s, u"--dry-run"_s}), 1)
                     .value("kind", ""),
                 std::string("invalidArgument"));
    }

    /// The prompt is no result: an error comes alone.
    void generationFailsBeforeItShowsAnything()
    {
        CliHome home;
        for (const QStringList& wrong :
             {QStringList{u"--tokens"_s, u"1000000"_s}, QStringList{u"--memory-limit"_s, u"1B"_s},
              QStringList{u"--threads"_s, u"999"_s}})
            expectError(home, QStringList{u"generate"_s, demoModel(), u"--prompt"_s, u"Once"_s} + wrong, 1);
    }

    /// What follows "--" are arguments.
    void jsonAfterTheOptionsIsNoOption()
    {
        CliHome home;
        CliResult result = home.run({u"inspect"_s, u"nowhere"_s, u"--"_s, u"--json"_s});
        QVERIFY(result.code != 0 && result.out.isEmpty() && result.errors().size() == 1);
        result = home.run({u"inspect"_s, u"--json=true"_s, u"nowhere"_s});
        QVERIFY(result.code == 1 && result.json().contains("error"));
    }

    void ratiosThatNoPlanCanKeepAreRefusedBeforeTheWork()
    {
        CliHome home;
        const Json error = expectError(home,
                                       QStringList{u"forecast"_s, demoModel(), u"--method"_s, u"curvature-svd"_s} +
                                           smallCalibration() + QStringList{u"--at"_s, u"1"_s, u"--at"_s, u"0.02"_s},
                                       1);
        QVERIFY(toQ(error.value("message", "")).contains(u"is not possible"_s));
        QVERIFY(!std::filesystem::exists(home.path() / "cache" / "rankwright" / "calibration"));
    }

    void aSearchIsNoMethodOfARecipe()
    {
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "r.json", R"({"model": "m", "method": "best"})");
        const Json error = expectError(home, {u"compress"_s, u"--recipe"_s, u"r.json"_s}, 2);
        QVERIFY(toQ(error.value("message", "")).contains(u"--method best"_s));
    }

    void badTexts()
    {
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "empty.txt", "");
        rankwright::writeFileAtomically(home.path() / "bad.txt", "Once upon \xff a time");
        rankwright::writeFileAtomically(home.path() / "short.txt", "Once upon a time");
        const auto evaluate = [&](const QString& text) {
            return expectError(home, {u"evaluate"_s, demoModel(), u"--text"_s, text, u"--window"_s, u"64"_s}, 1);
        };
        QCOMPARE(evaluate(u"empty.txt"_s).value("kind", ""), std::string("corrupt"));
        const Json invalid = evaluate(u"bad.txt"_s);
        QCOMPARE(invalid.value("kind", ""), std::string("corrupt"));
        QVERIFY(toQ(invalid.value("message", "")).contains(u"10"_s)); // the offset
        const Json tooShort = evaluate(u"short.txt"_s);
        QCOMPARE(tooShort.value("kind", ""), std::string("invalidArgument"));
        QVERIFY(toQ(tooShort.value("message", "")).contains(u"64"_s));
        QCOMPARE(expectError(home, {u"tokenize"_s, demoModel(), u"--text"_s, u"bad.txt"_s}, 1).value("kind", ""),
                 std::string("corrupt"));
        const QString offset = QString::number(home.run({u"runs"_s, u"--json"_s}).json().at("runs").size());
        QCOMPARE(offset, u"0"_s);
    }

    void badModels()
    {
        CliHome home;
        const QString text = heldOutText();
        const auto truncated = copyModel(home, "truncated");
        std::filesystem::resize_file(truncated / "model.safetensors", 500'000);
        Json error = expectError(home, {u"inspect"_s, u"truncated"_s}, 1);
        QCOMPARE(error.value("kind", ""), std::string("corrupt"));
        QVERIFY(error.at("file").get<std::string>().ends_with("model.safetensors"));

        const std::string tensor = "model.layers.3.mlp.up_proj.weight";
        breakTensor(copyModel(home, "nan"), tensor);
        for (const QStringList& call :
             {QStringList{u"evaluate"_s, u"nan"_s, u"--text"_s, text, u"--window"_s, u"64"_s},
              QStringList{u"compress"_s, u"nan"_s, u"--method"_s, u"svd"_s, u"--keep"_s, u"0.5"_s, u"--out"_s,
                          u"out"_s},
              QStringList{u"calibrate"_s, u"nan"_s, u"--text"_s, text, u"--window"_s, u"64"_s},
              QStringList{u"generate"_s, u"nan"_s, u"--prompt"_s, u"x"_s}}) {
            error = expectError(home, call, 1);
            QCOMPARE(error.value("kind", ""), std::string("nonFinite"));
            QCOMPARE_JSON(error.at("tensor"), tensor);
        }
        QVERIFY(!std::filesystem::exists(home.path() / "out"));
    }

    void fewTokensAreNoted()
    {
        CliHome home;
        const QStringList one = {u"--calibration-text"_s,    calibrationText(),
                                 u"--calibration-window"_s,  u"32"_s,
                                 u"--calibration-windows"_s, u"1"_s};
        const CliResult result = home.run(QStringList{u"compress"_s, demoModel(), u"--method"_s, u"whitened-svd"_s,
                                                      u"--keep"_s, u"0.5"_s, u"--json"_s} +
                                          one);
        QVERIFY2(result.code == 0, result.all().constData());
        QVERIFY(result.err.contains("note: "));
        bool noted = false;
        const Json json = result.json();
        for (const Json& event : json.at("events"))
            noted = noted || event.at("kind") == "fewTokens";
        QVERIFY(noted);
        // A person sees a few of each kind, not hundreds.
        QVERIFY(result.err.count("note: ") < 15);
    }

    void foldersThatCannotBeWritten()
    {
        // /proc refuses also root.
        CliHome home;
        QCOMPARE(expectError(home, compressCall(u"svd"_s, u"0.5"_s, {u"--store"_s, u"/proc/rankwright/s.sqlite"_s}), 1)
                     .value("kind", ""),
                 std::string("io"));
        QCOMPARE(expectError(home, compressCall(u"svd"_s, u"0.5"_s, {u"--out"_s, u"/proc/rankwright"_s}), 1)
                     .value("kind", ""),
                 std::string("io"));
        // What exists is not overwritten, and is found before any work.
        std::filesystem::create_directory(home.path() / "taken");
        rankwright::writeFileAtomically(home.path() / "taken/file", "mine");
        const std::size_t runs = home.run({u"runs"_s, u"--json"_s}).json().at("runs").size();
        const Json error = expectError(home, compressCall(u"svd"_s, u"0.5"_s, {u"--out"_s, u"taken"_s}), 1);
        QVERIFY(error.at("file").get<std::string>().ends_with("taken"));
        QCOMPARE(rankwright::readFile(home.path() / "taken/file"), std::string("mine"));
        QCOMPARE(home.run({u"runs"_s, u"--json"_s}).json().at("runs").size(), runs);
    }

    void fullDisk()
    {
        // A limit on the size of files stands for a disk without room: writing past it fails, also for root.
        CliHome home;
        const QString call = u"rankwright-cli compress $DEMO/stories260K --method svd --keep 0.5 --json"_s;
        const CliResult unlimited = home.shell(call);
        QVERIFY2(unlimited.code == 0, unlimited.all().constData());
        const CliResult store = home.shell(u"ulimit -f 8; "_s + call + u" --store full/s.sqlite"_s);
        QVERIFY2(store.code == 1 && store.errors().size() == 1, store.all().constData());
        QCOMPARE(store.json().at("error").value("kind", ""), std::string("io"));
        const CliResult exported = home.shell(u"ulimit -f 300; rankwright-cli export 1 --json --out exported"_s);
        QVERIFY2(exported.code == 1 && exported.errors().size() == 1, exported.all().constData());
        QCOMPARE(exported.json().at("error").value("kind", ""), std::string("io"));
        QStringList left;
        for (const auto& entry : std::filesystem::directory_iterator(home.path()))
            left.push_back(toQ(entry.path().filename().string()));
        QVERIFY2(!left.join(QLatin1Char(' ')).contains(u"exported"_s), qPrintable(left.join(QLatin1Char(' '))));
        // With room again, the same command does it.
        const CliResult again = home.shell(call + u" --out exported"_s);
        QVERIFY2(again.code == 0, again.all().constData());
        const Json answer = again.json();
        for (const Json& linear : answer.at("linears"))
            QCOMPARE_JSON(linear.at("resumed"), true);
    }

    void standardOutputThatCannotBeWritten()
    {
        CliHome home;
        const CliResult full = home.shell(u"rankwright-cli inspect $DEMO/stories260K --json > /dev/full"_s);
        QCOMPARE(full.code, 1);
        QCOMPARE(full.errors().size(), 1);
        const CliResult pipe = home.shell(
            u"rankwright-cli tokenize $DEMO/stories260K --text $DEMO/stories-calibration.txt --json | head -c 1; exit ${PIPESTATUS[0]}"_s);
        QCOMPARE(pipe.code, 1);
        QCOMPARE(pipe.errors().size(), 1);
        QVERIFY(!pipe.crashed);
        for (const QString& line : {u"rankwright-cli --version > /dev/full"_s, u"rankwright-cli devices > /dev/full"_s,
                                    u"rankwright-cli devices >&-"_s}) {
            const CliResult lost = home.shell(line);
            QVERIFY2(lost.code == 1 && lost.errors().size() == 1, lost.all().constData());
        }
    }

    void standardErrorThatCannotBeWritten()
    {
        CliHome home;
        for (const QString& closed : {u" 2>/dev/full"_s, u" 2>&-"_s}) {
            const CliResult missing = home.shell(u"rankwright-cli inspect nowhere --json"_s + closed);
            QVERIFY2(missing.code == 1, missing.all().constData());
            QCOMPARE(missing.json().at("error").value("kind", ""), std::string("notFound"));
            const CliResult text =
                home.shell(u"rankwright-cli generate $DEMO/stories260K --prompt x --tokens 2"_s + closed);
            QVERIFY2(text.code == 0 && text.out.startsWith('x'), text.all().constData());
        }
    }
};

QTEST_GUILESS_MAIN(TestCliErrors)
#include "tst_cli_errors.moc"
