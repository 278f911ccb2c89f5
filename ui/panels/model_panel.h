#pragma once

#include "ui/session/session.h"

#include <QModelIndexList>
#include <QWidget>

class QLineEdit;
class QMenu;
class QTreeView;

namespace rankwright::ui {

class LinearFilterModel;
class LinearTreeModel;

/// The tree of blocks and linears with its filter; what is selected here is selected everywhere.
class ModelPanel : public QWidget
{
    Q_OBJECT

public:
    explicit ModelPanel(Session& session, QWidget* parent = nullptr);

    QLineEdit* filter() const { return m_filter; }
    QTreeView* tree() const { return m_tree; }
    /// At which all columns up to the predicted loss are seen.
    int widthOfColumns() const;

private:
    void takeSelection();
    void showSelection();
    void showMenu(const QPoint& position);
    void selectRole(bool sameRole, bool sameBlock);
    std::vector<int> linearsOf(const QModelIndexList& rows) const;

    Session& m_session;
    LinearTreeModel* m_model;
    LinearFilterModel* m_proxy;
    QLineEdit* m_filter;
    QTreeView* m_tree;
    bool m_syncing = false;
};

} // namespace rankwright::ui
