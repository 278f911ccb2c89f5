#include "ui/panels/recipe_panel.h"

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "ui/models/job_model.h"
#include "ui/models/linear_tree_model.h"
#include "ui/panels/method_editor.h"
#include "ui/panels/more_texts_editor.h"
#include "ui/panels/windows_editor.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QFileDialog>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QRegularExpression>
#include <QSpinBox>

#include <algorithm>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

constexpr std::size_t previewTokens = 64;

/// Leaves what is being typed, and what is there already: a field that takes a value is painted again with all that is
/// behind it.
void write(QLineEdit* line, const QString& text)
{
    if (!line->hasFocus() && line->text() != text)
        line->setText(text);
}

void write(QSpinBox* box, int value)
{
    if (box->value() != value)
        box->setValue(value);
}

/// Puts the first calibration text into a recipe. Texts that were cut into windows as it was are cut as it is now:
/// those of a mixture must be alike.
void takeCalibration(const std::optional<WindowOptions>& first, Recipe& recipe)
{
    for (WeightedText& more : recipe.moreCalibrations) {
        WindowOptions as = recipe.calibration.value_or(WindowOptions());
        as.text = more.windows.text;
        if (!first || !sameWindows(more.windows, as))
            continue;
        more.windows = *first;
        more.windows.text = as.text;
    }
    recipe.calibration = first;
}

/// What is calibrated on, where the windows are known.
QString windowsText(const CalibrationService& calibration)
{
    const auto& ids = calibration.windows()->ids;
    const QString first = RecipePanel::tr("%1 windows of %2 tokens").arg(ids.size()).arg(ids.front().size());
    return calibration.moreTexts() == 0
               ? first
               : RecipePanel::tr("%1, mixed with %2 more").arg(first).arg(calibration.moreTexts());
}

QString evaluationText(const EvaluationText& text)
{
    return RecipePanel::tr("%1, %2 of %3 tokens")
        .arg(toQString(text.windows.text.filename()))
        .arg(text.windows.count == 0 ? RecipePanel::tr("all windows")
                                     : RecipePanel::tr("%1 windows").arg(text.windows.count))
        .arg(text.windows.length);
}

QString estimateText(const Recipe& recipe, const Document& document)
{
    const RunEstimate estimate = estimateRun(recipe, document.model);
    QString text = RecipePanel::tr("needs about %1, %2 of memory, %3 on disk")
                       .arg(durationText(estimate.seconds), toQString(formatBytes(estimate.memory)),
                            toQString(formatBytes(estimate.disk)));
    if (!takesGradients(recipe))
        return text;
    const auto seconds = std::ranges::find(estimate.stageSeconds, "curvature", &std::pair<std::string, double>::first);
    const CurvatureEstimate gradients = estimateCurvature(
        document.model, recipe.calibration->count, recipe.calibration->length, curvatureOptions(recipe).weightMoments);
    if (seconds != estimate.stageSeconds.end())
        text += RecipePanel::tr("; of it gradients %1, at least %2 of memory")
                    .arg(durationText(seconds->second), toQString(formatBytes(gradients.memory)));
    return text;
}

} // namespace

RecipePanel::RecipePanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_name(new QLineEdit)
    , m_method(new MethodEditor)
    , m_calibration(new WindowsEditor(u"calibration"_s, false))
    , m_moreTexts(new MoreTextsEditor)
    , m_calibrationState(new QLabel)
    , m_previewWindow(new QSpinBox)
    , m_preview(new QPlainTextEdit)
    , m_gradients(new QCheckBox(tr("gradients (curvature)")))
    , m_labels(new QComboBox)
    , m_labelSeed(new QSpinBox)
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
    connect(m_moreTexts, &MoreTextsEditor::added, this, &RecipePanel::addCalibrationTexts);
    connect(m_moreTexts, &MoreTextsEditor::edited, this, [this] {
        m_session.recipeState().change([this](Recipe& recipe) { recipe.moreCalibrations = m_moreTexts->texts(); });
    });
    connect(m_gradients, &QCheckBox::clicked, this, &RecipePanel::take);
    connect(m_labels, &QComboBox::activated, this, &RecipePanel::take);
    connect(m_labelSeed, &QSpinBox::valueChanged, this, &RecipePanel::take);
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

void RecipePanel::take()
{
    if (m_showing)
        return;
    m_problem->clear();
    m_session.recipeState().change([this](Recipe& recipe) {
        recipe.name = m_name->text().trimmed().toStdString();
        recipe.method = m_method->method();
        recipe.parameters = m_method->parameters();
        takeCalibration(m_calibration->options(), recipe);
        if (m_gradients->isEnabled())
            recipe.forecast = m_gradients->isChecked();
        recipe.curvature = {.labels = static_cast<GradientLabels>(m_labels->currentData().toInt()),
                            .seed = static_cast<std::uint64_t>(m_labelSeed->value())};
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
    write(m_name, toQString(recipe.name));
    m_method->set(recipe.method, recipe.parameters);
    if (!sameWindows(m_calibration->options(), recipe.calibration))
        m_calibration->setOptions(recipe.calibration);
    m_moreTexts->setTexts(recipe.moreCalibrations);
    m_moreTexts->setEnabled(recipe.calibration.has_value() || !recipe.moreCalibrations.empty());
    const bool wanted = m_session.wantsGradients();
    m_gradients->setChecked(wanted);
    // Where method or allocation need them there is nothing to choose.
    m_gradients->setEnabled(recipe.forecast || !wanted);
    m_labels->setCurrentIndex(m_labels->findData(static_cast<int>(recipe.curvature.labels)));
    m_labels->setEnabled(wanted);
    write(m_labelSeed, static_cast<int>(recipe.curvature.seed));
    m_labelSeed->setEnabled(wanted && recipe.curvature.labels == GradientLabels::Sampled);
    m_sequential->setCurrentIndex(m_sequential->findData(static_cast<int>(recipe.sequential)));
    write(m_heldOut, static_cast<int>(recipe.heldOutWindows));
    QStringList only;
    for (const std::string& pattern : recipe.only)
        only.append(toQString(pattern));
    write(m_only, only.join(u' '));
    write(m_memory, recipe.memoryLimit > 0 ? toQString(formatBytes(recipe.memoryLimit)) : QString());
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

void RecipePanel::addCalibrationTexts(const QStringList& files)
{
    m_session.recipeState().change([&files](Recipe& recipe) {
        if (!recipe.calibration)
            return;
        for (const QString& file : files) {
            WeightedText& added = recipe.moreCalibrations.emplace_back(WeightedText{.windows = *recipe.calibration});
            added.windows.text = toPath(file);
        }
    });
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
        m_calibrationState->setText(
            (calibration.set() ? tr("%1; gradients are not computed yet") : tr("%1; statistics are not computed yet"))
                .arg(windowsText(calibration)));
        break;
    case CalibrationService::State::Ready:
        m_calibrationState->setText(
            (calibration.gradients() ? tr("%1; statistics and gradients are there") : tr("%1; statistics are there"))
                .arg(windowsText(calibration)));
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
        this, m_estimating.next(), [document, recipe = m_session.recipe()] { return estimateText(recipe, *document); },
        [this](const Outcome<QString>& text) { m_estimate->setText(text ? *text : text.failure.message); });
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
