#include "tests/export/export_support.h"

#include "core/base/file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace rankwright::exporting {

struct Replacements::State
{
    Model model;
    std::shared_ptr<const Device> device;
    std::size_t every = 1;
    double ratio = 0.5;
    bool biases = false;
    bool shared = false;
    bool sparse = false;
    std::mutex mutex;
    std::map<std::size_t, std::shared_ptr<const LinearWeights>> made;

    StructureKind kindOf(const LinearInfo& info) const
    {
        switch (info.block / every % 3) {
        case 0:
            return StructureKind::Factors;
        case 1:
            return StructureKind::BlockIdentity;
        default:
            break;
        }
        switch (info.role) {
        case Role::Q:
        case Role::Gate:
            return StructureKind::Factors;
        case Role::K:
        case Role::Up:
        case Role::Down:
            return StructureKind::BlockIdentity;
        default:
            return StructureKind::Dense;
        }
    }

    /// Of `ratio` of the full rank: B spans a random part of the range of W.
    LinearWeights factored(const Matrix<double>& W, StructureKind kind, std::size_t seed) const
    {
        const auto rank = std::max<std::size_t>(
            1, static_cast<std::size_t>(ratio * static_cast<double>(std::min(W.rows(), W.columns()))));
        std::mt19937_64 random(seed);
        std::normal_distribution<double> normal;
        Matrix<double> directions(W.columns(), rank);
        for (double& value : directions.span())
            value = normal(random);
        Matrix<double> range(W.rows(), rank);
        device->gemm(Transpose::No, Transpose::No, 1.0, W.view(), directions.view(), 0.0, range.view());
        Factorisation factorisation{device->qr(std::move(range)).Q, Matrix<double>(rank, W.columns())};
        device->gemm(Transpose::Yes, Transpose::No, 1.0, factorisation.B.view(), W.view(), 0.0, factorisation.A.view());
        if (sparse)
            factorisation.sparse = someEntries(W, seed);
        return storeFactorisation(*device, factorisation, kind, DType::F32);
    }

    /// Every seventh weight twice as large, but for the second row.
    static SparseMatrix<double> someEntries(const Matrix<double>& W, std::size_t seed)
    {
        SparseMatrix<double> S{.columns = W.columns(), .rowStart = {0}, .column = {}, .values = {}};
        for (std::size_t i = 0; i < W.rows(); ++i) {
            for (std::size_t j = (i + seed) % 7; i != 1 && j < W.columns(); j += 7) {
                S.column.push_back(static_cast<std::uint32_t>(j));
                S.values.push_back(j % 5 == 0 ? 0.0 : W(i, j));
            }
            S.rowStart.push_back(S.values.size());
        }
        return S;
    }

    /// All linears of the input of `info` over one A.
    void makeShared(const LinearInfo& info)
    {
        const std::vector<std::size_t>& linears = model.taps()[info.tap].linears;
        Matrix<double> W;
        std::vector<std::size_t> rows;
        std::vector<float> bias;
        for (const std::size_t linear : linears) {
            const LinearWeights part = model.readLinear(model.linears()[linear]);
            rows.push_back(part.shape().rows);
            bias.insert(bias.end(), part.bias.begin(), part.bias.end());
        }
        W = Matrix<double>(std::accumulate(rows.begin(), rows.end(), std::size_t{0}), info.shape.columns);
        double* next = W.data();
        for (const std::size_t linear : linears) {
            const Matrix<float> part = model.readDense(model.linears()[linear]);
            next = std::copy_n(part.data(), part.size(), next);
        }
        const StructureKind kind = info.block / every % 2 == 0 ? StructureKind::Factors : StructureKind::BlockIdentity;
        LinearWeights whole = factored(W, kind, info.index);
        whole.bias = std::move(bias);
        const auto parts = splitRows(whole, rows);
        for (std::size_t i = 0; i < linears.size(); ++i)
            made[linears[i]] = parts[i];
    }

