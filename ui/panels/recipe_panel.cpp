#include "ui/panels/recipe_panel.h"

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "ui/models/job_model.h"
#include "ui/models/linear_tree_model.h"
#include "ui/panels/method_editor.h"
#include "ui/panels/windows_editor.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QGroupBox>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRegularExpression>
#include <QScrollArea>
#include <QSpinBox>
#include <QStyle>
#include <QVBoxLayout>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr std::size_t previewTokens = 64;

QGroupBox* group(const QString& title, QLayout* layout)
{
    auto* box = new QGroupBox(title);
    box->setLayout(layout);
    return box;
}

QString evaluationText(const EvaluationText& text)
{
    return RecipePanel::tr("%1, %2 of %3 tokens")
        .arg(toQString(text.windows.text.filename()))
        .arg(text.windows.count == 0 ? RecipePanel::tr("all windows")
                                     : RecipePanel::tr("%1 windows").arg(text.windows.count))
        .arg(text.windows.length);
}

} // namespace

RecipePanel::RecipePanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_name(new QLineEdit)
    , m_method(new MethodEditor)
    , m_calibration(new WindowsEditor(u"calibration"_s, false))
    , m_calibrationState(new QLabel)
    , m_previewWindow(new QSpinBox)
    , m_preview(new QPlainTextEdit)
    , m_calibrate(new QPushButton(icon(u"calibrate"_s), tr("Calibrate")))
    , m_sequential(new QComboBox)
    , m_only(new QLineEdit)
    , m_heldOut(new QSpinBox)
    , m_evaluation(new WindowsEditor(u"evaluation"_s, true))
    , m_evaluations(new QListWidget)
    , m_memory(new QLineEdit)
    , m_estimate(new QLabel)
    , m_problem(new QLabel)
    , m_run(new QPushButton(icon(u"run"_s), tr("Run")))
{
    build();
    m_estimateSoon.setSingleShot(true);
    m_estimateSoon.setInterval(200);
    connect(&m_estimateSoon, &QTimer::timeout, this, &RecipePanel::estimate);
    connect(m_name, &QLineEdit::editingFinished, this, &RecipePanel::take);
    connect(m_only, &QLineEdit::editingFinished, this, &RecipePanel::take);
    connect(m_memory, &QLineEdit::editingFinished, this, &RecipePanel::take);
    connect(m_method, &MethodEditor::edited, this, &RecipePanel::take);
    connect(m_calibration, &WindowsEditor::edited, this, &RecipePanel::take);
    connect(m_sequential, &QComboBox::activated, this, &RecipePanel::take);
    connect(m_heldOut, &QSpinBox::valueChanged, this, &RecipePanel::take);
    connect(m_previewWindow, &QSpinBox::valueChanged, this, &RecipePanel::preview);
    connect(m_calibrate, &QPushButton::clicked, this, [this] { m_problem->setText(m_session.startCalibration()); });
    connect(m_run, &QPushButton::clicked, this, &RecipePanel::start);
    connect(&session, &Session::recipeChanged, this, &RecipePanel::show);
    connect(&session, &Session::modelOpened, this, &RecipePanel::show);
    connect(&session.calibration(), &CalibrationService::changed, this, &RecipePanel::refreshCalibration);
    show();
    refreshCalibration();
}

