#include "core/base/file.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/safetensors.h"
#include "core/checkpoint/safetensors_writer.h"
#include "tests/checkpoint/hostile_files.h"

#include <QTest>

#include <cmath>
#include <vector>

using namespace rankwright;

namespace {

std::vector<std::string> namesOf(const std::vector<TensorPlan>& plans)
{
    std::vector<std::string> names;
    for (const TensorPlan& plan : plans)
        names.push_back(plan.name);
    return names;
}

std::size_t filesIn(const std::filesystem::path& folder)
{
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

} // namespace

class TestSafetensorsWriter : public QObject
{
    Q_OBJECT

private slots:
    void bytesAreTheFormat()
    {
        const hostile::Folder folder;
        const std::filesystem::path path = folder.path() / "x.safetensors";
        SafetensorsWriter writer(
            path, {{"b", DType::BF16, {2}}, {"d", DType::F64, {}}, {"a\"", DType::F32, {1, 2}}, {"c", DType::I32, {0}}},
            {{"format", "pt"}});
        QCOMPARE(namesOf(writer.order()), (std::vector<std::string>{"d", "a\"", "c", "b"}));
        writer.writeDoubles("d", std::vector<double>{0.5});
        writer.writeFloats("a\"", std::vector<float>{1.0F, -2.0F});
        writer.writeIntegers("c", {});
        writer.writeFloats("b", std::vector<float>{1.0F, -2.0F});
        QVERIFY(!std::filesystem::exists(path));
        writer.commit();
        std::string header =
            hostile::json("{'__metadata__':{'format':'pt'},'d':{'dtype':'F64','shape':[],'data_offsets':[0,8]},") +
            hostile::json("'a\\'':{'dtype':'F32','shape':[1,2],'data_offsets':[8,16]},'c':{'dtype':'I32','shape':[0],'"
                          "data_offsets':[16,16]},") +
            hostile::json("'b':{'dtype':'BF16','shape':[2],'data_offsets':[16,20]}}");
        header.append((8 - header.size() % 8) % 8, ' ');
        const std::string data = hostile::raw(0.5) + hostile::raw(1.0F) + hostile::raw(-2.0F) +
                                 hostile::raw<std::uint16_t>(0x3F80) + hostile::raw<std::uint16_t>(0xC000);
        QCOMPARE(readFile(path), hostile::safetensors(header, data));
    }

    void orderOfPlansDoesNotMatter()
    {
        const hostile::Folder folder;
        std::vector<TensorPlan> plans = {{"x", DType::F16, {3}}, {"y", DType::F32, {2}}, {"z", DType::F16, {1}}};
        std::vector<std::string> contents;
        for (int round = 0; round < 2; ++round) {
            SafetensorsWriter writer(folder.path() / "x", plans);
            for (const TensorPlan& plan : writer.order())
                writer.writeFloats(plan.name, std::vector<float>(plan.shape[0], 0.25F));
            writer.commit();
            contents.push_back(readFile(folder.path() / "x"));
            std::reverse(plans.begin(), plans.end());
        }
        QCOMPARE(contents[0], contents[1]);
    }

    void whatIsWrittenIsReadBack()
    {
        const hostile::Folder folder;
        std::vector<float> values(300001);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<float>(i) / 64; // some need rounding in F16 and BF16
        SafetensorsWriter writer(folder.path() / "model.safetensors", {{"f", DType::F32, {values.size()}},
                                                                       {"h", DType::F16, {values.size()}},
                                                                       {"b", DType::BF16, {values.size()}}});
        for (const TensorPlan& plan : writer.order())
            writer.writeFloats(plan.name, values);
        writer.commit();
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        QCOMPARE(checkpoint.readVector(checkpoint.at("f")), values);
        for (const auto& [name, digits] : {std::pair("h", 11), std::pair("b", 8)}) {
            const std::vector<float> read = checkpoint.readVector(checkpoint.at(name));
            for (std::size_t i = 1; i < values.size(); ++i) // half a unit of the last of `digits` binary digits
                QVERIFY(std::abs(read[i] - values[i]) <= std::ldexp(values[i], -digits));
        }
    }

