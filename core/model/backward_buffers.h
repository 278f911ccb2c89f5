#pragma once

#include "core/model/backward.h"
#include "core/model/forward_buffers.h"

namespace rankwright {

struct BackwardScratch::Buffers
{
    ForwardScratch forward;
    BlockTrace trace;
    LinearScratch linear;
    GrowingMatrix hidden;
    GrowingMatrix dNormed;
    GrowingMatrix dInner;
    GrowingMatrix dGate;
    GrowingMatrix dMixed;
    GrowingMatrix dQueries;
    GrowingMatrix dKeys;
    GrowingMatrix dValues;
    GrowingMatrix dHeads; ///< before query/key norm
    GrowingMatrix scores;
    GrowingMatrix dScores;
    GrowingMatrix rotated;
    GrowingMatrix outgoing;
};

} // namespace rankwright
