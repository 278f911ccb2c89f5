#include "ui/panels/text_panel.h"

#include "ui/panels/token_details.h"
#include "ui/plots/token_view.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"
#include "ui/theme/colours.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QEvent>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QSpinBox>
#include <QTabWidget>
#include <QTextBrowser>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QString speedText(const GenerationResult& result)
{
    const QString count = result.generated.size() == 1 ? TextPanel::tr("1 token")
                                                       : TextPanel::tr("%1 tokens").arg(result.generated.size());
    QString text = result.ended ? TextPanel::tr("%1 with the end of the text").arg(count) : count;
    if (result.tokensPerSecond > 0.0)
        text += TextPanel::tr(", %1 per second").arg(QLocale().toString(result.tokensPerSecond, 'f', 1));
    return text + TextPanel::tr(", the first after %1 s").arg(QLocale().toString(result.promptSeconds, 'g', 2));
}

} // namespace

std::int64_t TextPanel::run() const
{
    return m_run->currentData().toLongLong();
}

void TextPanel::setRun(std::int64_t run)
{
    const int place = m_run->findData(static_cast<qlonglong>(run));
    if (place < 0)
        return;
    m_run->setCurrentIndex(place);
    m_ownRun = run != m_session.measuredRun();
}

QString TextPanel::runTitle(std::int64_t run) const
{
    const int place = m_run->findData(static_cast<qlonglong>(run));
    return place >= 0 ? m_run->itemText(place) : tr("run %1").arg(run);
}

void TextPanel::refreshRuns()
{
    const std::int64_t chosen = run();
    const DocumentPtr document = m_session.document();
    m_run->clear();
    constexpr int most = 100;
    for (const RunSummary& finished : m_session.runs().runs()) {
        if (m_run->count() == most || !document)
            break;
        if (finished.state == RunState::Finished && toQString(finished.model) == document->path)
            m_run->addItem(tr("run %1: %2, kept %3 %")
                               .arg(finished.id)
                               .arg(toQString(finished.name.empty() ? finished.method : finished.name),
                                    QLocale().toString(100.0 * finished.keptRatio, 'f', 1)),
                           static_cast<qlonglong>(finished.id));
    }
    const bool any = m_run->count() > 0;
    if (!any)
        m_run->addItem(tr("no finished run of this model yet"), 0);
    m_run->setEnabled(any);
    // The run that the window shows, until another one is chosen; the newest where it shows none.
    const int shown = m_run->findData(static_cast<qlonglong>(m_session.measuredRun()));
    const int before = m_run->findData(static_cast<qlonglong>(chosen));
    m_ownRun = m_ownRun && before >= 0;
    m_run->setCurrentIndex(std::max(0, m_ownRun || shown < 0 ? before : shown));
    refreshActions();
}

TextRequest TextPanel::request() const
{
    const Recipe& recipe = m_session.recipeState().recipe();
    return {.document = m_session.document(),
            .store = m_session.runs().store(),
            .run = run(),
            .text = m_prompt->toPlainText(),
            .tokens = static_cast<std::size_t>(m_count->value()),
            .device = recipe.device,
            .options = {.threads = recipe.threads, .memoryLimit = recipe.memoryLimit, .scratchFolder = {}}};
}

void TextPanel::tell(const QString& problem)
{
    m_problem->setText(problem);
    m_problem->setVisible(!problem.isEmpty());
}

void TextPanel::generate()
{
    if (!m_session.document()) {
        tell(tr("Open a model first."));
        return;
    }
    tell({});
    const TextRequest wanted = request();
    Settings::setText(u"text/prompt"_s, wanted.text);
    Settings::setText(u"text/tokens"_s, QString::number(m_count->value()));
    m_results->setCurrentIndex(0);
    m_sameCharacters = -1;
    m_promptLength = wanted.text.size();
    m_difference->clear();
    for (Column& column : m_columns) {
        column.text->setPlainText(wanted.text);
        column.figures->clear();
    }
    Column& compressed = m_columns[static_cast<std::size_t>(TextSide::Compressed)];
    compressed.title->setText(wanted.run > 0 ? runTitle(wanted.run) : tr("Compressed model"));
    if (wanted.run == 0) {
        compressed.text->clear();
        compressed.figures->setText(tr("Compress the model to see its text here."));
    }
    mark();
    m_service.generate(wanted);
}

void TextPanel::score()
{
    const TextRequest wanted = request();
    if (!wanted.document || wanted.run == 0) {
        tell(wanted.document ? tr("Scores compare with a compressed model: run the recipe first.")
                             : tr("Open a model first."));
        return;
    }
    tell({});
    Settings::setText(u"text/prompt"_s, wanted.text);
    m_results->setCurrentIndex(1);
    m_service.score(wanted);
}

void TextPanel::stop()
{
    m_service.stop();
    m_state->setText(tr("stopped"));
}

