#include "core/model/layout.h"

#include "core/base/error.h"
#include "core/model/tensor_names.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace rankwright {

namespace {

class LayoutBuilder
{
public:
    LayoutBuilder(const Checkpoint& checkpoint, const ModelConfig& config)
        : m_checkpoint(checkpoint)
        , m_config(config)
        , m_names(checkpoint, config)
        , m_structures(structureTable())
    {}

    ModelLayout build()
    {
        // A block has several tensors: a configuration cannot ask for more memory than the file's own table has.
        if (m_config.blocks > m_checkpoint.tensors().size())
            throw Error(ErrorKind::Mismatch,
                        fmt::format("the configuration has {} blocks, the checkpoint {} tensors", m_config.blocks,
                                    m_checkpoint.tensors().size()),
                        {.file = m_checkpoint.files().front()});
        const std::vector<std::size_t> tokens{m_config.vocabularySize, m_config.hiddenSize};
        m_layout.embedding = take(embeddingName(), tokens);
        if (m_config.positions == PositionKind::Learned)
            m_layout.positions =
                take(m_names.positions() + ".weight",
                     {m_config.contextLength + architectureOf(m_config).positionOffset, m_config.hiddenSize});
        for (std::size_t block = 0; block < m_config.blocks; ++block)
            addBlock(block);
        refuseUnknownEntries();
        m_layout.finalNorm = takeNorm(m_names.finalNorm());
        m_layout.head = m_config.tiedHead ? m_layout.embedding : takeHead(tokens);
        refuseOthers();
        return std::move(m_layout);
    }

private:
    const Json* structureTable() const
    {
        const Json* config = m_checkpoint.config();
        if (!config || m_checkpoint.gguf() || !config->contains("rankwright"))
            return nullptr;
        const Json& table = (*config)["rankwright"];
        if (!table.is_object() || !table.contains("linears") || !table["linears"].is_object())
            throw Error(ErrorKind::Corrupt, "\"rankwright\" must be an object that holds an object \"linears\"",
                        {.file = configFile()});
        return &table["linears"];
    }

    /// A tied embedding may be stored as the head alone: safetensors keeps the first name of a shared tensor.
    std::string embeddingName() const
    {
        const std::string head = m_names.head() + ".weight";
        std::string embedding = m_names.embedding() + ".weight";
        return m_config.tiedHead && !m_checkpoint.find(embedding) && m_checkpoint.find(head) ? head : embedding;
    }

    const TensorInfo* takeHead(const std::vector<std::size_t>& shape)
    {
        const std::string name = m_names.head() + ".weight";
        if (!m_checkpoint.find(name))
            throw Error(ErrorKind::NotFound,
                        "there is no head, as in files of base models, classifiers and embedding models; take the "
                        "language model's, or set tie_word_embeddings to true if its head is the embedding",
                        {.file = m_checkpoint.files().front(), .tensor = name});
        return take(name, shape);
    }

    std::filesystem::path configFile() const { return m_checkpoint.folder() / "config.json"; }

    /// A floating tensor of this shape, or one of `indices`, counted as used.
    const TensorInfo* take(const std::string& name, const std::vector<std::size_t>& shape,
                           std::optional<DType> indices = {})
    {
        const TensorInfo& tensor = m_checkpoint.at(name);
        const ErrorContext where{.file = m_checkpoint.files().at(tensor.file), .tensor = name};
        if (tensor.shape != shape)
            throw Error(ErrorKind::Mismatch,
                        fmt::format("the shape is {}, the configuration asks for {}", shapeText(tensor.shape),
                                    shapeText(shape)),
                        where);
        if (indices ? tensor.dtype != *indices : !isFloating(tensor.dtype))
            throw Error(ErrorKind::Mismatch,
                        fmt::format("the dtype is {}, but {} are expected", dtypeName(tensor.dtype),
                                    indices ? fmt::format("{} indices", dtypeName(*indices)) : "weights"),
                        where);
        if (m_used.insert(name).second && !indices)
            m_layout.parameters += tensor.elements();
        return &tensor;
    }

    NormTensors takeNorm(const std::string& name)
    {
        NormTensors tensors{.weight = take(name + ".weight", {m_config.hiddenSize})};
        if (m_config.norm == NormKind::Layer)
            tensors.bias = take(name + ".bias", {m_config.hiddenSize});
        return tensors;
    }

