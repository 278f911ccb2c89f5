#include "core/base/error.h"
#include "core/base/file.h"
#include "core/training/recover.h"
#include "core/training/recovery_state.h"
#include "student.h"

#include <QTest>

#include <stop_token>

using namespace rankwright;

namespace {

RecoveryOptions quick(RecoveryTarget target = RecoveryTarget::Text)
{
    return {.target = target, .training = {.epochs = 6, .batch = 2, .learningRate = 3e-3}};
}

std::optional<ErrorKind> kindOf(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    return std::nullopt;
}

/// A student, its checkpoint, and what became of it.
struct Trained : tiny::Student
{
    RecoveryOutcome outcome;

    explicit Trained(StructureKind structure = StructureKind::Factors)
        : Student(structure)
    {}

    std::filesystem::path stateFile() const { return path() / "state.safetensors"; }

    void train(const RecoveryOptions& options, const PassOptions& pass = {.threads = 1}, std::stop_token stop = {},
               const std::string& fingerprint = "f")
    {
        TaskContext context = noting();
        context.stop = std::move(stop);
        const RecoveryPlan plan{
            .roles = rolesOf(),
            .stateFile = stateFile(),
            .fingerprint = fingerprint,
            .keep = [this](std::size_t block, const TrainedBlock& trained) { put(block, trained); }};
        outcome = recoverModel(*teacher, student(), *device, windows, options, pass, context, observing(), plan);
    }
};

} // namespace

class TestRecovery : public QObject
{
    Q_OBJECT

private slots:
    /// The first held-out loss is the student's, by the plain loops; the last is that of what is kept.
    void learns_data()
    {
        QTest::addColumn<int>("target");
        QTest::addColumn<int>("structure");
        for (const auto target : {RecoveryTarget::Text, RecoveryTarget::Teacher})
            for (const auto structure : {StructureKind::Factors, StructureKind::BlockIdentity})
                QTest::addRow("%s %s", std::string(recoveryTargetName(target)).c_str(),
                              std::string(structureName(structure)).c_str())
                    << static_cast<int>(target) << static_cast<int>(structure);
    }
    void learns()
    {
        QFETCH(int, target);
        QFETCH(int, structure);
        Trained trained(static_cast<StructureKind>(structure));
        const auto options = quick(static_cast<RecoveryTarget>(target));
        const double start = trained.plainLoss(options.target == RecoveryTarget::Teacher);
        trained.train(options);
        const double end = trained.plainLoss(options.target == RecoveryTarget::Teacher);
        // Float32 against float64 through two blocks.
        QVERIFY(std::abs(trained.outcome.startLoss - start) < 1e-4 * start);
        QVERIFY(std::abs(trained.outcome.endLoss - end) < 1e-4 * end);
        QVERIFY2(end < start, qPrintable(QStringLiteral("%1 to %2").arg(start).arg(end)));
        QCOMPARE(trained.outcome.steps, std::size_t{6 * 6});
    }

    void doesNotDependOnThreads()
    {
        Trained one;
        one.train(quick());
        Trained three;
        three.train(quick(), {.threads = 3});
        QCOMPARE(three.values(), one.values());
    }

    /// Stopped at a step between two checkpoints, it goes on from the last one to the same values.
    void goesOnWhereItStopped()
    {
        Trained whole;
        whole.train(quick());
        Trained stopped;
        std::stop_source source;
        stopped.onPoint = [&](const TrainingPoint& point) {
            if (point.step == 2 * recoveryCheckpoint + 3)
                source.request_stop();
        };
        const auto before = stopped.values();
        QCOMPARE(kindOf([&] { stopped.train(quick(), {.threads = 1}, source.get_token()); }), ErrorKind::Cancelled);
        QCOMPARE(stopped.values(), before);
        stopped.points.clear();
        stopped.onPoint = {};
        stopped.train(quick());
        QCOMPARE(stopped.points.front().step, 2 * recoveryCheckpoint + 1);
        QCOMPARE(stopped.values(), whole.values());
        // A finished checkpoint gives the same once more; one of another training is not gone on from.
        stopped.points.clear();
        stopped.train(quick());
        QVERIFY(stopped.points.empty());
        QCOMPARE(stopped.values(), whole.values());
        QVERIFY(stopped.events.empty());
    }

    void startsAgainWhereTheCheckpointIsOfNoUse()
    {
        Trained whole;
        whole.train(quick());
        for (const bool damaged : {false, true}) {
            Trained other;
            RecoveryState none;
            if (damaged)
                writeFileAtomically(other.stateFile(), readFile(whole.stateFile()).substr(0, 3000));
            else
                writeRecoveryState(other.stateFile(), "another", none);
            other.train(quick());
            QCOMPARE(other.events.size(), std::size_t{1});
            QCOMPARE(other.events.front().kind, std::string("discardedFile"));
            QCOMPARE(other.values(), whole.values());
        }
    }

    /// Steps of 1e30 leave float32: they are undone and told, and what is kept is no worse than the start.
    void undoesDivergingSteps()
    {
        RecoveryOptions options = quick();
        options.training.learningRate = 1e30;
        Trained trained;
        trained.train(options);
        QCOMPARE(trained.events.size(), mostUndoneSteps);
        for (const NumericEvent& event : trained.events)
            QCOMPARE(event.kind, std::string("divergedStep"));
        QVERIFY(trained.outcome.endLoss <= trained.outcome.startLoss);
        for (const auto& [name, values] : trained.values())
            for (const float value : values)
                QVERIFY(std::isfinite(value));
    }

    void refusesTooLittleMemory()
    {
        Trained trained;
        const std::size_t least = recoveryBytes(*trained.teacher, 40, 1);
        trained.train(quick(), {.threads = 2, .memoryLimit = least});
        Trained other;
        QCOMPARE(kindOf([&] { other.train(quick(), {.threads = 1, .memoryLimit = least - 1}); }), ErrorKind::Memory);
    }
};

QTEST_GUILESS_MAIN(TestRecovery)
#include "tst_recovery.moc"
