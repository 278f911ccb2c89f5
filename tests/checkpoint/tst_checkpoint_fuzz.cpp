#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/gguf.h"
#include "tests/checkpoint/hostile_files.h"

#include <QTest>

#include <random>
#include <vector>

using namespace rankwright;
using hostile::ggufString;
using hostile::ggufTensor;
using hostile::ggufValue;
using hostile::raw;

namespace {

std::string smallSafetensors()
{
    return hostile::safetensors(
        hostile::json("{'__metadata__':{'format':'pt'},'w':{'dtype':'F32','shape':[2,3],'data_offsets':[0,24]},") +
            hostile::json("'h':{'dtype':'BF16','shape':[4],'data_offsets':[24,32]},'i':{'dtype':'I64','shape':[1],'"
                          "data_offsets':[32,40]},") +
            hostile::json("'s':{'dtype':'F16','shape':[],'data_offsets':[40,42]},'e':{'dtype':'U8','shape':[0],'data_"
                          "offsets':[42,42]}} "),
        std::string(42, '\x3c'));
}

std::string smallGguf()
{
    hostile::Gguf file;
    file.values =
        ggufValue("general.architecture", 8, ggufString("llama")) +
        ggufValue("general.alignment", 4, raw<std::uint32_t>(32)) + ggufValue("r", 6, raw(0.5F)) +
        ggufValue("b", 7, "\1") +
        ggufValue("t", 9, raw<std::uint32_t>(8) + raw<std::uint64_t>(2) + ggufString("a") + ggufString("bc")) +
        ggufValue("n", 9, raw<std::uint32_t>(5) + raw<std::uint64_t>(2) + raw<std::uint64_t>(7)) +
        ggufValue("u", 10, raw<std::uint64_t>(9));
    file.valueCount = 7;
    file.tensors = ggufTensor("w", {32, 2}, 3, 0) + ggufTensor("q", {32}, 8, 64) + ggufTensor("f", {3, 2}, 1, 128) +
                   ggufTensor("i", {2}, 26, 160) + ggufTensor("k", {256}, 12, 192);
    file.tensorCount = 5;
    file.data = std::string(192 + 144, '\x2a');
    return file.bytes();
}

/// Touches everything a checkpoint offers; Errors of single reads are as good as values.
void readAll(const Checkpoint& checkpoint)
{
    const auto attempt = [](const auto& read) {
        try {
            read();
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::Internal)
                throw;
        }
    };
    for (const TensorInfo& tensor : checkpoint.tensors()) {
        // Dimensions of empty tensors are unbounded numbers; all others are bounded by the file.
        const auto bytes = checkpoint.data(tensor);
        unsigned sum = 0;
        for (const std::byte value : bytes)
            sum += std::to_integer<unsigned>(value);
        if (sum > 256 * bytes.size())
            throw Error(ErrorKind::Internal, "cannot be");
        attempt([&] { checkpoint.readMatrix(tensor); });
        attempt([&] { checkpoint.readVector(tensor); });
        attempt([&] { checkpoint.readIntegers(tensor); });
        attempt([&] { checkFinite(checkpoint, tensor); });
        checkpoint.release(tensor);
        if (&checkpoint.at(tensor.name) != &tensor)
            throw Error(ErrorKind::Internal, "found another tensor of this name");
    }
    checkpoint.fingerprint();
    if (const GgufFile* gguf = checkpoint.gguf()) {
        for (const std::string& key : gguf->keys()) {
            attempt([&] { gguf->string(key); });
            attempt([&] { gguf->integer(key); });
            attempt([&] { gguf->real(key); });
            attempt([&] { gguf->boolean(key); });
            attempt([&] { gguf->strings(key); });
            attempt([&] { gguf->integers(key); });
            attempt([&] { gguf->reals(key); });
            attempt([&] { gguf->booleans(key); });
        }
    }
}

class Mutator
{
public:
    explicit Mutator(unsigned seed)
        : m_random(seed)
    {}

    std::string mutate(std::string bytes)
    {
        const std::size_t changes = 1 + below(4);
        for (std::size_t i = 0; i < changes && !bytes.empty(); ++i)
            change(bytes);
        return bytes;
    }

private:
    std::size_t below(std::size_t limit) { return m_random() % limit; }

