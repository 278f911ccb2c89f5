#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/export/export_support.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace rankwright;
namespace fs = std::filesystem;

namespace {

const fs::path demo = fs::path(RANKWRIGHT_DEMO) / "stories260K";

/// Kind of the Error that `call` throws; nothing if it throws none.
template <typename Call>
std::optional<ErrorKind> kindOf(Call call, std::string* message = nullptr)
{
    try {
        call();
    } catch (const Error& error) {
        if (message)
            *message = error.what();
        return error.kind();
    }
    return {};
}

/// Names of everything in a folder, hidden ones too.
std::set<std::string> entries(const fs::path& folder)
{
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

} // namespace

/// Exports that fail, are cancelled or killed leave nothing that looks whole.
class TestExportFailures : public QObject
{
    Q_OBJECT

private slots:
    void wrongCallsAreRefused()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        const auto attempt = [&](const fs::path& folder, const ExportOptions& options) {
            return kindOf([&] { exportModel(model, *m_device, folder, options, {}); });
        };
        QCOMPARE(attempt(parent / "a", {.dtype = DType::Q8_0}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt(parent / "a", {.shardBytes = 0}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt({}, {}), ErrorKind::InvalidArgument);
        writeFileAtomically(parent / "file", "not a folder");
        QCOMPARE(attempt(parent / "file", {}), ErrorKind::InvalidArgument);
        QCOMPARE(readFile(parent / "file"), std::string("not a folder"));
        fs::create_directory(parent / "full");
        writeFileAtomically(parent / "full" / "precious", "kept");
        QCOMPARE(attempt(parent / "full", {}), ErrorKind::InvalidArgument);
        QCOMPARE(readFile(parent / "full" / "precious"), std::string("kept"));
        QCOMPARE(attempt(demo, {}), ErrorKind::InvalidArgument);
        QCOMPARE(attempt(parent / "file" / "below", {}), ErrorKind::Io);
        QCOMPARE(entries(parent), (std::set<std::string>{"file", "full"}));
        QCOMPARE(kindOf([] { exportFormatFromName("zip"); }), ErrorKind::InvalidArgument);

        fs::create_directory(parent / "empty");
        QCOMPARE(attempt(parent / "empty" / "", {}), std::nullopt);
        QCOMPARE(Model::open(parent / "empty").linears().size(), model.linears().size());
    }

    void readOnlyParentIsAnError()
    {
        const Model model = Model::open(demo);
        // Root writes into folders without write permission, but nobody makes folders in /proc.
        std::string message;
        QCOMPARE(kindOf([&] { exportModel(model, *m_device, "/proc/rankwright-export", {}, {}); }, &message),
                 ErrorKind::Io);
        QVERIFY(message.find("/proc/rankwright-export") != std::string::npos);
        if (::geteuid() == 0)
            return;
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        QCOMPARE(::chmod(parent.c_str(), 0500), 0);
        QCOMPARE(kindOf([&] { exportModel(model, *m_device, parent / "out", {}, {}); }), ErrorKind::Io);
        QCOMPARE(::chmod(parent.c_str(), 0700), 0);
        QVERIFY(entries(parent).empty());
    }

    void failuresInTheMiddleLeaveNothing()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        // The first pass over the blocks reads this one, the second does not get it any more.
        std::size_t calls = 0;
        const Model failing = model.withLinears([&](const LinearInfo& info) -> std::shared_ptr<const LinearWeights> {
            if (info.block == 3 && info.role == Role::Q && ++calls == 2)
                throw Error(ErrorKind::Corrupt, "the run's folder was damaged");
            return nullptr;
        });
        QCOMPARE(kindOf([&] { exportModel(failing, *m_device, folder, {}, {}); }), ErrorKind::Corrupt);
        QVERIFY(entries(folder.parent_path()).empty());

        // 1e6 does not fit F16; the tensor is named.
        const Model large = model.withLinears([&](const LinearInfo& info) {
            std::shared_ptr<const LinearWeights> replaced;
            if (info.block == 2 && info.role == Role::V) {
                DenseWeights dense{model.readDense(info)};
                dense.W(0, 0) = 1e6F;
                replaced = std::make_shared<const LinearWeights>(LinearWeights{std::move(dense), {}});
            }
            return replaced;
        });
        std::string message;
        QCOMPARE(kindOf([&] { exportModel(large, *m_device, folder, {.dtype = DType::F16}, {}); }, &message),
                 ErrorKind::NonFinite);
        QVERIFY(message.find("model.layers.2.self_attn.v_proj.weight") != std::string::npos);
        QVERIFY(entries(folder.parent_path()).empty());
    }

