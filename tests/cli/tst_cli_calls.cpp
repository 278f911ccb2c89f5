#include "cli_process.h"

#include <QTest>

#include <algorithm>

using rankwright::Json;

namespace {

/// compress with a method that needs no calibration, on one role.
CliResult compressNamed(const CliHome& home, const QString& name)
{
    return home.run({u"compress"_s, demoModel(), u"--method"_s, u"svd"_s, u"--keep"_s, u"0.5"_s, u"--only"_s, u"q"_s,
                     u"--name"_s, name});
}

/// Whether a terminal would show the text as it is: UTF-8, and no control character but line ends.
bool isPlain(const QByteArray& text)
{
    const QString read = QString::fromUtf8(text);
    return read.toUtf8() == text && !read.contains(QChar::ReplacementCharacter) &&
           std::ranges::none_of(read, [](QChar c) { return c.category() == QChar::Other_Control && c != u'\n'; });
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
