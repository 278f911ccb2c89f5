#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

/// Remembers the ids of words. Bounded: it is emptied when it is full. Words must not be empty.
class WordCache
{
public:
    static constexpr std::size_t longestWord = 256;

    WordCache()
        : m_slots(slots)
    {}

    struct Hit
    {
        const std::int32_t* ids = nullptr;
        std::size_t count = 0;
        bool found = false;
    };

    Hit find(std::string_view word, std::size_t hash) const
    {
        for (std::size_t at = hash % slots;; at = (at + 1) % slots) {
            const Slot& slot = m_slots[at];
            if (slot.length == 0)
                return {};
            if (slot.hash == hash && word == std::string_view(m_text).substr(slot.text, slot.length))
                return {m_ids.data() + slot.ids, slot.count, true};
        }
    }

    void insert(std::string_view word, std::size_t hash, const std::vector<std::int32_t>& ids)
    {
        if (m_used >= slots / 2 || m_text.size() + word.size() > bytes || m_ids.size() + ids.size() > bytes) {
            std::fill(m_slots.begin(), m_slots.end(), Slot{});
            m_text.clear();
            m_ids.clear();
            m_used = 0;
        }
        std::size_t at = hash % slots;
        while (m_slots[at].length != 0)
            at = (at + 1) % slots;
        m_slots[at] = {hash, static_cast<std::uint32_t>(m_text.size()), static_cast<std::uint32_t>(word.size()),
                       static_cast<std::uint32_t>(m_ids.size()), static_cast<std::uint32_t>(ids.size())};
        m_text.append(word);
        m_ids.insert(m_ids.end(), ids.begin(), ids.end());
        ++m_used;
    }

private:
    static constexpr std::size_t slots = std::size_t{1} << 17U;
    static constexpr std::size_t bytes = std::size_t{4} << 20U;

    struct Slot
    {
        std::size_t hash = 0;
        std::uint32_t text = 0, length = 0, ids = 0, count = 0;
    };

    std::vector<Slot> m_slots;
    std::string m_text;
    std::vector<std::int32_t> m_ids;
    std::size_t m_used = 0;
};

} // namespace rankwright
