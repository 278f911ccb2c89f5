#pragma once

#include "core/tensor/matrix.h"

namespace rankwright {

/// Lillama's loss (arXiv 2412.16719; methods 3.3) of a student block's output a against the teacher's y, summed over
/// the rows: mean_j |a_j - y_j| - log sigmoid(cos(a, y)). Where `gradient` has rows (T x width), it becomes `scale`
/// times the gradient with respect to the output; the sign of 0 is 0, and a row of zeros has no direction.
double distillationLoss(ConstMatrixView<float> output, ConstMatrixView<float> target, double scale,
                        MatrixView<float> gradient);

} // namespace rankwright