    void addBlock(std::size_t block)
    {
        m_layout.attentionNorms.push_back(takeNorm(m_names.attentionNorm(block)));
        m_layout.mlpNorms.push_back(takeNorm(m_names.mlpNorm(block)));
        if (m_config.queryKeyNorm) {
            m_layout.queryNorms.push_back(take(m_names.queryNorm(block) + ".weight", {m_config.headWidth}));
            m_layout.keyNorms.push_back(take(m_names.keyNorm(block) + ".weight", {m_config.headWidth}));
        }
        for (std::size_t site = 0; site < siteCount; ++site) {
            TapInfo tap;
            tap.index = m_layout.taps.size();
            tap.block = block;
            tap.site = static_cast<TapSite>(site);
            tap.name = fmt::format("{}.{}", blockName(m_config, block), siteName(tap.site));
            m_layout.taps.push_back(std::move(tap));
        }
        for (std::size_t role = 0; role < roleCount; ++role)
            if (hasRole(m_config, static_cast<Role>(role)))
                addLinear(block, static_cast<Role>(role));
    }

    void addLinear(std::size_t block, Role role)
    {
        LinearInfo info;
        info.index = m_layout.linears.size();
        info.name = linearName(m_config, block, role);
        info.block = block;
        info.role = role;
        info.tap = block * siteCount + static_cast<std::size_t>(siteOf(role));
        info.shape = roleShape(m_config, role);
        info.rank = info.shape.fullRank();
        const bool hasBias = readStructure(info, rankwright::hasBias(m_config, role));

        const LinearTensors& tensors = m_layout.linearTensors.emplace_back(takeLinear(info, hasBias));
        info.dtype = (info.structure == StructureKind::Dense ? tensors.weight : tensors.B)->dtype;
        m_layout.linearParameters += parameterCount(info.stored(), info.shape);

        TapInfo& tap = m_layout.taps.at(info.tap);
        tap.width = info.shape.columns;
        tap.linears.push_back(info.index);
        m_layout.linears.push_back(std::move(info));
    }

    /// Whether an export of Rankwright keeps this linear in tensors of its own, rows first.
    bool isListed(const LinearInfo& info) const { return m_structures && m_structures->contains(info.name); }

    /// Reads structure and rank from the table of an export; returns whether the linear has a bias, which is
    /// `stockBias` where the table does not say.
    bool readStructure(LinearInfo& info, bool stockBias) const
    {
        if (!isListed(info))
            return stockBias;
        const Json& entry = (*m_structures)[info.name];
        const auto refuse = [&](const std::string& why) {
            throw Error(ErrorKind::Corrupt, fmt::format("\"rankwright\" of {}: {}", info.name, why),
                        {.file = configFile()});
        };
        if (!entry.is_object() || !entry.contains("structure") || !entry["structure"].is_string())
            refuse("there is no \"structure\"");
        if (entry.contains("bias") && !entry["bias"].is_boolean())
            refuse("\"bias\" is neither true nor false");
        const bool hasBias = entry.contains("bias") ? entry["bias"].get<bool>() : stockBias;
        const auto name = entry["structure"].get<std::string>();
        if (name == structureName(StructureKind::Dense))
            return hasBias;
        if (name != structureName(StructureKind::Factors) && name != structureName(StructureKind::BlockIdentity) &&
            name != structureName(StructureKind::SharedLatent))
            throw Error(ErrorKind::Unsupported,
                        fmt::format("\"rankwright\" of {}: structure \"{}\" is not known", info.name, name),
                        {.file = configFile()});
        info.structure = structureFromName(name);
        if (!entry.contains("rank") || !entry["rank"].is_number_unsigned())
            refuse("there is no \"rank\"");
        info.rank = entry["rank"].get<std::size_t>();
        const bool shares = info.structure == StructureKind::SharedLatent;
        // Latents that several linears share, or did, may be more than the rows of one.
        if (info.rank == 0 || info.rank > info.shape.columns)
            refuse(fmt::format("rank {} of a {} x {} linear", info.rank, info.shape.rows, info.shape.columns));
        if (shares)
            requireOwner(info, entry);
        if (entry.contains("sparse")) {
            if (!entry["sparse"].is_number_unsigned() || shares)
                refuse("\"sparse\" is no number of entries beside factors");
            info.entries = entry["sparse"].get<std::size_t>();
            if (info.entries == 0 || info.entries > info.shape.parameters())
                refuse(fmt::format("{} sparse entries of a {} x {} linear", info.entries, info.shape.rows,
                                   info.shape.columns));
        }
        return hasBias;
    }

    /// Latents are those of the first linear of the same input.
    void requireOwner(const LinearInfo& info, const Json& entry) const
    {
        const std::vector<std::size_t>& before = m_layout.taps.at(info.tap).linears;
        const LinearInfo* owner = before.empty() ? nullptr : &m_layout.linears.at(before.front());
        const bool factored =
            owner && (owner->structure == StructureKind::Factors || owner->structure == StructureKind::BlockIdentity);
        if (!factored || owner->rank != info.rank || !entry.contains("latentOf") || entry["latentOf"] != owner->name)
            throw Error(ErrorKind::Corrupt,
                        fmt::format("\"rankwright\" of {}: \"latentOf\" must name the first linear of the same input, "
                                    "in factors of rank {}",
                                    info.name, info.rank),
                        {.file = configFile()});
    }

