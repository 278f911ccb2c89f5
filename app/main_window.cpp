#include "ui/main_window.h"
#include "core/base/version.h"
#include "core/compute/blas_check.h"
#include "core/compute/device.h"
#include "ui/session/settings.h"
#include "ui/session/text.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QCommandLineParser>

#include <cstdio>

using namespace Qt::StringLiterals;

int main(int argc, char** argv)
{
    using namespace rankwright;
    try {
        ensureCorrectBlas(argv);
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "error: %s\n", exception.what());
        return 1;
    }
    // Jobs and analyses of the window share the processors: each starts its own threads, BLAS none.
    const BlasThreads oneThread(1);

    QApplication application(argc, argv);
    QApplication::setApplicationName(u"rankwright"_s);
    QApplication::setOrganizationName(u"rankwright"_s);
    QApplication::setApplicationDisplayName(u"Rankwright"_s);
    QApplication::setApplicationVersion(ui::toQString(version()));
    QApplication::setDesktopFileName(u"io.github.rankwright.Rankwright"_s);

    QCommandLineParser parser;
    parser.setApplicationDescription(
        QApplication::translate("main", "Low-rank compression workbench for language models"));
    parser.addHelpOption();
    parser.addVersionOption();
    const QCommandLineOption store(u"store"_s, QApplication::translate("main", "Store of experiments"), u"FILE"_s);
    parser.addOption(store);
    parser.addPositionalArgument(
        u"MODEL"_s, QApplication::translate("main", "Folder, .safetensors or .gguf file, or recipe"), u"[MODEL]"_s);
    parser.process(application);

    ui::applyAppearance(application,
                        static_cast<ui::Appearance>(ui::Settings::text(u"window/appearance"_s, u"0"_s).toInt()));
    ui::SessionPlaces places;
    try {
        places = ui::defaultSessionPlaces();
        if (parser.isSet(store))
            places.store = std::filesystem::absolute(ui::toPath(parser.value(store)));
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "error: %s\n", exception.what());
        return 1;
    }
    ui::MainWindow window(std::move(places));
    window.show();
    if (parser.positionalArguments().isEmpty())
        window.restoreSession();
    else
        window.openPath(parser.positionalArguments().front());
    return QApplication::exec();
}
