#pragma once

#include "core/base/json.h"
#include "core/tensor/matrix.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace rankwright::tiny {

struct Tensor
{
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

/// A small random model of the Llama family, its files, and its forward pass as plain loops in float64.
struct TinyLlama
{
    std::size_t hidden = 24;
    std::size_t inner = 40;
    std::size_t blocks = 2;
    std::size_t heads = 4;
    std::size_t keyValueHeads = 2;
    std::size_t headWidth = 6;
    std::size_t vocabulary = 50;
    std::size_t context = 512;
    double normEpsilon = 1e-5;
    double ropeTheta = 10000.0;
    Json ropeScaling = {}; ///< as in config.json, or null
    bool tied = true;
    bool biases = false;
    std::map<std::string, Tensor> tensors = {}; ///< by the names of Hugging Face

    /// Random tensors; equal seeds give equal values.
    void fill(unsigned seed);
    std::vector<float>& values(const std::string& name) { return tensors.at(name).values; }

    Json config() const;
    /// model.safetensors (F32) and config.json.
    void write(const std::filesystem::path& folder) const;
    void write(const std::filesystem::path& folder, const Json& config) const;
    /// The same model as llama.cpp's converter lays it: other names, rows of q and k in rotary pairs. No tokenizer.
    /// `changes` sets metadata values (integers, floats, texts), null removes one.
    void writeGguf(const std::filesystem::path& file, const Json& changes = Json::object()) const;

    /// Sees the input of a linear by its name, ids x columns.
    using Observer = std::function<void(const std::string& linear, const Matrix<double>& X)>;
    /// Logits, ids x vocabulary.
    Matrix<double> logits(const std::vector<std::int32_t>& ids, const Observer& observer = {}) const;

private:
    Matrix<double> linear(const std::string& name, const Matrix<double>& X, const Observer& observer) const;
    Matrix<double> norm(const std::string& name, const Matrix<double>& X) const;
    double frequency(std::size_t index) const;
    void rotate(Matrix<double>& X, std::size_t count) const;
    Matrix<double> attend(const Matrix<double>& Q, const Matrix<double>& K, const Matrix<double>& V) const;
};

/// `count` windows of `length` random tokens below `vocabulary`.
std::vector<std::vector<std::int32_t>> randomIds(std::size_t count, std::size_t length, std::size_t vocabulary,
                                                 unsigned seed);

} // namespace rankwright::tiny
