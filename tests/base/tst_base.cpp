#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/nearest_name.h"
#include "core/base/parallel.h"
#include "core/base/paths.h"

#include <QTemporaryDir>
#include <QTest>

#include <atomic>
#include <barrier>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
