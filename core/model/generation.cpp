#include "core/model/generation.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/stopwatch.h"
#include "core/compute/elementwise.h"
#include "core/model/architecture.h"
#include "core/model/forward_buffers.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <utility>

namespace rankwright {

namespace {

/// The forward pass of one growing sequence.
class Sequence
{
public:
    Sequence(const Model& model, const Device& device, std::size_t capacity, std::size_t longestStep,
             const PassOptions& options)
        : m_model(model)
        , m_device(device)
        , m_limit(effectiveMemoryLimit(options))
        , m_rotary(makeRotaryTable(model.config(), capacity))
        , m_head(model, device, m_limit)
        , m_scratch(effectiveThreads(options))
        , m_kept(model.config().blocks)
    {
        const ModelConfig& config = model.config();
        const std::size_t width = config.keyValueHeads * config.headWidth;
        const std::size_t caches = 2 * config.blocks * capacity * width * sizeof(float);
        const std::size_t rows = std::min(longestStep, rowsPerCall * m_scratch.threads());
        const std::size_t states = (longestStep * config.hiddenSize + rows * floatsPerRow(config)) * sizeof(float);
        const std::size_t used = caches + states + m_head.bytes() + m_scratch.threads() * m_head.chunkBytes(1);
        if (used > m_limit)
            throw Error(ErrorKind::Memory,
                        fmt::format("keys and values of {} positions, states and head take {}, the limit is {}; take "
                                    "fewer tokens or a higher limit",
                                    capacity, formatBytes(used), formatBytes(m_limit)));
        m_available = m_limit - used;
        m_caches.resize(config.blocks);
        for (KeyValueCache& cache : m_caches) {
            cache.keys = Matrix<float>(capacity, width);
            cache.values = Matrix<float>(capacity, width);
        }
    }

    /// Continues by `ids`; the most likely token after them.
    std::int32_t next(std::span<const std::int32_t> ids, const TaskContext& context)
    {
        m_hidden.reshape(ids.size(), m_model.config().hiddenSize);
        m_model.embed(ids, m_hidden.view(), m_caches.front().length);
        for (std::size_t block = 0; block < m_caches.size(); ++block) {
            context.checkStop();
            forwardBlock(m_device, m_model.config(), *weights(block), m_rotary, m_hidden.view(), m_scratch,
                         {.cache = &m_caches[block]});
            if (!allFinite(std::as_const(m_hidden).span()))
                throw Error(ErrorKind::NonFinite,
                            fmt::format("activations stop being finite in {}", blockName(m_model.config(), block)),
                            {.file = m_model.checkpoint().path()});
        }
        const MatrixView<float> logits = m_head.chunk(m_hidden.view().rowRange(ids.size() - 1, 1), 0, m_scratch);
        const std::span<float> row = logits.rowSpan(0);
        m_seen.insert(ids.begin(), ids.end());
        penalise(row);
        return static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    }

private:
    /// Logits of tokens that stand in the prompt or came already, as RepetitionPenaltyLogitsProcessor of transformers.
    void penalise(std::span<float> logits) const
    {
        const float penalty = m_model.config().repetitionPenalty;
        if (penalty == 1.0F)
            return;
        for (const std::int32_t id : m_seen) {
            float& logit = logits[static_cast<std::size_t>(id)];
            logit = logit < 0.0F ? logit * penalty : logit / penalty;
        }
    }

    /// Kept in memory while it fits beside the largest block that does not.
    std::shared_ptr<const BlockWeights> weights(std::size_t block)
    {
        if (m_kept[block])
            return m_kept[block];
        std::shared_ptr<const BlockWeights> weights = m_model.loadBlock(block);
        m_largestBlock = std::max(m_largestBlock, weights->bytes());
        const std::size_t reserve = block + 1 < m_kept.size() ? m_largestBlock : 0;
        if (m_keptBytes + weights->bytes() + reserve <= m_available) {
            m_keptBytes += weights->bytes();
            m_kept[block] = weights;
        }
        return weights;
    }

