#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/text_file.h"
#include "core/tokenizer/tokenizer.h"
#include "core/tokenizer/unicode.h"

#include <QTemporaryDir>
#include <QTest>

#include <random>

using namespace rankwright;

namespace {

std::string caught(ErrorKind kind, const std::function<void()>& call)
{
    try {
        call();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return "no error";
}

GgufVocabulary smallSentencePiece()
{
    GgufVocabulary v;
    v.model = "llama";
    v.tokens = {"<unk>", "<s>", "</s>"};
    v.types = {2, 3, 3};
    for (int byte = 0; byte < 256; ++byte) {
        v.tokens.push_back(QStringLiteral("<0x%1>")
                               .arg(byte, 2, 16, QLatin1Char('0'))
                               .toUpper()
                               .replace(QLatin1Char('X'), QLatin1Char('x'))
                               .toStdString());
        v.types.push_back(6);
    }
    for (const char* piece : {"▁", "a", "b", "ab", "▁a", "aba", "▁ab", "▁▁"}) {
        v.tokens.emplace_back(piece);
        v.types.push_back(1);
    }
    for (std::size_t id = 0; id < v.tokens.size(); ++id)
        v.scores.push_back(-static_cast<float>(id));
    v.bos = 1;
    v.eos = 2;
    v.unknown = 0;
    v.addBos = true;
    return v;
}

} // namespace

class TestTokenizer : public QObject
{
    Q_OBJECT

private slots:
    void textsAreCheckedAndKeptAsTheyAre()
    {
        const QTemporaryDir folder;
        const std::filesystem::path file = std::filesystem::path(folder.path().toStdString()) / "t.txt";
        writeFileAtomically(file, "a\r\nb\n\xe2\x96\x81");
        QCOMPARE(readText(file), std::string("a\r\nb\n\xe2\x96\x81"));
        writeFileAtomically(file, "");
        QVERIFY(caught(ErrorKind::Corrupt, [&] { readText(file); }).find("empty") != std::string::npos);
        writeFileAtomically(file, "ab\xff");
        QVERIFY(caught(ErrorKind::Corrupt, [&] { readText(file); }).find("offset 2") != std::string::npos);
        QVERIFY(caught(ErrorKind::NotFound, [&] { readText(file.string() + "x"); }).find("t.txtx") !=
                std::string::npos);
    }

