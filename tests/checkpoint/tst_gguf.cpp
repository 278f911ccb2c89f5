#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/gguf.h"
#include "tests/checkpoint/hostile_files.h"

#include <QTest>

#include <cstring>
#include <filesystem>
#include <limits>
#include <vector>

using namespace rankwright;
using hostile::Gguf;
using hostile::ggufString;
using hostile::ggufTensor;
using hostile::ggufValue;
using hostile::raw;

namespace {

enum : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

std::string arrayOf(std::uint32_t type, std::uint64_t count, const std::string& values)
{
    return raw(type) + raw(count) + values;
}

/// Metadata of every type, a 2x32 F32 tensor and a Q8_0 one of one block.
Gguf good()
{
    Gguf file;
    file.values =
        ggufValue("general.architecture", String, ggufString("llama")) + ggufValue("u8", U8, raw<std::uint8_t>(200)) +
        ggufValue("i8", I8, raw<std::int8_t>(-3)) + ggufValue("u16", U16, raw<std::uint16_t>(60000)) +
        ggufValue("i16", I16, raw<std::int16_t>(-30000)) + ggufValue("u32", U32, raw<std::uint32_t>(4000000000U)) +
        ggufValue("i32", I32, raw<std::int32_t>(-7)) + ggufValue("u64", U64, raw(~std::uint64_t{0})) +
        ggufValue("i64", I64, raw(std::numeric_limits<std::int64_t>::min())) + ggufValue("f32", F32, raw(0.5F)) +
        ggufValue("f64", F64, raw(-0.25)) + ggufValue("yes", Bool, raw<std::uint8_t>(1)) +
        ggufValue("texts", Array, arrayOf(String, 3, ggufString("a") + ggufString("") + ggufString("\xc3\xa9"))) +
        ggufValue("counts", Array, arrayOf(I32, 2, raw<std::int32_t>(5) + raw<std::int32_t>(-6))) +
        ggufValue("scores", Array, arrayOf(F32, 2, raw(1.5F) + raw(-2.5F))) +
        ggufValue("flags", Array, arrayOf(Bool, 2, std::string("\1\0", 2))) +
        ggufValue("empty", Array, arrayOf(String, 0, ""));
    file.valueCount = 17;
    file.tensors = ggufTensor("w", {32, 2}, 0, 0) + ggufTensor("q", {32}, 8, 256);
    file.tensorCount = 2;
    for (int i = 0; i < 64; ++i)
        file.data += raw(static_cast<float>(i) / 4);
    file.data += raw<std::uint16_t>(0x3800); // a scale of 0.5
    for (int i = 0; i < 32; ++i)
        file.data += raw(static_cast<std::int8_t>(i - 16));
    return file;
}

struct Case
{
    const char* name;
    std::function<void(Gguf&)> damage;
    ErrorKind kind;
    std::vector<std::string> words;
};

Case tensorCase(const char* name, const std::string& entry, ErrorKind kind, std::vector<std::string> words)
{
    return {name,
            [entry](Gguf& file) {
                file.tensors = entry;
                file.tensorCount = 1;
            },
            kind, std::move(words)};
}

Case valueCase(const char* name, const std::string& value, ErrorKind kind, std::vector<std::string> words)
{
    return {name,
            [value](Gguf& file) {
                file.values += value;
                ++file.valueCount;
            },
            kind, std::move(words)};
}

std::vector<Case> brokenFiles()
{
    const auto corrupt = ErrorKind::Corrupt;
    const auto unsupported = ErrorKind::Unsupported;
    constexpr std::uint64_t huge = ~std::uint64_t{0};
    return {
        {"version 1", [](Gguf& f) { f.version = 1; }, unsupported, {"version 1"}},
        {"version 4", [](Gguf& f) { f.version = 4; }, unsupported, {"version 4"}},
        {"big-endian", [](Gguf& f) { f.version = 0x03000000; }, unsupported, {"big-endian"}},
        {"huge number of values", [](Gguf& f) { f.valueCount = huge; }, corrupt, {"18446744073709551615", "metadata"}},
        {"huge number of tensors", [](Gguf& f) { f.tensorCount = huge; }, corrupt, {"18446744073709551615", "tensors"}},
        {"tensors that overflow", [](Gguf& f) { f.tensorCount = huge / 24 + 2; }, corrupt, {"tensors"}},
        {"one tensor more", [](Gguf& f) { f.tensorCount = 3; }, corrupt, {}},
        {"one value more", [](Gguf& f) { ++f.valueCount; }, corrupt, {}},
        valueCase("key twice", ggufValue("u8", U8, raw<std::uint8_t>(1)), corrupt, {"\"u8\"", "twice"}),
        valueCase("unknown type", ggufValue("x", 13, raw<std::uint8_t>(1)), corrupt, {"\"x\"", "13"}),
        valueCase("unknown array type", ggufValue("x", Array, arrayOf(99, 1, "a")), corrupt, {"\"x\"", "99"}),
        valueCase("array of arrays", ggufValue("x", Array, arrayOf(Array, 1, arrayOf(U8, 1, "a"))), unsupported,
                  {"\"x\"", "array of arrays"}),
        valueCase("huge array", ggufValue("x", Array, arrayOf(U8, huge, "a")), corrupt,
                  {"\"x\"", "18446744073709551615"}),
        valueCase("array that overflows", ggufValue("x", Array, arrayOf(U64, huge / 8 + 2, "a")), corrupt, {"\"x\""}),
        valueCase("huge array of texts", ggufValue("x", Array, arrayOf(String, huge / 8 + 1, "a")), corrupt, {"\"x\""}),
        valueCase("huge text", ggufValue("x", String, raw(huge) + "abc"), corrupt, {"18446744073709551615"}),
        valueCase("huge text in an array", ggufValue("x", Array, arrayOf(String, 1, raw(huge - 7))), corrupt,
                  {"18446744073709551608"}),
        valueCase("long key", ggufValue(std::string(65536, 'k'), U8, "a"), corrupt, {"65536"}),
        valueCase("bool of 2", ggufValue("x", Bool, "\2"), corrupt, {"\"x\"", "bool"}),
        valueCase("bool of 2 in an array", ggufValue("x", Array, arrayOf(Bool, 2, "\1\2")), corrupt, {"\"x\"", "bool"}),
        valueCase("alignment 0", ggufValue("general.alignment", U32, raw<std::uint32_t>(0)), corrupt,
                  {"alignment", "0"}),
        valueCase("alignment 48", ggufValue("general.alignment", U32, raw<std::uint32_t>(48)), corrupt,
                  {"alignment", "48"}),
        valueCase("negative alignment", ggufValue("general.alignment", I64, raw<std::int64_t>(-32)), corrupt,
                  {"alignment", "-32"}),
        valueCase("huge alignment", ggufValue("general.alignment", U64, raw(std::uint64_t{1} << 62U)), corrupt,
                  {"alignment"}),
        valueCase("large alignment", ggufValue("general.alignment", U32, raw(std::uint32_t{1} << 31U)), corrupt,
                  {"tensor w", "do not lie in the file"}),
        valueCase("alignment is text", ggufValue("general.alignment", String, ggufString("32")), ErrorKind::Mismatch,
                  {"general.alignment", "string"}),
        valueCase("split model", ggufValue("split.count", U16, raw<std::uint16_t>(3)), unsupported, {"split"}),
        tensorCase("five dimensions", ggufTensor("w", {1, 1, 1, 1, 1}, 0, 0), corrupt, {"tensor w", "5 dimensions"}),
        tensorCase("huge number of dimensions", ggufString("w") + raw(~std::uint32_t{0}), corrupt,
                   {"tensor w", "4294967295"}),
        tensorCase("negative dimension", ggufTensor("w", {huge}, 0, 0), corrupt, {"tensor w", "overflows"}),
        tensorCase("shape overflows", ggufTensor("w", {1ULL << 32U, 1ULL << 32U}, 0, 0), corrupt,
                   {"tensor w", "overflows"}),
        tensorCase("overflow behind a zero", ggufTensor("w", {1ULL << 32U, 1ULL << 32U, 0}, 0, 0), corrupt,
                   {"tensor w", "overflows"}),
        tensorCase("bytes overflow", ggufTensor("w", {1ULL << 62U}, 0, 0), corrupt, {"tensor w", "overflows"}),
        tensorCase("row does not fill blocks", ggufTensor("w", {16, 2}, 8, 0), corrupt, {"tensor w", "16", "Q8_0"}),
        tensorCase("row does not fill blocks of 256", ggufTensor("w", {288, 2}, 12, 0), corrupt,
                   {"tensor w", "288", "Q4_K blocks of 256"}),
        tensorCase("scalar in blocks of 256", ggufTensor("w", {}, 14, 0), corrupt, {"tensor w", "Q6_K blocks of 256"}),
        tensorCase("blocks of 256 longer than the file", ggufTensor("w", {256, 3}, 12, 0), corrupt,
                   {"tensor w", "432 bytes", "incomplete download"}),
        tensorCase("type not readable", ggufTensor("w", {256}, 16, 0), unsupported,
                   {"tensor w", "IQ2_XXS", "convert", "Q8_0", "Q5_0", "Q4_K", "IQ4_XS"}),
        tensorCase("type of activations", ggufTensor("w", {256}, 15, 0), unsupported, {"tensor w", "Q8_K", "convert"}),
        tensorCase("newer type", ggufTensor("w", {256}, 39, 0), unsupported, {"tensor w", "MXFP4", "convert"}),
        tensorCase("type of no format", ggufTensor("w", {256}, 1000, 0), unsupported, {"tensor w", "1000"}),
        tensorCase("offset not aligned", ggufTensor("w", {4}, 0, 4), corrupt, {"tensor w", "4", "alignment 32"}),
        tensorCase("offset behind the file", ggufTensor("w", {4}, 0, 1ULL << 40U), corrupt,
                   {"tensor w", "incomplete download"}),
        tensorCase("offset overflows", ggufTensor("w", {4}, 0, huge - 31), corrupt, {"tensor w", "do not lie"}),
        tensorCase("longer than the file", ggufTensor("w", {32, 1000}, 0, 0), corrupt,
                   {"tensor w", "128000", "incomplete download"}),
        tensorCase("long name", ggufTensor(std::string(70000, 'n'), {4}, 0, 0), corrupt, {"70000"}),
        {"tensor twice",
         [](Gguf& f) { f.tensors = ggufTensor("w", {8}, 0, 0) + ggufTensor("w", {8}, 0, 32); },
         corrupt,
         {"tensor w", "twice"}},
        {"overlap",
         [](Gguf& f) { f.tensors = ggufTensor("w", {16}, 0, 0) + ggufTensor("q", {8}, 0, 32); },
         corrupt,
         {"tensor q", "overlaps tensor w"}},
        {"same bytes twice",
         [](Gguf& f) { f.tensors = ggufTensor("w", {8}, 0, 32) + ggufTensor("q", {8}, 0, 32); },
         corrupt,
         {"overlaps tensor"}},
    };
}

} // namespace

