#include "core/experiment/linear_file.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/mapped_file.h"
#include "core/checkpoint/safetensors.h"
#include "core/checkpoint/safetensors_writer.h"
#include "core/compute/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>

namespace rankwright {

namespace {

/// The tensors of a file, looked up by name.
class LinearFileReader
{
public:
    explicit LinearFileReader(const std::filesystem::path& path)
        : m_file(path)
        , m_header(parseSafetensors(m_file.bytes(), path))
    {}

    [[noreturn]] void fail(const std::string& message) const
    {
        throw Error(ErrorKind::Corrupt, message + "; delete the file to compute the linear again",
                    {.file = m_file.path()});
    }

    const std::string& metadata(const std::string& key) const
    {
        const auto found = m_header.metadata.find(key);
        if (found == m_header.metadata.end())
            fail(fmt::format("is not a compressed linear: metadata '{}' is missing", key));
        return found->second;
    }

    bool contains(std::string_view name) const { return find(name) != nullptr; }

    /// Elements of a vector of any length; 0 where there is none.
    std::size_t length(std::string_view name) const
    {
        const TensorInfo* tensor = find(name);
        return tensor != nullptr && tensor->shape.size() == 1 ? tensor->shape[0] : 0;
    }

    /// Bytes of a tensor whose shape is known.
    std::span<const std::byte> bytes(std::string_view name, const std::vector<std::size_t>& shape) const
    {
        const TensorInfo* tensor = find(name);
        if (tensor == nullptr || tensor->shape != shape)
            fail(fmt::format("{} is {}, expected {}", name, tensor ? shapeText(tensor->shape) : "missing",
                             shapeText(shape)));
        return m_file.bytes().subspan(tensor->offset, tensor->bytes);
    }

    Matrix<float> matrix(std::string_view name, std::size_t rows, std::size_t columns) const
    {
        return matrix(name, {rows, columns}, rows, columns);
    }

    /// Of a tensor of another shape with as many elements.
    Matrix<float> matrix(std::string_view name, const std::vector<std::size_t>& shape, std::size_t rows,
                         std::size_t columns) const
    {
        const auto data = bytes(name, shape);
        Matrix<float> values(rows, columns);
        convertToFloat(find(name)->dtype, data, values.span());
        if (!allFinite(std::span<const float>(values.span())))
            fail(fmt::format("{} holds values that are not finite", name));
        return values;
    }

    template <typename T>
    std::vector<T> vector(std::string_view name, DType dtype, std::size_t size) const
    {
        const auto data = bytes(name, {size});
        if (find(name)->dtype != dtype)
            fail(fmt::format("{} is {}, expected {}", name, dtypeName(find(name)->dtype), dtypeName(dtype)));
        std::vector<T> values(size);
        if (size > 0)
            std::memcpy(values.data(), data.data(), data.size());
        return values;
    }

    std::vector<std::int32_t> indices(std::string_view name, DType dtype, std::size_t size) const
    {
        const auto data = bytes(name, {size});
        if (find(name)->dtype != dtype)
            fail(fmt::format("{} is {}, expected {}", name, dtypeName(find(name)->dtype), dtypeName(dtype)));
        std::vector<std::int32_t> values(size);
        convertToIntegers(dtype, data, values);
        return values;
    }

    /// Hash of the data part.
    std::string contentHash() const { return Hasher().update(m_file.bytes().subspan(m_header.dataStart)).hex(); }

private:
    const TensorInfo* find(std::string_view name) const
    {
        for (const TensorInfo& tensor : m_header.tensors) {
            if (tensor.name == name)
                return &tensor;
        }
        return nullptr;
    }

