#pragma once

#include "core/structure/structure.h"

#include <cstddef>
#include <string_view>

namespace rankwright {

/// What a linear does in its block. Blocks without a gated MLP have no Gate.
enum class Role { Q, K, V, O, Gate, Up, Down };
constexpr std::size_t roleCount = 7;

/// "q", "k", "v", "o", "gate", "up", "down".
std::string_view roleName(Role role);

/// Input sites of a block in the order of the forward pass; linears of one site share their input. Every block has all.
enum class TapSite {
    AttentionInput, ///< q, k, v: the normed hidden state
    OutputInput,    ///< o: the concatenated heads
    MlpInput,       ///< gate, up: the normed hidden state
    DownInput       ///< down: activation(gate) * up, or activation(up) without a gate
};
constexpr std::size_t siteCount = 4;

/// "attentionInput", "outputInput", "mlpInput", "downInput".
std::string_view siteName(TapSite site);
/// Site whose input a role reads.
TapSite siteOf(Role role);

} // namespace rankwright
