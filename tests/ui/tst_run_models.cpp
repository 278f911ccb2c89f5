#include "tests/ui/run_support.h"
#include "ui/models/run_plot.h"
#include "ui/models/run_table_model.h"
#include "ui/models/text_table.h"
#include "ui/session/text.h"

#include <QAbstractItemModelTester>
#include <QRegularExpression>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <array>
#include <memory>
#include <random>

using namespace rankwright;
using namespace rankwright::ui;
using namespace Qt::StringLiterals;

namespace {

constexpr int fewRuns = 400;

/// Records of comma-separated values, read character by character.
QVector<QStringList> parsedCsv(const QString& text)
{
    QVector<QStringList> records;
    QStringList record;
    QString cell;
    bool quoted = false;
    for (qsizetype i = 0; i < text.size(); ++i) {
        const QChar c = text[i];
        if (quoted && c == u'"' && i + 1 < text.size() && text[i + 1] == u'"') {
            cell += c;
            ++i;
        } else if (c == u'"') {
            quoted = !quoted;
        } else if (!quoted && (c == u',' || c == u'\n')) {
            record.append(std::exchange(cell, {}));
            if (c == u'\n')
                records.append(std::exchange(record, {}));
        } else {
            cell += c;
        }
    }
    return records;
}

/// What a cell of the tabular says, with the commands replaced by what they print.
QString fromLatex(QString cell)
{
    const QVector<QPair<QString, QString>> commands{{u"\\textasciitilde{}"_s, u"~"_s},
                                                    {u"\\textasciicircum{}"_s, u"^"_s},
                                                    {u"\\textless{}"_s, u"<"_s},
                                                    {u"\\textgreater{}"_s, u">"_s},
                                                    {u"\\textbar{}"_s, u"|"_s},
                                                    {u"\\char34{}"_s, u"\""_s},
                                                    {u"\\%"_s, u"%"_s},
                                                    {u"\\&"_s, u"&"_s},
                                                    {u"\\_"_s, u"_"_s},
                                                    {u"\\$"_s, u"$"_s},
                                                    {u"\\#"_s, u"#"_s}};
    const QString backslash(QChar(0xe000));
    cell.replace(u"\\textbackslash{}"_s, backslash);
    for (const auto& [command, character] : commands)
        cell.replace(command, character);
    cell.replace(u"\\{"_s, u"{"_s).replace(u"\\}"_s, u"}"_s);
    return cell.replace(backslash, u"\\"_s);
}

QString fromMarkdown(const QString& cell)
{
    QString text;
    for (qsizetype i = 0; i < cell.size(); ++i) {
        if (cell[i] == u'\\' && i + 1 < cell.size())
            ++i;
        text += cell[i];
    }
    return text;
}

/// Cells between bars that no backslash stands before.
QStringList markdownCells(const QString& line)
{
    static const QRegularExpression bar(u"(?<!\\\\)(?:\\\\\\\\)*\\|"_s);
    QStringList cells;
    QString rest = line.mid(1);
    for (auto match = bar.match(rest); match.hasMatch(); match = bar.match(rest)) {
        cells.append(fromMarkdown(rest.left(match.capturedEnd() - 1).trimmed()));
        rest = rest.mid(match.capturedEnd());
    }
    return cells;
}

} // namespace

class TestRunModels : public QObject
{
    Q_OBJECT

    QTemporaryDir m_folder;
    std::unique_ptr<RunStore> m_store;
    std::unique_ptr<RunTableModel> m_model;
    std::vector<RunSummary> m_runs; ///< read from the store itself

    QString cell(int row, RunColumn column) const
    {
        return m_model->index(row, static_cast<int>(column)).data().toString();
    }
    bool settled() const
    {
        return QTest::qWaitFor([this] { return !m_model->busy(); });
    }

private slots:
    void initTestCase()
    {
        const std::filesystem::path file = toPath(m_folder.filePath(u"runs.sqlite"_s));
        {
            Store store(file);
            fillStore(store, fewRuns, "/models/small");
            m_runs = store.runs();
        }
        m_store = std::make_unique<RunStore>(file);
        m_model = std::make_unique<RunTableModel>(*m_store);
        new QAbstractItemModelTester(m_model.get(), QAbstractItemModelTester::FailureReportingMode::QtTest,
                                     m_model.get());
        m_store->open();
        QVERIFY(QTest::qWaitFor([this] { return m_model->rowCount() == fewRuns; }));
    }

