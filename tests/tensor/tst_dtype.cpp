#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/tensor/dtype.h"
#include "core/tensor/quantised.h"

#include <QTest>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace rankwright;

namespace {

/// The value of a half by the definition of IEEE 754 binary16.
double halfValue(unsigned half)
{
    const int sign = (half & 0x8000U) != 0 ? -1 : 1;
    const int exponent = static_cast<int>((half >> 10U) & 31U);
    const int mantissa = static_cast<int>(half & 1023U);
    if (exponent == 31)
        return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
    return exponent == 0 ? sign * std::ldexp(mantissa, -24) : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

/// The value of a bfloat16 by its definition: 8 bits of exponent, 7 of mantissa.
double brainValue(unsigned brain)
{
    const int sign = (brain & 0x8000U) != 0 ? -1 : 1;
    const int exponent = static_cast<int>((brain >> 7U) & 255U);
    const int mantissa = static_cast<int>(brain & 127U);
    if (exponent == 255)
        return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
    return exponent == 0 ? sign * std::ldexp(mantissa, -133) : sign * std::ldexp(128 + mantissa, exponent - 134);
}

bool sameNumber(double a, double b)
{
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

std::vector<std::byte> allPatterns()
{
    std::vector<std::byte> data(65536 * 2);
    for (unsigned i = 0; i < 65536; ++i) {
        data[2 * i] = static_cast<std::byte>(i & 255U);
        data[2 * i + 1] = static_cast<std::byte>(i >> 8U);
    }
    return data;
}

unsigned encodeOne(DType dtype, float value)
{
    std::vector<std::byte> data(2);
    convertFromFloat({&value, 1}, dtype, data);
    return std::to_integer<unsigned>(data[0]) | std::to_integer<unsigned>(data[1]) << 8U;
}

/// Encodes through the path for whole vectors, which may differ from that of single values.
std::vector<unsigned> encodeMany(DType dtype, const std::vector<float>& values)
{
    std::vector<std::byte> data(values.size() * 2);
    convertFromFloat(values, dtype, data);
    std::vector<unsigned> result;
    for (std::size_t i = 0; i < values.size(); ++i)
        result.push_back(std::to_integer<unsigned>(data[2 * i]) | std::to_integer<unsigned>(data[2 * i + 1]) << 8U);
    return result;
}

} // namespace

class TestDtype : public QObject
{
    Q_OBJECT

private slots:
    void everyHalfHasItsValueAndComesBack()
    {
        std::vector<float> values(65536);
        convertToFloat(DType::F16, allPatterns(), values);
        const std::vector<unsigned> back = encodeMany(DType::F16, values);
        for (unsigned half = 0; half < 65536; ++half) {
            const double expected = halfValue(half);
            const float single = halfToFloat(static_cast<std::uint16_t>(half));
            QVERIFY2(sameNumber(static_cast<double>(single), expected), qPrintable(QString::number(half, 16)));
            QCOMPARE(std::bit_cast<std::uint32_t>(values[half]), std::bit_cast<std::uint32_t>(single));
            if (std::isnan(expected)) {
                QVERIFY(std::isnan(halfValue(floatToHalf(single))));
                QVERIFY(std::isnan(halfValue(back[half])));
                continue;
            }
            QCOMPARE(unsigned{floatToHalf(single)}, half);
            QCOMPARE(back[half], half);
        }
    }

    void everyBrainHasItsValueAndComesBack()
    {
        std::vector<float> values(65536);
        convertToFloat(DType::BF16, allPatterns(), values);
        const std::vector<unsigned> back = encodeMany(DType::BF16, values);
        for (unsigned brain = 0; brain < 65536; ++brain) {
            const double expected = brainValue(brain);
            QVERIFY2(sameNumber(static_cast<double>(values[brain]), expected), qPrintable(QString::number(brain, 16)));
            if (std::isnan(expected))
                QVERIFY(std::isnan(brainValue(back[brain])));
            else
                QCOMPARE(back[brain], brain);
        }
    }

    void roundingIsToNearestEven_data()
    {
        QTest::addColumn<bool>("half");
        QTest::newRow("F16") << true;
        QTest::newRow("BF16") << false;
    }

    void roundingIsToNearestEven()
    {
        QFETCH(bool, half);
        const DType dtype = half ? DType::F16 : DType::BF16;
        const unsigned infinity = half ? 0x7C00 : 0x7F80;
        const auto value = half ? halfValue : brainValue;
        std::vector<float> inputs;
        std::vector<unsigned> expected;
        // Between each finite number and the next one (the last: the number that would follow) lie the tie, which goes
        // to the even pattern, and its two neighbours in float32.
        for (unsigned low = 0; low < infinity; ++low) {
            const double next = low + 1 < infinity ? value(low + 1) : 2 * value(low) - value(low - 1);
            const auto tie = static_cast<float>((value(low) + next) / 2);
            QVERIFY(static_cast<double>(tie) == (value(low) + next) / 2);
            for (const unsigned sign : {0U, 0x8000U}) {
                const float s = sign != 0 ? -1.0F : 1.0F;
                inputs.insert(inputs.end(),
                              {s * tie, s * std::nextafter(tie, 0.0F), s * std::nextafter(tie, HUGE_VALF)});
                expected.insert(expected.end(), {(low % 2 == 0 ? low : low + 1) | sign, low | sign, (low + 1) | sign});
            }
        }
        const std::vector<unsigned> many = encodeMany(dtype, inputs);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            if (many[i] != expected[i] || encodeOne(dtype, inputs[i]) != expected[i])
                QFAIL(qPrintable(QStringLiteral("%1 became %2 and %3, expected %4")
                                     .arg(static_cast<double>(inputs[i]), 0, 'g', 9)
                                     .arg(many[i], 0, 16)
                                     .arg(encodeOne(dtype, inputs[i]), 0, 16)
                                     .arg(expected[i], 0, 16)));
        }
        QCOMPARE(encodeOne(dtype, std::numeric_limits<float>::max()), infinity);
        QCOMPARE(encodeOne(dtype, std::numeric_limits<float>::denorm_min()), 0U);
    }

    void signallingNanStaysNan()
    {
        const std::vector<float> values(17, std::bit_cast<float>(0x7F800001U));
        for (const unsigned half : encodeMany(DType::F16, values))
            QVERIFY(std::isnan(halfValue(half)));
        for (const unsigned brain : encodeMany(DType::BF16, values))
            QVERIFY(std::isnan(brainValue(brain)));
    }

    void oddLengthsAndUnalignedSources()
    {
        const std::vector<std::byte> patterns = allPatterns();
        for (const DType dtype : {DType::F16, DType::BF16}) {
            for (std::size_t length = 0; length < 40; ++length) {
                std::vector<std::byte> shifted(2 * length + 1);
                if (length > 0)
                    std::memcpy(shifted.data() + 1, patterns.data() + 2 * 0x3C00, 2 * length);
                std::vector<float> values(length + 1, -7.0F);
                convertToFloat(dtype, std::span(shifted).subspan(1), std::span(values).first(length));
                for (std::size_t i = 0; i < length; ++i) {
                    const auto bits = static_cast<unsigned>(0x3C00 + i);
                    const double expected = dtype == DType::F16 ? halfValue(bits) : brainValue(bits);
                    QVERIFY(static_cast<double>(values[i]) == expected);
                }
                QVERIFY(values[length] == -7.0F);
            }
        }
    }

    void doublesAreRounded()
    {
        const std::vector<double> source = {1.0 / 3.0, -2.5, 1e300, 1e-300, 16777217.0};
        std::vector<float> values(source.size());
        convertToFloat(DType::F64, std::as_bytes(std::span(source)), values);
        QCOMPARE(values, (std::vector<float>{1.0F / 3.0F, -2.5F, HUGE_VALF, 0.0F, 16777216.0F}));
    }

    void blocksAreDequantised_data()
    {
        QTest::addColumn<int>("type");
        QTest::newRow("Q8_0") << static_cast<int>(DType::Q8_0);
        QTest::newRow("Q4_0") << static_cast<int>(DType::Q4_0);
        QTest::newRow("Q4_1") << static_cast<int>(DType::Q4_1);
    }

    void blocksAreDequantised()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        constexpr std::size_t blocks = 500;
        std::mt19937 random(20);
        std::vector<unsigned char> raw(bytesFor(dtype, blocks * 32));
        for (unsigned char& byte : raw)
            byte = static_cast<unsigned char>(random());
        const std::size_t size = raw.size() / blocks;
        std::vector<double> expected(blocks * 32);
        for (std::size_t b = 0; b < blocks; ++b) {
            unsigned char* block = raw.data() + b * size;
            // Scales between 2^-14 and 2^15 of both signs, so that all are finite.
            for (std::size_t scale = 0; scale < (dtype == DType::Q4_1 ? 2U : 1U); ++scale)
                block[2 * scale + 1] = static_cast<unsigned char>((block[2 * scale + 1] & 0xBFU) | 0x04U);
            const double d = halfValue(block[0] | static_cast<unsigned>(block[1]) << 8U);
            const double m = dtype == DType::Q4_1 ? halfValue(block[2] | static_cast<unsigned>(block[3]) << 8U) : 0.0;
            for (std::size_t i = 0; i < 32; ++i) {
                double& value = expected[b * 32 + i];
                if (dtype == DType::Q8_0) {
                    const int q = block[2 + i] < 128 ? block[2 + i] : block[2 + i] - 256;
                    value = d * q;
                    continue;
                }
                const unsigned packed = block[(dtype == DType::Q4_1 ? 4 : 2) + i % 16];
                const int q = static_cast<int>(i < 16 ? packed & 15U : packed >> 4U);
                value = dtype == DType::Q4_1 ? d * q + m : d * (q - 8);
            }
        }
        std::vector<float> values(blocks * 32);
        convertToFloat(dtype, std::as_bytes(std::span(raw)), values);
        for (std::size_t i = 0; i < values.size(); ++i)
            QVERIFY(values[i] == static_cast<float>(expected[i])); // QCOMPARE of floats is not exact
    }

