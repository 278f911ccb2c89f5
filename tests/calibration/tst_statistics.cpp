#include "tiny_model.h"

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/calibration/moment_pass.h"
#include "core/calibration/statistics.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <map>

using namespace rankwright;

namespace {

constexpr std::array<TapSite, siteCount> allSites = {TapSite::AttentionInput, TapSite::OutputInput, TapSite::MlpInput,
                                                     TapSite::DownInput};

/// Inputs of every tap, window under window.
using Inputs = std::vector<Matrix<float>>;

/// One window after the other through the given blocks, nothing shared with the code under test but forwardBlock().
Inputs plainInputs(const Model& model, const Device& device, const TokenWindows& windows,
                   const std::vector<std::shared_ptr<const BlockWeights>>& blocks)
{
    const std::size_t length = windows.ids.front().size();
    Inputs inputs;
    for (const TapInfo& tap : model.taps())
        inputs.emplace_back(windows.ids.size() * length, tap.width);
    const RotaryTable rotary = makeRotaryTable(model.config(), length);
    ForwardScratch scratch;
    for (std::size_t window = 0; window < windows.ids.size(); ++window) {
        Matrix<float> hidden(length, model.config().hiddenSize);
        model.embed(windows.ids[window], hidden.view());
        for (std::size_t block = 0; block < blocks.size(); ++block) {
            BlockOptions options;
            options.observer = [&](TapSite site, ConstMatrixView<float> X) {
                Matrix<float>& target = inputs[block * siteCount + static_cast<std::size_t>(site)];
                for (std::size_t t = 0; t < length; ++t)
                    std::copy_n(X.row(t), X.columns, target.row(window * length + t));
            };
            forwardBlock(device, model.config(), *blocks[block], rotary, hidden.view(), scratch, options);
        }
    }
    return inputs;
}

/// sum x y^T by two plain loops.
Matrix<double> plainMoment(const Matrix<float>& X, const Matrix<float>& Y)
{
    Matrix<double> C(X.columns(), Y.columns());
    for (std::size_t t = 0; t < X.rows(); ++t)
        for (std::size_t i = 0; i < X.columns(); ++i)
            for (std::size_t j = 0; j < Y.columns(); ++j)
                C(i, j) += static_cast<double>(X(t, i)) * static_cast<double>(Y(t, j));
    return C;
}

double largest(const Matrix<double>& a)
{
    double value = 0.0;
    for (const double element : a.span())
        value = std::max(value, std::abs(element));
    return value;
}

/// Largest |a - b| over `scale`.
double difference(const Matrix<double>& a, const Matrix<double>& b, double scale)
{
    if (a.rows() != b.rows() || a.columns() != b.columns())
        return INFINITY;
    double worst = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(a.data()[i] - b.data()[i]));
    return worst / scale;
}

/// Largest |a - b| over the largest |b|.
double difference(const Matrix<double>& a, const Matrix<double>& b)
{
    return difference(a, b, largest(b));
}

bool equal(const Matrix<double>& a, const Matrix<double>& b)
{
    return a.rows() == b.rows() && std::ranges::equal(a.span(), b.span());
}

/// Float32 products of up to 1024 tokens at once: n u with a random walk of rounding errors stays far below this.
constexpr double tolerance = 2e-6;

std::map<std::string, std::string> filesOf(const std::filesystem::path& folder)
{
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files[entry.path().filename().string()] = readFile(entry.path());
    return files;
}

std::size_t entriesIn(const std::filesystem::path& folder)
{
    if (!std::filesystem::exists(folder))
        return 0;
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

} // namespace

