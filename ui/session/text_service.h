#pragma once

#include "core/evaluation/token_comparison.h"
#include "core/experiment/store.h"
#include "core/model/generation.h"
#include "ui/session/background.h"
#include "ui/session/document.h"

#include <QObject>
#include <QString>
#include <QTimer>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rankwright::ui {

/// A text and the two models that are to read or continue it.
struct TextRequest
{
    DocumentPtr document;
    std::shared_ptr<Store> store; ///< of the run
    std::int64_t run = 0;         ///< a finished run of the document's model; 0: the original alone
    QString text;
    std::size_t tokens = 0; ///< to generate
    std::string device = "cpu";
    PassOptions options;
};

enum class TextSide { Original, Compressed };

/// The continuations of one prompt by both models, or by the original alone.
struct GeneratedTexts
{
    GenerationResult original;
    std::optional<GenerationResult> compressed;
    std::size_t sameTokens = 0;   ///< generated tokens before the first that differs
    qsizetype sameCharacters = 0; ///< of the text of those tokens
    bool equal() const { return compressed && original.generated == compressed->generated; }
};

/// What two models make of the tokens of a text; the tokenizer's own first tokens stand before it.
struct ScoredText
{
    std::int64_t run = 0;
    std::shared_ptr<const Tokenizer> tokenizer;
    TokenComparison comparison;
    std::vector<QString> pieces;     ///< text of every token
    double originalPerplexity = 0.0; ///< over all tokens but the first; NaN for a single token
    double compressedPerplexity = 0.0;
    double meanDivergence = 0.0; ///< KL(original || compressed), nats, mean over the predictions at all tokens

    std::size_t size() const { return comparison.tokens.size(); }
    /// Log probability of a token in the compressed model minus that in the original, nats; NaN for the first token.
    double change(std::size_t token) const;
};

/// What `token` adds to the text after `previous`; as the vocabulary spells it where that is nothing or part of a
/// character.
QString tokenPiece(const Tokenizer& tokenizer, std::optional<std::int32_t> previous, std::int32_t token);

/// Texts through the open model and a compressed one, on a thread of its own. The latest request wins; text comes piece
/// by piece.
class TextService : public QObject
{
    Q_OBJECT

public:
    enum class Activity { None, Generating, Scoring };

    explicit TextService(QObject* parent = nullptr);
    ~TextService() override;

    /// Greedy generation by the original, then by the compressed model, as each has the processors to itself then.
    void generate(const TextRequest& request);
    void score(const TextRequest& request);
    /// What has come stays; nothing more does.
    void stop();

    Activity activity() const { return m_activity; }

signals:
    void activityChanged();
    void pieceCame(rankwright::ui::TextSide side, const QString& text);
    /// How far a task is, in words.
    void progressed(const QString& text);
    void generated(const rankwright::ui::GeneratedTexts& texts);
    void scored(const std::shared_ptr<const rankwright::ui::ScoredText>& text);
    void failed(const rankwright::ui::Failure& failure);

private:
    struct Feed;

    std::stop_token begin(Activity activity);
    void end();
    void drain();

    Activity m_activity = Activity::None;
    std::shared_ptr<Feed> m_feed; ///< of the task at hand
    QTimer m_draining;
    Background m_background{1};
    LatestRequest m_request; ///< after the threads, so that it stops them before they are waited for
};

} // namespace rankwright::ui