void RecipePanel::build()
{
    m_name->setPlaceholderText(tr("name of the run (optional)"));
    m_name->setAccessibleName(tr("Name of the run"));
    m_calibrationState->setWordWrap(true);
    m_calibrationState->setObjectName(u"calibrationState"_s);
    m_preview->setReadOnly(true);
    m_preview->setObjectName(u"windowPreview"_s);
    m_preview->setAccessibleName(tr("Text of a token window"));
    m_preview->setMaximumHeight(fontMetrics().lineSpacing() * 5);
    m_preview->setFrameShape(QFrame::StyledPanel);
    m_previewWindow->setPrefix(tr("window "));
    m_previewWindow->setAccessibleName(tr("Window that is shown"));
    m_run->setObjectName(u"run"_s);
    m_calibrate->setObjectName(u"calibrate"_s);
    for (const SequentialMode mode : sequentialModes)
        m_sequential->addItem(toQString(sequentialModeName(mode)), static_cast<int>(mode));
    m_sequential->setAccessibleName(tr("Statistics"));
    m_sequential->setToolTip(tr("dense: inputs of the original model; compressed: of the compressed blocks before; "
                                "anchored: compressed inputs, outputs of the original"));
    m_only->setPlaceholderText(tr("all, or: down, *.layers.0.*"));
    m_only->setAccessibleName(tr("Only these linears"));
    m_heldOut->setRange(0, 1 << 16);
    m_heldOut->setSuffix(tr(" windows"));
    m_heldOut->setAccessibleName(tr("Held-out windows"));
    m_heldOut->setToolTip(tr("Windows after those of the calibration, for the output error of every linear"));
    m_memory->setPlaceholderText(tr("three quarters of the machine"));
    m_memory->setAccessibleName(tr("Memory limit"));
    m_evaluations->setMaximumHeight(fontMetrics().lineSpacing() * 4);
    m_evaluations->setAccessibleName(tr("Texts that the run is evaluated on"));
    m_estimate->setWordWrap(true);
    m_estimate->setObjectName(u"estimate"_s);
    m_problem->setWordWrap(true);
    m_problem->setObjectName(u"recipeProblem"_s);

    auto* calibration = new QVBoxLayout;
    calibration->addWidget(m_calibration);
    calibration->addWidget(m_calibrationState);
    auto* shown = new QHBoxLayout;
    shown->addWidget(m_previewWindow);
    shown->addStretch();
    shown->addWidget(m_calibrate);
    calibration->addLayout(shown);
    calibration->addWidget(m_preview);

    auto* how = new QFormLayout;
    how->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    how->addRow(tr("&Statistics"), m_sequential);
    how->addRow(tr("&Only"), m_only);
    how->addRow(tr("&Held out"), m_heldOut);
    how->addRow(tr("&Memory"), m_memory);

    auto* evaluation = new QVBoxLayout;
    auto* add = new QPushButton(tr("Add text"));
    add->setObjectName(u"addEvaluation"_s);
    auto* remove = new QPushButton(tr("Remove"));
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(add);
    buttons->addWidget(remove);
    evaluation->addWidget(m_evaluations);
    evaluation->addWidget(m_evaluation);
    evaluation->addLayout(buttons);
    connect(add, &QPushButton::clicked, this, &RecipePanel::addEvaluation);
    connect(remove, &QPushButton::clicked, this, [this] {
        const int row = m_evaluations->currentRow();
        m_session.recipeState().change([row](Recipe& recipe) {
            if (row >= 0 && row < std::ssize(recipe.evaluations))
                recipe.evaluations.erase(recipe.evaluations.begin() + row);
        });
    });

    auto* content = new QWidget;
    auto* column = new QVBoxLayout(content);
    column->setContentsMargins(6, 6, 6, 6);
    column->addWidget(m_name);
    auto* method = new QVBoxLayout;
    method->addWidget(m_method);
    column->addWidget(group(tr("Method"), method));
    column->addWidget(group(tr("Calibration text"), calibration));
    column->addWidget(group(tr("How"), how));
    column->addWidget(group(tr("Evaluation"), evaluation));
    column->addStretch();
    auto* scroll = new QScrollArea;
    scroll->setWidget(content);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setMinimumWidth(content->minimumSizeHint().width() + style()->pixelMetric(QStyle::PM_ScrollBarExtent) + 8);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 6);
    layout->addWidget(scroll, 1);
    auto* bottom = new QVBoxLayout;
    bottom->setContentsMargins(8, 0, 8, 0);
    bottom->addWidget(m_problem);
    bottom->addWidget(m_estimate);
    auto* last = new QHBoxLayout;
    auto* copy = new QPushButton(icon(u"copy"_s), tr("Copy as command"));
    copy->setObjectName(u"copyCommand"_s);
    connect(copy, &QPushButton::clicked, this, &RecipePanel::copyCommand);
    last->addWidget(m_run);
    last->addWidget(copy);
    bottom->addLayout(last);
    layout->addLayout(bottom);
}

void RecipePanel::take()
{
    if (m_showing)
        return;
    m_problem->clear();
    m_session.recipeState().change([this](Recipe& recipe) {
        recipe.name = m_name->text().trimmed().toStdString();
        recipe.method = m_method->method();
        recipe.parameters = m_method->parameters();
        recipe.calibration = m_calibration->options();
        recipe.sequential = static_cast<SequentialMode>(m_sequential->currentData().toInt());
        recipe.heldOutWindows = static_cast<std::size_t>(m_heldOut->value());
        recipe.only.clear();
        for (const QString& pattern : m_only->text().split(QRegularExpression(u"[ ,]+"_s), Qt::SkipEmptyParts))
            recipe.only.push_back(pattern.toStdString());
        const QString memory = m_memory->text().trimmed();
        try {
            recipe.memoryLimit = memory.isEmpty() ? 0 : parseBytes(memory.toStdString());
        } catch (const Error& error) {
            m_problem->setText(toQString(error.what()));
        }
    });
}

void RecipePanel::show()
{
    m_showing = true;
    const Recipe& recipe = m_session.recipeState().recipe();
    if (!m_name->hasFocus())
        m_name->setText(toQString(recipe.name));
    m_method->set(recipe.method, recipe.parameters);
    if (!sameWindows(m_calibration->options(), recipe.calibration))
        m_calibration->setOptions(recipe.calibration);
    m_sequential->setCurrentIndex(m_sequential->findData(static_cast<int>(recipe.sequential)));
    m_heldOut->setValue(static_cast<int>(recipe.heldOutWindows));
    QStringList only;
    for (const std::string& pattern : recipe.only)
        only.append(toQString(pattern));
    if (!m_only->hasFocus())
        m_only->setText(only.join(u' '));
    if (!m_memory->hasFocus())
        m_memory->setText(recipe.memoryLimit > 0 ? toQString(formatBytes(recipe.memoryLimit)) : QString());
    QStringList texts;
    for (const EvaluationText& text : recipe.evaluations)
        texts.append(evaluationText(text));
    QStringList shown;
    for (int row = 0; row < m_evaluations->count(); ++row)
        shown.append(m_evaluations->item(row)->text());
    if (texts != shown) {
        m_evaluations->clear();
        m_evaluations->addItems(texts);
    }
    m_showing = false;
    m_run->setEnabled(m_session.document() != nullptr);
    m_estimateSoon.start();
}