void TextPanel::clear()
{
    m_service.stop();
    m_state->clear();
    tell({});
    m_difference->clear();
    m_promptLength = 0;
    m_sameCharacters = -1;
    for (Column& column : m_columns) {
        column.text->clear();
        column.figures->clear();
    }
    m_columns[1].title->setText(tr("Compressed model"));
    m_scored.reset();
    m_tokens->setData({});
    m_figures->clear();
    m_ownRun = false;
    m_run->clear();
    showDetails();
}

void TextPanel::refreshActions()
{
    const bool open = m_session.document() != nullptr;
    m_generate->setEnabled(open);
    m_score->setEnabled(open && run() > 0);
    m_stop->setEnabled(m_service.activity() != TextService::Activity::None);
}

void TextPanel::showActivity()
{
    const TextService::Activity activity = m_service.activity();
    refreshActions();
    m_state->setText(activity == TextService::Activity::None         ? QString()
                     : activity == TextService::Activity::Generating ? tr("loading ...")
                                                                     : tr("scoring ..."));
}

void TextPanel::showPiece(TextSide side, const QString& piece)
{
    QTextCursor cursor(m_columns[static_cast<std::size_t>(side)].text->document());
    cursor.movePosition(QTextCursor::End);
    cursor.insertText(piece);
}

void TextPanel::showTexts(const GeneratedTexts& texts)
{
    const auto fill = [this](TextSide side, const GenerationResult& result) {
        Column& column = m_columns[static_cast<std::size_t>(side)];
        column.figures->setText(speedText(result));
    };
    fill(TextSide::Original, texts.original);
    if (!texts.compressed)
        return;
    fill(TextSide::Compressed, *texts.compressed);
    m_sameCharacters = texts.equal() ? -1 : texts.sameCharacters;
    m_difference->setText(texts.equal() ? tr("Both texts are the same, token for token.")
                          : texts.sameTokens == 0
                              ? tr("The texts differ from the first token on.")
                              : tr("Equal tokens at the start: %1. What differs is marked.").arg(texts.sameTokens));
    mark();
}

void TextPanel::mark()
{
    for (const Column& column : m_columns) {
        const auto part = [&column](qsizetype from, qsizetype to, const QColor& text, const QColor& under) {
            QTextEdit::ExtraSelection selection;
            selection.cursor = QTextCursor(column.text->document());
            const auto last = static_cast<qsizetype>(column.text->document()->characterCount() - 1);
            selection.cursor.setPosition(static_cast<int>(std::min(from, last)));
            selection.cursor.setPosition(static_cast<int>(std::min(to, last)), QTextCursor::KeepAnchor);
            selection.format.setForeground(text);
            if (under.isValid())
                selection.format.setBackground(under);
            return selection;
        };
        const QColor base = palette().color(QPalette::Base);
        const QColor text = palette().color(QPalette::Text);
        QList<QTextEdit::ExtraSelection> parts{part(0, m_promptLength, mixed(base, text, 0.65), {})};
        if (m_sameCharacters >= 0)
            parts.append(part(m_promptLength + m_sameCharacters, column.text->document()->characterCount(), text,
                              mixed(base, palette().color(QPalette::Highlight), 0.25)));
        column.text->setExtraSelections(parts);
    }
}

void TextPanel::showScores(const std::shared_ptr<const ScoredText>& text)
{
    m_scored = text;
    m_hovered = -1;
    TokenViewData view{.title = tr("Tokens in the original and in %1").arg(runTitle(text->run)),
                       .valueTitle = tr("change of the log probability in %1, nats").arg(runTitle(text->run)),
                       .lowerTitle = tr("less likely"),
                       .higherTitle = tr("more likely"),
                       .tokens = {},
                       .table = [text] { return tokenTable(*text); }};
    for (std::size_t token = 0; token < text->size(); ++token)
        view.tokens.append({text->pieces[token], text->change(token)});
    m_tokens->setData(view);
    m_figures->setText(scoreLine(*text));
    showDetails();
}

void TextPanel::showDetails()
{
    const int token = m_hovered >= 0 ? m_hovered : m_tokens->current();
    if (!m_scored)
        m_details->clear();
    else if (token < 0)
        m_details->setPlainText(tr("Point at a token, or go there with the arrow keys, to see what both models "
                                   "expected."));
    else
        m_details->setHtml(tokenDetails(*m_scored, static_cast<std::size_t>(token)));
}

void TextPanel::copyTexts() const
{
    const Column& original = m_columns[0];
    const Column& compressed = m_columns[1];
    QApplication::clipboard()->setText(u"%1 (%2)\n%3\n\n%4 (%5)\n%6\n"_s.arg(
        original.title->text(), original.figures->text(), original.text->toPlainText(), compressed.title->text(),
        compressed.figures->text(), compressed.text->toPlainText()));
}

void TextPanel::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange && m_columns[0].text != nullptr)
        mark();
}

} // namespace rankwright::ui
