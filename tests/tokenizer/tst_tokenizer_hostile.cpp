#include "broken_tokenizer_json.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/tokenizer/tokenizer.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;

/// Broken and malicious tokenizer files end in an Error of the right kind that names the file.
class TestTokenizerHostile : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;

    std::filesystem::path write(const char* name, std::string_view content) const
    {
        const std::filesystem::path path = std::filesystem::path(m_folder.path().toStdString()) / name;
        writeFileAtomically(path, content);
        return path;
    }

    static void expect(ErrorKind kind, const std::filesystem::path& path, const std::string& word)
    {
        try {
            Tokenizer::open(path)->encode("some text");
        } catch (const Error& error) {
            QVERIFY2(error.kind() == kind, error.what());
            const std::string message = error.what();
            QVERIFY2(message.find(word) != std::string::npos, error.what());
            QVERIFY2(message.find(path.parent_path().string()) != std::string::npos, error.what());
            return;
        }
        QFAIL(("accepted, expected " + word).c_str());
    }

    static constexpr const char* eAlone = "\"vocab\": {\"e\": 0}, \"merges\": []";

    static Json replace(const char* kind, const std::string& pattern, const std::string& content)
    {
        return {{"type", "Replace"}, {"pattern", Json{{kind, pattern}}}, {"content", content}};
    }

    static std::string sequence(const char* parts, const Json& steps)
    {
        return dumpJson(Json{{"type", "Sequence"}, {parts, steps}});
    }

