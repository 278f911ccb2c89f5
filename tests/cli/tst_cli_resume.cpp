#include "cli_process.h"

#include <QElapsedTimer>
#include <QTest>

#include <csignal>
#include <functional>
#include <random>

using rankwright::Json;

namespace {

/// A run that takes a while: ranks planned by exact losses of a method that has to solve for every rank.
QStringList longRun(const QStringList& more = {})
{
    return compressCall(
        u"nsvd"_s, u"0.6"_s,
        QStringList{u"--allocation"_s, u"marginal-loss"_s, u"--structure"_s, u"block-identity"_s, u"--json"_s} + more);
}

std::filesystem::path runFolder(const CliResult& result)
{
    return result.json().at("folder").get<std::string>();
}

bool nothingHalf(const std::filesystem::path& folder)
{
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.find(".partial") != std::string::npos)
            return false;
    }
    return true;
}

} // namespace

/// Runs that are stopped, killed, repeated and run at once.
class TestCliResume : public QObject
{
    Q_OBJECT

    /// Starts a run and acts as soon as its progress says `stage`.
    static CliResult actAt(const CliHome& home, const QStringList& call, const QByteArray& stage,
                           const std::function<void(const QProcess&)>& act)
    {
        QProcess process;
        home.start(process, call);
        CliResult result;
        bool acted = false;
        QElapsedTimer timer;
        timer.start();
        while (process.state() != QProcess::NotRunning && timer.elapsed() < 120'000) {
            process.waitForReadyRead(20);
            result.err += process.readAllStandardError();
            if (!acted && result.err.contains(stage)) {
                act(process);
                acted = true;
            }
        }
        process.waitForFinished();
        result.err += process.readAllStandardError();
        result.out = process.readAllStandardOutput();
        result.code = process.exitCode();
        result.crashed = process.exitStatus() == QProcess::CrashExit;
        return result;
    }

private slots:
    void interruptsAreClean_data()
    {
        QTest::addColumn<int>("signal");
        QTest::addColumn<QByteArray>("stage");
        QTest::newRow("SIGINT while planning") << SIGINT << QByteArray("analyse");
        QTest::newRow("SIGTERM while calibrating") << SIGTERM << QByteArray("calibrate");
        QTest::newRow("SIGINT while factorising") << SIGINT << QByteArray("factorise");
    }
    void interruptsAreClean()
    {
        QFETCH(int, signal);
        QFETCH(QByteArray, stage);
        CliHome home;
        const QStringList call = longRun({u"--out"_s, u"out"_s});
        const CliResult stopped = actAt(home, call, stage, [signal](const QProcess& process) {
            ::kill(static_cast<pid_t>(process.processId()), signal);
        });
        if (stopped.code == 0)
            QSKIP("the run was over before the signal came");
        QVERIFY2(!stopped.crashed && stopped.code == 1, stopped.all().constData());
        QCOMPARE(stopped.json().at("error").value("kind", ""), std::string("cancelled"));
        QCOMPARE(stopped.errors().size(), 1);
        QVERIFY(!std::filesystem::exists(home.path() / "out"));
        QCOMPARE_JSON(home.run({u"runs"_s, u"--json"_s}).json().at("runs")[0].at("state"), "cancelled");
        const CliResult shown = home.run({u"runs"_s, u"show"_s, u"1"_s});
        QVERIFY2(shown.code == 0, shown.all().constData());

        const CliResult resumed = home.run(call);
        QVERIFY2(resumed.code == 0, resumed.all().constData());
        CliHome other;
        const CliResult unbroken = other.run(call);
        QVERIFY2(unbroken.code == 0, unbroken.all().constData());
        QCOMPARE(difference(contentOf(runFolder(resumed)), contentOf(runFolder(unbroken))), QString());
        QCOMPARE(difference(contentOf(home.path() / "out"), contentOf(other.path() / "out")), QString());
    }

    /// A file that is mapped and shrinks takes its pages away from the program.
    void aModelThatShrinksIsAnError()
    {
        CliHome home;
        const std::filesystem::path model = home.path() / "model";
        std::filesystem::copy(demoModel().toStdString(), model, std::filesystem::copy_options::recursive);
        QStringList call = longRun({u"--threads"_s, u"1"_s});
        call[1] = toQ(model.string());
        const CliResult result = actAt(home, call, "calibrate", [&](const QProcess&) {
            std::filesystem::resize_file(model / "model.safetensors", 0);
        });
        if (result.code == 0)
            QSKIP("the run was over before the file shrank");
        QVERIFY2(!result.crashed && result.code == 1, result.all().constData());
        QCOMPARE(result.errors().size(), 1);
        QVERIFY2(result.errors().front().contains(u"shrank"_s), result.all().constData());
    }

