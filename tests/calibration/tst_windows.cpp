#include "core/base/error.h"
#include "core/base/file.h"
#include "core/calibration/windows.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <random>
#include <set>

using namespace rankwright;

namespace {

/// One id per byte, 300 in front and 301 behind the text; 300 is also the BOS where `withBos`.
class ByteTokenizer final : public Tokenizer
{
public:
    explicit ByteTokenizer(bool withBos = true)
        : m_withBos(withBos)
    {}

    using Tokenizer::encode;
    void encode(std::string_view text, const Sink& sink) const override
    {
        for (std::size_t first = 0; first < text.size(); first += 7) {
            std::vector<std::int32_t> ids;
            for (const char c : text.substr(first, 7))
                ids.push_back(static_cast<unsigned char>(c));
            read += ids.size();
            sink(ids);
        }
    }
    std::size_t vocabularySize() const override { return 302; }
    std::string decode(std::span<const std::int32_t>) const override { return {}; }
    std::string tokenText(std::int32_t) const override { return {}; }
    std::vector<std::int32_t> prefix() const override { return {300}; }
    std::vector<std::int32_t> suffix() const override { return {301}; }
    std::optional<std::int32_t> bosToken() const override
    {
        return m_withBos ? std::optional<std::int32_t>(300) : std::nullopt;
    }
    std::optional<std::int32_t> eosToken() const override { return 301; }
    Json toTokenizerJson() const override { return {}; }
    Json toTokenizerConfig() const override { return {}; }
    std::string description() const override { return "bytes"; }

    mutable std::size_t read = 0;

private:
    bool m_withBos;
};

std::string messageOf(const Tokenizer& tokenizer, const WindowOptions& options)
{
    try {
        makeWindows(tokenizer, options, {});
    } catch (const Error& error) {
        return std::string(errorKindName(error.kind())) + ": " + error.what();
    }
    return {};
}

bool has(const std::string& message, const char* part)
{
    return message.find(part) != std::string::npos;
}

} // namespace

