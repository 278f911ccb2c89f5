#pragma once

#include "core/export/export.h"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace rankwright::exporting {

/// Low-rank replacements for tests: B spans a random r-dimensional part of the range of W, A = B^T W.
/// Blocks go round: all factors; all block identities; q and gate in factors, k and up with a block identity, down with
/// an identity over as many columns as fit, o and v as they are. Made once per linear.
class Replacements
{
public:
    /// `every`: only blocks whose number is a multiple are replaced. `ratio`: rank over min(m, n).
    /// `biases`: every other replacement gets a bias, also where the model has none; so does o of the third block.
    /// `sparse`: replacements have an S beside their factors, with a row without entries and zeros among them.
    /// `shared`: in every replaced block all linears of an input share the latents of the first, o and down go round.
    Replacements(const Model& model, std::shared_ptr<const Device> device, std::size_t every = 1, double ratio = 0.5,
                 bool biases = false, bool shared = false, bool sparse = false);
    LinearSource source() const;

private:
    struct State;
    std::shared_ptr<State> m_state;
};

/// Tokens all over the vocabulary.
std::vector<std::int32_t> someIds(const Model& model, std::size_t count);

/// Logits of one window, T x vocabulary.
Matrix<float> logitsOf(const Model& model, const Device& device, const std::vector<std::int32_t>& ids);

/// `tokens` greedy tokens after `ids`, none of them the end of the text, by the whole forward pass again for each.
std::vector<std::int32_t> greedy(const Model& model, const Device& device, std::vector<std::int32_t> ids,
                                 std::size_t tokens);

/// The largest |difference| over the largest |expected|.
double relativeDifference(const Matrix<float>& expected, const Matrix<float>& found);

/// Name -> bytes of every file of a folder.
std::map<std::string, std::string> contentOf(const std::filesystem::path& folder);

/// A copy of a model in a new folder, whose config.json has no `key`.
void copyWithout(const std::filesystem::path& model, const std::filesystem::path& folder, const std::string& key);

} // namespace rankwright::exporting
