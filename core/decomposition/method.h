#pragma once

#include "core/base/json.h"
#include "core/base/progress.h"
#include "core/calibration/statistics.h"
#include "core/structure/linear_weights.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankwright {

struct AttentionGeometry;
class GroupAnalysis;
struct GroupProblem;
class SharedAnalysis;

/// One parameter of a method, described so that a window or a command line can offer it without knowing the method.
struct ParameterInfo
{
    std::string name; ///< camelCase, a key of the recipe
    std::string description;
    double defaultValue = 0.0;
    double minimum = 0.0;
    double maximum = 0.0;
    bool integer = false;
    std::vector<std::string> choices = {}; ///< names of the values 0, 1, ...; empty for a number
};

/// A parameter whose values are names; the first is the default. In recipes and on command lines it stands by name.
ParameterInfo choiceParameter(std::string name, std::string description, std::vector<std::string> choices);

/// Values by parameter name; what is absent has its default.
using MethodParameters = std::vector<std::pair<std::string, double>>;

/// One linear to decompose.
struct LinearProblem
{
    std::string name;
    Matrix<double> W;                          ///< m x n
    const TapStatistics* statistics = nullptr; ///< of the linear's input; null only for methods that need none
    std::vector<float> bias = {};              ///< b, m values, or empty for none
    const TapStatistics* gradients = nullptr;  ///< of the linear's output (calibrateCurvature); for losses in nats
};

/// The expensive part, done once per linear: knows the loss of every rank and gives the factors of any.
/// Losses are squared output errors summed over the calibration tokens, ||W X - W_hat X||_F^2 = tr((W - W_hat) C
/// (W - W_hat)^T), in float64 (anchored: ||W X - W_hat X_hat||_F^2). Without statistics C = I: ||W - W_hat||_F^2.
/// With an updated bias, b_hat = b + W mean(x) - W_hat mean(x_hat) (methods 0.3), C and the anchored moments are the
/// centred ones, C - T mean mean^T, which is the error of the outputs with that bias; total energy likewise.
/// All calls may be made from several threads. The device must outlive the analysis; the problem need not.
///
/// How well a loss agrees with measureLoss() of the stored float32 factors: with eps = 2^-24 rounding them changes the
/// loss by less than eps sqrt(2 loss total) + 2 eps^2 total, total = totalEnergy() (tests meet at most 0.7 of it).
/// The first term is what rounding B moves its column space; whitened-svd has none, being stationary in C. So predicted
/// and measured loss agree within 1e-6 for whitened-svd down to losses of 1e-8 of the total, for the others down to
/// 1e-3 of it; below that float32 storage decides. With an updated bias, total here is totalEnergy() plus the energy of
/// the means, T (||W mean(x)||^2 + ||b||^2): a bias is stored in float32 too.
class Analysis
{
public:
    virtual ~Analysis() = default;
    LinearShape shape() const { return m_shape; }
    /// Loss of replacing W by zero; relative losses are of this: ||W X||_F^2.
    double totalEnergy() const { return m_totalEnergy; }
    /// Singular values of the matrix the method truncates first, largest first (min(m, n) values): of W (svd), of W S
    /// (asvd), of W C^{1/2} (whitened-svd, nsvd; anchored: of the least-squares target).
    const std::vector<double>& singularValues() const { return m_singularValues; }
    /// Exact loss at rank 0 .. min(m, n).
    virtual double loss(std::size_t rank) const = 0;
    /// loss(0), ..., loss(min(m, n)). Free for all methods but nsvd, which solves an eigenproblem for nearly every
    /// rank, and low-rank-sparse, which alternates at every rank.
    virtual std::vector<double> lossAtEveryRank() const = 0;
    /// A monotone curve close to lossAtEveryRank() that costs little; allocators plan with it. Same length.
    virtual std::vector<double> planningCurve() const { return lossAtEveryRank(); }
    /// Whether planningCurve() is lossAtEveryRank().
    virtual bool planningIsExact() const { return true; }
    /// Loss in nats per token at every rank, 0 .. min(m, n), see curvature.h; to plan with. `problem` is the one that
    /// was analysed, with gradients. Throws Error(InvalidArgument) without.
    virtual std::vector<double> curvatureCurve(const Device& device, const LinearProblem& problem) const;
    /// W_hat of the given rank (1 .. min(m, n)). Throws Error(InvalidArgument) for another rank.
    virtual Factorisation factorize(std::size_t rank) const = 0;
    /// Repairs and limits met on the way.
    const std::vector<NumericEvent>& events() const { return m_events; }

protected:
    LinearShape m_shape;
    double m_totalEnergy = 0.0;
    std::vector<double> m_singularValues;
    std::vector<NumericEvent> m_events;
};

