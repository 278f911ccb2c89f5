#include "core/base/file.h"
#include "core/checkpoint/gguf.h"
#include "reference_ids.h"

#include <QTemporaryDir>
#include <QTest>

using namespace rankwright;

/// The tokenizer inside a real GGUF file, and its export.
class TestTokenizerSmollm2 : public QObject
{
    Q_OBJECT

    static GgufVocabulary vocabulary(const std::filesystem::path& path)
    {
        const GgufFile gguf(std::make_shared<MappedFile>(path));
        GgufVocabulary v;
        v.model = gguf.string("tokenizer.ggml.model").value();
        v.pre = gguf.string("tokenizer.ggml.pre").value();
        v.tokens = gguf.strings("tokenizer.ggml.tokens").value();
        v.merges = gguf.strings("tokenizer.ggml.merges").value();
        const auto types = gguf.integers("tokenizer.ggml.token_type").value();
        for (const std::int64_t type : types)
            v.types.push_back(static_cast<std::int32_t>(type));
        v.bos = static_cast<std::int32_t>(gguf.integer("tokenizer.ggml.bos_token_id").value());
        v.eos = static_cast<std::int32_t>(gguf.integer("tokenizer.ggml.eos_token_id").value());
        return v;
    }

private slots:
    void ggufTokenizerGivesTheReferenceIds()
    {
        const std::filesystem::path path = qEnvironmentVariable("RANKWRIGHT_SMOLLM2").toStdString();
        if (path.empty())
            QSKIP("RANKWRIGHT_SMOLLM2 does not name the SmolLM2 GGUF file");
        const auto tokenizer = Tokenizer::fromGguf(vocabulary(path), path);
        QCOMPARE(tokenizer->vocabularySize(), std::size_t{49152});
        QCOMPARE(differenceFromReference(*tokenizer, "smollm2"), QString());
        QVERIFY(tokenizer->prefix().empty());

        const QTemporaryDir folder;
        const std::filesystem::path out = folder.path().toStdString();
        writeFileAtomically(out / "tokenizer.json", dumpJson(tokenizer->toTokenizerJson()));
        writeFileAtomically(out / "tokenizer_config.json", dumpJson(tokenizer->toTokenizerConfig()));
        const auto exported = Tokenizer::open(out);
        QCOMPARE(differenceFromReference(*exported, "smollm2"), QString());
        QCOMPARE(exported->bosToken(), std::optional<std::int32_t>(1));
        QCOMPARE(exported->eosToken(), std::optional<std::int32_t>(2));
    }
};

QTEST_GUILESS_MAIN(TestTokenizerSmollm2)
#include "tst_tokenizer_smollm2.moc"