void RecipePanel::refreshCalibration()
{
    const CalibrationService& calibration = m_session.calibration();
    const auto windows = calibration.windows();
    m_calibrate->setEnabled(calibration.state() == CalibrationService::State::Missing);
    m_previewWindow->setEnabled(windows != nullptr);
    switch (calibration.state()) {
    case CalibrationService::State::None:
        m_calibrationState->setText(tr("Needed by methods that look at activations. Drop a text here."));
        break;
    case CalibrationService::State::Reading:
        m_calibrationState->setText(tr("reading the text ..."));
        break;
    case CalibrationService::State::Missing:
        m_calibrationState->setText(tr("%1 windows of %2 tokens; statistics are not computed yet")
                                        .arg(windows->ids.size())
                                        .arg(windows->ids.front().size()));
        break;
    case CalibrationService::State::Ready:
        m_calibrationState->setText(tr("%1 windows of %2 tokens; statistics are there")
                                        .arg(windows->ids.size())
                                        .arg(windows->ids.front().size()));
        break;
    case CalibrationService::State::Failed:
        m_calibrationState->setText(calibration.failure().message);
        break;
    }
    if (windows) {
        m_previewWindow->setRange(1, static_cast<int>(windows->ids.size()));
        preview(m_previewWindow->value());
    } else {
        m_preview->clear();
    }
}

void RecipePanel::preview(int window)
{
    m_session.calibration().previewWindow(static_cast<std::size_t>(std::max(window, 1) - 1), previewTokens, this,
                                          [this](const QString& text) { m_preview->setPlainText(text + u" ..."_s); });
}

void RecipePanel::estimate()
{
    const DocumentPtr document = m_session.document();
    if (!document) {
        m_estimate->clear();
        return;
    }
    m_background.run(
        this, m_estimating.next(),
        [document, recipe = m_session.recipe()] { return estimateRun(recipe, document->model); },
        [this](const Outcome<RunEstimate>& estimate) {
            m_estimate->setText(estimate ? tr("needs about %1, %2 of memory, %3 on disk")
                                               .arg(durationText(estimate->seconds))
                                               .arg(toQString(formatBytes(estimate->memory)))
                                               .arg(toQString(formatBytes(estimate->disk)))
                                         : estimate.failure.message);
        });
}

void RecipePanel::addEvaluation()
{
    const auto windows = m_evaluation->options();
    if (!windows) {
        m_problem->setText(tr("Choose a text to evaluate on first."));
        return;
    }
    m_problem->clear();
    m_session.recipeState().change([&](Recipe& recipe) { recipe.evaluations.push_back({{}, *windows}); });
}

void RecipePanel::start()
{
    take();
    const QString wrong = m_session.startRun();
    m_problem->setText(wrong);
}

void RecipePanel::copyCommand()
{
    QApplication::clipboard()->setText(toQString(recipeToCommand(m_session.recipe())));
    emit message(tr("The command is on the clipboard."));
}

void RecipePanel::saveRecipe()
{
    auto* dialog = new QFileDialog(this, tr("Save recipe"), {}, tr("Recipes (*.json)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(u"json"_s);
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& file) {
        try {
            writeFileAtomically(toPath(file), dumpJson(recipeToJson(m_session.recipe()), 2) + "\n");
            emit message(tr("Saved %1").arg(file));
        } catch (...) {
            emit m_session.problem(currentFailure());
        }
    });
    dialog->open();
}

void RecipePanel::loadRecipe()
{
    auto* dialog = new QFileDialog(this, tr("Load recipe"), {}, tr("Recipes (*.json)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    connect(dialog, &QFileDialog::fileSelected, this, &RecipePanel::loadRecipeFile);
    dialog->open();
}

void RecipePanel::loadRecipeFile(const QString& file)
{
    try {
        const std::filesystem::path path = toPath(file);
        constexpr std::size_t most = 4U << 20U;
        const Recipe recipe = recipeFromJson(readJson(path, most), std::filesystem::absolute(path).parent_path());
        if (!m_session.document()) {
            m_session.openWithRecipe(recipe);
            return;
        }
        m_session.setRecipe(recipe);
        emit message(tr("Recipe taken from %1").arg(file));
    } catch (...) {
        Failure failure = currentFailure();
        failure.message = tr("%1 is not taken as a recipe: %2").arg(file, failure.message);
        emit m_session.problem(failure);
    }
}

} // namespace rankwright::ui