class TestGguf : public QObject
{
    Q_OBJECT

private:
    hostile::Folder m_folder;

    std::filesystem::path save(const std::string& bytes) const { return m_folder.write("model.gguf", bytes); }

private slots:
    void metadataOfEveryTypeIsRead()
    {
        const Checkpoint checkpoint = Checkpoint::open(save(good().bytes()));
        QVERIFY(checkpoint.format() == CheckpointFormat::Gguf);
        const GgufFile& file = *checkpoint.gguf();
        QCOMPARE(file.version(), 3U);
        QCOMPARE(file.keys().size(), std::size_t{17});
        QCOMPARE(*file.string("general.architecture"), std::string("llama"));
        QCOMPARE(*file.integer("u8"), std::int64_t{200});
        QCOMPARE(*file.integer("i8"), std::int64_t{-3});
        QCOMPARE(*file.integer("u16"), std::int64_t{60000});
        QCOMPARE(*file.integer("i16"), std::int64_t{-30000});
        QCOMPARE(*file.integer("u32"), std::int64_t{4000000000});
        QCOMPARE(*file.integer("i32"), std::int64_t{-7});
        QCOMPARE(*file.integer("i64"), std::numeric_limits<std::int64_t>::min());
        QVERIFY(
            hostile::refuses([&] { file.integer("u64"); }, ErrorKind::Unsupported, {"u64", "18446744073709551615"}));
        QVERIFY(*file.real("f32") == 0.5 && *file.real("f64") == -0.25 && *file.real("i32") == -7.0);
        QVERIFY(*file.boolean("yes"));
        QCOMPARE(*file.strings("texts"), (std::vector<std::string>{"a", "", "\xc3\xa9"}));
        QCOMPARE(*file.integers("counts"), (std::vector<std::int64_t>{5, -6}));
        QCOMPARE(*file.reals("scores"), (std::vector<double>{1.5, -2.5}));
        QCOMPARE(*file.reals("counts"), (std::vector<double>{5, -6}));
        QCOMPARE(*file.booleans("flags"), (std::vector<bool>{true, false}));
        QVERIFY(file.strings("empty")->empty());
        QVERIFY(file.isArray("texts") && !file.isArray("u8") && !file.isArray("absent"));
        QVERIFY(file.contains("u8") && !file.contains("absent"));
        QVERIFY(!file.string("absent") && !file.integer("absent") && !file.real("absent") && !file.boolean("absent") &&
                !file.strings("absent") && !file.integers("absent") && !file.reals("absent") &&
                !file.booleans("absent"));
    }

