#include "core/checkpoint/checkpoint.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/mapped_file.h"
#include "core/base/nearest_name.h"
#include "core/base/paths.h"
#include "core/checkpoint/gguf.h"
#include "core/checkpoint/safetensors.h"
#include "core/checkpoint/shard_index.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace rankwright {

namespace {

/// Bytes that are read before their pages are released when a tensor is streamed.
constexpr std::size_t streamBytes = std::size_t{16} << 20U;
constexpr std::size_t configLimit = std::size_t{4} << 20U;
constexpr std::string_view indexName = "model.safetensors.index.json";
constexpr std::string_view singleName = "model.safetensors";

std::vector<std::filesystem::path> ggufFiles(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> result;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
        if (entry.path().extension() == ".gguf")
            result.push_back(entry.path());
    }
    return result;
}

std::filesystem::path fileInFolder(const std::filesystem::path& folder)
{
    if (isPresent(folder / singleName))
        return folder / singleName;
    const auto files = ggufFiles(folder);
    if (files.size() == 1)
        return files.front();
    if (files.size() > 1)
        throw Error(ErrorKind::InvalidArgument,
                    fmt::format("the folder holds {} .gguf files; name the one that is meant", files.size()),
                    {.file = folder});
    if (isPresent(folder / "pytorch_model.bin") || isPresent(folder / "pytorch_model.bin.index.json"))
        throw Error(ErrorKind::Unsupported, "the folder holds pickled weights only; convert them to safetensors first",
                    {.file = folder});
    throw Error(ErrorKind::NotFound,
                fmt::format("no {}, no {} and no .gguf file in this folder; is it the folder of a model?", indexName,
                            singleName),
                {.file = folder});
}

bool isGguf(const MappedFile& file)
{
    return file.path().extension() == ".gguf" ||
           (file.bytes().size() >= 4 && std::memcmp(file.bytes().data(), "GGUF", 4) == 0);
}

} // namespace

struct Checkpoint::State
{
    std::filesystem::path path;
    std::filesystem::path folder;
    CheckpointFormat format = CheckpointFormat::Safetensors;
    std::vector<std::filesystem::path> files;
    std::vector<std::shared_ptr<const MappedFile>> maps;
    std::vector<TensorInfo> tensors;
    std::unordered_map<std::string_view, std::size_t> names;
    std::optional<Json> config;
    std::optional<GgufFile> gguf;

    mutable std::mutex fingerprintMutex;
    mutable std::string fingerprint;

    void openFile(const std::filesystem::path& file);
    void openShards(const std::filesystem::path& index);
    void finish();
    Error error(ErrorKind kind, const TensorInfo& tensor, const std::string& message) const
    {
        return {kind, message, {.file = files.at(tensor.file), .tensor = tensor.name}};
    }
};

