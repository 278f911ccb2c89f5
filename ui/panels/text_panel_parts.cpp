// How a TextPanel is put together.
#include "ui/panels/text_panel.h"

#include "ui/plots/token_view.h"
#include "ui/session/settings.h"
#include "ui/theme/icons.h"

#include <QAction>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPlainTextEdit>
#include <QSpinBox>
#include <QSplitter>
#include <QTabWidget>
#include <QTextBrowser>
#include <QToolButton>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr int mostTokens = 4096;

QToolButton* buttonOf(QAction* action, const QString& name)
{
    auto* button = new QToolButton;
    button->setObjectName(name);
    button->setDefaultAction(action);
    button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    button->setFocusPolicy(Qt::StrongFocus);
    button->setAccessibleName(action->iconText());
    return button;
}

/// What is shown, and below it a line of figures with a button.
QWidget* pageOf(QWidget* shown, QLabel* figures, QToolButton* button)
{
    auto* bottom = new QHBoxLayout;
    bottom->addWidget(figures, 1);
    bottom->addWidget(button);
    auto* page = new QWidget;
    auto* layout = new QVBoxLayout(page);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(shown, 1);
    layout->addLayout(bottom);
    return page;
}

} // namespace

TextPanel::TextPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_prompt(new QPlainTextEdit)
    , m_run(new QComboBox)
    , m_count(new QSpinBox)
    , m_problem(new QLabel)
    , m_state(new QLabel)
    , m_results(new QTabWidget)
    , m_difference(new QLabel)
    , m_tokens(new TokenView)
    , m_details(new QTextBrowser)
    , m_figures(new QLabel)
{
    m_generate = addAction(tr("&Generate"), u"run"_s, u"Ctrl+Return"_s, tr("Continue the prompt by both models"),
                           [this] { generate(); });
    m_score = addAction(tr("Sc&ore"), u"table"_s, u"Ctrl+Shift+Return"_s,
                        tr("Compare what both models expect at every token of the prompt"), [this] { score(); });
    m_stop = addAction(tr("S&top"), u"cancel"_s, u"Escape"_s, tr("Stop generating or scoring"), [this] { stop(); });
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    auto* parts = new QSplitter(Qt::Vertical);
    parts->setChildrenCollapsible(false);
    parts->addWidget(buildPrompt());
    m_results->setObjectName(u"textResults"_s);
    m_results->setDocumentMode(true);
    m_results->addTab(buildGenerated(), tr("Generated"));
    m_results->addTab(buildScored(), tr("Scored"));
    parts->addWidget(m_results);
    m_results->setCornerWidget(m_state);
    parts->setStretchFactor(1, 1);
    parts->setSizes({9 * fontMetrics().lineSpacing(), 24 * fontMetrics().lineSpacing()});
    layout->addWidget(parts);

    connect(m_run, &QComboBox::activated, this, [this] { setRun(run()); });
    connect(&session, &Session::modelOpened, this, [this] {
        clear();
        refreshRuns();
    });
    connect(&session, &Session::modelClosed, this, [this] {
        clear();
        refreshRuns();
    });
    connect(&session, &Session::measuredChanged, this, [this] {
        if (!m_ownRun && run() != m_session.measuredRun())
            refreshRuns();
    });
    connect(&session.runs(), &RunStore::runsChanged, this, &TextPanel::refreshRuns);
    connect(&m_service, &TextService::activityChanged, this, &TextPanel::showActivity);
    connect(&m_service, &TextService::progressed, m_state, &QLabel::setText);
    connect(&m_service, &TextService::pieceCame, this, &TextPanel::showPiece);
    connect(&m_service, &TextService::generated, this, &TextPanel::showTexts);
    connect(&m_service, &TextService::scored, this, &TextPanel::showScores);
    connect(&m_service, &TextService::failed, this, [this](const Failure& failure) { tell(failure.message); });
    connect(m_tokens, &TokenView::currentChanged, this, &TextPanel::showDetails);
    connect(m_tokens, &TokenView::tokenHovered, this, [this](int token) {
        m_hovered = token;
        showDetails();
    });
    refreshRuns();
}

QAction* TextPanel::addAction(const QString& text, const QString& iconName, const QString& keys, const QString& tip,
                              const std::function<void()>& call)
{
    auto* action = new QAction(icon(iconName), text, this);
    action->setShortcut(QKeySequence(keys));
    action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
    action->setStatusTip(tip);
    action->setToolTip(u"%1 (%2)"_s.arg(tip, action->shortcut().toString(QKeySequence::NativeText)));
    connect(action, &QAction::triggered, this, call);
    QWidget::addAction(action);
    return action;
}