    void wrongTypesAreNamed()
    {
        const Checkpoint checkpoint = Checkpoint::open(save(good().bytes()));
        const GgufFile& file = *checkpoint.gguf();
        const auto mismatch = ErrorKind::Mismatch;
        QVERIFY(hostile::refuses([&] { file.integer("general.architecture"); }, mismatch,
                                 {"general.architecture", "string"}));
        QVERIFY(hostile::refuses([&] { file.string("u8"); }, mismatch, {"u8", "uint8"}));
        QVERIFY(hostile::refuses([&] { file.integer("f32"); }, mismatch, {"f32", "float32"}));
        QVERIFY(hostile::refuses([&] { file.integer("counts"); }, mismatch, {"counts", "array of int32"}));
        QVERIFY(hostile::refuses([&] { file.strings("counts"); }, mismatch, {"counts"}));
        QVERIFY(hostile::refuses([&] { file.integers("i32"); }, mismatch, {"i32", "array"}));
        QVERIFY(hostile::refuses([&] { file.boolean("u8"); }, mismatch, {"u8", "bool"}));
        QVERIFY(hostile::refuses([&] { file.reals("flags"); }, mismatch, {"flags", "bool"}));
    }

    void tensorsAreReadWithReversedDimensions()
    {
        for (const std::uint32_t version : {2U, 3U}) {
            Gguf file = good();
            file.version = version;
            const Checkpoint checkpoint = Checkpoint::open(save(file.bytes()));
            const Matrix<float> w = checkpoint.readMatrix(checkpoint.at("w"));
            QCOMPARE(w.rows(), std::size_t{2});
            QCOMPARE(w.columns(), std::size_t{32});
            for (std::size_t i = 0; i < 64; ++i)
                QVERIFY(w.data()[i] == static_cast<float>(i) / 4);
            const std::vector<float> q = checkpoint.readVector(checkpoint.at("q"));
            for (std::size_t i = 0; i < 32; ++i)
                QVERIFY(q[i] == (static_cast<float>(i) - 16) / 2);
        }
    }

