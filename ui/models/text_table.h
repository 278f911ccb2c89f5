#pragma once

#include "ui/models/run_query.h"

#include <QByteArray>
#include <QStringList>
#include <QVector>

#include <cmath>
#include <limits>

namespace rankwright::ui {

/// A cell as it is read, with the number behind it where there is one.
struct TextCell
{
    QString text;
    double number = std::numeric_limits<double>::quiet_NaN();
};

/// A table on its way to a file or the clipboard.
struct TextTable
{
    QStringList titles;
    QVector<bool> numbers; ///< columns of numbers, set to the right
    QVector<QVector<TextCell>> rows;
};

enum class TableFormat { Csv, Latex, Markdown };

/// RFC 4180 with a line of titles; numbers with 17 digits, so that they read back exactly.
QByteArray toCsv(const TextTable& table);
/// A tabular with the rules of the package booktabs; every special character is escaped.
QByteArray toLatex(const TextTable& table);
/// A table of GitHub's Markdown; what would be markup is escaped.
QByteArray toMarkdown(const TextTable& table);
QByteArray toText(const TextTable& table, TableFormat format);

/// Runs of a view by their rows there, with the given columns in their order.
TextTable runsTable(const RunView& view, const std::vector<int>& rows, const std::vector<RunColumn>& columns);

} // namespace rankwright::ui