    void cellsSayWhatTheStoreHas()
    {
        for (int row = 0; row < fewRuns; ++row) {
            const RunSummary& run = m_runs[static_cast<std::size_t>(row)];
            QCOMPARE(cell(row, RunColumn::Id), QString::number(run.id));
            QCOMPARE(cell(row, RunColumn::Name), toQString(run.name));
            QCOMPARE(cell(row, RunColumn::Model), u"small"_s);
            QCOMPARE(cell(row, RunColumn::Method), toQString(run.method));
            QCOMPARE(cell(row, RunColumn::Tags), toQString(run.tags));
            const QModelIndex kept = m_model->index(row, static_cast<int>(RunColumn::KeptRatio));
            if (run.state == RunState::Finished) {
                QCOMPARE(kept.data(RunTableModel::SortRole).toDouble(), run.keptRatio);
                QCOMPARE(kept.data().toString(), QLocale().toString(100.0 * run.keptRatio, 'f', 2) + u" %"_s);
                QCOMPARE(cell(row, RunColumn::Compressed),
                         QLocale().toString(run.perplexities.front().compressed, 'g', 6));
            } else {
                QVERIFY(!kept.data(RunTableModel::SortRole).isValid());
                QCOMPARE(cell(row, RunColumn::Compressed), QString());
            }
        }
    }

    void forecastsStandBesideWhatWasMeasured()
    {
        int forecasts = 0;
        for (int row = 0; row < fewRuns; ++row) {
            const RunSummary& run = m_runs[static_cast<std::size_t>(row)];
            const QModelIndex index = m_model->index(row, static_cast<int>(RunColumn::Forecast));
            if (run.perplexities.empty() || !run.perplexities.front().forecast) {
                QCOMPARE(cell(row, RunColumn::Forecast), QString());
                QCOMPARE(cell(row, RunColumn::ForecastError), QString());
                QVERIFY(!index.data(RunTableModel::SortRole).isValid());
                continue;
            }
            ++forecasts;
            const RunPerplexity& measured = run.perplexities.front();
            const Forecast& forecast = *measured.forecast;
            const QStringList states{u"uncalibrated"_s, u"by other models"_s,
                                     u"by %1 on other texts"_s.arg(forecast.runs), u"by %1"_s.arg(forecast.runs)};
            const auto number = [](double value) { return QLocale().toString(value, 'g', 4); };
            QCOMPARE(cell(row, RunColumn::Forecast),
                     u"%1 (%2 to %3), %4"_s.arg(number(forecast.perplexity), number(forecast.low),
                                                number(forecast.high), states[static_cast<int>(forecast.basis)]));
            QCOMPARE(index.data(RunTableModel::SortRole).toDouble(), forecast.perplexity);
            QCOMPARE(index.data(Qt::ToolTipRole).toString(), toQString(forecastState(forecast)));
            const double error = 100.0 * (forecast.perplexity - measured.compressed) / measured.compressed;
            QCOMPARE(cell(row, RunColumn::ForecastError),
                     (error < 0.0 ? QString() : u"+"_s) + QLocale().toString(error, 'f', 1) + u" %"_s);
        }
        QVERIFY(forecasts > fewRuns / 8);
        QVERIFY(m_model->view()->list->forecasts);
    }

    void filterKeepsRunsThatHaveEveryWord_data()
    {
        QTest::addColumn<QString>("filter");
        for (const char* filter : {"whitened", "PAPER whitened", "cancelled", "100% &", "40.", "no such run"})
            QTest::newRow(filter) << QString::fromUtf8(filter);
    }

    void filterKeepsRunsThatHaveEveryWord()
    {
        QFETCH(QString, filter);
        m_model->setFilter({});
        QVERIFY(settled());
        m_model->sort(static_cast<int>(RunColumn::Id), Qt::DescendingOrder);
        QVERIFY(settled());
        QStringList wanted;
        for (int row = 0; row < m_model->rowCount(); ++row) {
            bool all = true;
            for (const QString& word : filter.split(u' ')) {
                bool found = false;
                for (int column = 0; column < runColumnCount; ++column)
                    found = found || cell(row, static_cast<RunColumn>(column)).contains(word, Qt::CaseInsensitive);
                // The second text of a run is looked into as well.
                for (const RunPerplexity& measured : m_runs[static_cast<std::size_t>(row)].perplexities)
                    found = found || perplexityText(measured.compressed).contains(word) ||
                            toQString(measured.text).contains(word);
                all = all && found;
            }
            if (all)
                wanted.append(cell(row, RunColumn::Id));
        }
        m_model->setFilter(filter);
        QVERIFY(settled());
        QStringList shown;
        for (int row = 0; row < m_model->rowCount(); ++row)
            shown.append(cell(row, RunColumn::Id));
        QCOMPARE(shown, wanted);
        m_model->setFilter({});
        QVERIFY(settled());
        QCOMPARE(m_model->rowCount(), fewRuns);
    }

