#include "student.h"

#include <algorithm>
#include <cmath>

namespace rankwright::tiny {

namespace {

/// log softmax of a row.
std::vector<double> logProbabilities(std::span<const double> row)
{
    const double largest = *std::ranges::max_element(row);
    double sum = 0.0;
    for (const double value : row)
        sum += std::exp(value - largest);
    std::vector<double> result;
    for (const double value : row)
        result.push_back(value - largest - std::log(sum));
    return result;
}

} // namespace

Student::Student(StructureKind structure)
{
    m_plain.fill(5);
    m_plain.write(path());
    teacher = std::make_unique<Model>(Model::open(path()));
    windows.ids = randomIds(12, 40, m_plain.vocabulary, 7);
    for (const LinearInfo& info : teacher->linears()) {
        const auto W = convertMatrix<double>(teacher->readDense(info));
        Matrix<double> S(W.rows(), W.rows());
        device->gram(Transpose::No, W.view(), S.view());
        const std::size_t rank = info.shape.fullRank() / 2;
        const SymmetricEigen eigen = device->symmetricEigen(std::move(S), rank);
        Factorisation factors{Matrix<double>(W.rows(), rank), Matrix<double>(rank, W.columns())};
        for (std::size_t i = 0; i < W.rows(); ++i)
            for (std::size_t k = 0; k < rank; ++k)
                factors.B(i, k) = eigen.vectors(k, i);
        device->gemm(Transpose::Yes, Transpose::No, 1.0, std::as_const(factors.B).view(), W.view(), 0.0,
                     factors.A.view());
        linears[info.name] =
            std::make_shared<const LinearWeights>(storeFactorisation(*device, factors, structure, DType::F32));
    }
}

Model Student::student()
{
    return teacher->withLinears([this](const LinearInfo& info) {
        const std::lock_guard lock(m_mutex);
        return linears.at(info.name);
    });
}

std::function<std::vector<Role>(std::size_t)> Student::rolesOf() const
{
    return [this](std::size_t block) {
        std::vector<Role> roles;
        for (const LinearInfo& info : teacher->linears(block))
            roles.push_back(info.role);
        return roles;
    };
}

void Student::put(std::size_t block, const TrainedBlock& trained)
{
    const std::lock_guard lock(m_mutex);
    for (const LinearInfo& info : teacher->linears(block))
        linears[info.name] = std::make_shared<const LinearWeights>(trained.linear(info.role));
}

TaskContext Student::noting()
{
    TaskContext context;
    context.event = [this](const NumericEvent& event) {
        const std::lock_guard lock(m_mutex);
        events.push_back(event);
    };
    return context;
}

TrainingObserver Student::observing()
{
    return [this](const TrainingPoint& point) {
        const std::lock_guard lock(m_mutex);
        points.push_back(point);
        if (onPoint)
            onPoint(point);
    };
}

std::map<std::string, std::vector<float>> Student::values() const
{
    std::map<std::string, std::vector<float>> result;
    for (const auto& [name, linear] : linears) {
        LinearWeights copy = *linear;
        for (const std::span<float> part : trainedValues(copy))
            result[name].insert(result[name].end(), part.begin(), part.end());
    }
    return result;
}

double Student::plainLoss(bool ofTeacher) const
{
    TinyLlama plain = m_plain;
    for (const auto& [name, linear] : linears) {
        const Matrix<double> W = expandLinear(*device, *linear);
        std::vector<float>& values = plain.values(name + ".weight");
        std::transform(W.span().begin(), W.span().end(), values.begin(),
                       [](double value) { return static_cast<float>(value); });
    }
    const std::vector<std::int32_t>& ids = windows.ids.back();
    const Matrix<double> logits = plain.logits(ids);
    const Matrix<double> taught = m_plain.logits(ids);
    double loss = 0.0;
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
        const std::vector<double> own = logProbabilities(logits.view().rowSpan(t));
        if (!ofTeacher) {
            loss -= own[static_cast<std::size_t>(ids[t + 1])];
            continue;
        }
        const std::vector<double> other = logProbabilities(taught.view().rowSpan(t));
        for (std::size_t i = 0; i < own.size(); ++i)
            loss += std::exp(other[i]) * (other[i] - own[i]);
    }
    return loss / static_cast<double>(ids.size() - 1);
}

} // namespace rankwright::tiny
