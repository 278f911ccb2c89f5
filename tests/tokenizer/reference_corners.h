#pragma once

// Apart from the test class, because moc does not read past some of these strings.

#include "broken_tokenizer_json.h"
#include "core/tokenizer/unicode.h"

#include <fmt/format.h>

namespace rankwright {

/// Small files whose ids Hugging Face `tokenizers` 0.20.3 and 0.23.3 give (Tokenizer.from_str(file).encode(text,
/// add_special_tokens=False).ids), each for a rule that is easily missed.
inline void addReferenceCornerRows()
{
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<std::vector<std::int32_t>>("ids");
    const auto row = [](const char* name, const std::string& content, const char* text,
                        const std::vector<std::int32_t>& ids) {
        QTest::newRow(name) << QByteArray::fromStdString(content) << QByteArray(text) << ids;
    };
    const auto split = [](const char* pattern, const char* behaviour, bool invert = false) {
        return tokenizerJson(
            R"("vocab": {"a": 0, "b": 1, "▁": 2, "bb": 3, "bba": 4, "▁a": 5, "\n": 6}, "merges": ["b b", "bb a", "▁ a"])",
            fmt::format(
                R"("pre_tokenizer": {{"type": "Split", "pattern": {{"Regex": "{}"}}, "behavior": "{}", "invert": {}}}, )",
                pattern, behaviour, invert));
    };
    row("no empty match right behind a match", split("b*", "MergedWithNext"), "abba", {0, 4});
    row("no empty match right behind a gap", split("b*", "MergedWithPrevious", true), "abba", {0, 4});
    row("no line begins at the very end", split(R"(\\n(?!^))", "Removed"), "a\n\n", {0, 6});
    row("lines begin behind line feeds", split("^a", "Removed"), "ab\na\n", {1, 6, 6});
    row("a class of letters and colons", split("[:alpha:]", "Removed"), "ab", {1});
    row("properties know no ignored case", split(R"((?i:\\p{Lu}))", "Removed"), "ab", {0, 1});
    row("an ampersand before a class", split("[b&[x]]", "Removed"), "ab", {0});

    const std::string first = tokenizerJson(
        R"("vocab": {"a": 0, "▁": 1, "▁a": 2}, "merges": ["▁ a"])",
        R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}]}, )");
    row("the first word is at the start", first, "a a", {2, 0});
    row("a word behind a space that is gone is not", first, " a a", {0, 0});

    const std::string twice = tokenizerJson(
        R"("vocab": {"a": 0, "b": 1, "_": 2, "_a": 3, "h": 4}, "merges": ["_ a"])",
        R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": false}, {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": false}]}, )");
    row("the start is seen by every step", twice, "ab", {3, 1});
    row("and is the start once", twice, "b a", {2, 1, 3});
    const auto added = [](const char* strips) {
        return tokenizerJson(
            R"("vocab": {"a": 0, "b": 1, "\n": 2, "<s>": 3}, "merges": [])",
            fmt::format(
                R"("added_tokens": [{{"id": 2, "content": "\n", {}, "special": true}}, {{"id": 3, "content": "<s>", "rstrip": true, "special": true}}], )",
                strips));
    };
    const std::string greedy = added(R"("lstrip": true, "rstrip": true)");
    row("a token whose text went to the one before is none", greedy, "a<s>\nb", {0, 3, 1});
    row("nor is it after itself", greedy, "a\n\nb", {0, 2, 1});
    row("with white space between", greedy, "a<s> \n b", {0, 3, 1});
    const std::string plain = added(R"("lstrip": false, "rstrip": false)");
    row("one that takes nothing before it stays", plain, "a<s>\n\nb", {0, 3, 2, 2, 1});

    // The files of some GPT-2 descendants have it so.
    std::string bytes;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const std::string& letter = byteLevelAlphabet().at(byte);
        bytes += fmt::format(R"({}"{}{}": {})", byte > 0 ? ", " : "", letter == "\"" || letter == "\\" ? "\\" : "",
                             letter, byte);
    }
    row("an unknown token that is never needed",
        tokenizerJson(fmt::format(R"("unk_token": "", "vocab": {{{}}}, "merges": [])", bytes),
                      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}, )"),
        "é", {32, 195, 169});
}

} // namespace rankwright
