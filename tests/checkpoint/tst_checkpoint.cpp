#include "core/base/file.h"
#include "core/base/parallel.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/gguf.h"
#include "tests/checkpoint/hostile_files.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTest>

#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <limits>
#include <unistd.h>
#include <vector>

using namespace rankwright;
using hostile::raw;

namespace {

/// One member of a header.
std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, std::size_t begin,
                  std::size_t end)
{
    return fmt::format(fmt::runtime(hostile::json("'{}':{{'dtype':'{}','shape':{},'data_offsets':[{},{}]}}")), name,
                       dtype, shape, begin, end);
}

std::string file(const std::vector<std::string>& entries, const std::string& data)
{
    return hostile::safetensors(fmt::format("{{{}}}", fmt::join(entries, ",")), data);
}

std::string oneTensor(std::string_view name, std::string_view dtype, std::string_view shape, const std::string& data)
{
    return file({entry(name, dtype, shape, 0, data.size())}, data);
}

std::string floats(const std::vector<float>& values)
{
    std::string bytes;
    for (const float value : values)
        bytes += raw(value);
    return bytes;
}

std::size_t residentBytes()
{
    std::ifstream statistics("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    statistics >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

constexpr auto indexFile = "model.safetensors.index.json";

} // namespace

class TestCheckpoint : public QObject
{
    Q_OBJECT

private slots:
    void demoModelEqualsAPlainReading()
    {
        const std::filesystem::path folder = std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K";
        const std::string bytes = readFile(folder / "model.safetensors");
        std::uint64_t length = 0;
        std::memcpy(&length, bytes.data(), 8);
        const QJsonObject header =
            QJsonDocument::fromJson(QByteArray(bytes.data() + 8, static_cast<qsizetype>(length))).object();

        const Checkpoint checkpoint = Checkpoint::open(folder);
        QCOMPARE(checkpoint.path(), folder);
        QCOMPARE(checkpoint.folder(), folder);
        QVERIFY(checkpoint.format() == CheckpointFormat::Safetensors && checkpoint.gguf() == nullptr);
        QCOMPARE(checkpoint.config()->at("hidden_size").get<int>(), 64);
        std::size_t tensors = 0;
        for (auto it = header.begin(); it != header.end(); ++it) {
            if (it.key() == QStringLiteral("__metadata__"))
                continue;
            ++tensors;
            const QJsonObject described = it->toObject();
            const QJsonArray shape = described[QStringLiteral("shape")].toArray();
            const auto offset = described[QStringLiteral("data_offsets")].toArray()[0].toInteger();
            QCOMPARE(described[QStringLiteral("dtype")].toString(), QStringLiteral("F32"));
            const TensorInfo& tensor = checkpoint.at(it.key().toStdString());
            QCOMPARE(tensor.shape.size(), static_cast<std::size_t>(shape.size()));
            std::vector<float> values;
            if (shape.size() == 2) {
                const Matrix<float> matrix = checkpoint.readMatrix(tensor);
                QCOMPARE(matrix.rows(), static_cast<std::size_t>(shape[0].toInteger()));
                QCOMPARE(matrix.columns(), static_cast<std::size_t>(shape[1].toInteger()));
                values.assign(matrix.span().begin(), matrix.span().end());
            } else {
                values = checkpoint.readVector(tensor);
            }
            QCOMPARE(values.size() * 4, tensor.bytes);
            QCOMPARE(std::memcmp(values.data(), bytes.data() + 8 + length + offset, tensor.bytes), 0);
        }
        QCOMPARE(checkpoint.tensors().size(), tensors);
        QVERIFY(!firstNonFiniteTensor(checkpoint));
    }

    void fileAndFolderAreTheSameModel()
    {
        const std::filesystem::path folder = std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K";
        const Checkpoint file = Checkpoint::open(folder / "model.safetensors");
        QCOMPARE(file.folder(), folder);
        QVERIFY(file.config() != nullptr);
        QCOMPARE(file.fingerprint(), Checkpoint::open(folder).fingerprint());
    }

    void unknownTensorNamesTheNearest()
    {
        const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K");
        QVERIFY(checkpoint.find("model.layers.1.self_attn.q_pro.weight") == nullptr);
        QVERIFY(hostile::refuses([&] { checkpoint.at("model.layers.1.self_attn.q_pro.weight"); }, ErrorKind::NotFound,
                                 {"q_pro.weight", "nearest is model.layers.1.self_attn.q_proj.weight"}));
        const hostile::Folder folder;
        folder.write("model.safetensors", hostile::safetensors("{}", ""));
        QVERIFY(
            hostile::refuses([&] { Checkpoint::open(folder.path()).at("a"); }, ErrorKind::NotFound, {"no tensors"}));
    }

    void linksInALoopAreNamed()
    {
        const std::string words = std::make_error_code(std::errc::too_many_symbolic_link_levels).message();
        for (const char* name : {"config.json", "model.safetensors", indexFile}) {
            const hostile::Folder folder;
            folder.write("model.safetensors", oneTensor("a", "F32", "[2]", floats({1, 2})));
            std::filesystem::remove(folder.path() / name);
            std::filesystem::create_symlink(name, folder.path() / name);
            QVERIFY(hostile::refuses([&] { Checkpoint::open(folder.path()); }, ErrorKind::Io, {name, words}));
        }
    }

    void indexDecidesWhichFilesAreRead()
    {
        const hostile::Folder folder;
        folder.write("one.safetensors",
                     file({entry("a", "F32", "[2]", 0, 8), entry("stale", "F32", "[1]", 8, 12)}, floats({1, 2, 9})));
        folder.write("two.safetensors", oneTensor("b", "F32", "[1,2]", floats({3, 4})));
        folder.write("three.safetensors", "not a safetensors file, and not in the index");
        folder.write("model.safetensors", oneTensor("a", "F32", "[2]", floats({7, 7})));
        folder.write(indexFile, hostile::json("{'metadata':{'total_size':16,'other':[[{}]]},'weight_map':{'a':'one."
                                              "safetensors','b':'two.safetensors'}}"));
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        QCOMPARE(checkpoint.files().size(), std::size_t{2});
        QCOMPARE(checkpoint.tensors().size(), std::size_t{2});
        QVERIFY(checkpoint.find("stale") == nullptr);
        QCOMPARE(checkpoint.readVector(checkpoint.at("a")), (std::vector<float>{1, 2}));
        QCOMPARE(checkpoint.readVector(checkpoint.at("b")), (std::vector<float>{3, 4}));
        QCOMPARE(checkpoint.files()[checkpoint.at("b").file].filename(), std::filesystem::path("two.safetensors"));
        QVERIFY(checkpoint.config() == nullptr);
    }

    void brokenShardsAreRefused()
    {
        const hostile::Folder folder;
        folder.write("one.safetensors", oneTensor("a", "F32", "[1]", floats({1})));
        const auto open = [&](const std::string& index) {
            folder.write(indexFile, index);
            return [&folder] { Checkpoint::open(folder.path()); };
        };
        const auto refusesIndex = [&](const std::string& index, const std::vector<std::string>& words) {
            return hostile::refuses(open(index), ErrorKind::Corrupt, words);
        };
        QVERIFY(hostile::refuses(open(hostile::json("{'weight_map':{'a':'one.safetensors','b':'two.safetensors'}}")),
                                 ErrorKind::NotFound, {"two.safetensors", "tensor b", "incomplete download"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':'one.safetensors','b':'one.safetensors'}}"),
                             {"one.safetensors", "tensor b"}));
        for (const std::string name : {"../one.safetensors", "/etc/passwd", "sub/one.safetensors", "..", ".", "",
                                       "..\\\\one.safetensors", "one.safetensors\\u0000x"})
            QVERIFY2(refusesIndex(hostile::json("{'weight_map':{'a':'") + name + "\"}}",
                                  {indexFile, "tensor a", "plain file name"}),
                     name.c_str());
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':'one.safetensors','a':'one.safetensors'}}"),
                             {"tensor a", "twice"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':'one.safetensors'},'weight_map':{}}"), {"twice"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':{'b':'one.safetensors'}}}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':['one.safetensors']}}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':1}}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':'one.safetensors'}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{}}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'metadata':{'weight_map':{'a':'one.safetensors'}}}"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("[{'weight_map':{'a':'one.safetensors'}}]"), {"weight_map"}));
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':'one.safeten"), {"JSON"}));
        QVERIFY(refusesIndex("", {"JSON"}));
        QVERIFY(refusesIndex(hostile::json("{'x':") + std::string(1000000, '['), {"nested deeper"}));
        folder.write("one.safetensors", oneTensor("a", "F32", "[1]", floats({1})) + "x");
        QVERIFY(refusesIndex(hostile::json("{'weight_map':{'a':'one.safetensors'}}"), {"one.safetensors", "trailing"}));
    }

    void foldersWithoutAModelAreNamed()
    {
        const hostile::Folder folder;
        const auto open = [&] { Checkpoint::open(folder.path()); };
        QVERIFY(hostile::refuses(open, ErrorKind::NotFound, {folder.path().string(), "model.safetensors"}));
        folder.write("pytorch_model.bin", "x");
        QVERIFY(hostile::refuses(open, ErrorKind::Unsupported, {"pickled", "convert"}));
        folder.write("one.gguf", hostile::Gguf().bytes());
        QVERIFY(Checkpoint::open(folder.path()).gguf() != nullptr);
        folder.write("two.gguf", hostile::Gguf().bytes());
        QVERIFY(hostile::refuses(open, ErrorKind::InvalidArgument, {"2 .gguf files"}));
        folder.write("model.safetensors", oneTensor("a", "F32", "[1]", floats({1})));
        QCOMPARE(Checkpoint::open(folder.path()).tensors().size(), std::size_t{1});
        folder.write("config.json", hostile::json("{'a':") + std::string(100000, '[') + "}");
        QVERIFY(hostile::refuses(open, ErrorKind::Corrupt, {"config.json"}));
        QVERIFY(hostile::refuses([] { Checkpoint::open("/nonexistent/model"); }, ErrorKind::NotFound,
                                 {"/nonexistent/model"}));
        QVERIFY(hostile::refuses([&] { Checkpoint::open(folder.write("empty.safetensors", "")); }, ErrorKind::Corrupt,
                                 {"empty.safetensors", "incomplete download"}));
    }

    void fingerprintSeesContentAndNothingElse()
    {
        const hostile::Folder folder;
        const auto fingerprint = [&](const std::string& bytes) {
            return Checkpoint::open(folder.write("x.safetensors", bytes)).fingerprint();
        };
        const std::string values = floats({1, 2, 3, 4, 5, 6});
        const std::string plain = fingerprint(oneTensor("a", "F32", "[2,3]", values));
        QCOMPARE(plain.size(), std::size_t{32});
        QCOMPARE(fingerprint(file({hostile::json("'__metadata__':{'k':'v'}"), entry("a", "F32", "[2,3]", 0, 24) + "  "},
                                  values)),
                 plain);
        QVERIFY(fingerprint(oneTensor("b", "F32", "[2,3]", values)) != plain);
        QVERIFY(fingerprint(oneTensor("a", "F32", "[3,2]", values)) != plain);
        QVERIFY(fingerprint(oneTensor("a", "F32", "[6]", values)) != plain);
        QVERIFY(fingerprint(oneTensor("a", "I32", "[2,3]", values)) != plain);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::string changed = values;
            changed[i] = static_cast<char>(changed[i] ^ 1);
            QVERIFY(fingerprint(oneTensor("a", "F32", "[2,3]", changed)) != plain);
        }

        const std::string both =
            fingerprint(file({entry("b", "F32", "[2]", 0, 8), entry("a", "F32", "[1]", 8, 12)}, floats({1, 2, 3})));
        const hostile::Folder shards;
        shards.write("p.safetensors", oneTensor("b", "F32", "[2]", floats({1, 2})));
        shards.write("q.safetensors", oneTensor("a", "F32", "[1]", floats({3})));
        shards.write(indexFile, hostile::json("{'weight_map':{'a':'q.safetensors','b':'p.safetensors'}}"));
        QCOMPARE(Checkpoint::open(shards.path()).fingerprint(), both);
    }

    void streamingKeepsNoPages()
    {
        constexpr std::size_t elements = std::size_t{24} << 20U;
        const hostile::Folder folder;
        const std::filesystem::path path = folder.write(
            "big.safetensors", oneTensor("a", "F32", fmt::format("[{}]", elements), std::string(4 * elements, '\1')));
        const Checkpoint checkpoint = Checkpoint::open(path);
        // Peak memory cannot be read back step by step, so memory is sampled after each stage.
        const std::size_t before = residentBytes();
        const std::string fingerprint = checkpoint.fingerprint();
        QVERIFY2(residentBytes() < before + elements, qPrintable(QString::number(residentBytes() - before)));
        checkFinite(checkpoint, checkpoint.at("a"));
        QVERIFY2(residentBytes() < before + elements, qPrintable(QString::number(residentBytes() - before)));
        const auto data = checkpoint.data(checkpoint.at("a"));
        QCOMPARE(std::count(data.begin(), data.end(), std::byte{1}), static_cast<std::ptrdiff_t>(4 * elements));
        QVERIFY(residentBytes() > before + 3 * elements);
        checkpoint.release(checkpoint.at("a"));
        QVERIFY(residentBytes() < before + elements);
        QCOMPARE(data[data.size() / 2], std::byte{1});
        QCOMPARE(Checkpoint::open(path).fingerprint(), fingerprint);
    }

    void integersAreReadAndRangeChecked()
    {
        const hostile::Folder folder;
        const auto read = [&](const char* dtype, const std::string& bytes, std::size_t count) {
            const Checkpoint checkpoint = Checkpoint::open(
                folder.write("x.safetensors", oneTensor("ids", dtype, fmt::format("[{}]", count), bytes)));
            return checkpoint.readIntegers(checkpoint.at("ids"));
        };
        constexpr std::int32_t low = std::numeric_limits<std::int32_t>::min();
        constexpr std::int32_t high = std::numeric_limits<std::int32_t>::max();
        QCOMPARE(read("I64", raw<std::int64_t>(low) + raw<std::int64_t>(high), 2), (std::vector{low, high}));
        QCOMPARE(read("I32", raw(low) + raw(high), 2), (std::vector{low, high}));
        QCOMPARE(read("I16", raw<std::int16_t>(-32768) + raw<std::int16_t>(7), 2), (std::vector{-32768, 7}));
        QCOMPARE(read("I8", "\x80\x7f", 2), (std::vector{-128, 127}));
        QCOMPARE(read("U8", "\x80\xff", 2), (std::vector{128, 255}));
        QVERIFY(hostile::refuses([&] { read("I64", raw<std::int64_t>(1) + raw(std::int64_t{high} + 1), 2); },
                                 ErrorKind::Corrupt, {"tensor ids", "element 1"}));
        QVERIFY(
            hostile::refuses([&] { read("I64", raw(std::int64_t{low} - 1), 1); }, ErrorKind::Corrupt, {"element 0"}));
        QVERIFY(hostile::refuses([&] { read("F32", raw(1.0F), 1); }, ErrorKind::Unsupported, {"tensor ids", "F32"}));
    }

    void shapesThatDoNotFitAreNamed()
    {
        const hostile::Folder folder;
        folder.write("model.safetensors",
                     file({entry("cube", "F32", "[2,1,2]", 0, 16), entry("row", "F32", "[1,3]", 16, 28),
                           entry("column", "F32", "[3,1]", 28, 40), entry("wide", "F32", "[2,2]", 40, 56),
                           entry("number", "F32", "[]", 56, 60), entry("ids", "I32", "[1,1]", 60, 64),
                           entry("none", "F32", "[0,5]", 64, 64)},
                          floats({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})));
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        QCOMPARE(checkpoint.readVector(checkpoint.at("row")), (std::vector<float>{4, 5, 6}));
        QCOMPARE(checkpoint.readVector(checkpoint.at("column")), (std::vector<float>{7, 8, 9}));
        QCOMPARE(checkpoint.readMatrix(checkpoint.at("none")).columns(), std::size_t{5});
        const auto mismatch = ErrorKind::Mismatch;
        QVERIFY(hostile::refuses([&] { checkpoint.readMatrix(checkpoint.at("cube")); }, mismatch,
                                 {"tensor cube", "2x1x2"}));
        QVERIFY(
            hostile::refuses([&] { checkpoint.readVector(checkpoint.at("wide")); }, mismatch, {"tensor wide", "2x2"}));
        QVERIFY(hostile::refuses([&] { checkpoint.readVector(checkpoint.at("number")); }, mismatch, {"scalar"}));
        QVERIFY(
            hostile::refuses([&] { checkpoint.readMatrix(checkpoint.at("ids")); }, ErrorKind::Unsupported, {"I32"}));
        QVERIFY(
            hostile::refuses([&] { checkpoint.readVector(checkpoint.at("ids")); }, ErrorKind::Unsupported, {"I32"}));
    }

    void partsOfAMatrixAreRead_data()
    {
        QTest::addColumn<std::size_t>("first");
        QTest::addColumn<std::size_t>("count");
        QTest::newRow("all") << std::size_t{0} << std::size_t{5};
        QTest::newRow("middle") << std::size_t{1} << std::size_t{3};
        QTest::newRow("last") << std::size_t{4} << std::size_t{1};
        QTest::newRow("none") << std::size_t{5} << std::size_t{0};
    }

    void partsOfAMatrixAreRead()
    {
        QFETCH(std::size_t, first);
        QFETCH(std::size_t, count);
        std::vector<float> values(5 * 3);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<float>(i);
        const hostile::Folder folder;
        const Checkpoint checkpoint =
            Checkpoint::open(folder.write("x.safetensors", oneTensor("w", "F32", "[5,3]", floats(values))));
        Matrix<float> target(count, 7);
        for (float& value : target.span())
            value = -1;
        checkpoint.readRows(checkpoint.at("w"), first, count, target.view().columnRange(2, 3));
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = 0; j < 7; ++j)
                QVERIFY(target(i, j) == (j < 2 || j > 4 ? -1 : values[(first + i) * 3 + j - 2]));
        }
        Matrix<float> narrow(count, 2);
        QVERIFY(hostile::refuses([&] { checkpoint.readRows(checkpoint.at("w"), first, count, narrow.view()); },
                                 ErrorKind::Internal, {"tensor w"}));
        Matrix<float> tall(count + 1, 3);
        QVERIFY(hostile::refuses([&] { checkpoint.readRows(checkpoint.at("w"), 5 - count + 1, count, tall.view()); },
                                 ErrorKind::Internal, {"tensor w"}));
    }

    void nonFiniteValuesAreNamed_data()
    {
        QTest::addColumn<QByteArray>("dtype");
        QTest::addColumn<QByteArray>("value");
        const auto row = [](const char* name, const char* dtype, const std::string& bytes) {
            QTest::newRow(name) << QByteArray(dtype) << QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size()));
        };
        row("F32 nan", "F32", raw(std::nanf("")));
        row("F32 inf", "F32", raw(-HUGE_VALF));
        row("F16 nan", "F16", raw<std::uint16_t>(0x7C01));
        row("F16 inf", "F16", raw<std::uint16_t>(0xFC00));
        row("BF16 nan", "BF16", raw<std::uint16_t>(0x7F81));
        row("BF16 inf", "BF16", raw<std::uint16_t>(0x7F80));
        row("F64 nan", "F64", raw(std::nan("")));
        row("F64 too large", "F64", raw(1e300));
    }

    void nonFiniteValuesAreNamed()
    {
        QFETCH(QByteArray, dtype);
        QFETCH(QByteArray, value);
        constexpr std::size_t count = 70000; // more than one part of the stream
        constexpr std::size_t place = 66000;
        const auto size = static_cast<std::size_t>(value.size());
        std::string data(count * size, '\0');
        const hostile::Folder folder;
        const std::vector<std::string> entries = {
            entry("fine", dtype.toStdString(), "[1]", 0, size), entry("ids", "I32", "[1]", size, size + 4),
            entry("bad", dtype.toStdString(), "[700,100]", size + 4, size + 4 + data.size())};
        const auto open = [&] {
            return Checkpoint::open(
                folder.write("x.safetensors", file(entries, std::string(size, '\0') + raw(std::nanf("")) + data)));
        };
        QVERIFY(!firstNonFiniteTensor(open()));
        data.replace(place * size, size, value.toStdString());
        const Checkpoint checkpoint = open();
        QCOMPARE(firstNonFiniteTensor(checkpoint).value_or(""), std::string("bad"));
        checkFinite(checkpoint, checkpoint.at("fine"));
        checkFinite(checkpoint, checkpoint.at("ids"));
        QVERIFY(hostile::refuses([&] { checkFinite(checkpoint, checkpoint.at("bad")); }, ErrorKind::NonFinite,
                                 {"x.safetensors", "tensor bad", "66000", "700x100"}));
    }

    void nonFiniteScalesOfBlocksAreNamed()
    {
        hostile::Gguf file;
        file.tensors = hostile::ggufTensor("q", {32, 2}, 8, 0);
        file.tensorCount = 1;
        file.data = std::string(34, '\0') + raw<std::uint16_t>(0x7E00) + std::string(32, '\1');
        const hostile::Folder folder;
        const Checkpoint checkpoint = Checkpoint::open(folder.write("x.gguf", file.bytes()));
        QVERIFY(hostile::refuses([&] { checkFinite(checkpoint, checkpoint.at("q")); }, ErrorKind::NonFinite,
                                 {"tensor q", "element 32"}));
    }

    void copiesAndThreadsShareOneFile()
    {
        const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K");
        const std::string expected =
            Checkpoint::open(std::filesystem::path(RANKWRIGHT_DEMO) / "stories260K").fingerprint();
        std::vector<std::string> fingerprints(32);
        std::vector<float> firsts(32);
        parallelFor(32, 4, [&](std::size_t i, std::size_t) {
            const Checkpoint copy = checkpoint;
            const TensorInfo& tensor = copy.at("model.embed_tokens.weight");
            firsts[i] = copy.readMatrix(tensor)(3, 5);
            copy.release(tensor);
            fingerprints[i] = copy.fingerprint();
        });
        QVERIFY(std::all_of(firsts.begin(), firsts.end(), [&](float value) { return value == firsts[0]; }));
        QCOMPARE(fingerprints, std::vector<std::string>(32, expected));
    }
};

QTEST_GUILESS_MAIN(TestCheckpoint)
#include "tst_checkpoint.moc"
