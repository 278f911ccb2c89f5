#include "tests/ui/window_fixture.h"
#include "ui/panels/error_map_panel.h"
#include "ui/plots/heat_map.h"
#include "ui/session/text.h"

#include <QTabWidget>

using namespace Qt::StringLiterals;
using namespace rankwright;
using namespace rankwright::ui;

/// The window on models whose blocks have other linears than those of Llama.
class TestWindowArchitectures : public QObject
{
    Q_OBJECT

private slots:
    void everyRoleIsShown_data()
    {
        QTest::addColumn<QStringList>("roles");
        const QStringList plain{u"q"_s, u"k"_s, u"v"_s, u"o"_s, u"up"_s, u"down"_s};
        QStringList gated = plain;
        gated.insert(4, u"gate"_s);
        QTest::newRow("opt") << plain;
        QTest::newRow("gpt2") << plain;
        QTest::newRow("qwen3") << gated;
    }

    void everyRoleIsShown()
    {
        QFETCH(QStringList, roles);
        WindowFixture fixture;
        fixture.openModel(QStringLiteral(RANKWRIGHT_TEST_DATA "/models/random/") +
                          QString::fromLatin1(QTest::currentDataTag()));
        Session& session = fixture.session();
        QVERIFY(session.document() != nullptr);
        const Model& model = session.document()->model;
        fixture.window().views()->setCurrentIndex(2);
        const HeatMap* map = fixture.window().errorMapPanel()->map();
        QTRY_COMPARE(map->data().columns, roles);
        QCOMPARE(map->data().values.size(), qsizetype(model.linears().size()));
        for (const LinearInfo& info : model.linears(0)) {
            const int linear = static_cast<int>(info.index);
            session.selection().set({linear});
            QVERIFY(waitUntil([&] { return session.spectra().find({"svd", {}, {}}, linear) != nullptr; }));
            QCOMPARE(roles[linear], toQString(roleName(info.role)));
        }
    }
};

QTEST_MAIN(TestWindowArchitectures)
#include "tst_window_architectures.moc"
