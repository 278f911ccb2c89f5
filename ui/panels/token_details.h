#pragma once

#include "ui/session/text_service.h"

#include <QByteArray>
#include <QString>

namespace rankwright::ui {

/// All numbers of a scored text as CSV, a row per token. Everything in a row is of the prediction of its token, so that
/// the first row has none.
QByteArray tokenTable(const ScoredText& text);

/// What both models thought of one token, as HTML.
QString tokenDetails(const ScoredText& text, std::size_t token);

/// Perplexities and divergence, one line.
QString scoreLine(const ScoredText& text);

} // namespace rankwright::ui