    MappedFile m_file;
    SafetensorsHeader m_header;
};

/// What is written, in the bytes of the file.
struct Part
{
    TensorPlan plan;
    std::vector<std::byte> data;
};

Part floatPart(std::string name, DType dtype, std::vector<std::size_t> shape, std::span<const float> values)
{
    Part part{{std::move(name), dtype, std::move(shape)}, std::vector<std::byte>(bytesFor(dtype, values.size()))};
    convertFromFloat(values, dtype, part.data);
    return part;
}

template <typename T>
Part rawPart(std::string name, DType dtype, std::span<const T> values)
{
    Part part{{std::move(name), dtype, {values.size()}}, std::vector<std::byte>(values.size_bytes())};
    if (!values.empty())
        std::memcpy(part.data.data(), values.data(), values.size_bytes());
    return part;
}

Part indexPart(std::string name, DType dtype, std::span<const std::int32_t> values)
{
    Part part{{std::move(name), dtype, {values.size()}}, std::vector<std::byte>(bytesFor(dtype, values.size()))};
    convertFromIntegers(values, dtype, part.data);
    return part;
}

std::vector<Part> partsOf(const LinearRecord& record, DType storage)
{
    std::vector<Part> parts;
    const auto addMatrix = [&](const char* name, const Matrix<float>& M) {
        parts.push_back(floatPart(name, storage, {M.rows(), M.columns()}, M.span()));
    };
    if (record.weights) {
        if (const auto* factors = std::get_if<FactorWeights>(&record.weights->form)) {
            addMatrix("B", factors->B);
            addMatrix("A", factors->A);
        } else if (const auto* block = std::get_if<BlockIdentityWeights>(&record.weights->form)) {
            addMatrix("B", block->B);
            addMatrix("A2", block->A2);
            parts.push_back(rawPart("pivots", DType::I32, std::span<const std::uint32_t>(block->pivots)));
        } else if (const auto* shared = std::get_if<SharedLatentWeights>(&record.weights->form)) {
            addMatrix("B", shared->B);
        } else {
            throw Error(ErrorKind::Internal, "dense weights are not kept with a run", {.tensor = record.outcome.name});
        }
        if (const SparseMatrix<float>& S = record.weights->sparse; !S.empty()) {
            const SparseParts sparse = sparseParts(S);
            parts.push_back(floatPart("S.values", storage, {S.entries()}, S.values));
            parts.push_back(indexPart("S.columns", indexType(S.columns), sparse.columns));
            parts.push_back(indexPart("S.counts", indexType(S.columns), sparse.counts));
        }
        if (!record.weights->bias.empty())
            parts.push_back(
                floatPart("bias", DType::F32, {record.weights->bias.size()}, std::span(record.weights->bias)));
    }
    parts.push_back(rawPart("singularValues", DType::F64, std::span<const double>(record.singularValues)));
    return parts;
}

Json numberOrNull(double value)
{
    return std::isfinite(value) ? Json(value) : Json(nullptr);
}

double readNumber(const Json& json, const char* key)
{
    const Json& value = json.at(key);
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

LinearOutcome outcomeFromJson(const Json& json)
{
    LinearOutcome outcome;
    outcome.name = json.at("name").get<std::string>();
    outcome.rank = json.at("rank").get<std::size_t>();
    outcome.structure = structureFromName(json.at("structure").get<std::string>());
    outcome.entries = json.value("sparseEntries", std::size_t{0});
    outcome.left = json.value("left", outcome.structure == StructureKind::Dense);
    outcome.addedBias = json.value("addedBias", std::size_t{0});
    outcome.keptParameters = json.at("keptParameters").get<std::size_t>();
    outcome.denseParameters = json.at("denseParameters").get<std::size_t>();
    outcome.predictedLoss = readNumber(json, "predictedLoss");
    outcome.measuredLoss = readNumber(json, "measuredLoss");
    outcome.totalEnergy = readNumber(json, "totalEnergy");
    outcome.notes = json.at("notes").get<std::vector<std::string>>();
    return outcome;
}

BlockIdentityWeights readBlockIdentity(const LinearFileReader& reader, LinearShape shape, std::size_t rank)
{
    BlockIdentityWeights block;
    block.B = reader.matrix("B", shape.rows, rank);
    block.A2 = reader.matrix("A2", rank, shape.columns - rank);
    block.pivots = reader.vector<std::uint32_t>("pivots", DType::I32, rank);
    for (std::size_t i = 0; i < rank; ++i) {
        if (block.pivots[i] >= shape.columns || (i > 0 && block.pivots[i] <= block.pivots[i - 1]))
            reader.fail(
                fmt::format("pivot {} is {}, not an ascending column below {}", i, block.pivots[i], shape.columns));
    }
    for (std::size_t column = 0, pivot = 0; column < shape.columns; ++column) {
        if (pivot < rank && block.pivots[pivot] == column)
            ++pivot;
        else
            block.rest.push_back(static_cast<std::uint32_t>(column));
    }
    return block;
}

SparseMatrix<float> readSparse(const LinearFileReader& reader, LinearShape shape, std::size_t entries)
{
    const DType index = indexType(shape.columns);
    Matrix<float> values = reader.matrix("S.values", {entries}, 1, entries);
    try {
        return sparseMatrix(shape,
                            {.counts = reader.indices("S.counts", index, shape.rows),
                             .columns = reader.indices("S.columns", index, entries)},
                            {values.data(), values.data() + entries});
    } catch (const Error& error) {
        if (!error.file().empty())
            throw;
        reader.fail(error.what());
    }
}

} // namespace

Json outcomeToJson(const LinearOutcome& outcome)
{
    Json json{{"name", outcome.name},
              {"rank", outcome.rank},
              {"structure", structureName(outcome.structure)},
              {"keptParameters", outcome.keptParameters},
              {"denseParameters", outcome.denseParameters},
              {"predictedLoss", numberOrNull(outcome.predictedLoss)},
              {"measuredLoss", numberOrNull(outcome.measuredLoss)},
              {"totalEnergy", numberOrNull(outcome.totalEnergy)},
              {"notes", outcome.notes}};
    if (outcome.entries > 0)
        json["sparseEntries"] = outcome.entries;
    if (outcome.left && outcome.structure != StructureKind::Dense)
        json["left"] = true;
    if (outcome.addedBias > 0)
        json["addedBias"] = outcome.addedBias;
    return json;
}

std::filesystem::path linearFile(const std::filesystem::path& folder, std::size_t index, std::string_view kind)
{
    return folder / fmt::format("{}-{:05}.safetensors", kind, index);
}

void writeLinearFile(const std::filesystem::path& file, const std::string& fingerprint, const LinearRecord& record,
                     DType storage)
{
    const std::vector<Part> parts = partsOf(record, storage);
    std::vector<TensorPlan> plans;
    plans.reserve(parts.size());
    for (const Part& part : parts)
        plans.push_back(part.plan);
    const auto dataOf = [&](const std::string& name) -> std::span<const std::byte> {
        for (const Part& part : parts) {
            if (part.plan.name == name)
                return part.data;
        }
        return {};
    };
    // The metadata stand before the data in the file but hold their hash, which goes in the order of the file.
    std::vector<TensorPlan> order = plans;
    std::stable_sort(order.begin(), order.end(), [](const TensorPlan& a, const TensorPlan& b) {
        const std::size_t sizeA = bytesPerBlock(a.dtype);
        const std::size_t sizeB = bytesPerBlock(b.dtype);
        return sizeA != sizeB ? sizeA > sizeB : a.name < b.name;
    });
    Hasher hasher;
    for (const TensorPlan& plan : order)
        hasher.update(dataOf(plan.name));
    SafetensorsWriter writer(file, plans,
                             {{"fingerprint", fingerprint},
                              {"contentHash", hasher.hex()},
                              {"outcome", dumpJson(outcomeToJson(record.outcome))}});
    for (const TensorPlan& plan : writer.order())
        writer.write(plan.name, dataOf(plan.name));
    writer.commit();
}

LinearRecord readLinearFile(const std::filesystem::path& file, const std::string& fingerprint, const LinearInfo& info)
{
    const LinearFileReader reader(file);
    if (reader.metadata("fingerprint") != fingerprint)
        throw Error(ErrorKind::Mismatch, "belongs to another run", {.file = file, .tensor = info.name});
    if (reader.metadata("contentHash") != reader.contentHash())
        reader.fail("its content does not agree with its hash");
    LinearRecord record;
    try {
        record.outcome = outcomeFromJson(parseJson(reader.metadata("outcome"), file));
    } catch (const Json::exception& exception) {
        reader.fail(std::string("its outcome cannot be read: ") + exception.what());
    }
    if (record.outcome.name != info.name)
        throw Error(ErrorKind::Mismatch, fmt::format("holds {}, not {}", record.outcome.name, info.name),
                    {.file = file, .tensor = info.name});
    // Linears that share their latents have the singular values and ranks of all of them together.
    const std::size_t values = reader.length("singularValues");
    if (values < info.shape.fullRank() || values > info.shape.columns)
        reader.fail(fmt::format("{} singular values of a {}x{} linear", values, info.shape.rows, info.shape.columns));
    record.singularValues = reader.vector<double>("singularValues", DType::F64, values);
    const std::size_t rank = record.outcome.rank;
    // What is left in latents of another linear may have more than this one's rows.
    const std::size_t most = record.outcome.left ? info.shape.columns : values;
    if (rank < 1 || rank > most)
        reader.fail(fmt::format("rank {} is outside [1, {}]", rank, most));
    if (record.outcome.left)
        return record;
    if (record.outcome.structure == StructureKind::Dense)
        reader.fail("a dense linear is said to be put in place of another");
    LinearWeights weights;
    if (record.outcome.structure == StructureKind::Factors)
        weights.form =
            FactorWeights{reader.matrix("B", info.shape.rows, rank), reader.matrix("A", rank, info.shape.columns)};
    else if (record.outcome.structure == StructureKind::SharedLatent)
        weights.form = SharedLatentWeights{reader.matrix("B", info.shape.rows, rank), nullptr};
    else
        weights.form = readBlockIdentity(reader, info.shape, rank);
    if (record.outcome.entries > 0)
        weights.sparse = readSparse(reader, info.shape, record.outcome.entries);
    if (reader.contains("bias"))
        weights.bias = reader.vector<float>("bias", DType::F32, info.shape.rows);
    record.weights = std::move(weights);
    return record;
}

LinearRecord readWholeLinear(const std::filesystem::path& folder, const std::string& fingerprint, const Model& model,
                             const LinearInfo& info)
{
    LinearRecord record = readLinearFile(linearFile(folder, info.index), fingerprint, info);
    auto* shared = record.weights ? std::get_if<SharedLatentWeights>(&record.weights->form) : nullptr;
    if (shared != nullptr) {
        const LinearInfo& owner = model.latentOwner(info);
        LinearRecord kept = readLinearFile(linearFile(folder, owner.index), fingerprint, owner);
        if (!kept.weights)
            throw Error(ErrorKind::Corrupt, fmt::format("{} reads its latents, and it has none", info.name),
                        {.file = linearFile(folder, owner.index), .tensor = owner.name});
        shared->owner = std::make_shared<const LinearWeights>(std::move(*kept.weights));
    }
    return record;
}

} // namespace rankwright
