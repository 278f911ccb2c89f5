#pragma once

// Apart from the test class, because moc does not read past some of these strings.

#include "core/base/error.h"

#include <QByteArray>
#include <QTest>
#include <string>

namespace rankwright {

inline std::string tokenizerJson(const std::string& inside, const std::string& beside = "")
{
    std::string json = R"({"version": "1.0", )";
    json.append(beside).append(R"("model": {"type": "BPE", )").append(inside).append("}}");
    return json;
}

/// Files that no reader may accept, the kind of error, and a word of its message.
inline void addBrokenTokenizerJsonRows()
{
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<int>("kind");
    QTest::addColumn<QByteArray>("word");
    const auto row = [](const char* name, const std::string& content, ErrorKind kind, const char* word) {
        QTest::newRow(name) << QByteArray::fromStdString(content) << static_cast<int>(kind) << QByteArray(word);
    };
    const std::string fine = R"("vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"])";
    row("empty file", "", ErrorKind::Corrupt, "JSON");
    row("cut off", tokenizerJson(fine).substr(0, 60), ErrorKind::Corrupt, "JSON");
    row("not an object", "[1]", ErrorKind::Corrupt, "object");
    row("no model", "{}", ErrorKind::Corrupt, "model");
    row("deep", std::string(100000, '['), ErrorKind::Corrupt, "nested");
    row("deep merges", R"({"model": {"merges": )" + std::string(100000, '['), ErrorKind::Corrupt, "nested");
    row("trailing", tokenizerJson(fine) + "x", ErrorKind::Corrupt, "JSON");
    row("invalid UTF-8", tokenizerJson("\"vocab\": {\"\xff\": 0}, \"merges\": []"), ErrorKind::Corrupt, "JSON");
    row("no vocabulary", tokenizerJson(R"("merges": [])"), ErrorKind::Corrupt, "vocab");
    row("vocabulary list", tokenizerJson(R"("vocab": ["a"], "merges": [])"), ErrorKind::Corrupt, "vocab");
    row("text id", tokenizerJson(R"("vocab": {"a": "0"}, "merges": [])"), ErrorKind::Corrupt, "not a number");
    row("negative id", tokenizerJson(R"("vocab": {"a": -1}, "merges": [])"), ErrorKind::Corrupt, "-1");
    row("huge id", tokenizerJson(R"("vocab": {"a": 2000000000}, "merges": [])"), ErrorKind::Corrupt, "2000000000");
    row("overflowing id", tokenizerJson(R"("vocab": {"a": 18446744073709551615}, "merges": [])"), ErrorKind::Corrupt,
        "id");
    row("same id", tokenizerJson(R"("vocab": {"a": 0, "b": 0}, "merges": [])"), ErrorKind::Corrupt, "same id");
    row("token twice", tokenizerJson(R"("vocab": {"a": 0, "a": 1}, "merges": [])"), ErrorKind::Corrupt, "twice");
    row("key twice", R"({"model": 1, "model": 2})", ErrorKind::Corrupt, "twice");
    row("merge of one", tokenizerJson(R"("vocab": {"a": 0}, "merges": ["a"])"), ErrorKind::Corrupt, "merge 0");
    row("merge of three", tokenizerJson(R"("vocab": {"a": 0}, "merges": [["a", "a", "a"]])"), ErrorKind::Corrupt,
        "3 parts");
    row("merge unknown", tokenizerJson(R"("vocab": {"a": 0}, "merges": ["a c"])"), ErrorKind::Corrupt, "\"c\"");
    row("merge result", tokenizerJson(R"("vocab": {"a": 0, "c": 1}, "merges": ["a c"])"), ErrorKind::Corrupt, "\"ac\"");
    row("merge number", tokenizerJson(R"("vocab": {"a": 0}, "merges": [1])"), ErrorKind::Corrupt, "merge 0");
    row("unknown token", tokenizerJson(fine + R"(, "unk_token": "u")"), ErrorKind::Corrupt, "\"u\"");
    row("unigram", R"({"model": {"type": "Unigram", "vocab": [["a", -1.5]]}})", ErrorKind::Unsupported, "Unigram");
    row("word piece", R"({"model": {"type": "WordPiece", "vocab": {"a": 0}}})", ErrorKind::Unsupported, "WordPiece");
    row("dropout", tokenizerJson(fine + R"(, "dropout": 0.1)"), ErrorKind::Unsupported, "dropout");
    row("normalizer", tokenizerJson(fine, R"("normalizer": {"type": "Precompiled"}, )"), ErrorKind::Unsupported,
        "Precompiled");
    row("pre-tokenizer", tokenizerJson(fine, R"("pre_tokenizer": {"type": "UnicodeScripts"}, )"),
        ErrorKind::Unsupported, "UnicodeScripts");
    row("no type", tokenizerJson(fine, R"("pre_tokenizer": {}, )"), ErrorKind::Corrupt, "type");
    row("decoder", tokenizerJson(fine, R"("decoder": {"type": "CTC"}, )"), ErrorKind::Unsupported, "CTC");
    row("pattern",
        tokenizerJson(fine,
                      R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"}, )"),
        ErrorKind::Unsupported, "regular expression");
    row("behaviour",
        tokenizerJson(fine, R"("pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Gone"}, )"),
        ErrorKind::Corrupt, "Gone");
    row("added id", tokenizerJson(fine, R"("added_tokens": [{"id": 9999999, "content": "x"}], )"), ErrorKind::Corrupt,
        "9999999");
    row("added elsewhere", tokenizerJson(fine, R"("added_tokens": [{"id": 7, "content": "ab"}], )"), ErrorKind::Corrupt,
        "2 in the vocabulary");
    row("added on another", tokenizerJson(fine, R"("added_tokens": [{"id": 1, "content": "x"}], )"), ErrorKind::Corrupt,
        "gives to");
    row("added twice",
        tokenizerJson(fine, R"("added_tokens": [{"id": 3, "content": "x"}, {"id": 3, "content": "y"}], )"),
        ErrorKind::Corrupt, "twice");
    row("template",
        tokenizerJson(
            fine,
            R"("post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}}, )"),
        ErrorKind::Corrupt, "\"x\"");
    row("template id",
        tokenizerJson(
            fine,
            R"("post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {"x": {"ids": [77]}}}, )"),
        ErrorKind::Corrupt, "77");
    // What Hugging Face `tokenizers` 0.20.3 and 0.23.3 treat in a way of their own, or differently from each other.
    row("template without the text",
        tokenizerJson(
            fine,
            R"("post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a"}}], "special_tokens": {"a": {"ids": [0]}}}, )"),
        ErrorKind::Unsupported, "0 times");
    row("two post-processors",
        tokenizerJson(
            fine,
            R"("post_processor": {"type": "Sequence", "processors": [{"type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]}, {"type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]}]}, )"),
        ErrorKind::Unsupported, "second");
    row("added with a gap", tokenizerJson(fine, R"("added_tokens": [{"id": 5, "content": "x"}], )"),
        ErrorKind::Unsupported, "gives it 3");
    row("added and stripped",
        tokenizerJson(
            fine,
            R"("normalizer": {"type": "Strip"}, "added_tokens": [{"id": 3, "content": " ", "normalized": true}], )"),
        ErrorKind::Unsupported, "leaves nothing");
    row("added and made equal",
        tokenizerJson(
            fine,
            R"("normalizer": {"type": "Lowercase"}, "added_tokens": [{"id": 3, "content": "X", "normalized": true}, {"id": 4, "content": "x", "normalized": true}], )"),
        ErrorKind::Unsupported, "equal");
    row("unsure start",
        tokenizerJson(
            fine,
            R"("normalizer": {"type": "Strip"}, "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}, )"),
        ErrorKind::Unsupported, "first");
    row("byte-level fallback",
        tokenizerJson(fine + R"(, "byte_fallback": true)",
                      R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}, )"),
        ErrorKind::Unsupported, "lacks 254");
    // To ICU they mean something else.
    for (const char* pattern : {"a{2}?", "a(?i)b|c", "[!--a]", "[a-z--[b]]", "[a-[b]]", R"(\\U00000041)", R"([\\B])",
                                R"([\\1])", R"(\\xE2)", R"(\\R+)", "[[:xdigit:]]", R"(\\p{Word})"})
        row(pattern,
            tokenizerJson(fine, std::string(R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": ")") + pattern +
                                    R"("}, "behavior": "Isolated"}, )"),
            ErrorKind::Unsupported, "is not supported");
    row("text for nothing",
        tokenizerJson(fine, R"("normalizer": {"type": "Replace", "pattern": {"Regex": "^"}, "content": "a"}, )"),
        ErrorKind::Unsupported, "between two characters");
}

} // namespace rankwright
