#pragma once
// One optimiser for a whole network: hidden matrices by momentum with an orthogonalised update, the rest by AdamW, map
// tables by AdamW at a rate of their own. tiny-world.md 5.
//
// Runs on the caller's thread and the parameters' device, without autograd. The same gradients give the same bytes.

#include "generator/plain/result.hpp"
#include "generator/train/named_tensors.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace wander::train {

enum class WeightKind {
    matrix, // a hidden matrix [rows, columns...], columns flattened
    other,  // vectors, embeddings, heads
    map,    // the learned map of a place
};

struct OptimizerConfig {
    double matrix_rate = 0.012;
    double matrix_decay = 0.02;
    double momentum = 0.95;
    double rate = 1e-3;
    double decay = 0.01;
    double map_rate = 1e-2; // without decay: cells that no clip saw keep what they hold
    double beta1 = 0.9;
    double beta2 = 0.98;
    double eps = 1e-10;
};

// Linears of the blocks and pose_embedding.2; map_embedding.*; the rest.
WeightKind dit_weight_kind(const std::string& name, const at::Tensor& weight);
// Convolutions with more than 12 outputs; the rest. For VAE and decoder.
WeightKind vae_weight_kind(const std::string& name, const at::Tensor& weight);

class Optimizer {
public:
    using Kind = std::function<WeightKind(const std::string& name, const at::Tensor& weight)>;
    // parameters: float32 leaves that require gradients. They are changed in place.
    Optimizer(const NamedTensors& parameters, const Kind& kind, const OptimizerConfig& config = {});

    // One update with every rate times rate_factor, then the gradients are dropped. A parameter without a gradient
    // counts as having zeros.
    void step(double rate_factor);

    // Momenta and moments by "momentum/NAME", "mean/NAME", "square/NAME", "steps/NAME"; views, not copies.
    std::map<std::string, at::Tensor> state() const;
    // bad_input where a tensor lacks or has another shape.
    Result<void> load_state(const std::map<std::string, at::Tensor>& state);

private:
    struct MatrixGroup { // of one shape
        std::vector<std::string> names;
        std::vector<at::Tensor> weights;
        at::Tensor momentum; // [weights, rows, columns]
    };
    struct AdamGroup {
        std::vector<std::string> names;
        std::vector<at::Tensor> weights, means, squares, steps;
        double rate = 0;
        double decay = 0;
    };
    void step_matrices(MatrixGroup& group, double rate_factor) const;
    void step_adam(AdamGroup& group, double rate_factor) const;

    OptimizerConfig config_;
    std::vector<MatrixGroup> matrices_;
    std::vector<AdamGroup> adam_;
};

// X [n, rows, columns] float32 -> about U V^T of each, bfloat16 inside: five Newton-Schulz steps of the quintic
// 3.4445 X - 4.7750 X X^T X + 2.0315 (X X^T)^2 X, from X over its Frobenius norm. Singular values end near 1.
at::Tensor orthogonalised(const at::Tensor& x);

} // namespace wander::train