private slots:
    void brokenTokenizerJson_data() { addBrokenTokenizerJsonRows(); }

    void brokenTokenizerJson()
    {
        QFETCH(QByteArray, content);
        QFETCH(int, kind);
        QFETCH(QByteArray, word);
        expect(static_cast<ErrorKind>(kind), write("tokenizer.json", content.toStdString()), word.toStdString());
    }

    void aPatternThatNeverEndsIsStopped()
    {
        const auto path = write(
            "tokenizer.json",
            tokenizerJson(
                R"("vocab": {"a": 0}, "merges": [])",
                R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a|a)+(a|a)+(a|a)+b"}, "behavior": "Isolated"}, )"));
        const auto tokenizer = Tokenizer::open(path);
        QVERIFY_EXCEPTION_THROWN(tokenizer->encode(std::string(64, 'a')), Error);
    }

    void growthIsBounded_data()
    {
        QTest::addColumn<QByteArray>("normalizer");
        const auto row = [](const char* name, const Json& steps) {
            QTest::newRow(name) << QByteArray::fromStdString(sequence("normalizers", steps));
        };
        row("doubled 40 times", Json(40, replace("String", "e", "ee")));
        row("doubled 40 times by a pattern", Json(40, replace("Regex", "e", "ee")));
        row("long text for a letter", Json(1, replace("String", "e", std::string(1000000, 'x'))));
        row("long text in front", Json(1, Json{{"type", "Prepend"}, {"prepend", std::string(1000000, 'x')}}));
    }
    void growthIsBounded()
    {
        QFETCH(QByteArray, normalizer);
        const std::string json = "\"normalizer\": " + normalizer.toStdString() + ", ";
        expect(ErrorKind::Unsupported, write("tokenizer.json", tokenizerJson(eAlone, json)), "normalizer makes more");
    }

    void growthOfADecoderIsBounded()
    {
        const std::string json = "\"decoder\": " + sequence("decoders", Json(40, replace("String", "e", "ee"))) + ", ";
        const auto tokenizer = Tokenizer::open(write("tokenizer.json", tokenizerJson(eAlone, json)));
        QVERIFY_EXCEPTION_THROWN(tokenizer->decode(std::vector<std::int32_t>{0}), Error);
    }

    void someGrowthIsFine()
    {
        const Json steps = {replace("String", " ", "\u2581"), replace("Regex", "e", "eeee"), Json{{"type", "NFKD"}}};
        const std::string json = "\"normalizer\": " + sequence("normalizers", steps) + ", ";
        const auto tokenizer = Tokenizer::open(write("tokenizer.json", tokenizerJson(eAlone, json)));
        QCOMPARE(tokenizer->encode(std::string(200000, 'e')).size(), std::size_t{800000});
        // The character that NFKD makes the longest of, 18 letters.
        std::string text = "e";
        for (int i = 0; i < 10000; ++i)
            text += "\uFDFA";
        QCOMPARE(tokenizer->encode(text).size(), std::size_t{4});
    }

    void linksInALoopAreNamed()
    {
        const QTemporaryDir place;
        const std::filesystem::path folder = place.path().toStdString();
        const std::string words = std::make_error_code(std::errc::too_many_symbolic_link_levels).message();
        for (const char* name : {"tokenizer_config.json", "tokenizer.model", "tokenizer.json"}) {
            std::filesystem::create_symlink(name, folder / name);
            try {
                Tokenizer::open(folder);
                QFAIL(name);
            } catch (const Error& error) {
                QVERIFY2(error.kind() == ErrorKind::Io, error.what());
                QCOMPARE(error.file(), folder / name);
                QVERIFY2(std::string(error.what()).find(words) != std::string::npos, error.what());
            }
            std::filesystem::remove(folder / name);
        }
    }

    void everyCutOfASentencePieceModelIsRefusedOrWhole()
    {
        const std::string whole = readFile(RANKWRIGHT_TEST_DATA "/models/babyllama-tok105/tokenizer.model");
        std::size_t refused = 0;
        for (std::size_t size = 0; size < whole.size(); size += 7) {
            try {
                Tokenizer::open(write("tokenizer.model", std::string_view(whole).substr(0, size)))->encode("ab c");
            } catch (const Error& error) {
                QVERIFY2(error.kind() == ErrorKind::Corrupt, error.what());
                ++refused;
            }
        }
        QVERIFY(refused > 100);
    }

    void brokenVocabularyAndMerges()
    {
        write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
        const auto merges = write("merges.txt", "#version: 0.2\na b\na b c\n");
        expect(ErrorKind::Corrupt, merges, "merge 1");
        write("merges.txt", "#version: 0.2\na b\n");
        expect(ErrorKind::Corrupt, write("vocab.json", "[]"), "vocab.json");
        QCOMPARE(Tokenizer::open(write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})"))->encode("ab"),
                 std::vector<std::int32_t>{2});
    }

    void ggufTablesMustAgree()
    {
        GgufVocabulary v;
        v.model = "llama";
        v.tokens = {"a", "b"};
        const auto refuses = [&](const char* word) {
            try {
                Tokenizer::fromGguf(v, "m.gguf");
            } catch (const Error& error) {
                return error.kind() == ErrorKind::Corrupt && std::string(error.what()).find(word) != std::string::npos;
            }
            return false;
        };
        QVERIFY(refuses("scores"));
        v.scores = {0, std::numeric_limits<float>::quiet_NaN()};
        QVERIFY(refuses("not finite"));
        v.scores = {0, -1};
        v.types = {1};
        QVERIFY(refuses("token_type"));
        v.types = {1, 1};
        v.bos = 2;
        QVERIFY(refuses("bos_token_id"));
        v.bos.reset();
        v.tokens = {"a", "\xff"};
        QVERIFY(refuses("UTF-8"));
        v.tokens = {"a", "a"};
        QVERIFY(refuses("twice"));
        v.tokens.clear();
        QVERIFY(refuses("tokens"));
    }

    void missingFilesAreNamed()
    {
        QVERIFY_EXCEPTION_THROWN(Tokenizer::open("/nonexistent/folder"), Error);
        const QTemporaryDir empty;
        expect(ErrorKind::NotFound, std::filesystem::path(empty.path().toStdString()) / ".", "tokenizer.json");
    }
};

QTEST_GUILESS_MAIN(TestTokenizerHostile)
#include "tst_tokenizer_hostile.moc"