void Checkpoint::State::openFile(const std::filesystem::path& file)
{
    auto map = std::make_shared<const MappedFile>(file);
    files = {file};
    maps = {map};
    if (isGguf(*map)) {
        format = CheckpointFormat::Gguf;
        gguf.emplace(map);
        tensors = gguf->tensors();
        std::stable_sort(tensors.begin(), tensors.end(),
                         [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
        return;
    }
    tensors = parseSafetensors(map->bytes(), file).tensors;
}

void Checkpoint::State::openShards(const std::filesystem::path& index)
{
    const std::map<std::string, std::string> shards = readShardIndex(index);
    std::map<std::string, std::vector<std::string_view>> wanted;
    for (const auto& [tensor, shard] : shards)
        wanted[shard].push_back(tensor);
    for (const auto& [shard, expected] : wanted) {
        const std::filesystem::path file = index.parent_path() / shard;
        if (!isPresent(file))
            throw Error(ErrorKind::NotFound,
                        fmt::format("{} names this shard for {} tensors but it is missing; perhaps an incomplete "
                                    "download: fetch it",
                                    indexName, expected.size()),
                        {.file = file, .tensor = std::string(expected.front())});
        auto map = std::make_shared<const MappedFile>(file);
        SafetensorsHeader header = parseSafetensors(map->bytes(), file);
        // `expected` is sorted, because it comes from a map.
        std::size_t found = 0;
        for (TensorInfo& tensor : header.tensors) {
            if (!std::binary_search(expected.begin(), expected.end(), std::string_view(tensor.name)))
                continue;
            tensor.file = files.size();
            tensors.push_back(std::move(tensor));
            ++found;
        }
        if (found != expected.size()) {
            const std::set<std::string_view> held = [&] {
                std::set<std::string_view> result;
                for (std::size_t i = tensors.size() - found; i < tensors.size(); ++i)
                    result.insert(tensors[i].name);
                return result;
            }();
            const auto absent = std::find_if(expected.begin(), expected.end(),
                                             [&](std::string_view name) { return !held.contains(name); });
            throw Error(ErrorKind::Corrupt,
                        fmt::format("{} says that this shard holds it, but it does not; the files belong to different "
                                    "versions of the model",
                                    indexName),
                        {.file = file, .tensor = std::string(*absent)});
        }
        files.push_back(file);
        maps.push_back(std::move(map));
    }
}

void Checkpoint::State::finish()
{
    names.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i)
        names.emplace(tensors[i].name, i);
    if (isPresent(folder / "config.json"))
        config = readJson(folder / "config.json", configLimit);
}

Checkpoint::Checkpoint(std::shared_ptr<const State> state)
    : m_state(std::move(state))
{}

Checkpoint Checkpoint::open(const std::filesystem::path& path)
{
    const auto state = std::make_shared<State>();
    state->path = path;
    std::error_code failure;
    if (std::filesystem::is_directory(path, failure)) {
        state->folder = path;
        if (isPresent(path / indexName))
            state->openShards(path / indexName);
        else
            state->openFile(fileInFolder(path));
    } else {
        state->folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
        state->openFile(path);
    }
    state->finish();
    return Checkpoint(state);
}

const std::filesystem::path& Checkpoint::path() const
{
    return m_state->path;
}

std::filesystem::path Checkpoint::folder() const
{
    return m_state->folder;
}

CheckpointFormat Checkpoint::format() const
{
    return m_state->format;
}

const std::vector<std::filesystem::path>& Checkpoint::files() const
{
    return m_state->files;
}

const std::vector<TensorInfo>& Checkpoint::tensors() const
{
    return m_state->tensors;
}

const Json* Checkpoint::config() const
{
    return m_state->config ? &*m_state->config : nullptr;
}

const GgufFile* Checkpoint::gguf() const
{
    return m_state->gguf ? &*m_state->gguf : nullptr;
}

const TensorInfo* Checkpoint::find(std::string_view name) const
{
    const auto found = m_state->names.find(name);
    return found == m_state->names.end() ? nullptr : &m_state->tensors[found->second];
}

const TensorInfo& Checkpoint::at(std::string_view name) const
{
    if (const TensorInfo* tensor = find(name))
        return *tensor;
    std::vector<std::string_view> names;
    for (const TensorInfo& tensor : tensors())
        names.emplace_back(tensor.name);
    throw Error(ErrorKind::NotFound,
                names.empty()
                    ? std::string("the checkpoint holds no tensors")
                    : fmt::format("no such tensor in the checkpoint; the nearest is {}", nearestName(name, names)),
                {.file = path(), .tensor = std::string(name)});
}

std::span<const std::byte> Checkpoint::data(const TensorInfo& tensor) const
{
    return m_state->maps.at(tensor.file)->bytes().subspan(tensor.offset, tensor.bytes);
}

void Checkpoint::readRows(const TensorInfo& tensor, std::size_t first, std::size_t count,
                          MatrixView<float> target) const
{
    if (tensor.shape.size() != 2)
        throw m_state->error(ErrorKind::Mismatch, tensor,
                             fmt::format("shape {} where a matrix is needed", shapeText(tensor.shape)));
    if (!isFloating(tensor.dtype))
        throw m_state->error(ErrorKind::Unsupported, tensor,
                             fmt::format("{} values where weights are needed", dtypeName(tensor.dtype)));
    if (first > tensor.shape[0] || count > tensor.shape[0] - first || target.rows != count ||
        target.columns != tensor.shape[1])
        throw m_state->error(ErrorKind::Internal, tensor,
                             fmt::format("rows {} to {} of shape {} asked for as {}x{}", first, first + count,
                                         shapeText(tensor.shape), target.rows, target.columns));
    if (target.columns == 0 || count == 0)
        return;
    const std::size_t rowBytes = bytesFor(tensor.dtype, target.columns);
    const auto source = data(tensor).subspan(first * rowBytes, count * rowBytes);
    if (target.stride == target.columns) {
        convertToFloat(tensor.dtype, source, {target.data, count * target.columns});
        return;
    }
    for (std::size_t i = 0; i < count; ++i)
        convertToFloat(tensor.dtype, source.subspan(i * rowBytes, rowBytes), target.rowSpan(i));
}

Matrix<float> Checkpoint::readMatrix(const TensorInfo& tensor) const
{
    if (tensor.shape.size() != 2)
        throw m_state->error(ErrorKind::Mismatch, tensor,
                             fmt::format("shape {} where a matrix is needed", shapeText(tensor.shape)));
    Matrix<float> result(tensor.shape[0], tensor.shape[1]);
    readRows(tensor, 0, result.rows(), result.view());
    return result;
}

std::vector<float> Checkpoint::readVector(const TensorInfo& tensor) const
{
    const bool flat =
        tensor.shape.size() == 1 || (tensor.shape.size() == 2 && (tensor.shape[0] == 1 || tensor.shape[1] == 1));
    if (!flat)
        throw m_state->error(ErrorKind::Mismatch, tensor,
                             fmt::format("shape {} where a vector is needed", shapeText(tensor.shape)));
    if (!isFloating(tensor.dtype))
        throw m_state->error(ErrorKind::Unsupported, tensor,
                             fmt::format("{} values where weights are needed", dtypeName(tensor.dtype)));
    std::vector<float> result(tensor.elements());
    convertToFloat(tensor.dtype, data(tensor), result);
    return result;
}

std::vector<std::int32_t> Checkpoint::readIntegers(const TensorInfo& tensor) const
{
    if (isFloating(tensor.dtype) || tensor.dtype == DType::Bool)
        throw m_state->error(ErrorKind::Unsupported, tensor,
                             fmt::format("{} values where integers are needed", dtypeName(tensor.dtype)));
    std::vector<std::int32_t> result(tensor.elements());
    const std::size_t good = convertToIntegers(tensor.dtype, data(tensor), result);
    if (good != result.size())
        throw m_state->error(ErrorKind::Corrupt, tensor, fmt::format("element {} does not fit 32 bits", good));
    return result;
}

void Checkpoint::release(const TensorInfo& tensor) const
{
    m_state->maps.at(tensor.file)->release(data(tensor));
}

std::string Checkpoint::fingerprint() const
{
    const std::lock_guard lock(m_state->fingerprintMutex);
    if (!m_state->fingerprint.empty())
        return m_state->fingerprint;
    std::vector<const TensorInfo*> order;
    for (const TensorInfo& tensor : tensors())
        order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) { return a->name < b->name; });
    Hasher hasher;
    for (const TensorInfo* tensor : order) {
        hasher.update(tensor->name).update(dtypeName(tensor->dtype)).update(tensor->shape.size());
        for (const std::size_t dimension : tensor->shape)
            hasher.update(dimension);
        const auto bytes = data(*tensor);
        for (std::size_t first = 0; first < bytes.size(); first += streamBytes) {
            const auto part = bytes.subspan(first, std::min(streamBytes, bytes.size() - first));
            hasher.update(part);
            m_state->maps.at(tensor->file)->release(part);
        }
    }
    m_state->fingerprint = hasher.hex();
    return m_state->fingerprint;
}

} // namespace rankwright
