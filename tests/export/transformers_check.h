#pragma once

#include "tests/export/export_support.h"

namespace rankwright::exporting {

/// Exports models and lets check_exports.py load them with the transformers of RANKWRIGHT_PYTHON.
class TransformersCheck
{
public:
    /// Everything is written below `place`.
    TransformersCheck(std::filesystem::path place, std::shared_ptr<const Device> device);

    /// One export of `model`, named `name`. `texts` are tokenised by both sides. Thorough checks load the folder
    /// in bfloat16, as a base model, from its configuration alone and with gradients as well. Returns the folder.
    std::filesystem::path add(const std::string& name, const Model& model, ExportFormat format,
                              const std::vector<std::string>& texts = {}, bool thorough = false);
    /// The same of `source` with Replacements.
    void add(const std::string& name, const std::filesystem::path& source, ExportFormat format,
             const std::vector<std::string>& texts, std::size_t every = 1, bool thorough = true, bool biases = false,
             bool shared = false, bool sparse = false);

    /// What the script printed; fails the running test where it failed. `stocks`, models of the stock classes, are
    /// loaded after the exports, and before them as well with stockFirst.
    Json run(const std::vector<std::filesystem::path>& stocks, bool stockFirst) const;

    /// Fails the running test where an export was not loaded as it was written: class, logits (at most `bound` of the
    /// largest), greedy tokens, tied head, factors before and after save_pretrained, tokenizer, thorough checks.
    void compare(const Json& found, double bound) const;

private:
    struct Expected
    {
        std::string name;
        std::string causalClass; ///< of transformers
        std::vector<std::int32_t> generated;
        std::vector<std::string> factors; ///< names of the tensors of factors, sorted
        std::size_t parameters = 0;
        bool custom = false;
        bool tied = false;
        bool thorough = false;
        bool tokenizer = false;
        std::vector<std::int32_t> withSpecial; ///< the first text with the tokenizer's own special tokens
    };

    std::filesystem::path m_place;
    std::shared_ptr<const Device> m_device;
    Json m_exports = Json::array();
    std::vector<Expected> m_expected;
};

} // namespace rankwright::exporting
