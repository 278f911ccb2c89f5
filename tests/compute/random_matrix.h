#pragma once

#include "core/tensor/matrix.h"

#include <cstdint>

namespace rankwright::test {

/// Values in [-1, 1) that depend on the seed only (a 64-bit linear congruential sequence, high bits).
class Numbers
{
public:
    explicit Numbers(std::uint64_t seed)
        : m_state(seed * 2862933555777941757ULL + 3037000493ULL)
    {}
    double next()
    {
        m_state = m_state * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<double>(m_state >> 11U) * 0x1p-52 - 1.0;
    }

private:
    std::uint64_t m_state;
};

template <typename T>
Matrix<T> randomMatrix(std::size_t rows, std::size_t columns, std::uint64_t seed)
{
    Numbers numbers(seed);
    Matrix<T> result(rows, columns);
    for (T& value : result.span())
        value = static_cast<T>(numbers.next());
    return result;
}

} // namespace rankwright::test
