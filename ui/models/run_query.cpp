#include "ui/models/run_query.h"

#include "ui/session/text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

using namespace Qt::StringLiterals;

namespace rankwright::ui {

namespace {

/// How many runs are looked at between two looks at the stop token.
constexpr std::size_t stride = 512;

QString haystackOf(const RunSummary& run)
{
    QString cells;
    for (int column = 0; column < runColumnCount; ++column)
        cells += runText(run, static_cast<RunColumn>(column), {}) % u'\n';
    for (std::size_t i = 1; i < run.perplexities.size(); ++i) {
        const RunPerplexity& more = run.perplexities[i];
        cells += toQString(more.text) % u'\n' % perplexityText(more.original) % u'\n' %
                 perplexityText(more.compressed) % u'\n';
    }
    return cells.toLower();
}

template <typename Key, typename Has, typename Less>
void sortBy(std::vector<int>& rows, const std::vector<Key>& keys, Qt::SortOrder order, const Has& has, const Less& less)
{
    std::vector<std::size_t> places(rows.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::ranges::stable_sort(places, [&](std::size_t a, std::size_t b) {
        const bool hasA = has(keys[a]);
        const bool hasB = has(keys[b]);
        if (hasA != hasB)
            return hasA;
        if (!hasA)
            return false;
        return order == Qt::AscendingOrder ? less(keys[a], keys[b]) : less(keys[b], keys[a]);
    });
    std::vector<int> sorted;
    sorted.reserve(rows.size());
    for (const std::size_t place : places)
        sorted.push_back(rows[place]);
    rows = std::move(sorted);
}

void sortRows(RunView& view)
{
    const RunQuery& query = view.query;
    if (isNumber(query.column)) {
        std::vector<double> keys;
        keys.reserve(view.rows.size());
        for (int row = 0; row < view.size(); ++row)
            keys.push_back(runNumber(view.run(row), query.column, query.text));
        sortBy(
            view.rows, keys, query.order, [](double key) { return !std::isnan(key); }, std::less<>());
        return;
    }
    std::vector<QString> keys;
    keys.reserve(view.rows.size());
    for (int row = 0; row < view.size(); ++row)
        keys.push_back(query.column == RunColumn::Started ? toQString(view.run(row).started)
                                                          : runText(view.run(row), query.column, query.text).toLower());
    sortBy(
        view.rows, keys, query.order, [](const QString& key) { return !key.isEmpty(); }, std::less<>());
}

bool same(const RunSummary& a, const RunSummary& b, RunColumn column, const std::string& text)
{
    if (!isNumber(column))
        return runText(a, column, text) == runText(b, column, text);
    const double x = runNumber(a, column, text);
    const double y = runNumber(b, column, text);
    return x == y || (std::isnan(x) && std::isnan(y));
}

} // namespace

RunListPtr prepareRuns(std::shared_ptr<const std::vector<RunSummary>> runs)
{
    auto list = std::make_shared<RunList>();
    list->runs = std::move(runs);
    list->haystacks.reserve(list->runs->size());
    std::map<std::string, int> counts;
    for (const RunSummary& run : *list->runs) {
        list->haystacks.push_back(haystackOf(run));
        for (const RunPerplexity& measured : run.perplexities) {
            ++counts[measured.text];
            list->forecasts = list->forecasts || measured.forecast.has_value();
        }
    }
    std::vector<std::pair<std::string, int>> texts(counts.begin(), counts.end());
    std::ranges::stable_sort(texts, std::greater<>(), &std::pair<std::string, int>::second);
    for (const auto& text : texts)
        list->texts.append(toQString(text.first));
    return list;
}

RunViewPtr arrangeRuns(const RunListPtr& list, const RunQuery& query, const std::stop_token& stop)
{
    auto view = std::make_shared<RunView>();
    view->list = list;
    view->query = query;
    const QStringList words = query.filter.toLower().split(u' ', Qt::SkipEmptyParts);
    view->rows.reserve(list->haystacks.size());
    for (std::size_t i = 0; i < list->haystacks.size(); ++i) {
        if (i % stride == 0 && stop.stop_requested())
            return view;
        const QString& haystack = list->haystacks[i];
        if (std::ranges::all_of(words, [&haystack](const QString& word) { return haystack.contains(word); }))
            view->rows.push_back(static_cast<int>(i));
    }
    // The store gives the newest first: a stable sort keeps that among equals.
    sortRows(*view);
    view->rowOf.reserve(view->rows.size());
    for (int row = 0; row < view->size(); ++row)
        view->rowOf.emplace(view->run(row).id, row);
    for (int column = 0; column < runColumnCount && !stop.stop_requested(); ++column) {
        bool& differing = view->differing[static_cast<std::size_t>(column)];
        for (int row = 1; row < view->size() && !differing; ++row)
            differing = !same(view->run(0), view->run(row), static_cast<RunColumn>(column), query.text);
    }
    return view;
}

} // namespace rankwright::ui