    void invalidUtf8IsFoundAtItsFirstByte()
    {
        QCOMPARE(findInvalidUtf8("plain and \xf0\x9f\x99\x82"), std::string_view::npos);
        for (const std::string_view bad : {"\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                           "\xf0\x9f\x99", "\xc3", "\xf8\x88\x80\x80\x80", "\xe2\x28\xa1"})
            QCOMPARE(findInvalidUtf8(std::string("0123456789é").append(bad)), std::size_t{12});
        const auto tokenizer = Tokenizer::open(RANKWRIGHT_DEMO "/stories260K");
        const std::string message = caught(ErrorKind::Corrupt, [&] { tokenizer->encode("abc\xff"); });
        QVERIFY2(message.find("offset 3") != std::string::npos, message.c_str());
    }

    void invalidPartsBecomeOneReplacementEach()
    {
        QCOMPARE(replaceInvalidUtf8("a\xff\xfe"), std::string("a\xef\xbf\xbd\xef\xbf\xbd"));
        QCOMPARE(replaceInvalidUtf8("\xf0\x9f\x99z"), std::string("\xef\xbf\xbdz"));
        QCOMPARE(replaceInvalidUtf8("\xed\xa0\x80"), std::string("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
    }

    void rowsAreJoinedAsTheDataSetIs()
    {
        // Python: "\n\n".join("" if not r.strip() else r + "\n" for r in text.removesuffix("\n").split("\n"))
        QCOMPARE(joinRows(" \n = A = \n \nb\n"), std::string("\n\n = A = \n\n\n\n\nb\n"));
        QCOMPARE(joinRows("a\n\n"), std::string("a\n\n\n"));
        QCOMPARE(joinRows(""), std::string());
        QCOMPARE(joinRows("a\r\n\xe2\x80\x83\x1c\x85"), std::string("a\r\n\n\n\xe2\x80\x83\x1c\x85\n"));
        QCOMPARE(joinRows("a\n\xe2\x80\x83\x1c\xc2\x85\n\xe2\x80\x8b"), std::string("a\n\n\n\n\n\xe2\x80\x8b\n"));
    }

    void matchesDoNotDependOnHowTheTextArrives()
    {
        const Regex regex(R"('s|'t| ?\p{L}+| ?\p{N}+|(?<=\d)x|[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "test");
        std::string text = readText(RANKWRIGHT_TEST_DATA "/texts/edge_cases.txt");
        text += std::string(70000, ' ') + "x" + std::string(40000, 'y') + "😀" + std::string(33000, '\n');
        const auto matches = [&](std::size_t largest) {
            std::vector<std::string> found;
            RegexScanner scanner(regex, [&](std::string_view part, bool isMatch) {
                found.push_back((isMatch ? "+" : "-") + std::string(part));
            });
            std::mt19937 random(5);
            for (std::string_view rest = text; !rest.empty();) {
                const std::size_t size = boundaryAtOrBefore(rest, 4 + random() % largest);
                scanner.push(rest.substr(0, size), size == rest.size());
                rest.remove_prefix(size);
            }
            return found;
        };
        const auto whole = matches(text.size() * 1000);
        QVERIFY(whole.size() > 200);
        QVERIFY(matches(7000) == whole);
        QVERIFY(matches(30000) == whole);
    }

    void byteLevelTextsComeBackAsTheyWere()
    {
        const auto tokenizer = Tokenizer::open(RANKWRIGHT_TEST_DATA "/tokenizers/gpt2");
        for (const char* name : {"edge_cases.txt", "pud-parallel/hi.txt", "pud-parallel/zh.txt"}) {
            const std::string text = readText(std::filesystem::path(RANKWRIGHT_TEST_DATA "/texts") / name);
            QVERIFY(tokenizer->decode(tokenizer->encode(text)) == text);
        }
        QCOMPARE(tokenizer->decode(std::vector<std::int32_t>{172}), std::string("\xef\xbf\xbd"));
        QVERIFY(caught(ErrorKind::InvalidArgument, [&] { tokenizer->decode(std::vector<std::int32_t>{50257}); }) !=
                "no error");
    }

    void sentencePieceTextsComeBackAsTheyWere()
    {
        const auto tokenizer = Tokenizer::open(RANKWRIGHT_DEMO "/stories260K");
        for (const std::string text : {"Once upon a time", "a  b\n\n c", "日本 🙂"})
            QCOMPARE(tokenizer->decode(tokenizer->encode(text)), text);
        QCOMPARE(tokenizer->prefix(), std::vector<std::int32_t>{1});
        QVERIFY(tokenizer->suffix().empty());
        QCOMPARE(tokenizer->bosToken(), std::optional<std::int32_t>(1));
        QCOMPARE(tokenizer->eosToken(), std::optional<std::int32_t>(2));
    }

    void longTextsWithoutSpacesStream()
    {
        // One word of two megabytes: pieces come out before it ends, and they are those of the parts.
        const auto tokenizer = Tokenizer::open(RANKWRIGHT_DEMO "/stories260K");
        std::string text;
        while (text.size() < (std::size_t{2} << 20U))
            text += "abcdefghij\nxyz0123<s>日本";
        std::size_t pieces = 0;
        std::size_t largest = 0;
        std::vector<std::int32_t> ids;
        tokenizer->encode(text, [&](std::span<const std::int32_t> part) {
            ++pieces;
            largest = std::max(largest, part.size());
            ids.insert(ids.end(), part.begin(), part.end());
        });
        QVERIFY(pieces > 10);
        QVERIFY(largest < 200000);
        QCOMPARE(tokenizer->decode(ids).size(),
                 text.size() + static_cast<std::size_t>(std::count(ids.begin(), ids.end(), 1)));
    }

    void scoresDecideTheMergesOfAGgufVocabulary()
    {
        const GgufVocabulary v = smallSentencePiece();
        const auto tokenizer = Tokenizer::fromGguf(v, "m.gguf");
        const auto texts = [&](const char* text) {
            std::vector<std::string> pieces;
            for (const std::int32_t id : tokenizer->encode(text))
                pieces.push_back(tokenizer->tokenText(id));
            return pieces;
        };
        // "ab" scores above "▁a": the merge of a and b comes first, then "▁ab" cannot use "▁a" + "b".
        QCOMPARE(texts("ab"), (std::vector<std::string>{"▁ab"}));
        QCOMPARE(texts("aba"), (std::vector<std::string>{"▁", "aba"}));
        QCOMPARE(texts("a  é"), (std::vector<std::string>{"▁a", "▁▁", "<0xC3>", "<0xA9>"}));
        QCOMPARE(texts("<s>a"), (std::vector<std::string>{"<s>", "▁a"}));
        QCOMPARE(tokenizer->prefix(), std::vector<std::int32_t>{1});
        QCOMPARE(tokenizer->toTokenizerConfig()["bos_token"].get<std::string>(), std::string("<s>"));
        const auto ids = tokenizer->encode("a  é b");
        QCOMPARE(tokenizer->decode(ids), std::string("a  é b"));
    }

    void configurationBesideGpt2FilesMakesTokensSpecial()
    {
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        const std::filesystem::path gpt2 = RANKWRIGHT_TEST_DATA "/tokenizers/gpt2";
        std::filesystem::copy(gpt2 / "vocab.json", path / "vocab.json");
        std::filesystem::copy(gpt2 / "merges.txt", path / "merges.txt");
        QVERIFY(Tokenizer::open(path)->encode("<|endoftext|>").size() > 1);
        writeFileAtomically(path / "special_tokens_map.json",
                            R"({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>"}})");
        const auto tokenizer = Tokenizer::open(path / "vocab.json");
        QCOMPARE(tokenizer->encode("<|endoftext|>"), std::vector<std::int32_t>{50256});
        QCOMPARE(tokenizer->eosToken(), std::optional<std::int32_t>(50256));
        QVERIFY(tokenizer->prefix().empty());
        // As the folders of OPT have it.
        writeFileAtomically(path / "tokenizer_config.json", R"({"add_bos_token": true})");
        QCOMPARE(Tokenizer::open(path)->prefix(), std::vector<std::int32_t>{50256});
    }

    /// Where the file does not say, as llama.cpp: Llama 3 and Tekken begin texts, GPT-2 does not.
    void beginningOfTextByNameOfThePreTokenizer()
    {
        GgufVocabulary v;
        v.model = "gpt2";
        v.tokens = {"a", "b", "ab", "<s>"};
        v.types = {1, 1, 1, 3};
        v.merges = {"a b"};
        v.bos = 3;
        const auto prefix = [&](const char* pre, std::optional<bool> stated) {
            v.pre = pre;
            v.addBos = stated;
            return Tokenizer::fromGguf(v, "m.gguf")->prefix();
        };
        for (const char* pre : {"llama-bpe", "llama3", "tekken", "falcon3"}) {
            QCOMPARE(prefix(pre, {}), std::vector<std::int32_t>{3});
            QVERIFY(prefix(pre, false).empty());
        }
        for (const char* pre : {"gpt-2", "qwen2", "smollm", "default", "glm4"}) {
            QVERIFY(prefix(pre, {}).empty());
            QCOMPARE(prefix(pre, true), std::vector<std::int32_t>{3});
        }
        GgufVocabulary sentences = smallSentencePiece();
        sentences.addBos.reset();
        QCOMPARE(Tokenizer::fromGguf(sentences, "m.gguf")->prefix(), std::vector<std::int32_t>{1});
    }

    void unknownGgufPreTokenizersAreNamed()
    {
        GgufVocabulary v;
        v.model = "gpt2";
        v.tokens = {"a", "b", "ab"};
        v.merges = {"a b"};
        v.pre = "made-up";
        QVERIFY(caught(ErrorKind::Unsupported, [&] { Tokenizer::fromGguf(v, "m.gguf"); }).find("made-up") !=
                std::string::npos);
        for (const char* pre : {"smollm", "gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "default", ""}) {
            v.pre = pre;
            QCOMPARE(Tokenizer::fromGguf(v, "m.gguf")->encode("ab"), std::vector<std::int32_t>{2});
        }
        // What the file only names may be spelled out beside it.
        v.pre = "made-up";
        const QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        std::filesystem::copy(RANKWRIGHT_DEMO "/stories260K/tokenizer.json", path);
        QCOMPARE(Tokenizer::fromGguf(v, path / "m.gguf")->vocabularySize(), std::size_t{512});
        v.pre = "gpt-2";
        QCOMPARE(Tokenizer::fromGguf(v, path / "m.gguf")->vocabularySize(), std::size_t{3});
        v.model = "bert";
        QVERIFY(caught(ErrorKind::Unsupported, [&] { Tokenizer::fromGguf(v, "m.gguf"); }).find("bert") !=
                std::string::npos);
    }
};

QTEST_GUILESS_MAIN(TestTokenizer)
#include "tst_tokenizer.moc"
