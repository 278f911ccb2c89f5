#include "core/calibration/tap_file.h"

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/safetensors_writer.h"

#include <cstring>
#include <fmt/format.h>
#include <span>

namespace rankwright {

namespace {

constexpr const char* secondMomentName = "secondMoment";
constexpr const char* sumName = "sum";
constexpr const char* sumAbsName = "sumAbs";
constexpr const char* weightSquaresName = "weightSquares";

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

} // namespace

void writeTapFile(const std::filesystem::path& path, TapStatistics& statistics)
{
    Matrix<double>& C = statistics.secondMoment;
    const std::size_t n = C.rows();
    // A packed row never starts behind its place in the full matrix, so the triangle can be packed where it lies.
    double* packed = C.data();
    for (std::size_t i = 0; i < n; ++i) {
        std::memmove(packed, C.row(i) + i, (n - i) * sizeof(double));
        packed += n - i;
    }
    std::vector<TensorPlan> plans{
        {secondMomentName, DType::F64, {packedSize(n)}}, {sumName, DType::F64, {n}}, {sumAbsName, DType::F64, {n}}};
    if (!statistics.weightSquares.empty())
        plans.push_back({weightSquaresName, DType::F64, {statistics.weightSquares.size()}});
    SafetensorsWriter writer(path, plans);
    for (const TensorPlan& plan : writer.order()) {
        if (plan.name == secondMomentName)
            writer.writeDoubles(plan.name, {C.data(), packedSize(n)});
        else if (plan.name == weightSquaresName)
            writer.writeDoubles(plan.name, statistics.weightSquares);
        else
            writer.writeDoubles(plan.name, plan.name == sumName ? statistics.sum : statistics.sumAbs);
    }
    writer.commit();
    C = {};
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
    const std::span<const std::byte> packed = doublesOf(file, secondMomentName, packedSize(width));
    Matrix<double>& C = statistics.secondMoment = Matrix<double>(width, width);
    std::size_t offset = 0;
    for (std::size_t i = 0; i < width; ++i) {
        const std::size_t bytes = (width - i) * sizeof(double);
        std::memcpy(C.row(i) + i, packed.data() + offset, bytes);
        offset += bytes;
    }
    mirrorUpperToLower(C.view());
    return statistics;
}

} // namespace rankwright
