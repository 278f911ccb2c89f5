#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/nearest_name.h"
#include "core/base/parallel.h"
#include "core/base/paths.h"

#include <QScopeGuard>
#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <barrier>
#include <chrono>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace rankwright;

class TestBase : public QObject
{
    Q_OBJECT

private slots:
    void bytesAreReadAndRefused()
    {
        QCOMPARE(parseBytes("1GiB"), std::size_t{1} << 30U);
        QCOMPARE(parseBytes("1.5 MiB"), std::size_t{1536} * 1024);
        QCOMPARE(parseBytes("2GB"), std::size_t{2000000000});
        QVERIFY_EXCEPTION_THROWN(parseBytes("lots"), Error);
        QVERIFY_EXCEPTION_THROWN(parseBytes("-1GiB"), Error);
        QVERIFY_EXCEPTION_THROWN(parseBytes("1XiB"), Error);
    }

    void onlyLikelyNamesAreSuggested()
    {
        const std::vector<std::string_view> names = {"runs", "compress", "svd", "whitened-svd", "best"};
        QCOMPARE(nearestName("help", names), std::string("best"));
        QCOMPARE(likelyName("help", names), std::string());
        QCOMPARE(likelyName("comprses", names), std::string("compress"));
        QCOMPARE(likelyName("bset", names), std::string("best"));
        QCOMPARE(likelyName("svx", names), std::string("svd"));
        QCOMPARE(likelyName("sxx", names), std::string());                         // two of three characters
        QCOMPARE(likelyName("whitened-xxxx", names), std::string("whitened-svd")); // 4 of 13
        QCOMPARE(likelyName("whitenexxxxxx", names), std::string());
        QCOMPARE(likelyName("x", {}), std::string());
        QCOMPARE(knownNames("run", names),
                 std::string(", did you mean \"runs\"? Known: runs, compress, svd, whitened-svd, best"));
        QCOMPARE(knownNames("help", names), std::string("; known: runs, compress, svd, whitened-svd, best"));
    }

    void jsonRefusesDuplicatesDepthAndRubbish()
    {
        QCOMPARE(parseJson(R"({"a": [1, {"b": 2}]})", "f")["a"][1]["b"].get<int>(), 2);
        QVERIFY_EXCEPTION_THROWN(parseJson(R"({"a": 1, "a": 2})", "f"), Error);
        QVERIFY_EXCEPTION_THROWN(parseJson(R"({"a": 1} x)", "f"), Error);
        QVERIFY_EXCEPTION_THROWN(parseJson("{\"a\": \"\xff\"}", "f"), Error);
        QVERIFY_EXCEPTION_THROWN(parseJson(std::string(100000, '['), "f"), Error);
    }