    void everyColumnSortsBothWays()
    {
        for (int i = 0; i < runColumnCount; ++i) {
            const auto column = static_cast<RunColumn>(i);
            for (const Qt::SortOrder order : {Qt::AscendingOrder, Qt::DescendingOrder}) {
                m_model->sort(i, order);
                QVERIFY(settled());
                QCOMPARE(m_model->rowCount(), fewRuns);
                QSet<QString> seen;
                for (int row = 0; row < fewRuns; ++row)
                    seen.insert(cell(row, RunColumn::Id));
                QCOMPARE(seen.size(), fewRuns);
                for (int row = 1; row < fewRuns; ++row) {
                    const QModelIndex before = m_model->index(row - 1, i);
                    const QModelIndex after = m_model->index(row, i);
                    const QVariant x = before.data(RunTableModel::SortRole);
                    const QVariant y = after.data(RunTableModel::SortRole);
                    const bool less = isNumber(column)
                                          ? x.toDouble() < y.toDouble()
                                          : before.data().toString().toLower() < after.data().toString().toLower();
                    const bool more = isNumber(column)
                                          ? x.toDouble() > y.toDouble()
                                          : before.data().toString().toLower() > after.data().toString().toLower();
                    const bool hasX = isNumber(column) ? x.isValid() : !before.data().toString().isEmpty();
                    const bool hasY = isNumber(column) ? y.isValid() : !after.data().toString().isEmpty();
                    QVERIFY2(hasX || !hasY, "a run without a value stands before one with");
                    if (hasX && hasY)
                        QVERIFY(order == Qt::AscendingOrder ? !more : !less);
                    // Times are shown to the second and sorted to the millisecond.
                    if (!less && !more && hasX == hasY && column != RunColumn::Started)
                        QVERIFY(cell(row - 1, RunColumn::Id).toInt() > cell(row, RunColumn::Id).toInt());
                }
            }
        }
        m_model->sort(static_cast<int>(RunColumn::Id), Qt::DescendingOrder);
        QVERIFY(settled());
    }

    void perplexitiesAreOfTheChosenText()
    {
        m_model->setEvaluation(u"stories"_s);
        QVERIFY(settled());
        for (int row = 0; row < fewRuns; ++row) {
            QString wanted;
            for (const RunPerplexity& measured : m_runs[static_cast<std::size_t>(row)].perplexities)
                if (measured.text == "stories")
                    wanted = QLocale().toString(measured.compressed, 'g', 6);
            QCOMPARE(cell(row, RunColumn::Compressed), wanted);
            QCOMPARE(cell(row, RunColumn::Text), wanted.isEmpty() ? QString() : u"stories"_s);
        }
        m_model->setEvaluation({});
        QVERIFY(settled());
    }

    void columnsThatDifferAreKnown()
    {
        m_model->setFilter(u"asvd paper"_s);
        QVERIFY(settled());
        const RunViewPtr view = m_model->view();
        QVERIFY(view->size() > 2);
        for (int column = 0; column < runColumnCount; ++column) {
            QSet<QString> texts;
            for (int row = 0; row < view->size(); ++row)
                texts.insert(m_model->index(row, column)
                                 .data(isNumber(static_cast<RunColumn>(column))
                                           ? static_cast<int>(RunTableModel::SortRole)
                                           : static_cast<int>(Qt::DisplayRole))
                                 .toString());
            QCOMPARE(view->differing[static_cast<std::size_t>(column)], texts.size() > 1);
        }
        m_model->setFilter({});
        QVERIFY(settled());
    }

    void tagsAndNotesReachTheStore()
    {
        const std::int64_t run = m_runs[7].id;
        QVERIFY(!(m_model->flags(m_model->index(7, static_cast<int>(RunColumn::Name))) & Qt::ItemIsEditable));
        QSignalSpy changed(m_store.get(), &RunStore::runsChanged);
        QVERIFY(m_model->setData(m_model->index(7, static_cast<int>(RunColumn::Tags)), u"best, of all"_s));
        QVERIFY(m_model->setData(m_model->index(7, static_cast<int>(RunColumn::Notes)), u"größer\nthan"_s));
        QCOMPARE(cell(7, RunColumn::Tags), u"best, of all"_s);
        QTRY_VERIFY(!changed.isEmpty() && !m_model->busy());
        QTRY_COMPARE(m_store->store()->run(run).summary.notes, std::string("größer\nthan"));
        QCOMPARE(m_store->store()->run(run).summary.tags, std::string("best, of all"));
        QTRY_COMPARE(cell(7, RunColumn::Notes), u"größer\nthan"_s);
        m_runs = m_store->store()->runs();
    }