    void differentLogitsAreNotAccepted()
    {
        const Model model = Model::open(demo);
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        // A source that gives other weights once they were written: the reopened folder no longer agrees.
        std::size_t calls = 0;
        const Model changing = model.withLinears([&](const LinearInfo& info) {
            std::shared_ptr<const LinearWeights> replaced;
            if (info.block == 1 && info.role == Role::Down && ++calls > 2) {
                DenseWeights dense{model.readDense(info)};
                for (float& value : dense.W.span())
                    value = -value;
                replaced = std::make_shared<const LinearWeights>(LinearWeights{std::move(dense), {}});
            }
            return replaced;
        });
        QCOMPARE(kindOf([&] { exportModel(changing, *m_device, folder, {}, {}); }), ErrorKind::Mismatch);
        QVERIFY(entries(folder.parent_path()).empty());
    }

    void cancelAtAnyStepLeavesNothing()
    {
        const Model model = Model::open(demo);
        const exporting::Replacements replacements(model, m_device);
        const Model compressed = model.withLinears(replacements.source());
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        std::size_t steps = 0;
        exportModel(compressed, *m_device, folder.parent_path() / "whole", {},
                    {.progress = [&](const Progress&) { ++steps; }});
        QVERIFY(steps > 50);
        for (std::size_t at = 0; at < steps; at += 7) {
            std::stop_source stop;
            std::size_t step = 0;
            const TaskContext context{.stop = stop.get_token(), .progress = [&](const Progress&) {
                                          if (step++ == at)
                                              stop.request_stop();
                                      }};
            QCOMPARE(kindOf([&] { exportModel(compressed, *m_device, folder, {}, context); }), ErrorKind::Cancelled);
            QCOMPARE(entries(folder.parent_path()), (std::set<std::string>{"whole"}));
        }
    }

    void fullDiskLeavesNothing()
    {
        const QTemporaryDir place;
        const fs::path folder = fs::path(place.path().toStdString()) / "out";
        for (const char* limit : {"0", "1000", "100000"}) {
            QProcess process;
            process.start(QStringLiteral(EXPORT_HELPER),
                          {QString::fromStdString(folder.string()), QString::fromLatin1(limit)});
            QVERIFY(process.waitForFinished(60000));
            const QByteArray text = process.readAllStandardError();
            QVERIFY2(process.exitStatus() == QProcess::NormalExit && process.exitCode() == 1, text.constData());
            QVERIFY2(text.startsWith("io: "), text.constData());
            QVERIFY(entries(folder.parent_path()).empty());
        }
    }

    void killedExportsLeaveNothingThatLooksWhole()
    {
        const QTemporaryDir place;
        const fs::path parent = place.path().toStdString();
        const fs::path whole = parent / "whole";
        QCOMPARE(QProcess::execute(QStringLiteral(EXPORT_HELPER), {QString::fromStdString(whole.string())}), 0);
        const auto expected = exporting::contentOf(whole);
        int killed = 0;
        for (int attempt = 0; attempt < 12; ++attempt) {
            const fs::path folder = parent / ("out" + std::to_string(attempt));
            QProcess process;
            process.start(QStringLiteral(EXPORT_HELPER), {QString::fromStdString(folder.string())});
            QVERIFY(process.waitForStarted());
            std::this_thread::sleep_for(std::chrono::milliseconds(10 * attempt));
            process.kill();
            QVERIFY(process.waitForFinished(60000));
            killed += process.exitStatus() == QProcess::CrashExit ? 1 : 0;
            // Under its name the folder is whole or not there at all.
            if (fs::exists(folder))
                QVERIFY(exporting::contentOf(folder) == expected);
        }
        for (const std::string& name : entries(parent)) {
            if (!name.starts_with("out"))
                QVERIFY2(name == "whole" || name.ends_with(".partial"), name.c_str());
        }
        qInfo("%d of 12 exports were killed before their end", killed);
        QVERIFY(killed > 0);
    }

private:
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestExportFailures)
#include "tst_export_failures.moc"
