#include "core/tokenizer/sentencepiece_model.h"

#include "core/base/error.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace rankwright {

namespace {

/// The wire format of protocol buffers: a field number and a varint, 4 or 8 bytes, or a length and bytes.
class WireReader
{
public:
    WireReader(std::string_view bytes, std::size_t offset, const std::filesystem::path& file)
        : m_bytes(bytes)
        , m_offset(offset)
        , m_file(file)
    {}

    /// Moves to the next field; false at the end.
    bool next()
    {
        if (m_at == m_bytes.size())
            return false;
        const std::uint64_t tag = varint();
        m_field = tag >> 3U;
        m_number = 0;
        m_content = {};
        switch (tag & 7U) {
        case 0:
            m_number = varint();
            break;
        case 1:
            m_content = take(8);
            break;
        case 2:
            m_content = take(varint());
            break;
        case 5:
            m_content = take(4);
            break;
        default:
            corrupt(fmt::format("wire type {}", tag & 7U));
        }
        return true;
    }

    std::uint64_t field() const { return m_field; }
    bool flag() const { return m_number != 0; }
    std::int32_t integer() const { return static_cast<std::int32_t>(m_number); }
    std::string text() const { return std::string(m_content); }
    bool hasContent() const { return !m_content.empty(); }
    WireReader message() const { return {m_content, m_offset + m_at - m_content.size(), m_file}; }
    float real() const
    {
        if (m_content.size() != sizeof(float))
            corrupt("a score that is not four bytes");
        float value = 0;
        std::memcpy(&value, m_content.data(), sizeof value);
        return value;
    }

    [[noreturn]] void corrupt(const std::string& what) const
    {
        throw Error(ErrorKind::Corrupt, fmt::format("not a SentencePiece model: {} at byte {}", what, m_offset + m_at),
                    {.file = m_file});
    }

private:
    std::uint64_t varint()
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (m_at == m_bytes.size())
                corrupt("a number is cut off");
            const auto byte = static_cast<unsigned char>(m_bytes[m_at++]);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80)
                return value;
        }
        corrupt("a number is too long");
    }

    std::string_view take(std::uint64_t size)
    {
        if (size > m_bytes.size() - m_at)
            corrupt(fmt::format("a field of {} bytes where {} are left", size, m_bytes.size() - m_at));
        const std::string_view taken = m_bytes.substr(m_at, size);
        m_at += size;
        return taken;
    }

    std::string_view m_bytes;
    std::size_t m_offset;
    const std::filesystem::path& m_file;
    std::size_t m_at = 0;
    std::uint64_t m_field = 0;
    std::uint64_t m_number = 0;
    std::string_view m_content;
};

void readPiece(WireReader reader, SentencePieceModel& model)
{
    model.pieces.emplace_back();
    model.scores.push_back(0);
    model.types.push_back(1);
    while (reader.next()) {
        if (reader.field() == 1)
            model.pieces.back() = reader.text();
        else if (reader.field() == 2)
            model.scores.back() = reader.real();
        else if (reader.field() == 3)
            model.types.back() = reader.integer();
    }
}

void readTrainer(WireReader reader, SentencePieceModel& model)
{
    while (reader.next()) {
        switch (reader.field()) {
        case 3:
            model.kind = static_cast<SentencePieceModel::Kind>(reader.integer());
            break;
        case 24:
            model.spaceIsSuffix = reader.flag();
            break;
        case 35:
            model.byteFallback = reader.flag();
            break;
        case 40:
            model.unknown = reader.integer();
            break;
        case 41:
            model.bos = reader.integer();
            break;
        case 42:
            model.eos = reader.integer();
            break;
        case 43:
            model.padding = reader.integer();
            break;
        default:
            break;
        }
    }
}

void readNormalizer(WireReader reader, SentencePieceModel& model)
{
    while (reader.next()) {
        switch (reader.field()) {
        case 2:
            model.hasNormalizationTable = reader.hasContent();
            break;
        case 3:
            model.addDummyPrefix = reader.flag();
            break;
        case 4:
            model.removeExtraSpaces = reader.flag();
            break;
        case 5:
            model.escapeSpaces = reader.flag();
            break;
        default:
            break;
        }
    }
}

} // namespace

SentencePieceModel parseSentencePieceModel(std::string_view bytes, const std::filesystem::path& file)
{
    static_assert(std::endian::native == std::endian::little);
    SentencePieceModel model;
    WireReader reader(bytes, 0, file);
    while (reader.next()) {
        if (reader.field() == 1)
            readPiece(reader.message(), model);
        else if (reader.field() == 2)
            readTrainer(reader.message(), model);
        else if (reader.field() == 3)
            readNormalizer(reader.message(), model);
    }
    if (model.pieces.empty())
        reader.corrupt("no pieces");
    return model;
}

} // namespace rankwright
