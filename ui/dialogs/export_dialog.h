#pragma once

#include "ui/session/session.h"

#include <QDialog>

#include <optional>

class QComboBox;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QRadioButton;

namespace rankwright::ui {

/// Writes a finished run as a Hugging Face folder: what each format saves and who can load it, and afterwards what was
/// written and how well it reads back.
class ExportDialog : public QDialog
{
    Q_OBJECT

public:
    ExportDialog(Session& session, std::int64_t run, QWidget* parent = nullptr);

    ExportFormat format() const;
    DType dtype() const;
    /// Queues the job. What is wrong is told in the dialog, and nothing is queued.
    void start();
    /// The job of the last start; 0 for none.
    int job() const { return m_job; }

private:
    void take(Outcome<RunRecord> outcome);
    void chooseFolder();
    void refreshSizes();
    void refreshJob();
    void showResult(const Job& job);
    void setEditable(bool editable);
    void fit();

    Session& m_session;
    std::int64_t m_run;
    std::optional<RunRecord> m_record;
    int m_job = 0;
    QString m_written; ///< folder of the last export that ended well
    QLabel* m_title;
    QRadioButton* m_factored;
    QRadioButton* m_dense;
    QLabel* m_factoredSize;
    QLabel* m_denseSize;
    QComboBox* m_dtype;
    QLineEdit* m_folder;
    QPushButton* m_choose;
    QProgressBar* m_progress;
    QLabel* m_result;
    QPushButton* m_start;
    QPushButton* m_cancel;
    QPushButton* m_open;
};

} // namespace rankwright::ui
