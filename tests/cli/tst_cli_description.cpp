#include "cli_process.h"
#include "core/base/file.h"

#include <QRegularExpression>
#include <QTest>

#include <map>

namespace {

/// Long options by verb ("", "compress", "runs show", ...) as the help texts list them.
std::map<QString, QStringList> describedOptions(const CliHome& home)
{
    std::map<QString, QStringList> options;
    QStringList open = {QString()};
    while (!open.isEmpty()) {
        const QString verb = open.takeFirst();
        const QString help = QString::fromUtf8(
            home.run(verb.split(QLatin1Char(' '), Qt::SkipEmptyParts) + QStringList{u"--help"_s}).out);
        static const QRegularExpression option(u"^  (?:-\\w, )?(--[a-z-]+)"_s, QRegularExpression::MultilineOption);
        for (auto found = option.globalMatch(help); found.hasNext();)
            options[verb].push_back(found.next().captured(1));
        const QString verbs = help.section(u"\nVerbs:\n"_s, 1).section(u"\n\n"_s, 0, 0);
        static const QRegularExpression name(u"^  ([a-z]+)"_s, QRegularExpression::MultilineOption);
        for (auto found = name.globalMatch(verbs); found.hasNext();)
            open.push_back((verb + u" "_s + found.next().captured(1)).trimmed());
    }
    return options;
}

} // namespace

/// Help, manual page and completions describe all of the program.
class TestCliDescription : public QObject
{
    Q_OBJECT

private slots:
    void helpAndVersion()
    {
        CliHome home;
        const auto options = describedOptions(home);
        for (const char* verb : {"inspect", "tokenize", "evaluate", "calibrate", "similarity", "spectra", "forecast",
                                 "compress", "generate", "runs", "runs show", "runs compare", "export", "devices"}) {
            const QString name = QString::fromLatin1(verb);
            QVERIFY2(options.contains(name), verb);
            for (const QString& common : {u"--json"_s, u"--quiet"_s, u"--store"_s, u"--help"_s})
                QVERIFY2(options.at(name).contains(common), verb);
            const CliResult help = home.run(name.split(QLatin1Char(' ')) + QStringList{u"--help"_s});
            QCOMPARE(help.code, 0);
            QVERIFY(help.out.contains("Usage: rankwright-cli " + name.toUtf8()));
            QVERIFY(help.out.contains("Example"));
            QVERIFY(help.err.isEmpty());
            for (const QByteArray& line : help.out.split('\n'))
                QVERIFY2(line.size() <= 120, line.constData());
        }
        for (const char* option : {"--method",
                                   "--keep",
                                   "--allocation",
                                   "--structure",
                                   "--sequential",
                                   "--calibration-text",
                                   "--calibration-rows",
                                   "--calibration-window",
                                   "--calibration-windows",
                                   "--calibration-order",
                                   "--seed",
                                   "--curvature",
                                   "--curvature-seed",
                                   "--distill",
                                   "--distill-epochs",
                                   "--recover",
                                   "--recover-learning-rate",
                                   "--evaluate-text",
                                   "--evaluate-window",
                                   "--evaluate-windows",
                                   "--out",
                                   "--format",
                                   "--recipe",
                                   "--parameter",
                                   "--only",
                                   "--rank",
                                   "--storage",
                                   "--dtype",
                                   "--name",
                                   "--held-out-windows",
                                   "--threads",
                                   "--memory-limit",
                                   "--device"})
            QVERIFY2(options.at(u"compress"_s).contains(QString::fromLatin1(option)), option);
        const QByteArray compress = home.run({u"compress"_s, u"--help"_s}).out.simplified();
        QVERIFY(compress.contains("--method METHOD|best"));
        QVERIFY(compress.contains(", best --parameter"));
        QVERIFY(compress.contains("--out must be a new folder"));
        QVERIFY(!home.run({u"forecast"_s, u"--help"_s}).out.contains("METHOD|best"));
        QVERIFY(home.run({u"--version"_s}).out.startsWith("rankwright-cli 0."));
    }

    void manualPageAndCompletionsListEverything()
    {
        CliHome home;
        const QString page = QString::fromUtf8(home.run({u"man"_s}).out).remove(QLatin1Char('\\'));
        const auto options = describedOptions(home);
        QStringList scripts;
        for (const QString& shell : {u"bash"_s, u"zsh"_s, u"fish"_s})
            scripts.push_back(QString::fromUtf8(home.run({u"completion"_s, shell}).out));
        for (const auto& [verb, names] : options) {
            QVERIFY2(page.contains(u"rankwright-cli "_s + verb), qPrintable(verb));
            for (const QString& name : names) {
                if (verb.isEmpty())
                    continue;
                QVERIFY2(page.contains(u".B "_s + name) || page.contains(u", "_s + name), qPrintable(verb + name));
                QVERIFY2(scripts[0].contains(name), qPrintable(verb + name));
                QVERIFY2(scripts[1].contains(name + u"["_s), qPrintable(verb + name));
                QVERIFY2(scripts[2].contains(u"-l "_s + name.mid(2) + u" "_s), qPrintable(verb + name));
            }
        }
    }

    void bashCompletes_data()
    {
        QTest::addColumn<QString>("line");
        QTest::addColumn<QString>("completions");
        QTest::newRow("verb") << u"comp"_s << u"compress"_s;
        QTest::newRow("option") << u"compress m --meth"_s << u"--method"_s;
        QTest::newRow("method") << u"compress m --method whitened-s"_s << u"whitened-svd"_s;
        QTest::newRow("search instead of a method") << u"compress m --method bes"_s << u"best"_s;
        QTest::newRow("no search") << u"spectra m --method bes"_s << QString();
        QTest::newRow("choice") << u"compress --structure b"_s << u"block-identity"_s;
        QTest::newRow("inner verb") << u"runs co"_s << u"compare"_s;
        QTest::newRow("option of the inner verb") << u"runs show --lin"_s << u"--linears"_s;
        QTest::newRow("file") << u"inspect some"_s << u"somewhere"_s;
        QTest::newRow("file of an option") << u"evaluate m --text some"_s << u"somewhere"_s;
        QTest::newRow("number") << u"evaluate m --window some"_s << QString();
        QTest::newRow("verb after a flag") << u"--json ev"_s << u"evaluate"_s;
        QTest::newRow("option after a flag") << u"compress --dry-run --meth"_s << u"--method"_s;
        QTest::newRow("file after a flag") << u"evaluate --rows some"_s << u"somewhere"_s;
        QTest::newRow("inner verb after a flag") << u"runs --quiet sh"_s << u"show"_s;
        QTest::newRow("only options of the verb") << u"inspect --method"_s << QString();
    }
    void bashCompletes()
    {
        QFETCH(QString, line);
        QFETCH(QString, completions);
        CliHome home;
        rankwright::writeFileAtomically(home.path() / "somewhere", "");
        const CliResult result = home.shell(u"set -u; source <(rankwright-cli completion bash); "
                                            u"COMP_WORDS=(rankwright-cli %1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                                            u"_rankwright_cli; echo -n \"${COMPREPLY[*]-}\""_s.arg(line));
        QVERIFY2(result.code == 0 && result.err.isEmpty(), result.all().constData());
        QCOMPARE(QString::fromUtf8(result.out), completions);
    }
};

QTEST_GUILESS_MAIN(TestCliDescription)
#include "tst_cli_description.moc"