    void blocksHaveTheValuesOfTheReference_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name :
             {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
            QTest::newRow(name) << QString::fromLatin1(name);
    }

    /// Bit for bit those of gguf-py, by both instruction sets and from unaligned bytes.
    void blocksHaveTheValuesOfTheReference()
    {
        QFETCH(QString, name);
        const auto file = std::filesystem::path(RANKWRIGHT_TEST_DATA) / "quantised/quantised.gguf";
        const Checkpoint checkpoint = Checkpoint::open(file);
        const TensorInfo& tensor = checkpoint.at(name.toStdString());
        QCOMPARE(dtypeName(tensor.dtype), std::string_view(tensor.name));
        const std::span<const std::byte> blocks = checkpoint.data(tensor);
        const std::span<const std::byte> expected = checkpoint.data(checkpoint.at(tensor.name + ".values"));
        const std::size_t elements = tensor.elements();
        QCOMPARE(expected.size(), 4 * elements);
        QCOMPARE(blocks.size(), bytesFor(tensor.dtype, elements));

        std::vector<float> values(elements);
        const auto differences = [&] {
            std::size_t count = 0;
            for (std::size_t i = 0; i < elements; ++i)
                count += std::memcmp(&values[i], expected.data() + 4 * i, 4) != 0 ? 1U : 0U;
            return count;
        };
        convertToFloat(tensor.dtype, blocks, values);
        QCOMPARE(differences(), std::size_t{0});
        values.assign(elements, -7.0F);
        dequantiseBase(tensor.dtype, blocks.data(), elements / elementsPerBlock(tensor.dtype), values.data());
        QCOMPARE(differences(), std::size_t{0});
        values.assign(elements, -7.0F);
        std::vector<std::byte> shifted(blocks.size() + 1);
        std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
        convertToFloat(tensor.dtype, std::span(shifted).subspan(1), values);
        QCOMPARE(differences(), std::size_t{0});
    }

