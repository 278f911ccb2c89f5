#include "ui/session/text_service.h"

#include "core/calibration/statistics.h"
#include "core/compute/device.h"
#include "core/experiment/runner.h"
#include "ui/session/text.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>
#include <utility>

namespace rankwright::ui {

namespace {

/// As often as an eye can follow; a small model makes thousands of tokens per second.
constexpr int drainMilliseconds = 30;

Model compressedModel(const TextRequest& request)
{
    return rankwright::compressedModel(request.document->model, request.store->run(request.run));
}

/// Tokens before the first that differs, and the length of their text.
void findDifference(const Tokenizer& tokenizer, GeneratedTexts& texts)
{
    const std::vector<std::int32_t>& a = texts.original.generated;
    const std::vector<std::int32_t>& b = texts.compressed->generated;
    texts.sameTokens = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
    const auto textOf = [&](std::size_t count) {
        std::vector<std::int32_t> ids = texts.original.prompt;
        ids.insert(ids.end(), a.begin(), a.begin() + static_cast<std::ptrdiff_t>(count));
        return toQString(tokenizer.decode(ids)).size();
    };
    const qsizetype most = std::min(toQString(texts.original.text).size(), toQString(texts.compressed->text).size());
    texts.sameCharacters = std::clamp<qsizetype>(textOf(texts.sameTokens) - textOf(0), 0, most);
}

std::shared_ptr<const ScoredText> scoreText(const TextRequest& request, const TaskContext& context)
{
    auto scored = std::make_shared<ScoredText>();
    scored->run = request.run;
    scored->tokenizer = request.document->model.tokenizer();
    std::vector<std::int32_t> ids = scored->tokenizer->prefix();
    const std::vector<std::int32_t> text = scored->tokenizer->encode(request.text.toStdString());
    ids.insert(ids.end(), text.begin(), text.end());
    const auto device = openDevice(request.device);
    scored->comparison =
        compareTokens(request.document->model, compressedModel(request), *device, ids, request.options, context);

    std::optional<std::int32_t> previous;
    for (const std::int32_t id : ids) {
        scored->pieces.push_back(tokenPiece(*scored->tokenizer, previous, id));
        previous = id;
    }
    const auto perplexity = [](const std::vector<double>& logProbabilities) {
        double sum = 0.0;
        for (const double logProbability : std::span(logProbabilities).subspan(1))
            sum += logProbability;
        return std::exp(-sum / static_cast<double>(logProbabilities.size() - 1));
    };
    scored->originalPerplexity = perplexity(scored->comparison.originalLogProbability);
    scored->compressedPerplexity = perplexity(scored->comparison.otherLogProbability);
    for (const double divergence : scored->comparison.divergence)
        scored->meanDivergence += divergence / static_cast<double>(ids.size());
    return scored;
}

} // namespace

double ScoredText::change(std::size_t token) const
{
    return comparison.otherLogProbability[token] - comparison.originalLogProbability[token];
}

QString tokenPiece(const Tokenizer& tokenizer, std::optional<std::int32_t> previous, std::int32_t token)
{
    std::vector<std::int32_t> ids;
    if (previous)
        ids.push_back(*previous);
    const QString before = toQString(tokenizer.decode(ids));
    ids.push_back(token);
    const QString after = toQString(tokenizer.decode(ids));
    const QString piece = after.startsWith(before) ? after.mid(before.size()) : QString();
    return piece.isEmpty() || piece.contains(QChar::ReplacementCharacter) ? toQString(tokenizer.tokenText(token))
                                                                          : piece;
}

/// What comes from the engine's thread until the window's takes it.
struct TextService::Feed
{
    using Texts = std::array<QString, 2>; ///< by TextSide

    std::mutex mutex;
    Texts texts;
    QString progress;
};

TextService::TextService(QObject* parent)
    : QObject(parent)
{
    m_draining.setInterval(drainMilliseconds);
    connect(&m_draining, &QTimer::timeout, this, &TextService::drain);
}

TextService::~TextService() = default;

std::stop_token TextService::begin(Activity activity)
{
    std::stop_token stop = m_request.next();
    m_feed = std::make_shared<Feed>();
    m_draining.start();
    m_activity = activity;
    emit activityChanged();
    return stop;
}

void TextService::drain()
{
    if (!m_feed)
        return;
    Feed::Texts texts;
    QString progress;
    {
        const std::lock_guard lock(m_feed->mutex);
        texts = std::exchange(m_feed->texts, {});
        progress = std::exchange(m_feed->progress, {});
    }
    if (!progress.isEmpty())
        emit progressed(progress);
    for (const TextSide side : {TextSide::Original, TextSide::Compressed})
        if (const QString& text = texts[static_cast<std::size_t>(side)]; !text.isEmpty())
            emit pieceCame(side, text);
}

void TextService::end()
{
    drain();
    m_draining.stop();
    m_feed.reset();
    m_activity = Activity::None;
    emit activityChanged();
}

void TextService::stop()
{
    m_request.cancel();
    if (m_activity != Activity::None)
        end();
}

void TextService::generate(const TextRequest& request)
{
    const std::stop_token stop = begin(Activity::Generating);
    m_background.run(
        this, stop,
        [request, stop, feed = m_feed] {
            const auto device = openDevice(request.device);
            const auto generate = [&](const Model& model, TextSide side, const QString& words) {
                const TaskContext context{.stop = stop, .progress = [&](const Progress& progress) {
                                              const std::lock_guard lock(feed->mutex);
                                              feed->progress = words.arg(progress.done).arg(progress.total);
                                          }};
                return generateGreedy(model, *device, request.text.toStdString(), request.tokens, request.options,
                                      context, [&](std::string_view piece) {
                                          const std::lock_guard lock(feed->mutex);
                                          feed->texts[static_cast<std::size_t>(side)] += toQString(piece);
                                      });
            };
            // A run that is not there is told of before the first text.
            const std::optional<Model> compressed =
                request.run > 0 ? std::optional(compressedModel(request)) : std::nullopt;
            GeneratedTexts texts;
            texts.original = generate(request.document->model, TextSide::Original, tr("original: token %1 of %2"));
            if (compressed) {
                texts.compressed = generate(*compressed, TextSide::Compressed, tr("compressed: token %1 of %2"));
                findDifference(*request.document->model.tokenizer(), texts);
            }
            return texts;
        },
        [this](const Outcome<GeneratedTexts>& outcome) {
            end();
            if (outcome)
                emit generated(*outcome);
            else
                emit failed(outcome.failure);
        });
}

void TextService::score(const TextRequest& request)
{
    const std::stop_token stop = begin(Activity::Scoring);
    m_background.run(
        this, stop,
        [request, stop, feed = m_feed] {
            return scoreText(request, {.stop = stop, .progress = [feed](const Progress& progress) {
                                           const std::lock_guard lock(feed->mutex);
                                           feed->progress =
                                               tr("scoring: %1 of %2").arg(progress.done).arg(progress.total);
                                       }});
        },
        [this](const Outcome<std::shared_ptr<const ScoredText>>& outcome) {
            end();
            if (outcome)
                emit scored(*outcome);
            else
                emit failed(outcome.failure);
        });
}

} // namespace rankwright::ui