    void quantisedTensorsAreReadWholeAndByRows_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name :
             {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
            QTest::newRow(name) << QString::fromLatin1(name);
    }

    /// A file that gguf-py wrote, with what gguf-py makes of its blocks beside them.
    void quantisedTensorsAreReadWholeAndByRows()
    {
        QFETCH(QString, name);
        const auto file = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "quantised/quantised.gguf";
        const Checkpoint checkpoint = Checkpoint::open(file);
        const TensorInfo& tensor = checkpoint.at(name.toStdString());
        const Matrix<float> expected = checkpoint.readMatrix(checkpoint.at(tensor.name + ".values"));
        const std::size_t rows = expected.rows();
        const std::size_t columns = expected.columns();
        QCOMPARE(tensor.shape, (std::vector<std::size_t>{rows, columns}));
        QCOMPARE(tensor.bytes, bytesFor(tensor.dtype, columns) * rows);

        const Matrix<float> whole = checkpoint.readMatrix(tensor);
        QVERIFY(std::memcmp(whole.data(), expected.data(), 4 * expected.size()) == 0);
        for (std::size_t first = 0; first < rows; ++first) {
            for (std::size_t count = 0; count <= rows - first; ++count) {
                Matrix<float> part(count, columns);
                checkpoint.readRows(tensor, first, count, part.view());
                QVERIFY(count == 0 || std::memcmp(part.data(), expected.row(first), 4 * part.size()) == 0);
                // The same into rows that lie apart; what lies between stays.
                Matrix<float> wide(count, columns + 1);
                checkpoint.readRows(tensor, first, count, wide.view().columnRange(0, columns));
                for (std::size_t i = 0; i < count; ++i) {
                    QVERIFY(std::memcmp(wide.row(i), expected.row(first + i), 4 * columns) == 0);
                    QVERIFY(wide(i, columns) == 0.0F);
                }
            }
        }
        QVERIFY(!firstNonFiniteTensor(checkpoint));
    }