    void wrongCallsAreRefused()
    {
        const hostile::Folder folder;
        const std::filesystem::path path = folder.path() / "x.safetensors";
        const auto internal = ErrorKind::Internal;
        {
            SafetensorsWriter writer(path, {{"a", DType::F32, {2}}, {"b", DType::F16, {1}}});
            const std::vector<float> two = {1, 2};
            QVERIFY(hostile::refuses([&] { writer.writeFloats("b", two); }, internal, {"tensor b", "next is a"}));
            QVERIFY(hostile::refuses([&] { writer.writeFloats("a", std::span(two).first(1)); }, internal,
                                     {"tensor a", "1", "2"}));
            QVERIFY(hostile::refuses([&] { writer.write("a", std::vector<std::byte>(7)); }, internal, {"tensor a"}));
            QVERIFY(
                hostile::refuses([&] { writer.writeDoubles("a", std::vector<double>(2)); }, internal, {"F32 planned"}));
            QVERIFY(hostile::refuses([&] { writer.writeIntegers("a", std::vector<std::int32_t>(2)); }, internal,
                                     {"F32 planned"}));
            QVERIFY(hostile::refuses([&] { writer.commit(); }, internal, {"tensor a", "never written"}));
            writer.writeFloats("a", two);
            QVERIFY(hostile::refuses([&] { writer.writeFloats("b", std::vector<float>{70000}); }, ErrorKind::NonFinite,
                                     {"tensor b", "F16"}));
        }
        QCOMPARE(filesIn(folder.path()), std::size_t{0});
        QVERIFY(hostile::refuses(
            [&] {
                SafetensorsWriter(path, {{"a", DType::F32, {1}}, {"a", DType::F16, {1}}});
            },
            ErrorKind::InvalidArgument, {"tensor a"}));
        QVERIFY(hostile::refuses(
            [&] {
                SafetensorsWriter(path, {{"__metadata__", DType::F32, {1}}});
            },
            ErrorKind::InvalidArgument, {"__metadata__"}));
        QVERIFY(hostile::refuses(
            [&] {
                SafetensorsWriter(path, {{"a", DType::Q8_0, {32}}});
            },
            ErrorKind::Unsupported, {"tensor a", "Q8_0"}));
        QVERIFY(hostile::refuses([&] { SafetensorsWriter(folder.path() / "no" / "x", {}); }, ErrorKind::Io, {"no/x"}));
        QCOMPARE(filesIn(folder.path()), std::size_t{0});
    }

    void nonFiniteFloatsAreRefused()
    {
        const hostile::Folder folder;
        SafetensorsWriter writer(folder.path() / "x", {{"a", DType::F32, {1}}});
        for (const float wrong : {std::nanf(""), HUGE_VALF})
            QVERIFY(hostile::refuses([&] { writer.writeFloats("a", std::vector<float>{wrong}); }, ErrorKind::NonFinite,
                                     {"tensor a"}));
    }

    void shardsHoldWhatFits_data()
    {
        QTest::addColumn<std::size_t>("limit");
        QTest::addColumn<std::size_t>("shards");
        QTest::newRow("all in one") << std::size_t{100} << std::size_t{1};
        QTest::newRow("exactly one") << std::size_t{52} << std::size_t{1};
        QTest::newRow("one byte less") << std::size_t{51} << std::size_t{2};
        QTest::newRow("three") << std::size_t{24} << std::size_t{3};
        QTest::newRow("each alone") << std::size_t{1} << std::size_t{5};
    }

    void shardsHoldWhatFits()
    {
        QFETCH(std::size_t, limit);
        QFETCH(std::size_t, shards);
        const std::vector<TensorPlan> plans = {{"a", DType::F32, {4}},
                                               {"b", DType::F16, {4}},
                                               {"c", DType::F32, {5}},
                                               {"d", DType::F16, {2}},
                                               {"e", DType::F32, {1}}};
        const hostile::Folder folder;
        std::vector<std::string> filled;
        writeShards(
            folder.path(), plans, limit, {{"format", "pt"}}, [&](const TensorPlan& plan, SafetensorsWriter& writer) {
                filled.push_back(plan.name);
                writer.writeFloats(plan.name, std::vector<float>(plan.shape[0], static_cast<float>(plan.name[0])));
            });
        QCOMPARE(filled.size(), plans.size());
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        QCOMPARE(checkpoint.files().size(), shards);
        QCOMPARE(filesIn(folder.path()), shards == 1 ? shards : shards + 1);
        QCOMPARE(checkpoint.tensors().size(), plans.size());
        for (const TensorPlan& plan : plans) {
            QCOMPARE(checkpoint.readVector(checkpoint.at(plan.name)),
                     std::vector<float>(plan.shape[0], static_cast<float>(plan.name[0])));
            QVERIFY(checkpoint.at(plan.name).dtype == plan.dtype);
        }
        for (std::size_t i = 0; i < shards; ++i) {
            std::size_t bytes = 0;
            std::size_t count = 0;
            for (const TensorInfo& tensor : checkpoint.tensors()) {
                bytes += tensor.file == i ? tensor.bytes : 0;
                count += tensor.file == i ? 1 : 0;
            }
            QVERIFY(bytes <= limit || count == 1);
        }
        if (shards == 3) {
            QCOMPARE(checkpoint.files()[2].filename(), std::filesystem::path("model-00003-of-00003.safetensors"));
            const std::string index = readFile(folder.path() / "model.safetensors.index.json");
            QVERIFY(index.find("\"total_size\": 52") != std::string::npos);
        }
    }
};

QTEST_GUILESS_MAIN(TestSafetensorsWriter)
#include "tst_safetensors_writer.moc"
