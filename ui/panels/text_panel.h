#pragma once

#include "ui/session/session.h"
#include "ui/session/text_service.h"

#include <QWidget>

#include <array>
#include <memory>

class QAction;
class QComboBox;
class QLabel;
class QPlainTextEdit;
class QSpinBox;
class QTabWidget;
class QTextBrowser;

namespace rankwright::ui {

class TokenView;

/// One prompt through the original and a compressed model: continued side by side, or scored token by token.
class TextPanel : public QWidget
{
    Q_OBJECT

public:
    explicit TextPanel(Session& session, QWidget* parent = nullptr);

    QPlainTextEdit* prompt() const { return m_prompt; }
    TokenView* tokens() const { return m_tokens; }
    TextService& service() { return m_service; }
    /// Null until a text was scored.
    const std::shared_ptr<const ScoredText>& scoredText() const { return m_scored; }
    /// The compressed model; 0 where there is no finished run.
    std::int64_t run() const;
    void setRun(std::int64_t run);

protected:
    void changeEvent(QEvent* event) override;

private:
    /// One model's continuation.
    struct Column
    {
        QLabel* title = nullptr;
        QPlainTextEdit* text = nullptr;
        QLabel* figures = nullptr;
    };

    QWidget* buildPrompt();
    QWidget* buildGenerated();
    QWidget* buildScored();
    QAction* addAction(const QString& text, const QString& iconName, const QString& keys, const QString& tip,
                       const std::function<void()>& call);
    TextRequest request() const;
    void generate();
    void score();
    void stop();
    void clear();
    void tell(const QString& problem);
    void refreshRuns();
    void refreshActions();
    void showActivity();
    void showPiece(TextSide side, const QString& piece);
    void showTexts(const GeneratedTexts& texts);
    void showScores(const std::shared_ptr<const ScoredText>& text);
    void showDetails();
    void mark();
    void copyTexts() const;
    QString runTitle(std::int64_t run) const;

    Session& m_session;
    QPlainTextEdit* m_prompt;
    QComboBox* m_run;
    QSpinBox* m_count;
    QLabel* m_problem;
    QLabel* m_state;
    QTabWidget* m_results;
    std::array<Column, 2> m_columns; ///< by TextSide
    QLabel* m_difference;
    TokenView* m_tokens;
    QTextBrowser* m_details;
    QLabel* m_figures;
    QAction* m_generate = nullptr;
    QAction* m_score = nullptr;
    QAction* m_stop = nullptr;
    bool m_ownRun = false;           ///< another run than the one shown was chosen
    qsizetype m_promptLength = 0;    ///< of the prompt before both continuations
    qsizetype m_sameCharacters = -1; ///< of the continuations; -1 where they do not differ or are not known
    int m_hovered = -1;
    std::shared_ptr<const ScoredText> m_scored;
    TextService m_service;
};

} // namespace rankwright::ui
