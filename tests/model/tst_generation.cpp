#include "core/evaluation/evaluation.h"
#include "core/model/generation.h"
#include "tests/checkpoint/hostile_files.h"
#include "tests/support/tiny_llama.h"

#include <QTest>

#include <algorithm>

using namespace rankwright;

namespace {

constexpr const char* stories = RANKWRIGHT_DEMO "/stories260K";
const std::string prompt = "Once upon a time, there was a little girl named";

} // namespace

class TestGeneration : public QObject
{
    Q_OBJECT

private slots:
    /// A window run anew for every token gives what the cache gives.
    void cachedEqualsUncached()
    {
        const Model model = Model::open(stories);
        const GenerationResult result = generateGreedy(model, *m_device, prompt, 80, {}, {});
        QCOMPARE(result.generated.size(), std::size_t{80});
        std::vector<std::int32_t> ids = result.prompt;
        for (const std::int32_t token : result.generated) {
            const Matrix<float> logits = windowLogits(model, *m_device, ids, {ids.size() - 1}, {});
            const auto best = std::max_element(logits.span().begin(), logits.span().end());
            QCOMPARE(static_cast<std::int32_t>(best - logits.span().begin()), token);
            ids.push_back(token);
        }
    }

    void doesNotDependOnThreadsAndMemory()
    {
        const Model model = Model::open(stories);
        const GenerationResult expected = generateGreedy(model, *m_device, prompt, 60, {.threads = 1}, {});
        // 600 kB hold the head, the cache and one or two of the five blocks of 210 kB.
        for (const PassOptions& options : {PassOptions{.threads = 2}, PassOptions{.threads = 1, .memoryLimit = 600000},
                                           PassOptions{.threads = 3, .memoryLimit = 600000}}) {
            const GenerationResult result = generateGreedy(model, *m_device, prompt, 60, options, {});
            QCOMPARE(result.generated, expected.generated);
            QCOMPARE(result.text, expected.text);
        }
    }

    /// Models are padded: rows of the head beyond the tokens are no text, and no error.
    void rowsBeyondTheTokensAreNoText()
    {
        tiny::TinyLlama padded;
        padded.vocabulary = 600;
        padded.tied = false;
        padded.fill(3);
        std::vector<float>& head = padded.values("lm_head.weight");
        std::fill(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(512 * padded.hidden), 0.0F);
        const hostile::Folder folder;
        padded.write(folder.path());
        std::filesystem::copy(std::string(stories) + "/tokenizer.json", folder.path());
        const Model model = Model::open(folder.path());
        std::string shown;
        const GenerationResult result =
            generateGreedy(model, *m_device, prompt, 5, {}, {}, [&](std::string_view piece) { shown += piece; });
        QCOMPARE(result.generated.size(), std::size_t{5});
        QVERIFY(std::ranges::all_of(result.generated, [](std::int32_t id) { return id >= 512; }));
        QCOMPARE(result.text + shown, std::string());
    }

    /// The text goes on where the prompt ends and comes in pieces that make it up.
    void textComesInPieces()
    {
        const Model model = Model::open(stories);
        std::string joined;
        std::size_t pieces = 0;
        const GenerationResult result =
            generateGreedy(model, *m_device, prompt, 40, {}, {}, [&](std::string_view piece) {
                joined += piece;
                ++pieces;
            });
        QCOMPARE(joined, result.text);
        QVERIFY(pieces > 20);
        QVERIFY2(result.text.starts_with(" "), result.text.c_str());
        std::vector<std::int32_t> all = result.prompt;
        all.insert(all.end(), result.generated.begin(), result.generated.end());
        QVERIFY(model.tokenizer()->decode(all).ends_with(prompt + result.text));
        QVERIFY(result.tokensPerSecond > 0);
    }

    void stopsAtAnEndToken()
    {
        const hostile::Folder folder;
        std::filesystem::copy(stories, folder.path(), std::filesystem::copy_options::recursive);
        const GenerationResult whole = generateGreedy(Model::open(stories), *m_device, prompt, 40, {}, {});
        const std::int32_t end = whole.generated[9];
        const auto first = std::find(whole.generated.begin(), whole.generated.end(), end);
        folder.write("generation_config.json", "{\"eos_token_id\": [2, " + std::to_string(end) + "]}");
        const GenerationResult stopped = generateGreedy(Model::open(folder.path()), *m_device, prompt, 40, {}, {});
        QVERIFY(stopped.ended);
        QVERIFY(!whole.ended);
        QCOMPARE(stopped.generated, std::vector<std::int32_t>(whole.generated.begin(), first + 1));
        QVERIFY(whole.text.starts_with(stopped.text));
        QVERIFY(stopped.text.size() < whole.text.size());
    }

    void refuses()
    {
        const Model model = Model::open(stories);
        const auto errorFor = [&](const std::string& text, std::size_t tokens, std::size_t limit) {
            return hostile::errorOf(
                [&] { generateGreedy(model, *m_device, text, tokens, {.memoryLimit = limit}, {}); });
        };
        const auto tooLong = errorFor(prompt, 512, 0);
        QVERIFY(tooLong && tooLong->kind() == ErrorKind::InvalidArgument);
        QVERIFY2(std::string(tooLong->what()).find("context of 512") != std::string::npos, tooLong->what());
        const auto noMemory = errorFor(prompt, 100, 50000);
        QVERIFY(noMemory && noMemory->kind() == ErrorKind::Memory);
        std::stop_source source;
        source.request_stop();
        const auto stopped =
            hostile::errorOf([&] { generateGreedy(model, *m_device, prompt, 10, {}, {.stop = source.get_token()}); });
        QVERIFY(stopped && stopped->kind() == ErrorKind::Cancelled);
        QVERIFY(!errorFor("", 5, 0)); // starts from the BOS
        QVERIFY(generateGreedy(model, *m_device, prompt, 0, {}, {}).generated.empty());
    }

private:
    std::shared_ptr<const Device> m_device = makeCpuDevice();
};

QTEST_GUILESS_MAIN(TestGeneration)
#include "tst_generation.moc"
