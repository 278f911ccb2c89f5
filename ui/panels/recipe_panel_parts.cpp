// How the recipe panel is put together; what it does is in recipe_panel.cpp.
#include "ui/panels/method_editor.h"
#include "ui/panels/more_texts_editor.h"
#include "ui/panels/recipe_panel.h"
#include "ui/panels/windows_editor.h"
#include "ui/session/text.h"
#include "ui/theme/icons.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QGroupBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QStyle>
#include <QVBoxLayout>

#include <limits>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

QGroupBox* group(const QString& title, QLayout* layout)
{
    auto* box = new QGroupBox(title);
    box->setLayout(layout);
    return box;
}

} // namespace

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
    m_gradients->setObjectName(u"gradients"_s);
    m_gradients->setToolTip(tr("Take gradients of the text too: losses in nats per token, methods and allocations that "
                               "weigh by curvature"));
    m_labels->setObjectName(u"gradientLabels"_s);
    m_labels->setAccessibleName(tr("Labels that gradients are of"));
    m_labels->addItem(tr("sampled labels"), static_cast<int>(GradientLabels::Sampled));
    m_labels->setItemData(0, tr("Drawn from the model itself: the true Fisher"), Qt::ToolTipRole);
    m_labels->addItem(tr("labels of the text"), static_cast<int>(GradientLabels::Text));
    m_labels->setItemData(1, tr("The text's own next tokens: the empirical Fisher"), Qt::ToolTipRole);
    m_labelSeed->setObjectName(u"gradientSeed"_s);
    m_labelSeed->setRange(0, std::numeric_limits<int>::max());
    m_labelSeed->setPrefix(tr("seed "));
    m_labelSeed->setKeyboardTracking(false);
    m_labelSeed->setAccessibleName(tr("Seed of sampled labels"));
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
    calibration->addWidget(m_moreTexts);
    calibration->addWidget(m_calibrationState);
    calibration->addWidget(m_gradients);
    auto* labels = new QHBoxLayout;
    labels->addWidget(m_labels);
    labels->addWidget(m_labelSeed);
    calibration->addLayout(labels);
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

} // namespace rankwright::ui