    void change(std::string& bytes)
    {
        const std::size_t place = below(bytes.size());
        const std::size_t length = std::min(1 + below(12), bytes.size() - place);
        switch (below(10)) {
        case 0:
            bytes.resize(place);
            break;
        case 1:
            bytes.erase(place, length);
            break;
        case 2:
            bytes.insert(place, bytes.substr(place, length));
            break;
        case 3: { // a number at the edge of its range
            constexpr std::array<std::uint64_t, 8> edges = {
                0, 1, 0x7F, 0xFFFF, 0x80000000U, 0xFFFFFFFFU, ~std::uint64_t{0}, std::uint64_t{1} << 63U};
            const std::string edge = raw(edges.at(below(edges.size())));
            const std::size_t width = std::min(std::size_t{4} << below(2), bytes.size() - place);
            bytes.replace(place, width, edge.substr(0, width));
            break;
        }
        case 4: { // a character that means something in a header
            constexpr std::string_view characters = "{}[]\",:0123456789-.eE\\ ";
            bytes[place] = characters[below(characters.size())];
            break;
        }
        default:
            bytes[place] = static_cast<char>(static_cast<unsigned>(bytes[place]) ^ (1U << below(8)));
        }
    }

    std::mt19937 m_random;
};

} // namespace

class TestCheckpointFuzz : public QObject
{
    Q_OBJECT

private slots:
    void damagedFilesNeverCrash_data()
    {
        QTest::addColumn<QByteArray>("whole");
        QTest::addColumn<QString>("file");
        QTest::newRow("safetensors") << QByteArray::fromStdString(smallSafetensors())
                                     << QStringLiteral("x.safetensors");
        QTest::newRow("gguf") << QByteArray::fromStdString(smallGguf()) << QStringLiteral("x.gguf");
    }

    void damagedFilesNeverCrash()
    {
        QFETCH(QByteArray, whole);
        QFETCH(QString, file);
        const hostile::Folder folder;
        readAll(Checkpoint::open(folder.write(file.toStdString(), whole.toStdString())));
        std::size_t opened = 0;
        std::size_t refused = 0;
        for (unsigned seed = 0; seed < 6000; ++seed) {
            const std::filesystem::path path =
                folder.write(file.toStdString(), Mutator(seed).mutate(whole.toStdString()));
            try {
                readAll(Checkpoint::open(path));
                ++opened;
            } catch (const Error& error) {
                ++refused;
                if (error.kind() == ErrorKind::Internal || error.file() != path)
                    QFAIL(qPrintable(QStringLiteral("seed %1: %2").arg(seed).arg(QString::fromUtf8(error.what()))));
            } catch (const std::exception& error) {
                QFAIL(qPrintable(QStringLiteral("seed %1: %2").arg(seed).arg(QString::fromUtf8(error.what()))));
            }
        }
        // Damage to values only is not seen by a reader, damage to the structure is.
        QVERIFY2(opened > 100 && refused > 3000,
                 qPrintable(QStringLiteral("%1 opened, %2 refused").arg(opened).arg(refused)));
    }

    void damagedIndexNeverCrashes()
    {
        const hostile::Folder folder;
        folder.write("one.safetensors", smallSafetensors());
        const std::string whole = hostile::json("{'metadata':{'total_size':42},'weight_map':{'w':'one.safetensors','h':"
                                                "'one.safetensors','s':'one.safetensors'}}");
        for (unsigned seed = 0; seed < 3000; ++seed) {
            folder.write("model.safetensors.index.json", Mutator(seed).mutate(whole));
            try {
                readAll(Checkpoint::open(folder.path()));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::Corrupt && error.kind() != ErrorKind::NotFound)
                    QFAIL(qPrintable(QStringLiteral("seed %1: %2").arg(seed).arg(QString::fromUtf8(error.what()))));
            } catch (const std::exception& error) {
                QFAIL(qPrintable(QStringLiteral("seed %1: %2").arg(seed).arg(QString::fromUtf8(error.what()))));
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestCheckpointFuzz)
#include "tst_checkpoint_fuzz.moc"