    std::shared_ptr<const LinearWeights> make(const LinearInfo& info) const
    {
        const StructureKind kind = kindOf(info);
        if (info.block % every != 0 || kind == StructureKind::Dense)
            return biases && info.block % every == 0 && info.role == Role::O ? withBias(model.readLinear(info), info)
                                                                             : nullptr;
        LinearWeights weights = factored(convertMatrix<double>(model.readDense(info)), kind, info.index);
        weights.bias = model.readLinear(info).bias;
        if (biases && info.index % 2 == 0)
            return withBias(std::move(weights), info);
        return std::make_shared<const LinearWeights>(std::move(weights));
    }

    static std::shared_ptr<const LinearWeights> withBias(LinearWeights weights, const LinearInfo& info)
    {
        std::mt19937_64 random(info.index + 1000);
        std::normal_distribution<float> normal(0.0F, 0.2F);
        weights.bias.resize(info.shape.rows);
        for (float& value : weights.bias)
            value = normal(random);
        return std::make_shared<const LinearWeights>(std::move(weights));
    }
};

Replacements::Replacements(const Model& model, std::shared_ptr<const Device> device, std::size_t every, double ratio,
                           bool biases, bool shared, bool sparse)
    : m_state(std::make_shared<State>())
{
    m_state->model = model;
    m_state->device = std::move(device);
    m_state->every = every;
    m_state->ratio = ratio;
    m_state->biases = biases;
    m_state->shared = shared;
    m_state->sparse = sparse;
}

LinearSource Replacements::source() const
{
    return [state = m_state](const LinearInfo& info) {
        const std::lock_guard lock(state->mutex);
        const auto found = state->made.find(info.index);
        if (found != state->made.end())
            return found->second;
        if (state->shared && info.block % state->every == 0 && state->model.taps()[info.tap].linears.size() > 1) {
            state->makeShared(info);
            return state->made.at(info.index);
        }
        return state->made.emplace(info.index, state->make(info)).first->second;
    };
}

std::vector<std::int32_t> someIds(const Model& model, std::size_t count)
{
    std::vector<std::int32_t> ids(count);
    for (std::size_t i = 0; i < count; ++i)
        ids[i] = static_cast<std::int32_t>((1 + 37 * i) % model.config().vocabularySize);
    return ids;
}

Matrix<float> logitsOf(const Model& model, const Device& device, const std::vector<std::int32_t>& ids)
{
    Matrix<float> result(ids.size(), model.config().vocabularySize);
    const Head head(model, device);
    const std::vector<std::vector<std::int32_t>> windows{ids};
    forwardWindows(model, device, windows, {}, {},
                   [&](std::size_t, std::size_t, ConstMatrixView<float> hidden, ForwardScratch& scratch) {
                       head.logits(hidden, scratch, [&](std::size_t first, MatrixView<float> logits) {
                           for (std::size_t row = 0; row < logits.rows; ++row)
                               std::copy_n(logits.row(row), logits.columns, result.row(first + row));
                       });
                   });
    return result;
}

std::vector<std::int32_t> greedy(const Model& model, const Device& device, std::vector<std::int32_t> ids,
                                 std::size_t tokens)
{
    std::vector<std::int32_t> generated;
    while (generated.size() < tokens) {
        Matrix<float> logits = logitsOf(model, device, ids);
        float* last = logits.row(ids.size() - 1);
        if (model.config().eosToken)
            last[*model.config().eosToken] = -std::numeric_limits<float>::infinity();
        const auto next = static_cast<std::int32_t>(std::max_element(last, last + logits.columns()) - last);
        generated.push_back(next);
        ids.push_back(next);
    }
    return generated;
}

double relativeDifference(const Matrix<float>& expected, const Matrix<float>& found)
{
    double largest = 0.0;
    double difference = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(expected.data()[i])));
        difference = std::max(difference,
                              std::abs(static_cast<double>(expected.data()[i]) - static_cast<double>(found.data()[i])));
    }
    return difference / largest;
}

std::map<std::string, std::string> contentOf(const std::filesystem::path& folder)
{
    std::map<std::string, std::string> content;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        content[entry.path().filename().string()] = readFile(entry.path());
    return content;
}

void copyWithout(const std::filesystem::path& model, const std::filesystem::path& folder, const std::string& key)
{
    std::filesystem::copy(model, folder);
    Json config = readJson(folder / "config.json");
    config.erase(key);
    writeFileAtomically(folder / "config.json", dumpJson(config));
}

} // namespace rankwright::exporting
