#pragma once

#include "core/tokenizer/text_file.h"
#include "core/tokenizer/tokenizer.h"

#include <QCryptographicHash>
#include <QString>
#include <bit>

namespace rankwright {

/// The texts of tokenizer-ids.json and the figures of one tokenizer on each.
inline const Json& referenceIds()
{
    static const Json json = readJson(RANKWRIGHT_TEST_DATA "/reference/tokenizer-ids.json");
    return json;
}

inline std::filesystem::path referenceText(const std::string& key)
{
    const std::string name = key.starts_with("corpora/") ? key.substr(8) : key.substr(key.find('/') + 1);
    return std::filesystem::path(RANKWRIGHT_TEST_DATA "/texts") / name;
}

inline QString sha256(std::span<const std::int32_t> ids)
{
    static_assert(std::endian::native == std::endian::little);
    QCryptographicHash hash(QCryptographicHash::Sha256);
    hash.addData(QByteArrayView(reinterpret_cast<const char*>(ids.data()), static_cast<qsizetype>(ids.size_bytes())));
    return QString::fromLatin1(hash.result().toHex());
}

/// Empty if the tokenizer gives the ids of `name` on every text; else what differs first.
inline QString differenceFromReference(const Tokenizer& tokenizer, const std::string& name)
{
    for (const auto& [key, figures] : referenceIds().items()) {
        const Json& expected = figures[name];
        const auto ids = tokenizer.encode(readText(referenceText(key)));
        const auto first = expected["first_ids"].get<std::vector<std::int32_t>>();
        const QString where = QString::fromStdString(name + " on " + key);
        for (std::size_t i = 0; i < std::min(first.size(), ids.size()); ++i) {
            if (ids[i] != first[i])
                return QStringLiteral("%1: id %2 is %3, not %4").arg(where).arg(i).arg(ids[i]).arg(first[i]);
        }
        if (ids.size() != expected["count"].get<std::size_t>())
            return QStringLiteral("%1: %2 ids").arg(where).arg(ids.size());
        if (sha256(ids) != QString::fromStdString(expected["ids_sha256_le_int32"]))
            return where + QStringLiteral(": ids differ behind the first");
    }
    return {};
}

} // namespace rankwright
