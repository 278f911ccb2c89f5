#pragma once

#include "ui/session/session.h"

#include <QAbstractItemModel>

#include <vector>

namespace rankwright::ui {

/// Blocks of the open model with their linears: shape, type, cost and losses of the plan and of the run shown.
class LinearTreeModel : public QAbstractItemModel
{
    Q_OBJECT

public:
    enum Column { Name, Shape, Type, Parameters, Rank, Kept, Predicted, Measured, ColumnCount };
    enum Role {
        LinearRole = Qt::UserRole, ///< position in Model::linears(); -1 for a block
        BarRole,                   ///< 0 to 1: the cell as a bar; invalid for none
        SortRole,                  ///< the number behind the text
        FilterTextRole
    };

    explicit LinearTreeModel(Session& session, QObject* parent = nullptr);

    QModelIndex indexOfLinear(int linear, int column = 0) const;

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& child) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    /// What the plan and the run shown say of a linear.
    struct Figures
    {
        std::size_t rank = 0;
        StructureKind structure = StructureKind::Dense;
        bool locked = false;
        double predicted = 0.0; ///< NaN where it is not known
        double measured = 0.0;  ///< likewise
    };

    void reset();
    /// Tells views of the cells that differ from what they were told last.
    void refresh();
    Figures figures(int linear) const;
    QVariant blockData(int block, int column, int role) const;
    QVariant linearData(int linear, int column, int role) const;
    QVariant number(double value, int role, const QString& text) const;

    Session& m_session;
    DocumentPtr m_document;
    std::vector<std::vector<int>> m_blocks; ///< linears of each block
    std::vector<Figures> m_told;            ///< by linear
};

/// "12 345 678" with the separators of the locale.
QString groupedNumber(std::size_t value);
/// "79.3 %"; empty for NaN.
QString percentText(double ratio, int decimals = 1);
/// "0.0123"; empty for NaN.
QString lossText(double loss);
/// "q_proj" of "model.layers.0.self_attn.q_proj".
QString shortName(const std::string& linear);

} // namespace rankwright::ui
