#include "tests/ui/window_fixture.h"
#include "ui/session/text.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <QAbstractButton>
#include <QLabel>
#include <QMessageBox>
#include <QTabWidget>

#include <csignal>
#include <sys/resource.h>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

namespace {

QString demoModelPath()
{
    return demoFolder() + u"/stories260K"_s;
}

/// Files larger than this cannot be written while it lives, as on a full disk.
class FullDisk
{
public:
    explicit FullDisk(rlim_t bytes)
    {
        ::getrlimit(RLIMIT_FSIZE, &m_before);
        rlimit small = m_before;
        small.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &m_before); }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit m_before{};
};

} // namespace

/// Stores and disks that fail: a message that says what to do, and the window goes on.
class TestWindowTrouble : public QObject
{
    Q_OBJECT

private:
    static QMessageBox* waitForBox(MainWindow& window, int seconds = 60)
    {
        QMessageBox* box = nullptr;
        waitUntil([&] { return (box = window.findChild<QMessageBox*>(u"problem"_s)) != nullptr; }, seconds);
        return box;
    }

    static void close(MainWindow& window, QMessageBox* box)
    {
        QTest::keyClick(box, Qt::Key_Escape);
        QVERIFY(waitUntil([&] { return window.findChild<QMessageBox*>(u"problem"_s) == nullptr; }));
    }

    static Recipe quickRecipe()
    {
        Recipe recipe;
        recipe.method = "svd";
        return recipe;
    }

private slots:
    void initTestCase() { std::signal(SIGXFSZ, SIG_IGN); }

    void aStoreOfANewerVersion()
    {
        QTemporaryDir folder;
        const std::filesystem::path file = std::filesystem::path(folder.path().toStdString()) / "experiments.sqlite";
        {
            const Store ours(file);
            SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
            database.exec("PRAGMA user_version = 9999");
        }
        MainWindow window({.store = file, .run = {.cache = file.parent_path() / "cache"}});
        window.show();
        QMessageBox* box = waitForBox(window);
        QVERIFY(box != nullptr);
        QVERIFY2(box->text().contains(u"9999"_s), qPrintable(box->text()));
        close(window, box);
        window.openPath(demoModelPath());
        QVERIFY(waitUntil([&] { return window.session().document() != nullptr; }));
        window.session().recipeState().set(quickRecipe());
        QCOMPARE(window.session().startRun(), QString());
        box = waitForBox(window);
        QVERIFY(box != nullptr);
        QVERIFY2(box->text().contains(u"store"_s), qPrintable(box->text()));
        close(window, box);
        QVERIFY(window.session().jobs().idle());
    }

    void aStoreThatAnotherProgramLocks()
    {
        WindowFixture fixture;
        fixture.openModel(demoModelPath());
        fixture.session().recipeState().set(quickRecipe());
        SQLite::Database other(fixture.places().store.string(), SQLite::OPEN_READWRITE);
        other.exec("BEGIN IMMEDIATE");
        QCOMPARE(fixture.session().startRun(), QString());
        // The engine waits for the other program; the window does not.
        QVERIFY(waitUntil([&] { return fixture.session().jobs().running() != nullptr; }));
        for (int i = 0; i < 20; ++i) {
            fixture.window().views()->setCurrentIndex(i % 3);
            QElapsedTimer timer;
            timer.start();
            QCoreApplication::processEvents();
            QVERIFY(timer.elapsed() < 1000);
            QTest::qWait(20);
        }
        QMessageBox* box = waitForBox(fixture.window(), 90);
        QVERIFY(box != nullptr);
        QVERIFY2(box->text().contains(u"lock"_s), qPrintable(box->text()));
        close(fixture.window(), box);
        other.exec("ROLLBACK");
        QCOMPARE(fixture.session().startRun(), QString());
        QVERIFY(waitUntil([&] { return fixture.session().jobs().idle(); }));
        QCOMPARE(fixture.session().jobs().jobs().back().state, JobState::Finished);
    }

    void aFullDisk()
    {
        WindowFixture fixture;
        fixture.openModel(demoModelPath());
        fixture.session().recipeState().set(quickRecipe());
        {
            const FullDisk full(2048);
            QCOMPARE(fixture.session().startRun(), QString());
            QMessageBox* box = waitForBox(fixture.window());
            QVERIFY(box != nullptr);
            QVERIFY2(box->text().contains(u"File too large"_s) || box->text().contains(u"disk"_s),
                     qPrintable(box->text()));
            close(fixture.window(), box);
            QVERIFY(fixture.session().jobs().idle());
            QCOMPARE(fixture.session().jobs().jobs().back().state, JobState::Failed);
        }
        QCOMPARE(fixture.session().startRun(), QString());
        QVERIFY(waitUntil([&] { return fixture.session().jobs().idle(); }));
        QCOMPARE(fixture.session().jobs().jobs().back().state, JobState::Finished);
    }
};

QTEST_MAIN(TestWindowTrouble)
#include "tst_window_trouble.moc"