class TestStatistics : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_device = makeCpuDevice(1);
        tiny::writeModel(path("model"), 1);
        m_model = Model::open(path("model"));
        m_windows = tiny::randomWindows(11, 200, 2);
        m_set = calibrate(*m_model, *m_device, m_windows, path("cache"), {.threads = 1}, {});
    }

    void momentsEqualPlainLoops()
    {
        const Inputs inputs = plainInputs(*m_model, *m_device, m_windows, denseBlocks());
        QCOMPARE(m_set->summaries().size(), m_model->taps().size());
        for (const TapInfo& tap : m_model->taps()) {
            const Matrix<float>& X = inputs[tap.index];
            const Matrix<double> C = plainMoment(X, X);
            const TapStatistics statistics = m_set->load(tap.index);
            QCOMPARE(statistics.tokens, std::size_t{2200});
            QVERIFY(difference(statistics.secondMoment, C) < tolerance);
            QVERIFY(statistics.crossMoment.empty());
            double trace = 0.0;
            double squares = 0.0;
            double mean = 0.0;
            for (std::size_t i = 0; i < tap.width; ++i) {
                double sum = 0.0;
                double sumAbs = 0.0;
                for (std::size_t t = 0; t < X.rows(); ++t) {
                    sum += static_cast<double>(X(t, i));
                    sumAbs += std::abs(static_cast<double>(X(t, i)));
                }
                QVERIFY(std::abs(statistics.sum[i] - sum) < 1e-10 * sumAbs);
                QVERIFY(std::abs(statistics.sumAbs[i] - sumAbs) < 1e-10 * sumAbs);
                trace += C(i, i);
                mean += sum / 2200 * (sum / 2200);
                for (std::size_t j = 0; j < tap.width; ++j) {
                    QCOMPARE(statistics.secondMoment(i, j), statistics.secondMoment(j, i));
                    squares += C(i, j) * C(i, j);
                }
            }
            const TapSummary& summary = m_set->summaries()[tap.index];
            QCOMPARE(summary.tokens, std::size_t{2200});
            QCOMPARE(summary.width, tap.width);
            QVERIFY(std::abs(summary.trace - trace) < tolerance * trace);
            QVERIFY(std::abs(summary.frobenius - std::sqrt(squares)) < tolerance * std::sqrt(squares));
            QVERIFY(std::abs(summary.meanNorm - std::sqrt(mean)) < 1e-10 * std::sqrt(mean));
        }
    }

    void threadsDoNotChangeAByte()
    {
        const auto expected = filesOf(m_set->folder());
        QCOMPARE(expected.size(), m_model->taps().size() + 1);
        for (const std::size_t threads : {2, 3}) {
            const std::filesystem::path cache = path("threads" + std::to_string(threads));
            const CalibrationSet set = calibrate(*m_model, *m_device, m_windows, cache, {.threads = threads}, {});
            QCOMPARE(set.fingerprint(), m_set->fingerprint());
            QVERIFY(!set.reused());
            QVERIFY(filesOf(set.folder()) == expected);
        }
    }

    void smallMemoryDoesNotChangeAByte()
    {
        // The smallest limit that is accepted: one worker, site by site, hidden states on disk.
        PassOptions options{.threads = 2, .memoryLimit = std::size_t{1} << 24U};
        std::size_t tooSmall = 0;
        while (options.memoryLimit - tooSmall > 1) {
            const std::size_t middle = (options.memoryLimit + tooSmall) / 2;
            try {
                planPass(*m_model, m_windows, {.threads = 2, .memoryLimit = middle}, false, false);
                options.memoryLimit = middle;
            } catch (const Error& error) {
                QCOMPARE(error.kind(), ErrorKind::Memory);
                tooSmall = middle;
            }
        }
        const PassPlan plan = planPass(*m_model, m_windows, options, false, false);
        QVERIFY(plan.siteBySite);
        QCOMPARE(plan.threads, std::size_t{1});
        QVERIFY(embedWindows(*m_model, m_windows, plan, options).spilled());
        const CalibrationSet set = calibrate(*m_model, *m_device, m_windows, path("small"), options, {});
        QVERIFY(filesOf(set.folder()) == filesOf(m_set->folder()));
    }

    void longWindowsAndShortLastGroupAreSummedToo()
    {
        const TokenWindows windows = tiny::randomWindows(3, 450, 5);
        const CalibrationSet set = calibrate(*m_model, *m_device, windows, path("long"), {.threads = 2}, {});
        const Inputs inputs = plainInputs(*m_model, *m_device, windows, denseBlocks());
        for (const TapInfo& tap : m_model->taps())
            QVERIFY(difference(set.load(tap.index).secondMoment, plainMoment(inputs[tap.index], inputs[tap.index])) <
                    tolerance);
    }

    void aSecondCallReusesAndNotesAgain()
    {
        const TokenWindows few = tiny::randomWindows(1, 30, 3);
        std::vector<NumericEvent> events;
        std::size_t steps = 0;
        TaskContext context;
        context.event = [&](const NumericEvent& event) { events.push_back(event); };
        context.progress = [&](const Progress&) { ++steps; };
        for (const bool reused : {false, true}) {
            events.clear();
            steps = 0;
            const CalibrationSet set = calibrate(*m_model, *m_device, few, path("reuse"), {.threads = 1}, context);
            QCOMPARE(set.reused(), reused);
            QCOMPARE(steps == 0, reused);
            QCOMPARE(set.tokens(), std::size_t{30});
            // 30 tokens are fewer than 40 neurons, but not than 24 channels.
            QCOMPARE(events.size(), std::size_t{1});
            QCOMPARE(events[0].kind, std::string("fewTokens"));
            QCOMPARE(events[0].linear, m_model->taps()[3].name);
            QCOMPARE(events[0].value, 30.0);
        }
    }

    void theKeyDependsOnWeightsConfigurationAndWindows()
    {
        const std::string key = calibrationFingerprint(*m_model, m_windows);
        QCOMPARE(key, m_set->fingerprint());
        QVERIFY(calibrationFingerprint(*m_model, tiny::randomWindows(11, 200, 3)) != key);
        tiny::writeModel(path("other"), 2);
        QVERIFY(calibrationFingerprint(Model::open(path("other")), m_windows) != key);
        tiny::writeModel(path("same"), 1);
        QCOMPARE(calibrationFingerprint(Model::open(path("same")), m_windows), key);
        Json config = readJson(path("same") / "config.json");
        config["rope_theta"] = 20000.0;
        writeFileAtomically(path("same") / "config.json", dumpJson(config));
        QVERIFY(calibrationFingerprint(Model::open(path("same")), m_windows) != key);
        const Model replaced = m_model->withLinears([](const LinearInfo&) { return nullptr; });
        QVERIFY_EXCEPTION_THROWN(calibrationFingerprint(replaced, m_windows), Error);
    }

    void damagedSetsAreFoundAndComputedAgain()
    {
        const CalibrationSet set = calibrate(*m_model, *m_device, m_windows, path("damaged"), {.threads = 1}, {});
        const std::filesystem::path tap = set.folder() / "tap-00002.safetensors";
        const auto kindOf = [](const std::filesystem::path& folder) {
            try {
                CalibrationSet::open(folder);
            } catch (const Error& error) {
                return error.kind();
            }
            return ErrorKind::Internal;
        };
        QCOMPARE(kindOf(path("nowhere")), ErrorKind::NotFound);
        std::filesystem::copy(set.folder(), path("renamed"));
        QCOMPARE(kindOf(path("renamed")), ErrorKind::Mismatch);
        const auto expected = filesOf(set.folder());
        const std::string bytes = readFile(tap);
        writeFileAtomically(tap, bytes.substr(0, bytes.size() / 2));
        QCOMPARE(kindOf(set.folder()), ErrorKind::Corrupt);
        QVERIFY(!calibrate(*m_model, *m_device, m_windows, path("damaged"), {.threads = 1}, {}).reused());
        QVERIFY(filesOf(set.folder()) == expected);
        writeFileAtomically(set.folder() / "manifest.json", "{}");
        QCOMPARE(kindOf(set.folder()), ErrorKind::Corrupt);
        std::filesystem::remove(set.folder() / "manifest.json");
        QCOMPARE(kindOf(set.folder()), ErrorKind::NotFound);
        QVERIFY(!calibrate(*m_model, *m_device, m_windows, path("damaged"), {.threads = 1}, {}).reused());
        // A file of the right size whose content is another tap's is found when it is read.
        std::filesystem::copy_file(set.folder() / "tap-00003.safetensors", tap,
                                   std::filesystem::copy_options::overwrite_existing);
        QCOMPARE(kindOf(set.folder()), ErrorKind::Corrupt);
    }

    void cancelLeavesNothing()
    {
        for (const std::size_t at : {1, 3, 4}) {
            std::stop_source source;
            TaskContext context;
            context.stop = source.get_token();
            std::atomic<std::size_t> steps = 0;
            context.progress = [&](const Progress&) {
                if (++steps == at)
                    source.request_stop();
            };
            try {
                calibrate(*m_model, *m_device, m_windows, path("cancel"), {.threads = 2}, context);
                QFAIL("not cancelled");
            } catch (const Error& error) {
                QCOMPARE(error.kind(), ErrorKind::Cancelled);
            }
            QCOMPARE(entriesIn(path("cancel")), std::size_t{0});
        }
    }

    void theFirstOfTwoProcessesWins()
    {
        // The other process finishes while this one is computing.
        TaskContext context;
        const std::filesystem::path target = path("race") / m_set->fingerprint();
        context.progress = [&](const Progress& progress) {
            if (progress.done == progress.total && !std::filesystem::exists(target))
                std::filesystem::copy(m_set->folder(), target);
        };
        const CalibrationSet set = calibrate(*m_model, *m_device, m_windows, path("race"), {.threads = 1}, context);
        QVERIFY(set.reused());
        QCOMPARE(entriesIn(path("race")), std::size_t{1});
        QVERIFY(filesOf(set.folder()) == filesOf(m_set->folder()));
    }

    void nonFiniteActivationsNameTheTap()
    {
        tiny::writeModel(path("overflow"), 1, [](const std::string& name, std::vector<float>& values) {
            if (name == "model.layers.1.mlp.up_proj.weight" || name == "model.layers.1.mlp.gate_proj.weight")
                for (float& value : values)
                    value *= 1e30F;
        });
        const Model model = Model::open(path("overflow"));
        try {
            calibrate(model, *m_device, m_windows, path("overflowCache"), {.threads = 2}, {});
            QFAIL("not refused");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::NonFinite);
            QCOMPARE(error.tensor(), model.taps()[7].name);
            QVERIFY(std::string(error.what()).find("block 1") != std::string::npos);
        }
        QCOMPARE(entriesIn(path("overflowCache")), std::size_t{0});
        // Finite activations whose squares are not.
        tiny::writeModel(path("squares"), 1, [](const std::string& name, std::vector<float>& values) {
            if (name == "model.layers.0.self_attn.v_proj.weight")
                for (float& value : values)
                    value *= 1e25F;
        });
        const Model squares = Model::open(path("squares"));
        try {
            calibrate(squares, *m_device, m_windows, path("overflowCache"), {.threads = 2}, {});
            QFAIL("not refused");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::NonFinite);
            QCOMPARE(error.tensor(), squares.taps()[1].name);
        }
    }

    void deadChannelsAreCounted()
    {
        tiny::writeModel(path("dead"), 1, [](const std::string& name, std::vector<float>& values) {
            if (name == "model.layers.1.post_attention_layernorm.weight")
                values[3] = values[20] = 0.0F;
        });
        std::vector<NumericEvent> events;
        TaskContext context;
        context.event = [&](const NumericEvent& event) { events.push_back(event); };
        const Model model = Model::open(path("dead"));
        const CalibrationSet set = calibrate(model, *m_device, m_windows, path("deadCache"), {.threads = 1}, context);
        QCOMPARE(set.summaries()[6].deadChannels, std::size_t{2});
        QCOMPARE(events.size(), std::size_t{1});
        QCOMPARE(events[0].kind, std::string("deadChannels"));
        QCOMPARE(events[0].linear, model.taps()[6].name);
        QCOMPARE(events[0].value, 2.0);
    }

    void unusableWindowsAreRefused()
    {
        const auto refused = [&](const TokenWindows& windows) {
            try {
                calibrate(*m_model, *m_device, windows, path("refused"), {}, {});
            } catch (const Error& error) {
                return error.kind() == ErrorKind::InvalidArgument;
            }
            return false;
        };
        QVERIFY(refused({}));
        QVERIFY(refused(tiny::randomWindows(1, 513, 1)));
        TokenWindows windows = tiny::randomWindows(2, 20, 1);
        windows.ids[1].pop_back();
        QVERIFY(refused(windows));
        windows.ids[1].push_back(50);
        QVERIFY(refused(windows));
        QCOMPARE(entriesIn(path("refused")), std::size_t{0});
    }

    void sequentialWithoutCompressionIsDense()
    {
        for (const SequentialMode mode : {SequentialMode::Compressed, SequentialMode::Anchored}) {
            SequentialStatistics sequential(*m_model, *m_device, m_windows, mode, {.threads = 2});
            for (std::size_t block = 0; block < 2; ++block) {
                const auto weights = m_model->loadBlock(block);
                for (const TapSite site : allSites) {
                    const TapInfo& tap = m_model->taps()[block * siteCount + static_cast<std::size_t>(site)];
                    const TapStatistics dense = m_set->load(tap.index);
                    const TapStatistics statistics = sequential.collect(tap, *weights, {});
                    QCOMPARE(statistics.tokens, dense.tokens);
                    QVERIFY(equal(statistics.secondMoment, dense.secondMoment));
                    QVERIFY(statistics.sum == dense.sum && statistics.sumAbs == dense.sumAbs);
                    if (mode == SequentialMode::Anchored) {
                        QVERIFY(equal(statistics.crossMoment, dense.secondMoment));
                        QVERIFY(equal(statistics.denseSecondMoment, dense.secondMoment));
                    } else {
                        QVERIFY(statistics.crossMoment.empty() && statistics.denseSecondMoment.empty());
                    }
                }
                sequential.advance(block, *weights, {});
            }
        }
    }

    void sequentialFollowsTheCompressedPrefix()
    {
        // Block 0 loses o and down, block 1 loses q, in the order in which a run replaces them.
        const auto dense = denseBlocks();
        auto compressed =
            std::vector{withoutLinears(*dense[0], {Role::O, Role::Down}), withoutLinears(*dense[1], {Role::Q})};
        const Inputs plain = plainInputs(*m_model, *m_device, m_windows, dense);
        const Inputs prefix = plainInputs(*m_model, *m_device, m_windows, {compressed[0], compressed[1]});
        for (const std::size_t threads : {1, 2}) {
            SequentialStatistics one(*m_model, *m_device, m_windows, SequentialMode::Compressed, {.threads = threads});
            SequentialStatistics two(*m_model, *m_device, m_windows, SequentialMode::Anchored, {.threads = threads});
            for (const TapInfo& tap : m_model->taps()) {
                const Matrix<float>& X = plain[tap.index];
                const Matrix<float>& XHat = prefix[tap.index];
                const TapStatistics alone = one.collect(tap, *compressed[tap.block], {});
                QVERIFY(difference(alone.secondMoment, plainMoment(XHat, XHat)) < tolerance);
                const TapStatistics anchored = two.collect(tap, *compressed[tap.block], {});
                QVERIFY(equal(anchored.secondMoment, alone.secondMoment));
                // Where x and x_hat point different ways their products cancel, in an order that the kernels of the
                // processor choose; what rounding loses goes with the squares that were summed.
                const Matrix<double> C = plainMoment(X, X);
                const double scale = std::max(largest(C), largest(alone.secondMoment));
                QVERIFY(difference(anchored.crossMoment, plainMoment(X, XHat), scale) < tolerance);
                QVERIFY(difference(anchored.denseSecondMoment, C) < tolerance);
                if (tap.index > 2)
                    QVERIFY(difference(anchored.denseSecondMoment, anchored.secondMoment) > 0.01);
                if (tap.site == TapSite::DownInput) {
                    one.advance(tap.block, *compressed[tap.block], {});
                    two.advance(tap.block, *compressed[tap.block], {});
                }
            }
        }
    }

    /// What inputs differ by must not drown in the rounding of their own sums, or losses could come out negative.
    void closePrefixesKeepTheirDifference()
    {
        const auto dense = denseBlocks();
        BlockWeights close = *dense[0];
        auto down = *close.linears[static_cast<std::size_t>(Role::Down)];
        for (float& weight : std::get<DenseWeights>(down.form).W.span())
            weight *= 1.0001F;
        close.linears[static_cast<std::size_t>(Role::Down)] = std::make_shared<const LinearWeights>(std::move(down));
        const std::vector compressed{std::make_shared<const BlockWeights>(std::move(close)), dense[1]};
        const Inputs plain = plainInputs(*m_model, *m_device, m_windows, dense);
        const Inputs prefix = plainInputs(*m_model, *m_device, m_windows, compressed);
        SequentialStatistics statistics(*m_model, *m_device, m_windows, SequentialMode::Anchored, {.threads = 1});
        for (const TapInfo& tap : m_model->taps()) {
            const TapStatistics anchored = statistics.collect(tap, *compressed[tap.block], {});
            if (tap.block == 1) {
                Matrix<float> shift = plain[tap.index];
                std::ranges::transform(shift.span(), prefix[tap.index].span(), shift.span().begin(), std::minus<>());
                Matrix<double> spread = anchored.denseSecondMoment;
                const Matrix<double>& cross = anchored.crossMoment;
                for (std::size_t i = 0; i < spread.rows(); ++i)
                    for (std::size_t j = 0; j < spread.columns(); ++j)
                        spread(i, j) += anchored.secondMoment(i, j) - cross(i, j) - cross(j, i);
                // Far below what float32 sums of the inputs themselves would leave of it.
                const Matrix<double> expected = plainMoment(shift, shift);
                QVERIFY(expected(0, 0) < 1e-7 * anchored.secondMoment(0, 0));
                QVERIFY(difference(spread, expected) < 1e-4);
            }
            if (tap.site == TapSite::DownInput)
                statistics.advance(tap.block, *compressed[tap.block], {});
        }
    }

    void sequentialRefusesAnotherOrder()
    {
        SequentialStatistics sequential(*m_model, *m_device, m_windows, SequentialMode::Compressed, {.threads = 1});
        const auto weights = m_model->loadBlock(0);
        sequential.collect(m_model->taps()[1], *weights, {});
        QVERIFY_EXCEPTION_THROWN(sequential.collect(m_model->taps()[1], *weights, {}), Error);
        QVERIFY_EXCEPTION_THROWN(sequential.collect(m_model->taps()[4], *weights, {}), Error);
        QVERIFY_EXCEPTION_THROWN(sequential.advance(1, *weights, {}), Error);
        QVERIFY_EXCEPTION_THROWN(
            SequentialStatistics(*m_model, *m_device, m_windows, SequentialMode::Dense, PassOptions{}), Error);
    }

private:
    std::filesystem::path path(const std::string& name) const
    {
        return std::filesystem::path(m_folder.path().toStdString()) / name;
    }

    std::vector<std::shared_ptr<const BlockWeights>> denseBlocks() const
    {
        return {m_model->loadBlock(0), m_model->loadBlock(1)};
    }

    /// A block in which some linears are zero.
    static std::shared_ptr<const BlockWeights> withoutLinears(const BlockWeights& block, const std::vector<Role>& roles)
    {
        auto result = std::make_shared<BlockWeights>(block);
        for (const Role role : roles) {
            const LinearShape shape = block.linear(role).shape();
            LinearWeights zero;
            zero.form = DenseWeights{Matrix<float>(shape.rows, shape.columns)};
            result->linears[static_cast<std::size_t>(role)] = std::make_shared<const LinearWeights>(std::move(zero));
        }
        return result;
    }

    QTemporaryDir m_folder;
    std::shared_ptr<const Device> m_device;
    std::optional<Model> m_model;
    TokenWindows m_windows;
    std::optional<CalibrationSet> m_set;
};

QTEST_GUILESS_MAIN(TestStatistics)
#include "tst_statistics.moc"
