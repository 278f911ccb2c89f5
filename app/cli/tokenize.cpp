#include "app/cli/options.h"
#include "app/cli/session.h"
#include "app/cli/verbs.h"
#include "core/base/paths.h"
#include "core/model/model.h"
#include "core/tokenizer/text_file.h"

#include <algorithm>
#include <fmt/format.h>

namespace rankwright::cli {

namespace {

struct Options
{
    std::string model;
    std::string text;
    bool rows = false;
};

/// Tokens shown to a person; --json lists all ids.
constexpr std::size_t shownTokens = 16;

/// MODEL, or a folder or file with a tokenizer and no weights.
std::shared_ptr<const Tokenizer> openTokenizer(const std::filesystem::path& path)
{
    std::error_code failure;
    const bool folder = std::filesystem::is_directory(path, failure);
    const auto has = [&](const char* name) { return folder && isPresent(path / name); };
    const bool tokenizerFile =
        path.extension() == ".json" || path.extension() == ".model" || path.extension() == ".txt";
    if (tokenizerFile || has("tokenizer.json") || has("tokenizer.model") || has("vocab.json"))
        return Tokenizer::open(path);
    return Model::open(path).tokenizer();
}

/// Ids as JSON, written piece by piece: a text of 100 MB has some 25 million.
void writeJson(Session& session, const std::vector<std::int32_t>& ids)
{
    session.out.write(fmt::format("{{\"count\":{},\"ids\":[", ids.size()));
    constexpr std::size_t piece = 65536;
    fmt::memory_buffer buffer;
    for (std::size_t first = 0; first < ids.size(); first += piece) {
        buffer.clear();
        for (std::size_t i = first; i < std::min(first + piece, ids.size()); ++i)
            fmt::format_to(std::back_inserter(buffer), "{}{}", i == 0 ? "" : ",", ids[i]);
        session.out.write({buffer.data(), buffer.size()});
    }
    session.out.write("]}\n");
}

void writeText(Session& session, const Options& options, const Tokenizer& tokenizer, std::size_t bytes,
               std::size_t count, const std::vector<std::int32_t>& first)
{
    session.out.write(oneLine(options.text) + '\n' +
                      facts({{"tokenizer", tokenizer.description()},
                             {"tokens", grouped(count)},
                             {"bytes", fmt::format("{}, {:.3f} per token", grouped(bytes),
                                                   static_cast<double>(bytes) / static_cast<double>(count))}}) +
                      '\n');
    Table table({{"position"}, {"id"}, {"token", Table::Align::Left}});
    for (std::size_t i = 0; i < first.size(); ++i)
        table.row({std::to_string(i), std::to_string(first[i]), tokenizer.tokenText(first[i])});
    session.out.write(table.text());
    if (count > first.size())
        session.out.write(fmt::format("... and {} more; --json lists all ids\n", grouped(count - first.size())));
}

void run(Session& session, const Options& options)
{
    const std::shared_ptr<const Tokenizer> tokenizer = openTokenizer(options.model);
    std::string text = readText(options.text);
    if (options.rows)
        text = joinRows(text);
    const TaskContext context = session.context();
    std::vector<std::int32_t> ids;
    std::size_t count = 0;
    tokenizer->encode(text, [&](std::span<const std::int32_t> piece) {
        context.checkStop();
        count += piece.size();
        const std::size_t kept = session.json ? piece.size() : std::min(piece.size(), shownTokens - ids.size());
        ids.insert(ids.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(kept));
    });
    if (session.json)
        writeJson(session, ids);
    else
        writeText(session, options, *tokenizer, text.size(), count, ids);
}

} // namespace

void addTokenize(CLI::App& app, Session& session)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        addVerb(app, session, "tokenize", "Token ids of a text: special tokens in it recognised, none added",
                "MODEL may also be a folder or file with a tokenizer and no weights.\n"
                "\n"
                "Examples:\n"
                "  rankwright-cli tokenize stories260K --text stories-heldout.txt\n"
                "  rankwright-cli tokenize tokenizer.json --text stories-heldout.txt --json");
    addModel(*command, options->model);
    command->add_option("--text", options->text, "UTF-8 text")->type_name("FILE")->required()->group("Text");
    command
        ->add_flag("--rows", options->rows,
                   "Its lines are data-set rows, joined by two newlines as the papers do with WikiText-2")
        ->group("Text");
    command->callback([&session, options] { session.work = [&session, options] { run(session, *options); }; });
}

} // namespace rankwright::cli
