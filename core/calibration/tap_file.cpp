#include "core/calibration/tap_file.h"

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/safetensors_writer.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <span>

namespace rankwright {

namespace {

constexpr const char* secondMomentName = "secondMoment";
constexpr const char* sumName = "sum";
constexpr const char* sumAbsName = "sumAbs";
constexpr const char* weightSquaresName = "weightSquares";
constexpr const char* weightInputsName = "weightInputs";
constexpr const char* weightOutputsName = "weightOutputs";

std::size_t packedSize(std::size_t n)
{
    return n * (n + 1) / 2;
}

std::span<const std::byte> doublesOf(const Checkpoint& file, const char* name, std::size_t count)
{
    const TensorInfo* tensor = file.find(name);
    if (tensor == nullptr || tensor->dtype != DType::F64 || tensor->elements() != count)
        throw Error(ErrorKind::Corrupt,
                    fmt::format("statistics without {} float64 values of '{}'; remove the folder to compute them again",
                                count, name),
                    {.file = file.path(), .tensor = name});
    return file.data(*tensor);
}

std::vector<double> readDoubles(const Checkpoint& file, const char* name, std::size_t count)
{
    const std::span<const std::byte> bytes = doublesOf(file, name, count);
    std::vector<double> values(count);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// The upper triangle of a square matrix, packed where it lies: a packed row never starts behind its place.
std::span<const double> packUpper(Matrix<double>& matrix)
{
    const std::size_t n = matrix.rows();
    double* packed = matrix.data();
    for (std::size_t i = 0; i < n; ++i) {
        std::memmove(packed, matrix.row(i) + i, (n - i) * sizeof(double));
        packed += n - i;
    }
    return {matrix.data(), packedSize(n)};
}

Matrix<double> readSymmetric(const Checkpoint& file, const char* name, std::size_t width)
{
    const std::span<const std::byte> packed = doublesOf(file, name, packedSize(width));
    Matrix<double> matrix(width, width);
    std::size_t offset = 0;
    for (std::size_t i = 0; i < width; ++i) {
        const std::size_t bytes = (width - i) * sizeof(double);
        std::memcpy(matrix.row(i) + i, packed.data() + offset, bytes);
        offset += bytes;
    }
    mirrorUpperToLower(matrix.view());
    return matrix;
}

} // namespace

void writeTapFile(const std::filesystem::path& path, TapStatistics& statistics)
{
    std::vector<std::pair<const char*, std::span<const double>>> parts{
        {secondMomentName, packUpper(statistics.secondMoment)},
        {sumName, statistics.sum},
        {sumAbsName, statistics.sumAbs}};
    if (!statistics.weightSquares.empty())
        parts.emplace_back(weightSquaresName, statistics.weightSquares);
    if (!statistics.weightInputs.empty()) {
        parts.emplace_back(weightInputsName, packUpper(statistics.weightInputs));
        parts.emplace_back(weightOutputsName, packUpper(statistics.weightOutputs));
    }
    std::vector<TensorPlan> plans;
    plans.reserve(parts.size());
    for (const auto& [name, values] : parts)
        plans.push_back({name, DType::F64, {values.size()}});
    SafetensorsWriter writer(path, plans);
    for (const TensorPlan& plan : writer.order())
        writer.writeDoubles(plan.name, std::ranges::find(parts, plan.name, [](const auto& part) {
                                           return std::string_view(part.first);
                                       })->second);
    writer.commit();
    statistics.secondMoment = {};
    statistics.weightInputs = {};
    statistics.weightOutputs = {};
}

TapStatistics readTapFile(const std::filesystem::path& path, std::size_t width, std::size_t tokens)
{
    const Checkpoint file = Checkpoint::open(path);
    TapStatistics statistics;
    statistics.tokens = tokens;
    statistics.sum = readDoubles(file, sumName, width);
    statistics.sumAbs = readDoubles(file, sumAbsName, width);
    if (const TensorInfo* squares = file.find(weightSquaresName))
        statistics.weightSquares = readDoubles(file, weightSquaresName, squares->elements());
    if (file.find(weightInputsName) != nullptr) {
        statistics.weightInputs = readSymmetric(file, weightInputsName, statistics.weightSquares.size());
        statistics.weightOutputs = readSymmetric(file, weightOutputsName, width);
    }
    statistics.secondMoment = readSymmetric(file, secondMomentName, width);
    return statistics;
}

} // namespace rankwright
