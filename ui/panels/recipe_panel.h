#pragma once

#include "ui/session/session.h"

#include <QTimer>
#include <QWidget>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QListWidget;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;

namespace rankwright::ui {

class MethodEditor;
class MoreTextsEditor;
class WindowsEditor;

/// The recipe of the next run: method, calibration text with its windows, sequential mode, evaluation texts, what it
/// needs, and the line that runs it.
class RecipePanel : public QWidget
{
    Q_OBJECT

public:
    explicit RecipePanel(Session& session, QWidget* parent = nullptr);

    void saveRecipe();
    void loadRecipe();
    void loadRecipeFile(const QString& file);
    void copyCommand();

signals:
    void message(const QString& text);

private:
    void build();
    void take();
    void show();
    void refreshCalibration();
    void preview(int window);
    void estimate();
    void addEvaluation();
    void addCalibrationTexts(const QStringList& files);
    void start();

    Session& m_session;
    QLineEdit* m_name;
    MethodEditor* m_method;
    WindowsEditor* m_calibration;
    MoreTextsEditor* m_moreTexts;
    QLabel* m_calibrationState;
    QSpinBox* m_previewWindow;
    QPlainTextEdit* m_preview;
    QCheckBox* m_gradients;
    QComboBox* m_labels;
    QSpinBox* m_labelSeed;
    QPushButton* m_calibrate;
    QComboBox* m_sequential;
    QLineEdit* m_only;
    QSpinBox* m_heldOut;
    WindowsEditor* m_evaluation;
    QListWidget* m_evaluations;
    QLineEdit* m_memory;
    QLabel* m_estimate;
    QLabel* m_problem;
    QPushButton* m_run;
    bool m_showing = false;
    QTimer m_estimateSoon;
    LatestRequest m_estimating;
    Background m_background{1};
};

} // namespace rankwright::ui