    void killedTwentyTimes()
    {
        const QStringList call = longRun({u"--out"_s, u"out"_s});
        CliHome unbrokenHome;
        QElapsedTimer timer;
        timer.start();
        const CliResult unbroken = unbrokenHome.run(call);
        const qint64 whole = timer.elapsed();
        QVERIFY2(unbroken.code == 0, unbroken.all().constData());
        const auto expected = contentOf(runFolder(unbroken));
        const auto expectedExport = contentOf(unbrokenHome.path() / "out");

        std::mt19937 random(20);
        CliHome home;
        const auto out = home.path() / "out";
        const auto startAgain = [&] {
            std::filesystem::remove_all(out);
            std::filesystem::remove_all(home.path() / "data");
            // Calibration is a part of the run as well.
            std::filesystem::remove_all(home.path() / "cache");
        };
        int killed = 0;
        int compared = 0;
        for (int attempt = 0; attempt < 200 && killed < 20; ++attempt) {
            QProcess process;
            home.start(process, call);
            process.waitForStarted();
            const int delay = static_cast<int>(random() % static_cast<std::uint32_t>(whole));
            if (!process.waitForFinished(delay)) {
                ::kill(static_cast<pid_t>(process.processId()), SIGKILL);
                process.waitForFinished();
                ++killed;
                // An export that is there is whole.
                if (std::filesystem::exists(out))
                    QCOMPARE(difference(contentOf(out), expectedExport), QString());
                std::filesystem::remove_all(out);
                continue;
            }
            QVERIFY2(process.exitCode() == 0, process.readAllStandardError().constData());
            CliResult result;
            result.out = process.readAllStandardOutput();
            QCOMPARE(difference(contentOf(runFolder(result)), expected), QString());
            QCOMPARE(difference(contentOf(out), expectedExport), QString());
            ++compared;
            startAgain();
        }
        QCOMPARE(killed, 20);
        const CliResult last = home.run(call);
        QVERIFY2(last.code == 0, last.all().constData());
        QCOMPARE(difference(contentOf(runFolder(last)), expected), QString());
        QCOMPARE(difference(contentOf(out), expectedExport), QString());
        QVERIFY(nothingHalf(runFolder(last)));
        qInfo("an unbroken run takes %lld ms; 20 kills, %d runs ended between them", whole, compared);
    }

    void equalRecipesGiveEqualBytes()
    {
        CliHome a;
        CliHome b;
        const CliResult first = a.run(longRun({u"--out"_s, u"out"_s, u"--threads"_s, u"1"_s}));
        const CliResult second = b.run(longRun({u"--out"_s, u"out"_s, u"--threads"_s, u"3"_s}));
        QVERIFY2(first.code == 0, first.all().constData());
        QVERIFY2(second.code == 0, second.all().constData());
        QCOMPARE_JSON(first.json().at("fingerprint"), second.json().at("fingerprint"));
        QCOMPARE(difference(contentOf(runFolder(first)), contentOf(runFolder(second))), QString());
        QCOMPARE(difference(contentOf(a.path() / "out"), contentOf(b.path() / "out")), QString());
        // Once more in the same store: nothing is computed again.
        const CliResult again = a.run(longRun({u"--out"_s, u"out-2"_s}));
        QVERIFY2(again.code == 0, again.all().constData());
        const Json answer = again.json();
        for (const Json& linear : answer.at("linears"))
            QCOMPARE_JSON(linear.at("resumed"), true);
        QCOMPARE(difference(contentOf(a.path() / "out-2"), contentOf(a.path() / "out")), QString());
    }

    void twoProcessesAtOneStore()
    {
        CliHome home;
        const QStringList evaluation = {u"--evaluate-text"_s,    heldOutText(), u"--evaluate-window"_s, u"64"_s,
                                        u"--evaluate-windows"_s, u"4"_s};
        QProcess a;
        QProcess b;
        home.start(a, compressCall(u"svd"_s, u"0.6"_s, evaluation));
        home.start(b, compressCall(u"whitened-svd"_s, u"0.6"_s, evaluation));
        QVERIFY(a.waitForFinished(120'000) && b.waitForFinished(120'000));
        QVERIFY2(a.exitCode() == 0, a.readAllStandardError().constData());
        QVERIFY2(b.exitCode() == 0, b.readAllStandardError().constData());
        const Json runs = home.run({u"runs"_s, u"--json"_s}).json().at("runs");
        QCOMPARE(runs.size(), std::size_t{2});
        for (const Json& run : runs)
            QCOMPARE_JSON(run.at("state"), "finished");

        // The same recipe twice at once: one does it, the other says so or takes it over.
        QProcess c;
        QProcess d;
        home.start(c, longRun());
        home.start(d, longRun());
        QVERIFY(c.waitForFinished(120'000) && d.waitForFinished(120'000));
        QVERIFY(c.exitCode() == 0 || d.exitCode() == 0);
        for (QProcess* process : {&c, &d})
            if (process->exitCode() != 0) {
                QCOMPARE(process->exitCode(), 1);
                QVERIFY(process->readAllStandardError().contains("process"));
            }
    }
};

QTEST_GUILESS_MAIN(TestCliResume)
#include "tst_cli_resume.moc"
