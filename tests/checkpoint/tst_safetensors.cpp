#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/safetensors.h"
#include "tests/checkpoint/hostile_files.h"

#include <QTest>

#include <ctime>
#include <vector>

using namespace rankwright;

namespace {

SafetensorsHeader parse(const std::string& bytes)
{
    return parseSafetensors(std::as_bytes(std::span(bytes)), "some/model.safetensors");
}

struct Case
{
    const char* name;
    std::string header;
    std::size_t dataBytes;
    ErrorKind kind;
    std::vector<std::string> words;
};

std::string manyTimes(std::string_view text, std::size_t count)
{
    std::string result;
    for (std::size_t i = 0; i < count; ++i)
        result += text;
    return result;
}

std::vector<Case> brokenHeaders()
{
    const auto corrupt = ErrorKind::Corrupt;
    return {
        {"not an object", "[1]", 0, corrupt, {"'{'"}},
        {"leading space", hostile::json(" {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}"), 1, corrupt, {"'{'"}},
        {"cut JSON", hostile::json("{'a':{'dtype':'U8','shape':[1],'data_off"), 1, corrupt, {"JSON"}},
        {"text behind the object", hostile::json("{} x"), 0, corrupt, {"JSON"}},
        {"second object", hostile::json("{}{}"), 0, corrupt, {"JSON"}},
        {"invalid UTF-8", "{\"\xff\xfe\":{}}", 0, corrupt, {"JSON"}},
        {"deep array", hostile::json("{'a':") + std::string(1000000, '[') + "}", 0, corrupt, {"tensor a", "array"}},
        {"deep object",
         hostile::json("{'a':{'dtype':") + std::string(1000000, '{') + "}}",
         0,
         corrupt,
         {"tensor a", "object"}},
        {"nested object", hostile::json("{'a':{'dtype':{'dtype':{}}}}"), 0, corrupt, {"tensor a", "object", "dtype"}},
        {"tensor is a number", hostile::json("{'a':3}"), 0, corrupt, {"tensor a", "number"}},
        {"tensor is null", hostile::json("{'a':null}"), 0, corrupt, {"tensor a", "null"}},
        {"tensor is text", hostile::json("{'a':'F32'}"), 0, corrupt, {"tensor a", "string"}},
        {"tensor is true", hostile::json("{'a':true}"), 0, corrupt, {"tensor a", "truth value"}},
        {"no dtype", hostile::json("{'a':{'shape':[1],'data_offsets':[0,1]}}"), 1, corrupt, {"tensor a", "lacks"}},
        {"no shape", hostile::json("{'a':{'dtype':'U8','data_offsets':[0,1]}}"), 1, corrupt, {"tensor a", "lacks"}},
        {"no offsets", hostile::json("{'a':{'dtype':'U8','shape':[1]}}"), 1, corrupt, {"tensor a", "lacks"}},
        {"unknown field",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1],'x':1}}"),
         1,
         corrupt,
         {"tensor a", "\"x\""}},
        {"field twice",
         hostile::json("{'a':{'dtype':'U8','dtype':'U8','shape':[1],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "\"dtype\" twice"}},
        {"shape twice",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'shape':[1],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "\"shape\" twice"}},
        {"tensor twice",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},'b':{'dtype':'U8','shape':[1],'data_"
                       "offsets':[1,2]},") +
             hostile::json("'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}"),
         2,
         corrupt,
         {"tensor a", "twice"}},
        {"metadata twice", hostile::json("{'__metadata__':{},'__metadata__':{}}"), 0, corrupt, {"__metadata__ twice"}},
        {"metadata key twice",
         hostile::json("{'__metadata__':{'k':'1','k':'2'}}"),
         0,
         corrupt,
         {"__metadata__", "\"k\" twice"}},
        {"metadata of numbers", hostile::json("{'__metadata__':{'k':1}}"), 0, corrupt, {"__metadata__", "number"}},
        {"metadata is a list", hostile::json("{'__metadata__':['k']}"), 0, corrupt, {"__metadata__", "array"}},
        {"metadata is text", hostile::json("{'__metadata__':'k'}"), 0, corrupt, {"__metadata__", "string"}},
        {"metadata of objects", hostile::json("{'__metadata__':{'k':{}}}"), 0, corrupt, {"__metadata__", "object"}},
        {"dtype of no format",
         hostile::json("{'a':{'dtype':'F33','shape':[1],'data_offsets':[0,4]}}"),
         4,
         corrupt,
         {"tensor a", "F33", "not known"}},
        {"dtype not readable",
         hostile::json("{'a':{'dtype':'F8_E4M3','shape':[1],'data_offsets':[0,1]}}"),
         1,
         ErrorKind::Unsupported,
         {"tensor a", "F8_E4M3", "convert"}},
        {"dtype is a number",
         hostile::json("{'a':{'dtype':1,'shape':[1],'data_offsets':[0,4]}}"),
         4,
         corrupt,
         {"tensor a", "dtype"}},
        {"dtype in lower case",
         hostile::json("{'a':{'dtype':'f32','shape':[1],'data_offsets':[0,4]}}"),
         4,
         corrupt,
         {"tensor a", "f32"}},
        {"block dtype",
         hostile::json("{'a':{'dtype':'Q8_0','shape':[32],'data_offsets':[0,34]}}"),
         34,
         corrupt,
         {"tensor a", "Q8_0"}},
        {"negative dimension",
         hostile::json("{'a':{'dtype':'U8','shape':[-1],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape", "-1"}},
        {"broken dimension",
         hostile::json("{'a':{'dtype':'U8','shape':[1.5],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape", "1.5"}},
        {"dimension above 2^64",
         hostile::json("{'a':{'dtype':'U8','shape':[18446744073709551616],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape", "18446744073709551616"}},
        {"text in the shape",
         hostile::json("{'a':{'dtype':'U8','shape':['1'],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape", "string"}},
        {"array in the shape",
         hostile::json("{'a':{'dtype':'U8','shape':[[1]],'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape", "array"}},
        {"shape is a number",
         hostile::json("{'a':{'dtype':'U8','shape':1,'data_offsets':[0,1]}}"),
         1,
         corrupt,
         {"tensor a", "shape"}},
        {"shape overflows",
         hostile::json("{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,0]}}"),
         0,
         corrupt,
         {"tensor a", "4294967296x4294967296", "overflows"}},
        {"many dimensions",
         "{\"a\":{\"dtype\":\"U8\",\"shape\":[1" + manyTimes(",1", 299999) + "],\"data_offsets\":[0,2]}}",
         2,
         corrupt,
         {"tensor a", "shape 1x1x1x1x1x1x1x1x... (300000 dimensions) of U8"}},
        {"bytes overflow",
         hostile::json("{'a':{'dtype':'F64','shape':[2305843009213693952],'data_offsets':[0,0]}}"),
         0,
         corrupt,
         {"tensor a", "overflows"}},
        {"overflow behind a zero",
         hostile::json("{'a':{'dtype':'F32','shape':[0,4294967296,4294967296],'data_offsets':[0,0]}}"),
         0,
         corrupt,
         {"tensor a", "overflows"}},
        {"one offset",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[1]}}"),
         1,
         corrupt,
         {"tensor a", "1 numbers"}},
        {"three offsets",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1,1]}}"),
         1,
         corrupt,
         {"tensor a", "3 numbers"}},
        {"negative offset",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[-1,0]}}"),
         1,
         corrupt,
         {"tensor a", "data_offsets", "-1"}},
        {"offsets reversed",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[1,0]}}"),
         1,
         corrupt,
         {"tensor a", "ends before"}},
        {"offsets behind the file",
         hostile::json("{'a':{'dtype':'U8','shape':[9],'data_offsets':[0,9]}}"),
         8,
         corrupt,
         {"tensor a", "9", "8", "incomplete download"}},
        {"huge offsets",
         hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[18446744073709551614,18446744073709551615]}}"),
         1,
         corrupt,
         {"tensor a", "18446744073709551615"}},
        {"shape larger than offsets",
         hostile::json("{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}}"),
         8,
         corrupt,
         {"tensor a", "3 of F32 takes 12 bytes", "8"}},
        {"shape smaller than offsets",
         hostile::json("{'a':{'dtype':'F16','shape':[3],'data_offsets':[0,8]}}"),
         8,
         corrupt,
         {"tensor a", "takes 6 bytes"}},
        {"empty shape with bytes",
         hostile::json("{'a':{'dtype':'F32','shape':[0],'data_offsets':[0,4]}}"),
         4,
         corrupt,
         {"tensor a", "takes 0 bytes"}},
        {"overlap",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},'b':{'dtype':'U8','shape':[4],'data_"
                       "offsets':[2,6]}}"),
         6,
         corrupt,
         {"tensor b", "overlaps tensor a", "2", "4"}},
        {"same bytes twice",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},'b':{'dtype':'U8','shape':[4],'data_"
                       "offsets':[0,4]}}"),
         4,
         corrupt,
         {"tensor b", "overlaps tensor a"}},
        {"empty tensor inside another",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},'b':{'dtype':'U8','shape':[0],'data_"
                       "offsets':[2,2]}}"),
         4,
         corrupt,
         {"tensor b", "overlaps tensor a"}},
        {"hole",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},'b':{'dtype':'U8','shape':[4],'data_"
                       "offsets':[6,10]}}"),
         10,
         corrupt,
         {"tensor b", "leaves 2 bytes"}},
        {"hole at the start",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[1,5]}}"),
         5,
         corrupt,
         {"tensor a", "leaves 1 bytes"}},
        {"trailing bytes",
         hostile::json("{'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]}}"),
         7,
         corrupt,
         {"3 trailing bytes"}},
        {"only trailing bytes", "{}", 1, corrupt, {"1 trailing bytes"}},
    };
}

} // namespace

