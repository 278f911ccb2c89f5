#include "core/experiment/value_bias.h"

#include "core/experiment/linear_groups.h"

#include <algorithm>

namespace rankwright {

namespace {

std::vector<double> biasOr(const std::vector<float>& stored, const std::vector<float>& otherwise, std::size_t size)
{
    const std::vector<float>& chosen = stored.empty() ? otherwise : stored;
    std::vector<double> result(chosen.begin(), chosen.end());
    result.resize(size, 0.0);
    return result;
}

/// What every query head reads of values that key/value heads share.
std::vector<double> byQueryHead(const std::vector<double>& values, const ModelConfig& config)
{
    const std::size_t sharing = config.heads / config.keyValueHeads;
    std::vector<double> result;
    result.reserve(config.heads * config.headWidth);
    for (std::size_t head = 0; head < config.heads; ++head) {
        const auto first = values.begin() + static_cast<std::ptrdiff_t>(head / sharing * config.headWidth);
        result.insert(result.end(), first, first + static_cast<std::ptrdiff_t>(config.headWidth));
    }
    return result;
}

/// y += factor M x.
void addProduct(double factor, const Matrix<double>& M, const std::vector<double>& x, std::vector<double>& y)
{
    for (std::size_t i = 0; i < M.rows(); ++i) {
        double sum = 0.0;
        for (std::size_t j = 0; j < M.columns(); ++j)
            sum += M(i, j) * x[j];
        y[i] += factor * sum;
    }
}

class ValueBias
{
public:
    ValueBias(const RunJob& job, const CalibrationSet* moments, LinearSource stored)
        : m_job(job)
        , m_moments(moments)
        , m_stored(std::move(stored))
    {}

    std::shared_ptr<const LinearWeights> operator()(const LinearInfo& info) const
    {
        std::shared_ptr<const LinearWeights> own = m_stored(info);
        if (!own || (info.role != Role::V && info.role != Role::O))
            return own;
        const std::vector<const LinearInfo*> group = groupOf(m_job.model, m_job.method, info);
        const auto find = [&](Role role) { return std::ranges::find(group, role, &LinearInfo::role); };
        const auto v = find(Role::V);
        const auto o = find(Role::O);
        if (v == group.end() || o == group.end())
            return own;
        const std::shared_ptr<const LinearWeights> partner = m_stored(info.role == Role::V ? **o : **v);
        if (!partner)
            return own;
        const LoadedLinear value = loadLinear(m_job.model, m_job.device, **v);
        const LinearWeights& storedValue = info.role == Role::V ? *own : *partner;
        const std::vector<double> moved = movedConstant(**v, value, storedValue);
        if (std::ranges::all_of(moved, [](double part) { return part == 0.0; }))
            return own;
        LinearWeights result = *own;
        if (info.role == Role::V)
            setBias(biasOr(storedValue.bias, value.bias, moved.size()), moved, result);
        else
            takeFromOutput(info, moved, result);
        return std::make_shared<const LinearWeights>(std::move(result));
    }

private:
    /// What v's output has lost.
    std::vector<double> movedConstant(const LinearInfo& info, const LoadedLinear& value,
                                      const LinearWeights& stored) const
    {
        std::vector<double> moved = biasOr(value.bias, {}, info.shape.rows);
        const std::vector<double> left = biasOr(stored.bias, value.bias, info.shape.rows);
        std::ranges::transform(moved, left, moved.begin(), std::minus<>());
        if (m_moments == nullptr || !updatesBias(m_job.method, m_job.recipe.parameters))
            return moved;
        const TapStatistics inputs = m_moments->load(info.tap);
        std::vector<double> mean = inputs.sum;
        for (double& part : mean)
            part /= static_cast<double>(inputs.tokens);
        addProduct(1.0, value.W, mean, moved);
        addProduct(-1.0, expandLinear(m_job.device, stored), mean, moved);
        return moved;
    }

    void takeFromOutput(const LinearInfo& info, const std::vector<double>& moved, LinearWeights& output) const
    {
        const std::vector<float> original = loadLinear(m_job.model, m_job.device, info).bias;
        std::vector<double> less(info.shape.rows, 0.0);
        addProduct(-1.0, expandLinear(m_job.device, output), byQueryHead(moved, m_job.model.config()), less);
        setBias(biasOr(output.bias, original, info.shape.rows), less, output);
    }

    static void setBias(const std::vector<double>& stored, const std::vector<double>& more, LinearWeights& weights)
    {
        weights.bias.resize(stored.size());
        std::ranges::transform(stored, more, weights.bias.begin(),
                               [](double a, double b) { return static_cast<float>(a + b); });
    }

    const RunJob& m_job;
    const CalibrationSet* m_moments;
    LinearSource m_stored;
};

} // namespace

LinearSource withValueBias(const RunJob& job, const CalibrationSet* moments, LinearSource stored)
{
    return ValueBias(job, moments, std::move(stored));
}

} // namespace rankwright
