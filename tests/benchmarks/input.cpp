#include "core/base/file.h"
#include "core/checkpoint/safetensors_writer.h"
#include "tests/benchmarks/support.h"

#include <filesystem>

namespace rankwright::benchmarks {

namespace {

/// A matrix of 64 million bf16 values, pages of the file warm; counted are the bytes read and the float32 written.
void readCheckpoint(benchmark::State& state, std::size_t rowsAtOnce)
{
    constexpr std::size_t rows = 8192;
    constexpr std::size_t columns = 8192;
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "model.safetensors";
    {
        Matrix<float> values(rows, columns);
        for (std::size_t i = 0; i < values.size(); ++i)
            values.data()[i] = static_cast<float>(i % 1000) - 500.0F;
        SafetensorsWriter writer(file, {{"W", DType::BF16, {rows, columns}}});
        writer.writeFloats("W", values.span());
        writer.commit();
    }
    const Checkpoint checkpoint = Checkpoint::open(file);
    const TensorInfo& tensor = checkpoint.at("W");
    Matrix<float> target(rowsAtOnce, columns);
    for (auto _ : state)
        for (std::size_t row = 0; row < rows; row += rowsAtOnce)
            checkpoint.readRows(tensor, row, rowsAtOnce, target.view());
    constexpr double perValue = 2 + sizeof(float);
    state.counters["byte"] = perValue * static_cast<double>(rows * columns);
}

void tokenize(benchmark::State& state, const std::filesystem::path& tokenizerPath)
{
    const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::open(tokenizerPath);
    const std::string text =
        readFile(std::filesystem::path(RANKWRIGHT_TEST_DATA) / "texts/wikitext2-raw/wiki.test.raw");
    std::size_t count = 0;
    for (auto _ : state) {
        count = 0;
        tokenizer->encode(text, [&](std::span<const std::int32_t> ids) { count += ids.size(); });
    }
    state.counters["textBytes"] = static_cast<double>(text.size());
    state.counters["ids"] = static_cast<double>(count);
}

} // namespace

void addInput()
{
    add("input/bf16/matrix", [](benchmark::State& state) { readCheckpoint(state, 8192); });
    add("input/bf16/rows", [](benchmark::State& state) { readCheckpoint(state, 16); });
    for (const char* name : {"gpt2", "gpt-neox-20b"})
        add(std::string("input/tokenize/") + name, [name](benchmark::State& state) {
            tokenize(state, std::filesystem::path(RANKWRIGHT_TEST_DATA) / "tokenizers" / name);
        });
}

} // namespace rankwright::benchmarks