    void rowsStayWhileHeld()
    {
        m_model->hold(true);
        m_model->setFilter(u"nothing like this"_s);
        QVERIFY(settled());
        QCOMPARE(m_model->rowCount(), fewRuns);
        m_model->hold(false);
        QCOMPARE(m_model->rowCount(), 0);
        m_model->setFilter({});
        QVERIFY(settled());
        QCOMPARE(m_model->rowCount(), fewRuns);
    }

    void paretoFrontIsWhatNobodyBeats()
    {
        std::mt19937 generator(3);
        for (int round = 0; round < 200; ++round) {
            // Few values, so that many points share a coordinate or are equal.
            std::uniform_int_distribution<int> value(0, 4 + round / 10);
            std::vector<QPointF> points;
            for (int i = 0; i < round; ++i)
                points.emplace_back(value(generator), i % 31 == 30 ? std::nan("") : value(generator));
            QVector<QPointF> wanted;
            for (const QPointF& p : points) {
                bool beaten = std::isnan(p.y());
                for (const QPointF& q : points)
                    beaten = beaten || (q.x() <= p.x() && q.y() <= p.y() && (q.x() < p.x() || q.y() < p.y()));
                if (!beaten && !wanted.contains(p))
                    wanted.append(p);
            }
            std::ranges::sort(wanted, {}, &QPointF::x);
            QVector<QPointF> front;
            for (const std::size_t i : paretoFront(points))
                front.append(points[i]);
            QCOMPARE(front, wanted);
        }
    }

    void plotOfForecasts()
    {
        const RunViewPtr view = m_model->view();
        RunPlot plot = plotRuns(*view, RunCost::Forecast, {});
        QVERIFY(plot.data.x.logarithmic && plot.data.y.logarithmic);
        QMap<qint64, QPair<QPointF, QLineF>> drawn;
        for (int series = 0; series < plot.data.series.size(); ++series) {
            const PlotSeries& of = plot.data.series[series];
            if (!of.markers)
                continue;
            QVERIFY(!of.line);
            QCOMPARE(of.bars.size(), of.points.size());
            for (int i = 0; i < of.points.size(); ++i)
                drawn.insert(plot.runAt(series, i), {of.points[i], of.bars[i]});
        }
        std::array<int, 4> counts{};
        for (const RunSummary& run : m_runs) {
            if (run.perplexities.empty() || !run.perplexities.front().forecast) {
                QVERIFY(!drawn.contains(run.id));
                continue;
            }
            const double measured = run.perplexities.front().compressed;
            const Forecast& forecast = *run.perplexities.front().forecast;
            ++counts[static_cast<std::size_t>(forecast.basis)];
            QCOMPARE(drawn.value(run.id).first, QPointF(forecast.perplexity, measured));
            QCOMPARE(drawn.value(run.id).second, QLineF(forecast.low, measured, forecast.high, measured));
        }
        QCOMPARE(plot.note, u"Forecasts: %1 uncalibrated, %2 calibrated by other models only, %3 by the same model on "
                            "other texts, %4 by the same model and text"_s.arg(counts[0])
                                .arg(counts[1])
                                .arg(counts[2])
                                .arg(counts[3]));
        // Where both are equal.
        const PlotSeries& diagonal = plot.data.series.last();
        QVERIFY(diagonal.dashed && diagonal.line);
        QCOMPARE(diagonal.points.size(), 2);
        for (const QPointF& end : diagonal.points)
            QCOMPARE(end.x(), end.y());
        QCOMPARE(plot.runAt(static_cast<int>(plot.data.series.size()) - 1, 0), std::int64_t{0});
    }

    void selectedRunsHaveTheirForecastBesideThem()
    {
        RunPlot plot = plotRuns(*m_model->view(), RunCost::KeptRatio, {});
        const auto chosen = std::ranges::find_if(m_runs, [](const RunSummary& run) {
            return !run.perplexities.empty() && run.perplexities.front().forecast;
        });
        QVERIFY(chosen != m_runs.end());
        const qsizetype before = plot.data.series.size();
        markRuns(plot, {chosen->id});
        QCOMPARE(plot.data.series.size(), before + 2);
        const Forecast& forecast = *chosen->perplexities.front().forecast;
        const PlotSeries& of = plot.data.series[before];
        QCOMPARE(of.points, QVector<QPointF>({{chosen->keptRatio, forecast.perplexity}}));
        QCOMPARE(of.bars, QVector<QLineF>({{chosen->keptRatio, forecast.low, chosen->keptRatio, forecast.high}}));
        QCOMPARE(plot.runAt(static_cast<int>(before), 0), chosen->id);
        QCOMPARE(plot.runAt(static_cast<int>(before) + 1, 0), chosen->id);
    }

