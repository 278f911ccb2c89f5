#include "tests/support/plain_gradients.h"

#include "core/compute/elementwise.h"
#include "core/model/backward.h"

#include <algorithm>

namespace rankwright {

namespace {

void addOuter(ConstMatrixView<float> A, ConstMatrixView<float> B, Matrix<double>& sum)
{
    if (sum.empty())
        sum = Matrix<double>(A.columns, B.columns);
    for (std::size_t t = 0; t < A.rows; ++t)
        for (std::size_t i = 0; i < A.columns; ++i)
            for (std::size_t j = 0; j < B.columns; ++j)
                sum(i, j) += static_cast<double>(A(t, i)) * static_cast<double>(B(t, j));
}

} // namespace

double addGradients(const Model& model, const Device& device, const std::vector<std::int32_t>& ids,
                    std::map<std::string, LinearGradient>& gradients)
{
    const BlasThreads oneThread(1);
    const RotaryTable rotary = makeRotaryTable(model.config(), ids.size());
    ForwardScratch forward;
    std::vector<Matrix<float>> states(1, Matrix<float>(ids.size(), model.config().hiddenSize));
    model.embed(ids, states.front().view());
    for (std::size_t block = 0; block < model.config().blocks; ++block) {
        Matrix<float> hidden = states.back();
        forwardBlock(device, model.config(), *model.loadBlock(block), rotary, hidden.view(), forward);
        states.push_back(std::move(hidden));
    }

    const Head head(model, device);
    Matrix<float> gradient(ids.size(), model.config().hiddenSize);
    double loss = 0.0;
    const ConstMatrixView<float> last = std::as_const(states.back()).view();
    for (std::size_t first = 0; first < ids.size(); first += Head::chunkRows) {
        const MatrixView<float> logits = head.chunk(last, first, forward);
        for (std::size_t row = 0; row < logits.rows; ++row) {
            const std::span<float> values = logits.rowSpan(row);
            if (first + row + 1 == ids.size()) {
                std::ranges::fill(values, 0.0F);
                continue;
            }
            const auto label = static_cast<std::size_t>(ids[first + row + 1]);
            loss += negativeLogLikelihood(values, label);
            softmax(values, 1.0F);
            values[label] -= 1.0F;
        }
        head.backward(last, first, logits, gradient.view(), forward);
    }

    BackwardScratch scratch;
    for (std::size_t block = model.config().blocks; block-- > 0;) {
        const auto observe = [&](Role role, ConstMatrixView<float> X, ConstMatrixView<float> dY) {
            LinearGradient& own = gradients[model.linear(block, role).name];
            addOuter(dY, X, own.weight);
            addOuter(dY, dY, own.square);
        };
        backwardBlock(device, model.config(), *model.loadBlock(block), rotary, std::as_const(states[block]).view(),
                      gradient.view(), scratch, observe);
    }
    return loss;
}

} // namespace rankwright