class TestSafetensors : public QObject
{
    Q_OBJECT

private slots:
    void wholeFileIsRead()
    {
        const std::string header =
            hostile::json(
                "{'__metadata__':{'format':'pt','n':'1'},'b':{'dtype':'BF16','shape':[2,3],'data_offsets':[8,20]},") +
            hostile::json("'scalar':{'dtype':'F64','shape':[],'data_offsets':[0,8]},'none':{'dtype':'F32','shape':[0,7]"
                          ",'data_offsets':[8,8]},") +
            hostile::json("'flag':{'dtype':'BOOL','shape':[1],'data_offsets':[20,21]}}   ");
        const SafetensorsHeader parsed = parse(hostile::safetensors(header, std::string(21, '\1')));
        QCOMPARE(parsed.dataStart, 8 + header.size());
        QCOMPARE(parsed.metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"n", "1"}}));
        QCOMPARE(parsed.tensors.size(), std::size_t{4});
        const auto expect = [&](std::size_t i, const char* name, DType dtype, const std::vector<std::size_t>& shape,
                                std::size_t offset, std::size_t bytes) {
            const TensorInfo& tensor = parsed.tensors[i];
            return tensor.name == name && tensor.dtype == dtype && tensor.shape == shape &&
                   tensor.offset == parsed.dataStart + offset && tensor.bytes == bytes;
        };
        QVERIFY(expect(0, "scalar", DType::F64, {}, 0, 8));
        QVERIFY(expect(1, "none", DType::F32, {0, 7}, 8, 0));
        QVERIFY(expect(2, "b", DType::BF16, {2, 3}, 8, 12));
        QVERIFY(expect(3, "flag", DType::Bool, {1}, 20, 1));
        QCOMPARE(parsed.tensors[0].elements(), std::size_t{1});
        QCOMPARE(parsed.tensors[1].elements(), std::size_t{0});
    }

    void fileWithoutTensorsIsLegal() { QVERIFY(parse(hostile::safetensors("{}      ", "")).tensors.empty()); }

    void everyTruncationIsRefused()
    {
        const std::string whole =
            hostile::safetensors(hostile::json("{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'b':{'dtype':'U8'"
                                               ",'shape':[3],'data_offsets':[8,11]}}"),
                                 std::string(11, '\7'));
        QCOMPARE(parse(whole).tensors.size(), std::size_t{2});
        for (std::size_t length = 0; length < whole.size(); ++length)
            QVERIFY2(hostile::refuses([&] { parse(whole.substr(0, length)); }, ErrorKind::Corrupt,
                                      {"some/model.safetensors", "incomplete download"}),
                     qPrintable(QString::number(length)));
    }

    void headerLengthIsChecked()
    {
        const std::string body = hostile::json("{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}");
        for (const std::uint64_t length : {~std::uint64_t{0}, std::uint64_t{1} << 63U, ~std::uint64_t{0} - 7,
                                           std::uint64_t{100'000'001}, std::uint64_t{100'000'000}, std::uint64_t{55}})
            QVERIFY(hostile::refuses([&] { parse(hostile::raw(length) + body + "x"); }, ErrorKind::Corrupt,
                                     {std::to_string(length)}));
        QVERIFY(hostile::refuses([&] { parse(hostile::raw<std::uint64_t>(0) + body); }, ErrorKind::Corrupt, {"'{'"}));
    }

    void brokenHeadersAreRefused_data()
    {
        QTest::addColumn<int>("index");
        const auto cases = brokenHeaders();
        for (std::size_t i = 0; i < cases.size(); ++i)
            QTest::newRow(cases[i].name) << static_cast<int>(i);
    }

    void brokenHeadersAreRefused()
    {
        QFETCH(int, index);
        Case broken = brokenHeaders().at(static_cast<std::size_t>(index));
        broken.words.emplace_back("some/model.safetensors");
        QVERIFY(
            hostile::refuses([&] { parse(hostile::safetensors(broken.header, std::string(broken.dataBytes, '\0'))); },
                             broken.kind, broken.words));
    }

    void errorCarriesFileAndTensor()
    {
        const auto error = hostile::errorOf([] {
            parse(hostile::safetensors(hostile::json("{'a.weight':{'dtype':'U8','shape':[2],'data_offsets':[0,1]}}"),
                                       "x"));
        });
        QVERIFY(error.has_value());
        QCOMPARE(error->file(), std::filesystem::path("some/model.safetensors"));
        QCOMPARE(error->tensor(), std::string("a.weight"));
    }

    void syntaxErrorsNameTheByteAndNoTensor()
    {
        const std::string before = hostile::json("{'a.weight':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},'b");
        const auto error = hostile::errorOf([&] { parse(hostile::safetensors(before + "\xff\":{}}", "x")); });
        QVERIFY(error.has_value());
        const std::string message = error->what();
        QVERIFY2(error->tensor().empty() && message.find("a.weight") == std::string::npos, message.c_str());
        QVERIFY2(message.find("offset " + std::to_string(8 + before.size()) + " ") != std::string::npos,
                 message.c_str());
    }

    void manyTensorsAreReadInLinearTime()
    {
        std::string header = "{";
        constexpr std::size_t count = 200000;
        for (std::size_t i = 0; i < count; ++i)
            header += "\"t" + std::to_string(i) + hostile::json("':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},");
        header.back() = '}';
        const std::string bytes = hostile::safetensors(header, "");
        const std::clock_t start = std::clock();
        QCOMPARE(parse(bytes).tensors.size(), count);
        // Processor time, so that a busy machine does not matter: about 0.3 s, a few seconds under a sanitizer. A
        // search through all tensors for each would take minutes.
        QVERIFY((std::clock() - start) / CLOCKS_PER_SEC < 15);
    }
};

QTEST_GUILESS_MAIN(TestSafetensors)
#include "tst_safetensors.moc"
