#include "tests/ui/window_fixture.h"

#include "core/base/file.h"
#include "tests/ui/watched_application.h"
#include "ui/session/text.h"

#include <QDeadlineTimer>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QMimeData>
#include <QSettings>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

WindowFixture::WindowFixture()
{
    QApplication::setOrganizationName(u"rankwright-tests"_s);
    QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, m_folder.path() + u"/settings"_s);
    show();
}

SessionPlaces WindowFixture::places() const
{
    return {.store = folder() / "data" / "experiments.sqlite", .run = {.cache = folder() / "cache"}};
}

void WindowFixture::show()
{
    m_window = std::make_unique<MainWindow>(places());
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    m_window->activateWindow(); // shortcuts need it, and under Xvfb there is no window manager to do it
    QVERIFY(QTest::qWaitForWindowActive(m_window.get()));
    QVERIFY(waitUntil([this] { return session().runs().store() != nullptr; }));
}

std::unique_ptr<OtherProgram> WindowFixture::startElsewhere(const Recipe& recipe) const
{
    const std::filesystem::path file = folder() / "elsewhere.json";
    writeFileAtomically(file, dumpJson(recipeToJson(recipe)));
    auto other = std::make_unique<OtherProgram>(folder() / "elsewhere");
    const bool started = other->start(
        u"rankwright-cli"_s, {u"compress"_s, u"--recipe"_s, toQString(file), u"--store"_s, toQString(places().store)});
    return started ? std::move(other) : nullptr;
}

void WindowFixture::restart()
{
    m_window->close();
    m_window.reset();
    show();
}

void WindowFixture::drop(const QString& path)
{
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(path)});
    const QPoint at = m_window->rect().center();
    QDragEnterEvent enter(at, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(m_window.get(), &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent drop(at, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(m_window.get(), &drop);
}

void WindowFixture::openModel(const QString& path)
{
    drop(path);
    QVERIFY(waitUntil([this] { return session().document() != nullptr && !session().opening(); }));
}

void WindowFixture::openDemoToCalibrate()
{
    openModel(demoFolder() + u"/stories260K"_s);
    session().recipeState().change([](Recipe& recipe) {
        recipe.method = "whitened-svd";
        recipe.calibration = WindowOptions{
            .text = std::filesystem::path(RANKWRIGHT_DEMO) / "stories-calibration.txt", .length = 64, .count = 8};
    });
    QVERIFY(waitUntil([this] { return session().calibration().state() == CalibrationService::State::Missing; }));
}

bool waitUntil(const std::function<bool()>& done, int seconds)
{
    return QTest::qWaitFor(done, static_cast<int>(seconds * 1000 * sanitizerSlowdown));
}

QString demoFolder()
{
    return QStringLiteral(RANKWRIGHT_DEMO);
}

} // namespace rankwright::ui