class TestWindows : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase()
    {
        std::mt19937 generator(1);
        std::string text;
        for (int i = 0; i < 998; ++i)
            text += static_cast<char>('a' + generator() % 26);
        m_text = m_folder.filePath(QStringLiteral("text.txt")).toStdString();
        writeFileAtomically(m_text, text);
        m_ids = {300};
        m_ids.insert(m_ids.end(), text.begin(), text.end());
        m_ids.push_back(301);
    }

    void allWindowsCoverTheTextOnceAndDropTheTail()
    {
        const TokenWindows windows = makeWindows(ByteTokenizer(), {.text = m_text, .length = 64}, {});
        QCOMPARE(windows.textTokens, std::size_t{1000});
        QCOMPARE(windows.ids.size(), std::size_t{15});
        std::vector<std::int32_t> joined;
        for (std::size_t i = 0; i < windows.ids.size(); ++i) {
            QCOMPARE(windows.offsets[i], i * 64);
            joined.insert(joined.end(), windows.ids[i].begin(), windows.ids[i].end());
        }
        QVERIFY(std::equal(joined.begin(), joined.end(), m_ids.begin()));
        QCOMPARE(joined.size(), std::size_t{15 * 64});
    }

    void countTakesTheFirstOnesAndReadsNoFurther()
    {
        const ByteTokenizer tokenizer;
        const TokenWindows all = makeWindows(tokenizer, {.text = m_text, .length = 64}, {});
        tokenizer.read = 0;
        const TokenWindows some = makeWindows(tokenizer, {.text = m_text, .length = 64, .count = 3}, {});
        QCOMPARE(some.textTokens, std::size_t{192});
        QVERIFY(tokenizer.read < 200);
        QVERIFY(std::equal(some.ids.begin(), some.ids.end(), all.ids.begin()));
        QVERIFY(some.fingerprint != all.fingerprint);
        // A count that happens to be all of them is the same set.
        QCOMPARE(makeWindows(tokenizer, {.text = m_text, .length = 64, .count = 15}, {}).fingerprint, all.fingerprint);
        // The special token behind the text belongs to the last window where it fits.
        const TokenWindows exact = makeWindows(tokenizer, {.text = m_text, .length = 100, .count = 10}, {});
        QCOMPARE(exact.ids.back().back(), 301);
    }

    void randomWindowsAreDisjointSeededAndReproducible()
    {
        const ByteTokenizer tokenizer;
        WindowOptions options{
            .text = m_text, .length = 20, .count = 12, .order = WindowOrder::Random, .seed = 7, .bosPerWindow = false};
        const TokenWindows windows = makeWindows(tokenizer, options, {});
        QCOMPARE(windows.textTokens, std::size_t{1000});
        QCOMPARE(windows.ids.size(), std::size_t{12});
        QVERIFY(std::ranges::is_sorted(windows.offsets));
        QCOMPARE(std::set<std::size_t>(windows.offsets.begin(), windows.offsets.end()).size(), std::size_t{12});
        for (std::size_t i = 0; i < 12; ++i) {
            QCOMPARE(windows.offsets[i] % 20, std::size_t{0});
            QVERIFY(std::equal(windows.ids[i].begin(), windows.ids[i].end(),
                               m_ids.begin() + static_cast<std::ptrdiff_t>(windows.offsets[i])));
        }
        QCOMPARE(makeWindows(tokenizer, options, {}).fingerprint, windows.fingerprint);
        options.seed = 8;
        QVERIFY(makeWindows(tokenizer, options, {}).fingerprint != windows.fingerprint);
        options.count = 50;
        options.order = WindowOrder::Consecutive;
        const TokenWindows inOrder = makeWindows(tokenizer, options, {});
        options.order = WindowOrder::Random;
        QCOMPARE(makeWindows(tokenizer, options, {}).fingerprint, inOrder.fingerprint);
    }

    void drawIsUniformWithoutReplacement()
    {
        QCOMPARE(drawWindows(5, 5, 3), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
        QVERIFY(drawWindows(0, 0, 3).empty());
        QVERIFY_EXCEPTION_THROWN(drawWindows(4, 5, 3), Error);
        std::vector<int> hits(10);
        for (std::uint64_t seed = 0; seed < 4000; ++seed) {
            const auto drawn = drawWindows(10, 3, seed);
            QVERIFY(drawn[0] < drawn[1] && drawn[1] < drawn[2] && drawn[2] < 10);
            for (const std::size_t i : drawn)
                ++hits[i];
        }
        // 1200 expected, standard deviation 29: six of them.
        for (const int hit : hits)
            QVERIFY2(std::abs(hit - 1200) < 174, qPrintable(QString::number(hit)));
    }

    void drawIsPartOfTheContract()
    {
        // From an independent Python mt19937_64; recipes of older programs must keep their windows.
        QCOMPARE(drawWindows(1000, 4, 42), (std::vector<std::size_t>{58, 249, 406, 958}));
        QCOMPARE(drawWindows(1188, 8, 2026), (std::vector<std::size_t>{150, 171, 305, 432, 616, 689, 852, 1103}));
    }

    void bosPerWindowLeavesTheSpecialTokensOfTheTextOut()
    {
        const TokenWindows windows =
            makeWindows(ByteTokenizer(), {.text = m_text, .length = 100, .bosPerWindow = true}, {});
        QCOMPARE(windows.textTokens, std::size_t{998});
        QCOMPARE(windows.ids.size(), std::size_t{10});
        for (std::size_t i = 0; i < windows.ids.size(); ++i) {
            QCOMPARE(windows.offsets[i], i * 99);
            QCOMPARE(windows.ids[i].size(), std::size_t{100});
            QCOMPARE(windows.ids[i].front(), 300);
            QVERIFY(std::equal(windows.ids[i].begin() + 1, windows.ids[i].end(),
                               m_ids.begin() + 1 + static_cast<std::ptrdiff_t>(i * 99)));
        }
        const std::string message =
            messageOf(ByteTokenizer(false), {.text = m_text, .length = 100, .bosPerWindow = true});
        QVERIFY2(message.starts_with("invalidArgument: ") && has(message, "BOS"), message.c_str());
    }

    void tooShortTextsNameBothNumbers()
    {
        std::string message = messageOf(ByteTokenizer(), {.text = m_text, .length = 2048});
        QVERIFY2(has(message, "1000 tokens") && has(message, "2048"), message.c_str());
        message = messageOf(ByteTokenizer(), {.text = m_text, .length = 64, .count = 16});
        QVERIFY2(has(message, "15 windows of 64") && has(message, "16 windows"), message.c_str());
        message = messageOf(ByteTokenizer(), {.text = m_text, .length = 64, .count = 16, .order = WindowOrder::Random});
        QVERIFY2(has(message, "15 windows of 64"), message.c_str());
        message = messageOf(ByteTokenizer(), {.text = m_text, .length = 64, .count = std::size_t{1} << 60U});
        QVERIFY2(has(message, "15 windows of 64"), message.c_str());
        message = messageOf(ByteTokenizer(), {.text = m_text, .length = 1});
        QVERIFY2(message.starts_with("invalidArgument: "), message.c_str());
    }

    void unusableTextsAreRefused()
    {
        const std::filesystem::path path = m_folder.filePath(QStringLiteral("bad.txt")).toStdString();
        QVERIFY(messageOf(ByteTokenizer(), {.text = path, .length = 2}).starts_with("notFound: "));
        writeFileAtomically(path, "");
        QVERIFY(messageOf(ByteTokenizer(), {.text = path, .length = 2}).starts_with("corrupt: "));
        writeFileAtomically(path, "abc\xff");
        QVERIFY(messageOf(ByteTokenizer(), {.text = path, .length = 2}).starts_with("corrupt: "));
    }

    void rowsAreJoinedByTwoNewlines()
    {
        const std::filesystem::path path = m_folder.filePath(QStringLiteral("rows.txt")).toStdString();
        writeFileAtomically(path, "ab\n  \ncd\n");
        const TokenWindows windows = makeWindows(ByteTokenizer(), {.text = path, .rows = true, .length = 12}, {});
        // "ab\n" + "\n\n" + "" + "\n\n" + "cd\n" and one special token on each side.
        QCOMPARE(windows.ids.size(), std::size_t{1});
        const std::string expected = "ab\n\n\n\n\ncd\n";
        QCOMPARE(windows.textTokens, expected.size() + 2);
    }

    void cancelStopsReading()
    {
        std::stop_source source;
        source.request_stop();
        TaskContext context;
        context.stop = source.get_token();
        try {
            makeWindows(ByteTokenizer(), {.text = m_text, .length = 64}, context);
            QFAIL("not cancelled");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::Cancelled);
        }
    }

private:
    QTemporaryDir m_folder;
    std::filesystem::path m_text;
    std::vector<std::int32_t> m_ids;
};

QTEST_GUILESS_MAIN(TestWindows)
#include "tst_windows.moc"
