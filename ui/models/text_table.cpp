#include "ui/models/text_table.h"

#include "ui/plots/plot_export.h"

#include <QHash>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// One line without the spaces that locales put into numbers, which neither format keeps.
QString oneLine(const QString& text)
{
    return text.simplified();
}

QString latexText(const QString& text)
{
    static const QHash<QChar, QString> escapes{{u'\\', u"\\textbackslash{}"_s},
                                               {u'{', u"\\{"_s},
                                               {u'}', u"\\}"_s},
                                               {u'$', u"\\$"_s},
                                               {u'&', u"\\&"_s},
                                               {u'#', u"\\#"_s},
                                               {u'_', u"\\_"_s},
                                               {u'%', u"\\%"_s},
                                               {u'~', u"\\textasciitilde{}"_s},
                                               {u'^', u"\\textasciicircum{}"_s},
                                               {u'<', u"\\textless{}"_s},
                                               {u'>', u"\\textgreater{}"_s},
                                               {u'|', u"\\textbar{}"_s},
                                               {u'"', u"\\char34{}"_s}};
    QString result;
    for (const QChar character : oneLine(text)) {
        const auto found = escapes.constFind(character);
        result += found == escapes.constEnd() ? QString(character) : *found;
    }
    return result;
}

QString markdownText(const QString& text)
{
    static const QString special = u"\\`*_{}[]<>#|~$&"_s;
    QString result;
    for (const QChar character : oneLine(text)) {
        if (special.contains(character))
            result += u'\\';
        result += character;
    }
    return result;
}

/// Cells of a row, each made by `of`, joined and enclosed.
template <typename Cells, typename Of>
QString line(const Cells& cells, const Of& of, const QString& begin, const QString& between, const QString& end)
{
    QStringList texts;
    for (const auto& cell : cells)
        texts.append(of(cell));
    return begin + texts.join(between) + end;
}

} // namespace

QByteArray toCsv(const TextTable& table)
{
    QVector<CsvCell> cells;
    for (const QString& title : table.titles)
        cells.append(title);
    QByteArray bytes = csvLine(cells);
    for (const auto& row : table.rows) {
        cells.clear();
        for (const TextCell& cell : row)
            cells.append(std::isnan(cell.number) ? CsvCell(cell.text) : CsvCell(cell.number));
        bytes += csvLine(cells);
    }
    return bytes;
}

QByteArray toLatex(const TextTable& table)
{
    QString text = u"\\begin{tabular}{"_s;
    for (const bool number : table.numbers)
        text += number ? u'r' : u'l';
    text += u"}\n\\toprule\n"_s;
    text += line(table.titles, latexText, {}, u" & "_s, u" \\\\\n\\midrule\n"_s);
    for (const auto& row : table.rows)
        text += line(
            row, [](const TextCell& cell) { return latexText(cell.text); }, {}, u" & "_s, u" \\\\\n"_s);
    return (text + u"\\bottomrule\n\\end{tabular}\n"_s).toUtf8();
}

QByteArray toMarkdown(const TextTable& table)
{
    QString text = line(table.titles, markdownText, u"| "_s, u" | "_s, u" |\n"_s);
    text += line(
        table.numbers, [](bool number) { return number ? u"---:"_s : u"---"_s; }, u"| "_s, u" | "_s, u" |\n"_s);
    for (const auto& row : table.rows)
        text += line(
            row, [](const TextCell& cell) { return markdownText(cell.text); }, u"| "_s, u" | "_s, u" |\n"_s);
    return text.toUtf8();
}

QByteArray toText(const TextTable& table, TableFormat format)
{
    switch (format) {
    case TableFormat::Csv:
        return toCsv(table);
    case TableFormat::Latex:
        return toLatex(table);
    case TableFormat::Markdown:
        return toMarkdown(table);
    }
    return {};
}

TextTable runsTable(const RunView& view, const std::vector<int>& rows, const std::vector<RunColumn>& columns)
{
    TextTable table;
    for (const RunColumn column : columns) {
        table.titles.append(runColumnTitle(column));
        table.numbers.append(isNumber(column));
    }
    table.rows.reserve(static_cast<qsizetype>(rows.size()));
    for (const int row : rows) {
        QVector<TextCell> cells;
        cells.reserve(static_cast<qsizetype>(columns.size()));
        for (const RunColumn column : columns)
            cells.append(
                {runText(view.run(row), column, view.query.text), runNumber(view.run(row), column, view.query.text)});
        table.rows.append(std::move(cells));
    }
    return table;
}

} // namespace rankwright::ui