    void blocksWithoutFiniteScaleAreFound()
    {
        Gguf file;
        file.tensors = ggufTensor("w", {512}, 14, 0);
        file.tensorCount = 1;
        file.data = std::string(418, '\x11') + raw<std::uint16_t>(0x7C00); // Q6_K ends with its scale: infinity
        const Checkpoint checkpoint = Checkpoint::open(save(file.bytes()));
        QVERIFY(hostile::refuses([&] { checkFinite(checkpoint, checkpoint.at("w")); }, ErrorKind::NonFinite,
                                 {"tensor w", "element 256"}));
    }

    void ownAlignmentIsUsed()
    {
        Gguf file;
        file.values = ggufValue("general.alignment", U32, raw<std::uint32_t>(64));
        file.valueCount = 1;
        file.tensors = ggufTensor("a", {1}, 0, 0) + ggufTensor("b", {1}, 0, 64);
        file.tensorCount = 2;
        file.alignment = 64;
        file.data = raw(1.5F) + std::string(60, '\0') + raw(2.5F);
        const Checkpoint checkpoint = Checkpoint::open(save(file.bytes()));
        QCOMPARE(checkpoint.readVector(checkpoint.at("a")), std::vector<float>{1.5F});
        QCOMPARE(checkpoint.readVector(checkpoint.at("b")), std::vector<float>{2.5F});
    }

    void everyTruncationIsRefused()
    {
        const std::string whole = good().bytes();
        for (std::size_t length = 0; length < whole.size(); ++length)
            QVERIFY2(hostile::refuses([&] { Checkpoint::open(save(whole.substr(0, length))); }, ErrorKind::Corrupt,
                                      {"model.gguf", "incomplete download"}),
                     qPrintable(QString::number(length)));
    }

    void wrongMarkIsRefused()
    {
        std::string bytes = good().bytes();
        bytes[0] = 'H';
        QVERIFY(hostile::refuses([&] { Checkpoint::open(save(bytes)); }, ErrorKind::Corrupt, {"not a GGUF file"}));
    }

    void brokenFilesAreRefused_data()
    {
        QTest::addColumn<int>("index");
        const auto cases = brokenFiles();
        for (std::size_t i = 0; i < cases.size(); ++i)
            QTest::newRow(cases[i].name) << static_cast<int>(i);
    }

    void brokenFilesAreRefused()
    {
        QFETCH(int, index);
        Case broken = brokenFiles().at(static_cast<std::size_t>(index));
        Gguf file = good();
        broken.damage(file);
        broken.words.emplace_back("model.gguf");
        const std::string bytes = file.bytes();
        QVERIFY(hostile::refuses([&] { Checkpoint::open(save(bytes)); }, broken.kind, broken.words));
    }
};

QTEST_GUILESS_MAIN(TestGguf)
#include "tst_gguf.moc"