QWidget* TextPanel::buildPrompt()
{
    m_prompt->setObjectName(u"prompt"_s);
    m_prompt->setAccessibleName(tr("Prompt"));
    m_prompt->setPlaceholderText(tr("A text to continue or to score"));
    m_prompt->setTabChangesFocus(true);
    m_prompt->setPlainText(Settings::text(u"text/prompt"_s, tr("Once upon a time")));
    m_run->setObjectName(u"textRun"_s);
    m_run->setAccessibleName(tr("Compressed model"));
    m_run->setToolTip(tr("The compressed model that is compared with the original"));
    m_run->setMinimumContentsLength(16);
    m_run->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_count->setObjectName(u"textTokens"_s);
    m_count->setAccessibleName(tr("Tokens to generate"));
    m_count->setToolTip(tr("Tokens to generate at most"));
    m_count->setRange(1, mostTokens);
    m_count->setSuffix(tr(" tokens"));
    m_count->setValue(Settings::text(u"text/tokens"_s, u"64"_s).toInt());
    m_problem->setObjectName(u"textProblem"_s);
    m_problem->setWordWrap(true);
    m_problem->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_problem->hide();
    m_state->setObjectName(u"textState"_s);

    auto* row = new QHBoxLayout;
    row->addWidget(m_run, 1);
    row->addWidget(m_count);
    row->addWidget(buttonOf(m_generate, u"generate"_s));
    row->addWidget(buttonOf(m_score, u"score"_s));
    row->addWidget(buttonOf(m_stop, u"stopText"_s));
    auto* part = new QWidget;
    auto* column = new QVBoxLayout(part);
    column->setContentsMargins(0, 0, 0, 0);
    m_prompt->setMinimumHeight(3 * fontMetrics().lineSpacing());
    column->addWidget(m_prompt, 1);
    column->addLayout(row);
    column->addWidget(m_problem);
    return part;
}

QWidget* TextPanel::buildGenerated()
{
    auto* sides = new QSplitter;
    sides->setChildrenCollapsible(false);
    const std::array titles{tr("Original"), tr("Compressed model")};
    const std::array names{u"originalText"_s, u"compressedText"_s};
    for (std::size_t side = 0; side < m_columns.size(); ++side) {
        Column& column = m_columns[side];
        column.title = new QLabel(titles[side]);
        column.text = new QPlainTextEdit;
        column.text->setObjectName(names[side]);
        column.text->setAccessibleName(tr("Text of the model: %1").arg(titles[side]));
        column.text->setReadOnly(true);
        column.text->setTabChangesFocus(true);
        column.text->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
        column.figures = new QLabel;
        column.figures->setObjectName(names[side] + u"Figures"_s);
        // Labels wrap instead of asking for room.
        for (QLabel* label : {column.title, column.figures}) {
            label->setWordWrap(true);
            label->setTextInteractionFlags(Qt::TextSelectableByMouse);
        }
        auto* part = new QWidget;
        auto* layout = new QVBoxLayout(part);
        layout->setContentsMargins(0, 4, 0, 0);
        layout->addWidget(column.title);
        layout->addWidget(column.text, 1);
        layout->addWidget(column.figures);
        sides->addWidget(part);
    }
    m_difference->setObjectName(u"textDifference"_s);
    m_difference->setWordWrap(true);
    auto* copy = new QToolButton;
    copy->setObjectName(u"copyTexts"_s);
    copy->setIcon(icon(u"copy"_s));
    copy->setText(tr("Copy"));
    copy->setToolTip(tr("Copy both texts"));
    copy->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    connect(copy, &QToolButton::clicked, this, &TextPanel::copyTexts);
    return pageOf(sides, m_difference, copy);
}

QWidget* TextPanel::buildScored()
{
    m_tokens->setObjectName(u"tokens"_s);
    m_tokens->setEmptyText(tr("Score a text to see where the compressed model expects something else."));
    m_details->setObjectName(u"tokenDetails"_s);
    m_details->setAccessibleName(tr("What both models expected at the token"));
    m_details->setFrameShape(QFrame::NoFrame);
    m_figures->setObjectName(u"scoreFigures"_s);
    m_figures->setWordWrap(true);
    m_figures->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* sides = new QSplitter;
    sides->setChildrenCollapsible(false);
    sides->addWidget(m_tokens);
    sides->addWidget(m_details);
    sides->setStretchFactor(0, 3);
    sides->setStretchFactor(1, 1);
    m_details->setMinimumWidth(fontMetrics().horizontalAdvance(u'0') * 30);
    auto* save = new QToolButton;
    save->setObjectName(u"exportTokens"_s);
    save->setIcon(icon(u"export"_s));
    save->setText(tr("Export"));
    save->setToolTip(tr("Save or copy the tokens as numbers or as a picture"));
    save->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    save->setPopupMode(QToolButton::InstantPopup);
    auto* menu = new QMenu(save);
    menu->addActions(m_tokens->actions());
    save->setMenu(menu);
    return pageOf(sides, m_figures, save);
}

} // namespace rankwright::ui