/// A decomposition method; stateless, shared by all threads.
class Method
{
public:
    virtual ~Method() = default;
    virtual std::string_view name() const = 0;                           ///< "whitened-svd"
    virtual std::string_view title() const = 0;                          ///< "Whitened SVD"
    virtual std::string_view description() const = 0;                    ///< one sentence
    virtual std::string_view source() const = 0;                         ///< papers whose names it covers
    virtual std::vector<std::string_view> aliases() const { return {}; } ///< "svd-llm", "root-covariance"
    virtual std::vector<ParameterInfo> parameters() const { return {}; }
    virtual bool needsStatistics() const = 0;
    /// Whether LinearProblem::gradients are needed. Losses are then nats per token.
    virtual bool needsGradients() const { return false; }
    /// Whether those must have TapStatistics::weightInputs and weightOutputs.
    virtual bool needsWeightMoments() const { return false; }
    /// Whether an anchored objective (cross moments) is supported.
    virtual bool supportsAnchored() const { return false; }
    /// Share of a sparse S in what linears are stored with, see Structure and sparseEntries(); 0: there is no S.
    virtual double sparseShare(const MethodParameters&) const { return 0.0; }
    /// What Analysis::planningCurve() costs beyond analyze(), in eigenproblems of size min(m, n); for estimates of
    /// time.
    virtual double planningEigenproblems() const { return 0.0; }
    /// What Analysis::factorize() costs beyond products, likewise.
    virtual double factorisingEigenproblems(const MethodParameters&) const { return 0.0; }
    /// Throws Error(NonFinite) naming the linear, Error(Mismatch) for statistics of another width,
    /// Error(InvalidArgument) for bad parameters, missing statistics and unsupported anchored ones.
    /// Events: "singularStatistics" (value: the rank the statistics can have), "pseudoInverse" (anchored; value: the
    /// directions kept).
    virtual std::unique_ptr<Analysis> analyze(const Device& device, const LinearProblem& problem,
                                              const MethodParameters& parameters) const = 0;
    /// Loss of any W_hat in the measure of the method's analyses: measureLoss(), unless the method has another.
    virtual double measure(const Device& device, const LinearProblem& problem, const MethodParameters& parameters,
                           const Matrix<double>& approximation, std::span<const double> biasChange) const;

    /// Roles of a block that analyzeGroup() or analyzeShared() treat together, see group.h; linears in none go through
    /// analyze(), and so does nothing else. A group of which blocks lack a role is none.
    virtual std::vector<std::vector<Role>> groups() const { return {}; }
    /// Throws Error(Unsupported) naming why the method does not fit a model whose heads work like this.
    virtual void checkAttention(const AttentionGeometry&) const {}
    /// Throws as analyze(), and what checkAttention() throws.
    virtual std::unique_ptr<GroupAnalysis> analyzeGroup(const Device& device, const GroupProblem& problem,
                                                        const MethodParameters& parameters) const;
    /// Whether the linears of a group read one input and get one A, and so one rank: then analyzeShared() takes the
    /// place of analyzeGroup(). Roles of a group stand in the order of a block.
    virtual bool sharesLatents() const { return false; }
    /// Throws as analyze().
    virtual std::unique_ptr<SharedAnalysis> analyzeShared(const Device& device, const GroupProblem& problem,
                                                          const MethodParameters& parameters) const;
};

/// All methods, in the order they are offered.
std::span<const Method* const> methods();
/// By name or alias. Throws Error(InvalidArgument) naming the nearest one and listing all.
const Method& findMethod(std::string_view name);
/// Checks names and ranges against parameters(). Throws Error(InvalidArgument).
void checkParameters(const Method& method, const MethodParameters& parameters);
/// Value of a parameter, its default where absent.
double parameterValue(const Method& method, const MethodParameters& parameters, std::string_view name);
/// A value as a person writes it: the name of a choice, or a number. Throws Error(InvalidArgument) for an unknown
/// parameter, an unknown choice (naming the nearest) and for what is no number.
double parameterFromText(const Method& method, std::string_view name, const std::string& text);
/// The value as recipes and cards state it: the name of a choice, or a number.
Json parameterToJson(const ParameterInfo& info, double value);
/// All parameters of a method by name, defaults filled in, as parameterToJson().
Json parametersToJson(const Method& method, const MethodParameters& parameters);
/// Whether parameters() has one of this name.
bool hasParameter(const Method& method, std::string_view name);
/// The parameter by which several methods update the bias of a linear: 0 or 1.
inline constexpr std::string_view biasUpdateParameter = "biasUpdate";
/// Whether the method has biasUpdateParameter and it is set.
bool updatesBias(const Method& method, const MethodParameters& parameters);
/// The parameter by which methods hold an anchored target near the weights, in shares of each input's second moment.
inline constexpr std::string_view anchorRidgeParameter = "anchorRidge";
/// What `parameters` of `from` say of the parameters that `to` has too, defaults filled in.
MethodParameters parametersFor(const Method& to, const Method& from, const MethodParameters& parameters);
/// Whether the method needs statistics with these parameters: a bias is updated with the mean input.
bool needsStatistics(const Method& method, const MethodParameters& parameters);

/// tr((W - W_hat) C (W - W_hat)^T) for the stored W_hat, or the anchored form where statistics carry a cross moment:
/// tr(W C W^T) - 2 tr(W Cx W_hat^T) + tr(W_hat C_hat W_hat^T), Cx = crossMoment. Without statistics
/// ||W - W_hat||_F^2. Float64 throughout; never below 0, which rounding of C alone could make it.
/// `biasChange` is c = b_hat - b as stored, or empty for 0: with it the error of an input is W x - W_hat x_hat - c,
/// which adds T c^T (c - 2 d), d = W mean(x) - W_hat mean(x_hat). It needs statistics.
double measureLoss(const Device& device, const Matrix<double>& W, const Matrix<double>& approximation,
                   const TapStatistics* statistics, std::span<const double> biasChange = {});
/// b_hat - b for measureLoss(); empty where `stored` is empty or both are equal. Empty `original` is 0.
std::vector<double> biasChange(const std::vector<float>& original, const std::vector<float>& stored);

/// Effective rank exp(entropy of sigma / sum sigma) (Roy and Vetterli 2007).
double effectiveRank(std::span<const double> singularValues);
/// Stable rank sum sigma^2 / sigma_1^2.
double stableRank(std::span<const double> singularValues);

} // namespace rankwright
