#include "tests/architecture/source_rules.h"

#include <QRegularExpression>

using namespace Qt::StringLiterals;

namespace rankwright::rules {
namespace {

struct Include
{
    int line;
    bool quoted;
    QString target;
};

QList<Include> includesOf(const QString& content)
{
    static const QRegularExpression pattern(uR"(^\s*#\s*include\s*([<"])([^>"]+)[>"])"_s);
    QList<Include> includes;
    int number = 0;
    for (const QString& line : content.split(u'\n')) {
        ++number;
        const auto match = pattern.match(line);
        if (match.hasMatch())
            includes.append({number, match.captured(1) == u"\""_s, match.captured(2)});
    }
    return includes;
}

QString violation(const QString& path, int line, const QString& what)
{
    return u"%1:%2: %3"_s.arg(path).arg(line).arg(what);
}

/// The folders that files of this path may include from; empty when the path belongs to no folder with rules.
QStringList allowedFolders(const QString& path)
{
    const QStringList parts = path.split(u'/');
    const QString& top = parts.first();
    if (top == u"core"_s && parts.size() > 2) {
        QStringList allowed;
        for (const QString& folder : coreFolders()) {
            allowed.append(u"core/"_s + folder + u'/');
            if (folder == parts.at(1))
                return allowed;
        }
        return {u"(core/%1 is not in the order of dependence)"_s.arg(parts.at(1))};
    }
    if (top == u"gpu"_s)
        return {u"gpu/"_s, u"core/base/"_s, u"core/tensor/"_s, u"core/compute/"_s};
    if (top == u"ui"_s)
        return {u"ui/"_s, u"core/"_s};
    if (top == u"app"_s)
        return {u"app/"_s, u"ui/"_s, u"core/"_s};
    return {};
}

bool startsWithAny(const QString& text, const QStringList& prefixes)
{
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const QString& prefix) { return text.startsWith(prefix); });
}

} // namespace

const QStringList& coreFolders()
{
    static const QStringList folders{u"base"_s,          u"tensor"_s,     u"compute"_s,  u"structure"_s,
                                     u"checkpoint"_s,    u"tokenizer"_s,  u"model"_s,    u"calibration"_s,
                                     u"decomposition"_s, u"allocation"_s, u"training"_s, u"evaluation"_s,
                                     u"export"_s,        u"experiment"_s};
    return folders;
}

QStringList includeViolations(const QString& path, const QString& content)
{
    static const QRegularExpression qtHeader(u"^(Q[A-Z]|Qt|qt|q[a-z]+\\.h$)"_s);
    const QStringList allowed = allowedFolders(path);
    if (allowed.isEmpty())
        return {};
    const bool knowsQt = path.startsWith(u"ui/"_s) || path.startsWith(u"app/"_s);
    QStringList violations;
    for (const Include& include : includesOf(content)) {
        const bool ours = startsWithAny(include.target, {u"core/"_s, u"gpu/"_s, u"ui/"_s, u"app/"_s, u"tests/"_s});
        if (ours && !startsWithAny(include.target, allowed))
            violations.append(violation(path, include.line, u"may not include "_s + include.target));
        else if (!ours && include.quoted && !include.target.endsWith(u".moc"_s))
            violations.append(violation(path, include.line, u"include from the repository root: "_s + include.target));
        else if (!knowsQt && qtHeader.match(include.target).hasMatch())
            violations.append(violation(path, include.line, u"may not know Qt: "_s + include.target));
    }
    return violations;
}

QStringList headerViolations(const QString& path, const QString& content)
{
    if (!path.endsWith(u".h"_s) && !path.endsWith(u".cuh"_s))
        return {};
    static const QRegularExpression once(u"^#pragma once$"_s, QRegularExpression::MultilineOption);
    QStringList violations;
    if (!once.match(content).hasMatch())
        violations.append(violation(path, 1, u"no #pragma once"_s));
    if (!path.startsWith(u"core/"_s))
        return violations;
    for (const Include& include : includesOf(content)) {
        if (startsWithAny(include.target, {u"unicode/"_s, u"SQLiteCpp/"_s, u"sqlite3"_s, u"spdlog/"_s, u"lapacke"_s,
                                           u"cblas"_s, u"sentencepiece"_s}))
            violations.append(violation(path, include.line, u"belongs in a .cpp file: "_s + include.target));
    }
    return violations;
}

QStringList pathViolations(const QString& path, const QString& content)
{
    static const QRegularExpression machinePath(uR"((?<![\w.)}\]>*~/-])/(home|work|root|Users)/)"_s);
    QStringList violations;
    int number = 0;
    for (const QString& line : content.split(u'\n')) {
        ++number;
        const auto match = machinePath.match(line);
        if (match.hasMatch())
            violations.append(violation(path, number, u"a path of one machine: "_s + match.captured(0)));
    }
    return violations;
}

QStringList hostViolations(const QString& path, const QString& content)
{
    static const QRegularExpression registry(
        uR"(\b(pypi\.org|pythonhosted\.org|(deb|ftp|security|snapshot)\.debian\.org|anaconda\.org|npmjs\.(org|com)|crates\.io|docker\.(io|com)|ghcr\.io)\b)"_s);
    QStringList violations;
    int number = 0;
    for (const QString& line : content.split(u'\n')) {
        ++number;
        const auto match = registry.match(line);
        if (match.hasMatch())
            violations.append(violation(path, number, u"names a package registry: "_s + match.captured(0)));
    }
    return violations;
}

QStringList lengthViolations(const QString& path, const QString& content)
{
    const qsizetype lines = content.count(u'\n');
    const qsizetype limit = path.startsWith(u"tests/"_s) ? 900 : 600;
    return lines > limit ? QStringList{violation(path, 1, u"%1 lines, the limit is %2"_s.arg(lines).arg(limit))}
                         : QStringList{};
}

} // namespace rankwright::rules