    const Model& m_model;
    const Device& m_device;
    std::size_t m_limit;
    std::size_t m_available = 0;
    RotaryTable m_rotary;
    Head m_head;
    ForwardScratch m_scratch;
    Matrix<float> m_hidden;
    std::vector<KeyValueCache> m_caches;
    std::set<std::int32_t> m_seen;
    std::vector<std::shared_ptr<const BlockWeights>> m_kept;
    std::size_t m_keptBytes = 0;
    std::size_t m_largestBlock = 0;
};

/// Turns tokens into pieces of text. The text of a token depends on those before it (spaces, bytes of one character),
/// so it is what the text of all grows by.
class TextStream
{
public:
    TextStream(const Tokenizer& tokenizer, const std::vector<std::int32_t>& prompt, const TextSink& sink)
        : m_tokenizer(tokenizer)
        , m_sink(sink)
        , m_ids(prompt)
        , m_shown(tokenizer.decode(m_ids).size())
        , m_start(m_shown)
    {}

    void add(std::int32_t id)
    {
        // A model may have rows beyond its tokens, which are no text.
        if (static_cast<std::size_t>(id) < m_tokenizer.vocabularySize())
            m_ids.push_back(id);
        if (!m_sink)
            return;
        std::string text = m_tokenizer.decode(m_ids);
        constexpr std::string_view replacement = "\uFFFD";
        if (!text.ends_with(replacement))
            show(std::move(text));
    }

    /// Everything after the prompt.
    std::string finish()
    {
        show(m_tokenizer.decode(m_ids));
        return m_text.substr(std::min(m_start, m_text.size()));
    }

private:
    void show(std::string text)
    {
        m_text = std::move(text);
        if (m_text.size() <= m_shown)
            return;
        if (m_sink)
            m_sink(std::string_view(m_text).substr(m_shown));
        m_shown = m_text.size();
    }

    const Tokenizer& m_tokenizer;
    const TextSink& m_sink;
    std::vector<std::int32_t> m_ids;
    std::size_t m_shown; ///< bytes of the text that were given out, the prompt's included
    std::size_t m_start;
    std::string m_text;
};

std::vector<std::int32_t> promptTokens(const Tokenizer& tokenizer, const std::string& prompt)
{
    std::vector<std::int32_t> ids = tokenizer.prefix();
    const std::vector<std::int32_t> text = tokenizer.encode(prompt);
    ids.insert(ids.end(), text.begin(), text.end());
    const std::vector<std::int32_t> suffix = tokenizer.suffix();
    ids.insert(ids.end(), suffix.begin(), suffix.end());
    return ids;
}

} // namespace

GenerationResult generateGreedy(const Model& model, const Device& device, const std::string& prompt, std::size_t tokens,
                                const PassOptions& options, const TaskContext& context, const TextSink& sink)
{
    const Stopwatch watch;
    const std::shared_ptr<const Tokenizer> tokenizer = model.tokenizer();
    const ErrorContext where{.file = model.checkpoint().path()};
    GenerationResult result;
    result.prompt = promptTokens(*tokenizer, prompt);
    if (result.prompt.empty())
        throw Error(ErrorKind::InvalidArgument,
                    "the prompt is empty and the tokenizer adds no token to start from; give a prompt", where);
    const std::size_t contextLength = model.config().contextLength;
    if (result.prompt.size() > contextLength || (result.prompt.size() == contextLength && tokens > 0))
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("the prompt itself has {} tokens and the model {} positions; shorten the prompt",
                                result.prompt.size(), contextLength),
                    where);
    if (tokens > contextLength || result.prompt.size() > contextLength - tokens)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("a prompt of {} tokens and {} more exceed the context of {}; ask for fewer tokens",
                                result.prompt.size(), tokens, contextLength),
                    where);
    std::vector<std::int32_t> ends = model.config().endTokens;
    if (ends.empty() && tokenizer->eosToken())
        ends.push_back(*tokenizer->eosToken());
    if (tokens == 0)
        return result;

    const BlasThreads oneBlasThread(1);
    Sequence sequence(model, device, result.prompt.size() + tokens, result.prompt.size(), options);
    TextStream text(*tokenizer, result.prompt, sink);
    std::int32_t next = sequence.next(result.prompt, context);
    result.promptSeconds = watch.seconds();
    while (true) {
        result.generated.push_back(next);
        result.ended = std::ranges::find(ends, next) != ends.end();
        context.report("generate", {}, result.generated.size(), tokens);
        if (result.ended)
            break;
        text.add(next);
        if (result.generated.size() == tokens)
            break;
        next = sequence.next(std::span(&next, 1), context);
    }
    result.text = text.finish();
    result.seconds = watch.seconds();
    if (result.generated.size() > 1)
        result.tokensPerSecond =
            static_cast<double>(result.generated.size() - 1) / (result.seconds - result.promptSeconds);
    return result;
}

} // namespace rankwright