    void atomicFileLeavesTheOldOneUntilCommit()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.filePath(QStringLiteral("x.txt")).toStdString();
        writeFileAtomically(path, "old");
        {
            AtomicFile file(path);
            file.write("half");
        }
        QCOMPARE(readFile(path), std::string("old"));
        QCOMPARE(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);
    }

    void atomicFolderAppearsWholeOrNotAtAll()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = std::filesystem::path(folder.path().toStdString()) / "out";
        {
            const AtomicFolder abandoned(path);
            writeFileAtomically(abandoned.temporary() / "a", "1");
        }
        QVERIFY(!std::filesystem::exists(path));
        AtomicFolder kept(path);
        writeFileAtomically(kept.temporary() / "a", "1");
        kept.commit();
        QCOMPARE(readFile(path / "a"), std::string("1"));
        QVERIFY_EXCEPTION_THROWN(AtomicFolder{path}, Error);
    }

    /// Not a folder that others can guess and write to.
    void usersWithoutHomeVariableHaveTheirFolder()
    {
        const QByteArray home = qgetenv("HOME");
        const QByteArray data = qgetenv("XDG_DATA_HOME");
        qunsetenv("HOME");
        qunsetenv("XDG_DATA_HOME");
        const std::filesystem::path found = dataHome();
        qputenv("HOME", home);
        if (!data.isEmpty())
            qputenv("XDG_DATA_HOME", data);
        const passwd* user = ::getpwuid(::geteuid());
        QVERIFY(user != nullptr);
        QCOMPARE(found, std::filesystem::path(user->pw_dir) / ".local/share/rankwright");
    }

    void atomicFoldersFollowLinks()
    {
        const QTemporaryDir folder;
        const std::filesystem::path place = folder.path().toStdString();
        const std::filesystem::path link = place / "link";
        std::filesystem::create_directories(place / "far" / "empty");
        std::filesystem::create_symlink(place / "far" / "empty", link);
        AtomicFolder whole(link);
        writeFileAtomically(whole.temporary() / "a", "1");
        whole.commit();
        QVERIFY(std::filesystem::is_symlink(link));
        QCOMPARE(readFile(place / "far" / "empty" / "a"), std::string("1"));

        std::filesystem::create_symlink(place / "nothing", place / "astray");
        try {
            freeFolder(place / "astray");
            QFAIL("a link to nothing is no place for a folder");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::InvalidArgument);
            QCOMPARE(error.file(), place / "astray");
        }
    }

    void mountPointsAreRefused()
    {
        const QTemporaryDir folder;
        const std::filesystem::path place = folder.path().toStdString();
        if (::mount("none", place.c_str(), "tmpfs", 0, "size=64k") != 0)
            QSKIP("no file system can be mounted here");
        const auto unmount = qScopeGuard([&] { ::umount2(place.c_str(), MNT_DETACH); });
        try {
            freeFolder(place);
            QFAIL("no folder can be renamed to a mount point");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::InvalidArgument);
            QCOMPARE(error.file(), place);
        }
        QCOMPARE(freeFolder(place / "inner"), place / "inner");
    }

    /// What a killed process left is removed, what another one is writing is not, nor what has another name.
    void leftoversOfAtomicFoldersAreRemoved()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = std::filesystem::path(folder.path().toStdString()) / "out";
        const pid_t killed = ::fork();
        if (killed == 0) {
            const AtomicFolder left(path);
            writeFileAtomically(left.temporary() / "a", "1");
            ::_exit(0);
        }
        QCOMPARE(::waitpid(killed, nullptr, 0), killed);
        const AtomicFolder alive(path);
        const AtomicFolder longer(path.string() + ".1-2");
        const auto count = [&] { return std::distance(std::filesystem::directory_iterator(path.parent_path()), {}); };
        QCOMPARE(count(), 3);
        for (const auto& entry : std::filesystem::directory_iterator(path.parent_path()))
            std::filesystem::last_write_time(entry.path(),
                                             std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
        const AtomicFolder next(path);
        QCOMPARE(count(), 3);
        QVERIFY(std::filesystem::exists(alive.temporary()));
        QVERIFY(std::filesystem::exists(longer.temporary()));
    }

    /// A named pipe without a writer must not hold up the program.
    void onlyRegularFilesAreRead()
    {
        const QTemporaryDir folder;
        const std::filesystem::path pipe = folder.filePath(QStringLiteral("pipe")).toStdString();
        QCOMPARE(::mkfifo(pipe.c_str(), 0600), 0);
        for (const std::filesystem::path& path : {pipe, pipe.parent_path(), std::filesystem::path("/dev/zero")}) {
            try {
                readFile(path);
                QFAIL(path.c_str());
            } catch (const Error& error) {
                QVERIFY2(error.kind() == ErrorKind::Io, error.what());
                QCOMPARE(error.file(), path);
                QVERIFY2(std::string_view(error.what()).ends_with("not a regular file"), error.what());
            }
        }
    }

    void presenceIsToldOrRefused()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        QVERIFY(isPresent(path));
        QVERIFY(!isPresent(path / "nothing"));
        std::filesystem::create_symlink("nothing", path / "dangling");
        QVERIFY(!isPresent(path / "dangling"));
        std::filesystem::create_symlink("loop", path / "loop");
        try {
            isPresent(path / "loop");
            QFAIL("accepted");
        } catch (const Error& error) {
            QVERIFY2(error.kind() == ErrorKind::Io, error.what());
            QCOMPARE(error.file(), path / "loop");
        }
    }

    void errorsAreOneShortLine()
    {
        const Error error(ErrorKind::Corrupt, "x\ny", {.file = "f", .tensor = std::string(1000000, 'n')});
        const std::string_view line = error.what();
        QVERIFY2(line.size() < 2000 && line.starts_with("f: tensor nnn") && line.ends_with("nnn...: x y"),
                 error.what());
        // Cut between characters.
        std::string signs;
        for (int i = 0; i < 5000; ++i)
            signs += "\xe2\x96\x81";
        const std::string cut = Error(ErrorKind::Corrupt, signs).what();
        QCOMPARE((cut.size() - 3) % 3, std::size_t{0});
    }

    void hashSeparatesItsParts()
    {
        QCOMPARE(Hasher().update("ab").update("c").hex() == Hasher().update("a").update("bc").hex(), false);
        QCOMPARE(hashOf("x").size(), std::size_t{32});
    }

    void orderedTurnsKeepTheOrder()
    {
        std::vector<std::size_t> order;
        OrderedTurn turn;
        parallelFor(200, 4, [&](std::size_t i, std::size_t) { turn.run(i, [&] { order.push_back(i); }); });
        QCOMPARE(order.size(), std::size_t{200});
        QVERIFY(std::is_sorted(order.begin(), order.end()));
    }

    void priorityIsLoweredForAThreadAndThoseItStarts()
    {
        const auto nice = [] { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); };
        const int before = nice();
        int lowered = 0;
        std::vector<int> inherited(8);
        std::jthread([&] {
            lowerThreadPriority();
            lowered = nice();
            std::barrier together(2); // both threads of the pool take part
            parallelFor(inherited.size(), 2, [&](std::size_t i, std::size_t) {
                together.arrive_and_wait();
                inherited[i] = nice();
            });
        }).join();
        QCOMPARE(lowered, std::max(before, 10));
        QCOMPARE(inherited, std::vector<int>(8, lowered));
        QCOMPARE(nice(), before);
    }

    void parallelForPassesOnTheFirstException()
    {
        QVERIFY_EXCEPTION_THROWN(parallelFor(100, 3,
                                             [](std::size_t i, std::size_t) {
                                                 if (i == 7)
                                                     throw Error(ErrorKind::Io, "seven");
                                             }),
                                 Error);
    }
};

QTEST_GUILESS_MAIN(TestBase)
#include "tst_base.moc"
