#include "core/base/error.h"
#include "core/base/file.h"
#include "core/experiment/store.h"
#include "core/experiment/store_schema.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <SQLiteCpp/SQLiteCpp.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <memory>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace rankwright;

namespace {

std::filesystem::path pathIn(const QTemporaryDir& folder, const char* name)
{
    return std::filesystem::path(folder.path().toStdString()) / name;
}

/// The kind of the error that `work` throws, or nothing.
template <typename Work>
std::optional<Error> errorOf(const Work& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

Recipe sampleRecipe()
{
    Recipe recipe;
    recipe.name = "Größe";
    recipe.model = "models/small";
    recipe.method = "nsvd";
    recipe.allocation = "marginal-loss";
    recipe.structure = StructureKind::BlockIdentity;
    recipe.keptRatio = 0.7;
    return recipe;
}

LinearOutcome sampleLinear(const std::string& name)
{
    LinearOutcome outcome;
    outcome.name = name;
    outcome.rank = 17;
    outcome.structure = StructureKind::BlockIdentity;
    outcome.keptParameters = 600;
    outcome.denseParameters = 1000;
    outcome.predictedLoss = 0.1 + 0.2;
    outcome.measuredLoss = std::numeric_limits<double>::quiet_NaN();
    outcome.totalEnergy = 1e300;
    outcome.seconds = 0.5;
    outcome.resumed = true;
    outcome.notes = {"clamped from 20", "quote \" and \n line"};
    return outcome;
}

EvaluationOutcome sampleEvaluation()
{
    EvaluationOutcome outcome;
    outcome.name = "held-out";
    outcome.windows = {.text = "texts/a.txt",
                       .rows = true,
                       .length = 128,
                       .count = 3,
                       .order = WindowOrder::Random,
                       .seed = std::numeric_limits<std::uint64_t>::max(),
                       .bosPerWindow = true};
    outcome.original = {.perplexity = 4.5,
                        .windows = 3,
                        .windowLength = 128,
                        .predictedTokens = 381,
                        .windowNll = {1.25, 2.5, 3.75},
                        .seconds = 0.1,
                        .tokensPerSecond = 3810.0};
    outcome.compressed = outcome.original;
    outcome.compressed.perplexity = std::numeric_limits<double>::infinity();
    outcome.compressed.windowNll = {};
    return outcome;
}

/// A file system of 256 KiB where this process may mount one; else a limit on the size of files.
class SmallDisk
{
public:
    explicit SmallDisk(const std::filesystem::path& folder)
        : m_folder(folder)
    {
        std::filesystem::create_directories(folder);
        m_mounted = ::mount("none", folder.c_str(), "tmpfs", 0, "size=256k") == 0;
        if (!m_mounted) {
            std::signal(SIGXFSZ, SIG_IGN);
            ::getrlimit(RLIMIT_FSIZE, &m_before);
            const rlimit small{200 * 1024, m_before.rlim_max};
            ::setrlimit(RLIMIT_FSIZE, &small);
        }
    }
    ~SmallDisk()
    {
        if (m_mounted)
            ::umount2(m_folder.c_str(), MNT_DETACH);
        else
            ::setrlimit(RLIMIT_FSIZE, &m_before);
    }

private:
    std::filesystem::path m_folder;
    bool m_mounted = false;
    rlimit m_before{};
};

} // namespace

class TestStore : public QObject
{
    Q_OBJECT

private slots:
    void everythingOfARunComesBack()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "new/experiments.sqlite");
        std::int64_t id = 0;
        RunResult result;
        {
            Store store(file);
            QCOMPARE(store.runsFolder(), file.parent_path() / "experiments.runs");
            id = store.beginRun(sampleRecipe(), {"0.1.0", "cpu", "OpenBLAS", 3, "processor"}, "");
            QCOMPARE(store.run(id).summary.state, RunState::Running);
            store.setFingerprints(id, "f", "m", "c");
            store.recordLinear(id, sampleLinear("second"));
            store.recordLinear(id, sampleLinear("first"));
            store.recordSpectrum(id, "first", std::vector<double>{3.0, 0.1, 0.0});
            store.recordSpectrum(id, "second", {});
            store.recordEvent(id, {"rankClamped", "first", "to 5", 5.0});
            store.recordEvaluation(id, sampleEvaluation());
            store.recordArtefact(id, "export", "/somewhere", 12);
            store.setTags(id, "paper");
            store.setNotes(id, "ÄRGER");
            result.linears = {sampleLinear("first"), sampleLinear("second")};
            result.linears[0].heldOutError = 0.25;
            result.keptRatio = 0.69;
            result.wholeModelRatio = 0.8;
            result.parameters = 12345;
            result.bytes = std::size_t{5} << 32U;
            result.folder = "/runs/f";
            result.exportFolder = "/out";
            result.stageSeconds = {{"open", 0.5}, {"calibrate", 2.0}};
            result.calibrationReused = true;
            store.finishRun(id, RunState::Finished, result, "");
        }
        const Store store(file);
        const RunRecord record = store.run(id);
        QCOMPARE(record.summary.state, RunState::Finished);
        QCOMPARE(record.summary.name, std::string("Größe"));
        QCOMPARE(record.summary.structure, std::string("block-identity"));
        QCOMPARE(record.summary.targetKeptRatio, 0.7);
        QCOMPARE(record.summary.tags, std::string("paper"));
        QVERIFY(record.summary.seconds >= 0.0 && record.summary.seconds < 60.0);
        QVERIFY(record.summary.started.ends_with("Z") && record.summary.finished >= record.summary.started);
        QCOMPARE(record.environment.threads, std::size_t{3});
        QCOMPARE(dumpJson(record.recipe), dumpJson(recipeToJson(sampleRecipe())));
        QCOMPARE(record.result.modelFingerprint, std::string("m"));
        QCOMPARE(record.result.calibrationFingerprint, std::string("c"));
        QCOMPARE(record.result.bytes, result.bytes);
        QCOMPARE(record.result.parameters, result.parameters);
        QVERIFY(record.result.calibrationReused);
        QCOMPARE(record.result.stageSeconds, result.stageSeconds);
        QCOMPARE(record.result.events.size(), std::size_t{1});
        QCOMPARE(record.result.events[0].value, 5.0);
        QCOMPARE(record.result.linears.size(), std::size_t{2});
        const LinearOutcome& linear = record.result.linears[0];
        QCOMPARE(linear.name, std::string("first"));
        QCOMPARE(linear.predictedLoss, 0.1 + 0.2);
        QVERIFY(std::isnan(linear.measuredLoss));
        QCOMPARE(linear.heldOutError, 0.25);
        QCOMPARE(linear.notes, sampleLinear("first").notes);
        QVERIFY(linear.resumed);
        QCOMPARE(record.result.linears[1].heldOutError, -1.0);
        QCOMPARE(store.spectrum(id, "first"), (std::vector<double>{3.0, 0.1, 0.0}));
        QVERIFY(store.spectrum(id, "second").empty());
        const EvaluationOutcome& evaluation = record.result.evaluations.at(0);
        QCOMPARE(evaluation.windows.seed, std::numeric_limits<std::uint64_t>::max());
        QVERIFY(evaluation.windows.rows && evaluation.windows.bosPerWindow);
        QCOMPARE(evaluation.windows.order, WindowOrder::Random);
        QCOMPARE(evaluation.original.windowNll, (std::vector<double>{1.25, 2.5, 3.75}));
        QVERIFY(std::isnan(evaluation.compressed.perplexity));
        QCOMPARE(errorOf([&] { store.spectrum(id, "third"); })->kind(), ErrorKind::NotFound);
        QCOMPARE(errorOf([&] { store.run(id + 1); })->kind(), ErrorKind::NotFound);
    }

    void runsAreFilteredIgnoringCase()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        const auto first = store.beginRun(sampleRecipe(), {}, "");
        const auto second = store.beginRun({}, {}, "");
        store.setTags(second, "100% done");
        QCOMPARE(store.runs().size(), std::size_t{2});
        QCOMPARE(store.runs()[0].id, second);
        QCOMPARE(store.runs("GRÖSSE").size(), std::size_t{1});
        QCOMPARE(store.runs("grö")[0].id, first);
        QCOMPARE(store.runs("0% D")[0].id, second);
        QVERIFY(store.runs("0_ d").empty());
        QCOMPARE(errorOf([&] { store.setTags(99, "x"); })->kind(), ErrorKind::NotFound);
        QCOMPARE(errorOf([&] { store.finishRun(99, RunState::Failed, {}, "x"); })->kind(), ErrorKind::NotFound);
    }

    void densePerplexitiesAreKeptOnce()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        QVERIFY(!store.cachedPerplexity("m", "w"));
        store.cachePerplexity("m", "w", sampleEvaluation().original);
        QCOMPARE(store.cachedPerplexity("m", "w")->windowNll, sampleEvaluation().original.windowNll);
        QCOMPARE(store.cachedPerplexity("m", "w")->predictedTokens, std::size_t{381});
        QVERIFY(!store.cachedPerplexity("m", "other"));
    }

    void linearsOfUnknownRunsAreRefused()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        // Foreign keys are off in SQLite unless each connection asks for them.
        QVERIFY(errorOf([&] { store.recordLinear(7, sampleLinear("x")); }).has_value());
    }

    void aFailingCallDoesNotTakeItsNeighboursWithIt()
    {
        const QTemporaryDir folder;
        Store store(pathIn(folder, "s.sqlite"));
        const auto run = store.beginRun({}, {}, "");
        std::atomic<int> failures{0};
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < 8; ++t)
                threads.emplace_back([&, t] {
                    for (int i = 0; i < 25; ++i) {
                        const std::string name = std::to_string(t) + "-" + std::to_string(i);
                        if (errorOf([&] { store.recordLinear(i % 5 == 0 ? run + 1 : run, sampleLinear(name)); }))
                            ++failures;
                    }
                });
        }
        QCOMPARE(failures.load(), 8 * 5);
        QCOMPARE(store.run(run).result.linears.size(), std::size_t{8 * 20});
    }

    void severalProcessesAndThreadsWriteAtOnce()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        QProcess processes[2];
        for (QProcess& process : processes) {
            process.setProcessChannelMode(QProcess::ForwardedChannels);
            process.start(QStringLiteral(EXPERIMENT_HELPER),
                          {QStringLiteral("insert"), QString::fromStdString(file.string()), QStringLiteral("200")});
        }
        Store store(file);
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < 2; ++t)
                threads.emplace_back([&] {
                    for (int i = 0; i < 200; ++i)
                        store.finishRun(store.beginRun({}, {}, ""), RunState::Finished, {}, "");
                });
        }
        for (QProcess& process : processes) {
            QVERIFY(process.waitForFinished(120'000));
            QCOMPARE(process.exitCode(), 0);
        }
        const auto runs = store.runs();
        QCOMPARE(runs.size(), std::size_t{800});
        for (const RunSummary& run : runs)
            QCOMPARE(run.state, RunState::Finished);
    }

    void aRunOfADeadProcessIsInterrupted()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "s.sqlite");
        QProcess process;
        process.start(QStringLiteral(EXPERIMENT_HELPER),
                      {QStringLiteral("leave"), QString::fromStdString(file.string())});
        QVERIFY(process.waitForFinished(30'000));
        QCOMPARE(process.exitCode(), 0);
        Store store(file);
        QCOMPARE(store.runs().at(0).state, RunState::Interrupted);
        store.beginRun({}, {}, "");
        QCOMPARE(store.runs().at(0).state, RunState::Running);
    }

    void anOlderStoreIsMigratedStepByStep()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "old.sqlite");
        {
            SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
            database.exec(readFile(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "experiment/store-v1.sql"));
        }
        {
            Store store(file);
            const RunRecord record = store.run(1);
            QCOMPARE(record.summary.name, std::string("first"));
            QCOMPARE(record.result.linears.at(0).rank, std::size_t{7});
            QVERIFY(std::isnan(record.result.linears.at(0).heldOutError));
            QCOMPARE(store.spectrum(1, "model.layers.0.mlp.up_proj"), (std::vector<double>{2.0, 3.0}));
            store.cachePerplexity("m", "w", sampleEvaluation().original);
            QVERIFY(store.cachedPerplexity("m", "w"));
        }
        SQLite::Database database(file.string());
        QCOMPARE(database.execAndGet("PRAGMA user_version").getInt(), storeVersion);
        // A migrated store and a new one have the same tables.
        const auto fresh = pathIn(folder, "fresh.sqlite");
        {
            const Store store(fresh);
        }
        SQLite::Database freshDatabase(fresh.string());
        for (const char* table : {"runs", "linears", "spectra", "evaluations", "events", "artefacts", "stages",
                                  "dense_perplexities", "training_points"}) {
            const std::string columns = std::string("SELECT group_concat(name || type || \"notnull\" || "
                                                    "coalesce(dflt_value, '-') || pk) FROM pragma_table_info('") +
                                        table + "')";
            QVERIFY(!database.execAndGet(columns).getString().empty());
            QCOMPARE(database.execAndGet(columns).getString(), freshDatabase.execAndGet(columns).getString());
            const std::string indices = std::string("SELECT coalesce(group_concat(sql), '') FROM (SELECT sql FROM "
                                                    "sqlite_master WHERE type = 'index' AND tbl_name = '") +
                                        table + "' ORDER BY name)";
            QCOMPARE(database.execAndGet(indices).getString(), freshDatabase.execAndGet(indices).getString());
        }
    }

    void aNewerStoreIsRefusedAndLeftAlone()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "newer.sqlite");
        {
            const Store store(file);
        }
        {
            SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
            database.exec("PRAGMA user_version = 99");
        }
        const auto error = errorOf([&] { Store{file}; });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Unsupported);
        QCOMPARE(error->file(), file);
        QVERIFY(std::string(error->what()).find("99") != std::string::npos);
    }

    void rubbishIsRefusedByName_data()
    {
        QTest::addColumn<QByteArray>("content");
        QTest::newRow("text") << QByteArray("this is not a database, however long one reads it. ").repeated(100);
        QTest::newRow("header only") << QByteArray("SQLite format 3\0", 16).append(QByteArray(2000, 'x'));
    }
    void rubbishIsRefusedByName()
    {
        QFETCH(QByteArray, content);
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "rubbish.sqlite");
        writeFileAtomically(file, content.toStdString());
        const auto error = errorOf([&] { Store{file}; });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Corrupt);
        QCOMPARE(error->file(), file);
        QCOMPARE(readFile(file), content.toStdString());
    }

    void aDatabaseOfAnotherProgramIsRefused()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "other.sqlite");
        {
            SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
            database.exec("CREATE TABLE birds (name TEXT)");
        }
        QCOMPARE(errorOf([&] { Store{file}; })->kind(), ErrorKind::Corrupt);
    }

    void aStoreCutInHalfIsCorrupt()
    {
        const QTemporaryDir folder;
        const auto file = pathIn(folder, "cut.sqlite");
        {
            Store store(file);
            for (int i = 0; i < 50; ++i)
                store.beginRun(sampleRecipe(), {}, "");
        }
        std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
        const auto error = errorOf([&] {
            const Store store(file);
            store.runs();
        });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Corrupt);
    }

    void aFolderThatCannotBeWrittenIsNamed()
    {
        const QTemporaryDir folder;
        const auto inner = pathIn(folder, "inner");
        std::filesystem::create_directory(inner);
        ::chmod(folder.path().toLocal8Bit().constData(), 0755);
        ::chmod(inner.c_str(), 0555);
        const bool root = ::geteuid() == 0;
        if (root)
            QCOMPARE(::seteuid(65534), 0);
        const auto missing = errorOf([&] { Store{inner / "s.sqlite"}; });
        const auto nested = errorOf([&] { Store{inner / "deeper/s.sqlite"}; });
        if (root)
            QCOMPARE(::seteuid(0), 0);
        QVERIFY(missing.has_value() && nested.has_value());
        QCOMPARE(missing->kind(), ErrorKind::Io);
        QCOMPARE(missing->file(), inner / "s.sqlite");
        QCOMPARE(nested->kind(), ErrorKind::Io);
    }

    /// Somebody else's store, a read-only disk: what is there can be read.
    void aStoreThatCannotBeWrittenIsRead()
    {
        const QTemporaryDir folder;
        const std::filesystem::path inner = pathIn(folder, "read%20 only?");
        const std::filesystem::path file = inner / "s.sqlite";
        {
            Store store(file);
            QVERIFY(store.isWritable());
            store.beginRun(sampleRecipe(), {}, "");
        }
        QVERIFY(!std::filesystem::exists(file.string() + "-wal"));
        using std::filesystem::perms;
        const bool root = ::geteuid() == 0;
        std::filesystem::permissions(folder.path().toStdString(), perms{0755});
        std::filesystem::permissions(file, perms{0444});
        std::filesystem::permissions(inner, perms{0555});
        if (root)
            QCOMPARE(::seteuid(65534), 0);
        std::size_t runs = 0;
        std::string name;
        bool writable = true;
        std::optional<Error> written;
        const auto opened = errorOf([&] {
            Store store(file);
            writable = store.isWritable();
            runs = store.runs().size();
            name = store.run(1).summary.name;
            written = errorOf([&] { store.setTags(1, "mine"); });
        });
        if (root)
            QCOMPARE(::seteuid(0), 0);
        std::filesystem::permissions(inner, perms{0755});
        QVERIFY2(!opened, opened ? opened->what() : "");
        QVERIFY(!writable);
        QCOMPARE(runs, std::size_t{1});
        QCOMPARE(name, std::string("Größe"));
        QVERIFY(written && written->kind() == ErrorKind::Io);
        QVERIFY2(QString::fromUtf8(written->what()).contains(QStringLiteral("--store")), written->what());
        QVERIFY(!std::filesystem::exists(file.string() + "-shm"));
    }

    void aFullDiskLosesNothingRecorded()
    {
        const QTemporaryDir folder;
        const SmallDisk disk(pathIn(folder, "small"));
        Store store(pathIn(folder, "small/s.sqlite"));
        const auto run = store.beginRun(sampleRecipe(), {}, "");
        std::optional<Error> error;
        std::size_t recorded = 0;
        for (; recorded < 1000 && !error; ++recorded)
            error =
                errorOf([&] { store.recordSpectrum(run, std::to_string(recorded), std::vector<double>(512, 1.0)); });
        QVERIFY(error.has_value());
        QCOMPARE(error->kind(), ErrorKind::Io);
        QVERIFY(recorded > 3);
        for (std::size_t i = 0; i + 1 < recorded; ++i)
            QCOMPARE(store.spectrum(run, std::to_string(i)).size(), std::size_t{512});
    }
};

QTEST_GUILESS_MAIN(TestStore)
#include "tst_store.moc"