    void wrongSizesAndTypesAreRefused()
    {
        std::vector<std::byte> data(64);
        std::vector<float> values(32);
        const auto kindOf = [](const auto& action) {
            try {
                action();
            } catch (const Error& error) {
                return error.kind();
            }
            return ErrorKind::Cancelled;
        };
        QCOMPARE(kindOf([&] { convertToFloat(DType::F32, data, values); }), ErrorKind::Corrupt);
        QCOMPARE(kindOf([&] { convertToFloat(DType::I32, data, values); }), ErrorKind::Unsupported);
        QCOMPARE(kindOf([&] { convertToFloat(DType::Q8_0, data, std::span(values).first(31)); }), ErrorKind::Corrupt);
        QCOMPARE(kindOf([&] { convertToFloat(DType::Q2_K, data, values); }), ErrorKind::Corrupt); // 32 of 256
        QCOMPARE(kindOf([&] { convertToFloat(DType::Q5_0, data, values); }), ErrorKind::Corrupt); // 64 bytes, not 22
        QCOMPARE(kindOf([&] { convertFromFloat(values, DType::Q8_0, data); }), ErrorKind::Unsupported);
        QCOMPARE(kindOf([&] { dequantise(DType::F16, data.data(), 1, values.data()); }), ErrorKind::Internal);
        QCOMPARE(kindOf([&] { convertFromFloat(values, DType::F32, data); }), ErrorKind::Internal);
        QCOMPARE(kindOf([&] { bytesFor(DType::F64, std::numeric_limits<std::size_t>::max() / 2); }),
                 ErrorKind::Corrupt);
    }
};

QTEST_GUILESS_MAIN(TestDtype)
#include "tst_dtype.moc"
