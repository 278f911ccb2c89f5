#pragma once

#include "core/calibration/windows.h"
#include "core/model/model.h"

#include <algorithm>
#include <cstddef>

namespace rankwright {

inline double asDouble(std::size_t value)
{
    return static_cast<double>(value);
}

/// As far as a size can say it.
inline std::size_t asBytes(double value)
{
    return static_cast<std::size_t>(std::min(value, 9e18));
}

/// Share of the measured rate that a forward pass over `width` channels reaches with everything around its products:
/// small ones do not fill the processor, those beyond 256 channels are faster than what was measured.
inline double forwardShare(std::size_t width)
{
    return asDouble(width) / (asDouble(width) + 80.0);
}

/// What passes of a model over texts take: operations (multiplications and additions) for one token in windows of
/// `length` tokens, and bytes.
class PassWork
{
public:
    explicit PassWork(const Model& model);

    /// Of a text, from the size of its file where all of its windows are taken; 0 where there is no such file.
    double tokensOf(const WindowOptions& windows) const;
    /// The same in windows.
    std::size_t windowsOf(const WindowOptions& windows) const;

    /// Of causal attention in one block: two products with the half of the keys.
    double attentionFlops(std::size_t length) const;
    /// Of all blocks.
    double blockFlops(std::size_t length) const;
    double headFlops() const;
    /// x x^T, its upper triangle.
    static double momentFlops(const TapInfo& tap);

    /// What a pass that collects statistics needs at least: one block, one site and one worker, as planPass() of the
    /// statistics counts.
    double leastStatisticsBytes(std::size_t length, bool anchored) const;

private:
    const Model& m_model;
};

} // namespace rankwright
