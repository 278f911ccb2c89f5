#include "ui/panels/token_details.h"

#include "ui/models/linear_tree_model.h"
#include "ui/plots/plot_export.h"

#include <QCoreApplication>
#include <QLocale>

#include <cmath>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

struct TokenDetailTexts
{
    Q_DECLARE_TR_FUNCTIONS(TokenDetailTexts)
};

/// White space made visible.
QString quoted(const QString& text)
{
    QString shown = text;
    shown.replace(u' ', QChar(0x2423)).replace(u'\n', QChar(0x21b5)).replace(u'\t', QChar(0x2192));
    return shown;
}

QString probability(double value)
{
    return value >= 1e-4 ? QLocale().toString(100.0 * value, 'f', value >= 0.1 ? 1 : 2) + u" %"_s
                         : QLocale().toString(100.0 * value, 'g', 2) + u" %"_s;
}

QString number(double value)
{
    return QLocale().toString(value, 'f', 4);
}

QString row(const QString& name, const QString& value)
{
    return u"<tr><td style='padding-right:10px'>%1</td><td>%2</td></tr>"_s.arg(name.toHtmlEscaped(),
                                                                               value.toHtmlEscaped());
}

QString cell(const QString& text, bool strong)
{
    const QString escaped = text.toHtmlEscaped();
    return u"<td style='padding-right:10px'>%1</td>"_s.arg(strong ? u"<b>%1</b>"_s.arg(escaped) : escaped);
}

} // namespace

QByteArray tokenTable(const ScoredText& text)
{
    QVector<CsvCell> header{
        u"position"_s, u"token"_s,        u"text"_s, u"original log probability"_s, u"compressed log probability"_s,
        u"change"_s,   u"KL divergence"_s};
    for (const QString& side : {u"original"_s, u"compressed"_s})
        for (std::size_t place = 1; place <= topTokens; ++place)
            header << u"%1 top %2"_s.arg(side).arg(place) << u"%1 top %2 probability"_s.arg(side).arg(place);
    QByteArray table = csvLine(header);
    const TokenComparison& comparison = text.comparison;
    for (std::size_t token = 0; token < text.size(); ++token) {
        QVector<CsvCell> cells{static_cast<qint64>(token), static_cast<qint64>(comparison.tokens[token]),
                               text.pieces[token]};
        if (token > 0) {
            const std::size_t before = token - 1;
            cells << comparison.originalLogProbability[token] << comparison.otherLogProbability[token]
                  << text.change(token) << comparison.divergence[before];
            for (const auto* top : {&comparison.originalTop[before], &comparison.otherTop[before]}) {
                for (std::size_t place = 0; place < topTokens; ++place) {
                    const bool there = place < top->size();
                    cells << (there
                                  ? CsvCell(tokenPiece(*text.tokenizer, comparison.tokens[before], (*top)[place].token))
                                  : CsvCell(QString()))
                          << (there ? CsvCell((*top)[place].probability) : CsvCell(QString()));
                }
            }
        } else {
            cells.resize(header.size(), QString());
        }
        table += csvLine(cells);
    }
    return table;
}

QString tokenDetails(const ScoredText& text, std::size_t token)
{
    const TokenComparison& comparison = text.comparison;
    QString html = u"<b>%1</b><table cellspacing=1>"_s.arg(quoted(text.pieces[token]).toHtmlEscaped());
    html += row(TokenDetailTexts::tr("token"),
                TokenDetailTexts::tr("%1 of %2, id %3").arg(token + 1).arg(text.size()).arg(comparison.tokens[token]));
    if (token == 0)
        return html + row(TokenDetailTexts::tr("prediction"), TokenDetailTexts::tr("none, it is the first")) +
               u"</table>"_s;
    const std::size_t before = token - 1;
    const double original = comparison.originalLogProbability[token];
    const double other = comparison.otherLogProbability[token];
    html += row(TokenDetailTexts::tr("original"),
                TokenDetailTexts::tr("%1 (log %2)").arg(probability(std::exp(original)), number(original)));
    html += row(TokenDetailTexts::tr("compressed"),
                TokenDetailTexts::tr("%1 (log %2)").arg(probability(std::exp(other)), number(other)));
    html += row(TokenDetailTexts::tr("change"), TokenDetailTexts::tr("%1 nats").arg(number(text.change(token))));
    html += row(TokenDetailTexts::tr("KL"), TokenDetailTexts::tr("%1 nats").arg(number(comparison.divergence[before])));
    html += u"</table><table cellspacing=1><tr><td colspan=2 style='padding-top:8px'><b>%1</b></td>"
            "<td colspan=2 style='padding-top:8px'><b>%2</b></td></tr>"_s.arg(
                TokenDetailTexts::tr("original").toHtmlEscaped(), TokenDetailTexts::tr("compressed").toHtmlEscaped());
    for (std::size_t place = 0; place < topTokens; ++place) {
        html += u"<tr>"_s;
        for (const auto* top : {&comparison.originalTop[before], &comparison.otherTop[before]}) {
            if (place >= top->size()) {
                html += u"<td></td><td></td>"_s;
                continue;
            }
            const TokenChance& chance = (*top)[place];
            const bool came = chance.token == comparison.tokens[token];
            html += cell(quoted(tokenPiece(*text.tokenizer, comparison.tokens[before], chance.token)), came) +
                    cell(probability(chance.probability), came);
        }
        html += u"</tr>"_s;
    }
    return html + u"</table>"_s;
}

QString scoreLine(const ScoredText& text)
{
    if (text.size() < 2)
        return TokenDetailTexts::tr("One token: nothing is predicted.");
    return TokenDetailTexts::tr(
               "Perplexity %1 of the original, %2 of run %3, over %4 predicted tokens; mean KL %5 nats")
        .arg(QLocale().toString(text.originalPerplexity, 'f', 4), QLocale().toString(text.compressedPerplexity, 'f', 4))
        .arg(text.run)
        .arg(groupedNumber(text.size() - 1), QLocale().toString(text.meanDivergence, 'f', 5));
}

} // namespace rankwright::ui
