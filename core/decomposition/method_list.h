#pragma once

#include "core/decomposition/method.h"

namespace rankwright {

// One function per method file; registry.cpp lists them.

const Method& plainSvd();
const Method& asvd();
const Method& whitenedSvd();
const Method& nestedSvd();
const Method& curvatureSvd();
const Method& fwsvd();
const Method& gfwsvd();
const Method& whitenedFwsvd();
const Method& lillama();
const Method& atomicFeatureMimicking();
const Method& preconditionedSvd();
const Method& nestedInterpolative();
const Method& latentLlm();
const Method& jointQk();
const Method& jointVo();
const Method& jointQkv();
const Method& jointGateUp();
const Method& jointLatents();
const Method& curvatureLatents();
const Method& lowRankSparse();

} // namespace rankwright