    void plotHasEveryRunWithAPerplexity()
    {
        const RunViewPtr view = m_model->view();
        RunPlot plot = plotRuns(*view, RunCost::WholeModelRatio, {});
        QVERIFY(!plot.severalModels);
        QMap<qint64, QPair<QString, QPointF>> drawn;
        for (int series = 0; series < plot.data.series.size(); ++series) {
            const PlotSeries& of = plot.data.series[series];
            if (!of.markers)
                continue;
            for (int i = 0; i < of.points.size(); ++i)
                drawn.insert(plot.runAt(series, i), {of.name, of.points[i]});
        }
        int wanted = 0;
        for (const RunSummary& run : m_runs) {
            if (run.perplexities.empty())
                continue;
            ++wanted;
            QCOMPARE(drawn.value(run.id).first, toQString(run.method));
            QCOMPARE(drawn.value(run.id).second, QPointF(run.wholeModelRatio, run.perplexities.front().compressed));
        }
        QCOMPARE(drawn.size(), wanted);
        const qsizetype before = plot.data.series.size();
        markRuns(plot, {m_runs[20].id, m_runs[21].id});
        QCOMPARE(plot.data.series.size(), before + 1);
        QCOMPARE(plot.data.series.last().points.size(), 2);
        QCOMPARE(plot.runAt(static_cast<int>(before), 5), std::int64_t{0});
    }

    void tablesReadBack()
    {
        const RunViewPtr view = m_model->view();
        std::vector<int> rows;
        for (int row = 0; row < 60; ++row)
            rows.push_back(row * 3);
        const std::vector<RunColumn> columns{RunColumn::Name, RunColumn::Id, RunColumn::Compressed, RunColumn::Tags,
                                             RunColumn::Notes};
        const TextTable table = runsTable(*view, rows, columns);
        const auto csv = parsedCsv(QString::fromUtf8(toCsv(table)));
        const QStringList latex = QString::fromUtf8(toLatex(table)).split(u'\n');
        const QStringList markdown = QString::fromUtf8(toMarkdown(table)).split(u'\n');
        QCOMPARE(csv.size(), 61);
        QCOMPARE(latex.size(), 60 + 7);
        QCOMPARE(latex.first(), u"\\begin{tabular}{lrrll}"_s);
        QCOMPARE(latex[1], u"\\toprule"_s);
        QCOMPARE(latex[3], u"\\midrule"_s);
        QCOMPARE(latex[latex.size() - 3], u"\\bottomrule"_s);
        QCOMPARE(markdown[1], u"| --- | ---: | ---: | --- | --- |"_s);
        QVERIFY(markdown.last().isEmpty());
        for (int i = 0; i < 60; ++i) {
            const RunSummary& run = m_runs[static_cast<std::size_t>(i) * 3];
            const QString name = toQString(run.name);
            const QString perplexity =
                run.perplexities.empty() ? QString() : QLocale().toString(run.perplexities.front().compressed, 'g', 6);
            QCOMPARE(csv[i + 1][0], name);
            QCOMPARE(csv[i + 1][1].toLongLong(), run.id);
            if (!run.perplexities.empty())
                QCOMPARE(csv[i + 1][2].toDouble(), run.perplexities.front().compressed);
            QCOMPARE(csv[i + 1][3], toQString(run.tags));
            QCOMPARE(csv[i + 1][4], toQString(run.notes));
            const QStringList wanted{name, QString::number(run.id), perplexity, toQString(run.tags),
                                     toQString(run.notes).simplified()};
            QVERIFY(latex[i + 4].endsWith(u" \\\\"_s));
            static const QRegularExpression between(u"(?<!\\\\)&"_s);
            QStringList cells;
            for (const QString& cell : latex[i + 4].chopped(3).split(between))
                cells.append(fromLatex(cell.trimmed()));
            QCOMPARE(cells, wanted);
            QCOMPARE(markdownCells(markdown[i + 2]), wanted);
        }
    }
};

QTEST_GUILESS_MAIN(TestRunModels)
#include "tst_run_models.moc"