    LinearTensors takeLinear(const LinearInfo& info, bool hasBias)
    {
        if (info.structure == StructureKind::Dense)
            return takeDense(info, hasBias);
        LinearTensors tensors;
        const std::string name = m_names.linear(info.block, info.role);
        const LinearShape shape = info.shape;
        tensors.B = take(name + ".B.weight", {shape.rows, info.rank});
        if (info.structure == StructureKind::Factors) {
            tensors.A = take(name + ".A.weight", {info.rank, shape.columns});
        } else if (info.structure == StructureKind::BlockIdentity) {
            tensors.A = take(name + ".A2.weight", {info.rank, shape.columns - info.rank});
            tensors.pivots = take(name + ".pivots", {info.rank}, DType::I32);
        }
        if (hasBias)
            tensors.bias = take(name + ".B.bias", {shape.rows});
        if (info.entries > 0) {
            const DType index = indexType(shape.columns);
            tensors.sparseValues = take(name + ".S.values", {info.entries});
            tensors.sparseColumns = take(name + ".S.columns", {info.entries}, index);
            tensors.sparseCounts = take(name + ".S.counts", {shape.rows}, index);
            m_layout.parameters += sparseParameters(shape, info.entries) - info.entries;
        }
        return tensors;
    }

    LinearTensors takeDense(const LinearInfo& info, bool hasBias)
    {
        LinearTensors tensors;
        std::string name = m_names.linear(info.block, info.role);
        std::size_t rows = info.shape.rows;
        const std::string fused = m_names.fused(info.block);
        if (!isListed(info)) {
            tensors.transposed = !m_checkpoint.gguf() && architectureOf(m_config).transposed;
            if (!fused.empty() && siteOf(info.role) == TapSite::AttentionInput) {
                name = fused;
                tensors.firstRow = static_cast<std::size_t>(info.role) * rows;
                rows *= 3;
            }
        }
        std::vector<std::size_t> shape{rows, info.shape.columns};
        if (tensors.transposed)
            std::ranges::reverse(shape);
        tensors.weight = take(name + ".weight", shape);
        if (hasBias)
            tensors.bias = take(name + ".bias", {rows});
        // llama.cpp rotates neighbouring rows of Llama, halves of all others.
        if (m_checkpoint.gguf() && m_config.architecture == "llama" && (info.role == Role::Q || info.role == Role::K))
            tensors.pairedHeadWidth = m_config.headWidth;
        return tensors;
    }

    /// Every entry of an export's table belongs to a linear.
    void refuseUnknownEntries() const
    {
        if (!m_structures)
            return;
        std::unordered_set<std::string_view> known;
        for (const LinearInfo& info : m_layout.linears)
            known.insert(info.name);
        for (const auto& [name, entry] : m_structures->items())
            if (!known.contains(name))
                throw Error(ErrorKind::Corrupt,
                            fmt::format("\"rankwright\" of {}: a model of the architecture {} with {} blocks has no "
                                        "such linear; fetch the export again",
                                        name, m_config.architecture, m_config.blocks),
                            {.file = configFile()});
    }

    /// A tied head that is stored once more must be the embedding: what another one means differs between versions of
    /// transformers.
    void requireSameHead(const TensorInfo& head) const
    {
        const TensorInfo& embedding = *m_layout.embedding;
        if (head.dtype == embedding.dtype && head.shape == embedding.shape &&
            std::ranges::equal(m_checkpoint.data(head), m_checkpoint.data(embedding)))
            return;
        throw Error(ErrorKind::Mismatch,
                    fmt::format("the configuration ties the head to {}, which has other values; set "
                                "tie_word_embeddings to false, or remove this tensor",
                                embedding.name),
                    {.file = m_checkpoint.files().at(head.file), .tensor = head.name});
    }

    void refuseOthers() const
    {
        for (const TensorInfo& tensor : m_checkpoint.tensors()) {
            if (m_used.contains(tensor.name) || m_names.ignored(tensor.name))
                continue;
            if (m_config.tiedHead && tensor.name == m_names.head() + ".weight") {
                requireSameHead(tensor);
                continue;
            }
            throw Error(ErrorKind::Unsupported,
                        fmt::format("a model of the architecture {} with {} blocks has no such tensor",
                                    m_config.architecture, m_config.blocks),
                        {.file = m_checkpoint.files().at(tensor.file), .tensor = tensor.name});
        }
    }

    const Checkpoint& m_checkpoint;
    const ModelConfig& m_config;
    TensorNames m_names;
    const Json* m_structures;
    ModelLayout m_layout;
    std::unordered_set<std::string> m_used;
};

} // namespace

ModelLayout makeLayout(const Checkpoint& checkpoint, const ModelConfig& config)
{
    return LayoutBuilder(checkpoint, config).build();
}

} // namespace rankwright
