#pragma once

#include <cstddef>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

// The loops over elements are written once, always inlined, and compiled twice on x86-64: for the base instruction set
// and for AVX2 with F16C, chosen when the program runs. Both give the same bits.
#define RANKWRIGHT_INLINE [[gnu::always_inline]] inline
#define RANKWRIGHT_AVX2 [[gnu::target("avx2,f16c")]]

namespace rankwright {

#if defined(__x86_64__)

/// True if this processor runs functions marked RANKWRIGHT_AVX2.
inline bool hasAvx2()
{
    // F16C by its bit of the processor: clang 14 does not know the name.
    static const bool has = [] {
        unsigned int eax = 0;
        unsigned int ebx = 0;
        unsigned int ecx = 0;
        unsigned int edx = 0;
        return __builtin_cpu_supports("avx2") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
    }();
    return has;
}

#else

inline bool hasAvx2()
{
    return false;
}

#endif

/// The little-endian number at `data`, which need not be aligned.
template <typename T>
RANKWRIGHT_INLINE T readAt(const std::byte* data)
{
    T value;
    std::memcpy(&value, data, sizeof(T));
    return value;
}

} // namespace rankwright
