#include "tests/ui/window_fixture.h"
#include "ui/models/linear_tree_model.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// The tree tells views of cells that changed and, for the slider's sake, of little else.
class TestLinearTree : public QObject
{
    Q_OBJECT

private:
    /// Row and column; block -1 for rows that are blocks.
    using Cell = std::tuple<int, int, int>;
    using Contents = std::map<Cell, std::pair<QVariant, QVariant>>;

    Session& session() { return m_fixture->session(); }

    Contents contents() const
    {
        Contents result;
        for (int block = 0; block < m_tree->rowCount(); ++block) {
            const QModelIndex parent = m_tree->index(block, 0);
            for (int column = 0; column < m_tree->columnCount(); ++column) {
                const auto cell = [column](const QModelIndex& index) {
                    return std::pair(index.data(), index.data(LinearTreeModel::BarRole));
                };
                result[{-1, block, column}] = cell(m_tree->index(block, column));
                for (int row = 0; row < m_tree->rowCount(parent); ++row)
                    result[{block, row, column}] = cell(m_tree->index(row, column, parent));
            }
        }
        return result;
    }

    /// Makes a change and checks that each cell that differs was told of. Gives the linears that were told of.
    template <typename Change>
    std::set<std::pair<int, int>> toldBy(const Change& change)
    {
        std::set<Cell> told;
        const auto connection =
            connect(m_tree.get(), &QAbstractItemModel::dataChanged, this,
                    [&told](const QModelIndex& first, const QModelIndex& last) {
                        for (int row = first.row(); row <= last.row(); ++row)
                            for (int column = first.column(); column <= last.column(); ++column)
                                told.insert({first.parent().isValid() ? first.parent().row() : -1, row, column});
                    });
        const Contents before = contents();
        change();
        const Contents after = contents();
        disconnect(connection);
        QStringList missed;
        for (const auto& [cell, value] : after) {
            const auto& [block, row, column] = cell;
            if (value != before.at(cell) && !told.contains(cell))
                missed.append(u"block %1 row %2 column %3"_s.arg(block).arg(row).arg(column));
        }
        if (!missed.isEmpty())
            QTest::qFail(qPrintable(u"nobody is told of "_s + missed.join(u", "_s)), __FILE__, __LINE__);
        if (after == before)
            QTest::qFail("nothing changed", __FILE__, __LINE__);
        std::set<std::pair<int, int>> linears;
        for (const auto& [block, row, column] : told)
            if (block >= 0)
                linears.insert({block, row});
        return linears;
    }

private slots:
    void initTestCase()
    {
        m_fixture = std::make_unique<WindowFixture>();
        m_fixture->openModel(demoFolder() + u"/stories260K"_s);
        m_tree = std::make_unique<LinearTreeModel>(session());
    }

    void cleanupTestCase()
    {
        m_tree.reset();
        m_fixture.reset();
    }

    void lossesThatComeAreTold()
    {
        session().requestPlanLosses();
        const auto linears = static_cast<int>(session().document()->model.linears().size());
        QVERIFY(waitUntil([&] { return session().plan().known() == linears; }));
        m_tree = std::make_unique<LinearTreeModel>(session());
        const auto spectrum = session().spectra().find(session().plan().analysis(), 3);
        toldBy([&] {
            session().plan().setAnalysis(
                {.method = "asvd", .parameters = {}, .calibration = "unknown", .gradients = {}});
        });
        toldBy([&] { session().spectra().insert(session().plan().analysis(), spectrum); });
        toldBy([&] { session().plan().setAnalysis({}); });
    }

    void everyChangeOfThePlanIsTold()
    {
        RankPlan& plan = session().plan();
        for (const double kept : {0.7, 0.6, 0.4, 1.0, 0.8})
            toldBy([&] { plan.setKeptRatio(kept); });
        toldBy([&] { plan.setStructure(StructureKind::BlockIdentity); });
        toldBy([&] { plan.setStructure(StructureKind::Factors); });
        toldBy([&] { plan.setLocked({1, 9}, true); });
        toldBy([&] { plan.undoStack().undo(); });
    }

    void oneRankIsToldAlone()
    {
        const std::set<std::pair<int, int>> told = toldBy([&] { session().plan().setRanks({9}, 3); });
        const auto block = static_cast<int>(session().document()->model.linears()[9].block);
        QCOMPARE(told.size(), std::size_t(1));
        QCOMPARE(told.begin()->first, block);
    }

    void nothingIsToldWhereNothingChanged()
    {
        int signalled = 0;
        const auto connection =
            connect(m_tree.get(), &QAbstractItemModel::dataChanged, this, [&signalled] { ++signalled; });
        emit session().plan().changed();
        emit session().measuredChanged();
        disconnect(connection);
        QCOMPARE(signalled, 0);
    }

private:
    std::unique_ptr<WindowFixture> m_fixture;
    std::unique_ptr<LinearTreeModel> m_tree;
};

QTEST_MAIN(TestLinearTree)
#include "tst_linear_tree.moc"
