#include "generator/train/optimizer.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wander::train {

namespace {

constexpr std::int64_t kFewOutputs = 12; // a picture's head: its rows are pixels, not features

at::Tensor as_matrix(const at::Tensor& weight) { return weight.flatten(1); }

at::Tensor gradient_of(const at::Tensor& weight) {
    const at::Tensor& gradient = weight.grad();
    return gradient.defined() ? gradient : at::zeros_like(weight);
}

} // namespace

WeightKind dit_weight_kind(const std::string& name, const at::Tensor& weight) {
    if (name.starts_with("map_embedding.")) return WeightKind::map;
    const bool hidden = name.starts_with("blocks.") || name == "pose_embedding.2.weight";
    return hidden && weight.dim() == 2 ? WeightKind::matrix : WeightKind::other;
}

WeightKind vae_weight_kind(const std::string& name, const at::Tensor& weight) {
    const bool convolution = name.ends_with(".weight") && weight.dim() >= 4;
    return convolution && weight.size(0) > kFewOutputs ? WeightKind::matrix : WeightKind::other;
}

at::Tensor orthogonalised(const at::Tensor& x) {
    const bool tall = x.size(1) > x.size(2);
    at::Tensor y = x.to(at::kBFloat16);
    if (tall) y = y.transpose(1, 2);
    const at::Tensor norm = y.flatten(1).norm(2, 1).view({-1, 1, 1});
    y = y / (norm + 1e-7);
    for (int i = 0; i < 5; ++i) {
        const at::Tensor a = at::matmul(y, y.transpose(1, 2));
        const at::Tensor b = at::matmul(a, a).mul_(2.0315).add_(a, -4.7750);
        y = at::matmul(b, y).add_(y, 3.4445);
    }
    return (tall ? y.transpose(1, 2) : y).to(at::kFloat);
}

Optimizer::Optimizer(const NamedTensors& parameters, const Kind& kind, const OptimizerConfig& config)
    : config_(config) {
    const c10::NoGradGuard no_grad;
    AdamGroup other;
    AdamGroup map;
    other.rate = config.rate;
    other.decay = config.decay;
    map.rate = config.map_rate;
    for (const auto& [name, weight] : parameters) {
        const WeightKind k = kind(name, weight);
        if (k == WeightKind::matrix) {
            const auto same = std::find_if(matrices_.begin(), matrices_.end(), [&w = weight](const MatrixGroup& group) {
                return group.weights.front().sizes() == w.sizes();
            });
            MatrixGroup& group = same == matrices_.end() ? matrices_.emplace_back() : *same;
            group.names.push_back(name);
            group.weights.push_back(weight);
            continue;
        }
        AdamGroup& group = k == WeightKind::map ? map : other;
        group.names.push_back(name);
        group.weights.push_back(weight);
        group.means.push_back(at::zeros_like(weight.detach()));
        group.squares.push_back(at::zeros_like(weight.detach()));
        group.steps.push_back(at::zeros({}, weight.options().requires_grad(false)));
    }
    for (MatrixGroup& group : matrices_) {
        const at::Tensor first = as_matrix(group.weights.front().detach());
        group.momentum =
            at::zeros({static_cast<std::int64_t>(group.weights.size()), first.size(0), first.size(1)}, first.options());
    }
    for (AdamGroup* group : {&other, &map}) {
        if (!group->weights.empty()) adam_.push_back(std::move(*group));
    }
}

void Optimizer::step_matrices(MatrixGroup& group, double rate_factor) const {
    std::vector<at::Tensor> gradients;
    gradients.reserve(group.weights.size());
    for (const at::Tensor& weight : group.weights) gradients.push_back(as_matrix(gradient_of(weight)));
    const at::Tensor gradient = at::stack(gradients).to(at::kFloat);
    group.momentum.lerp_(gradient, 1 - config_.momentum);
    // Nesterov: the gradient of today counts once more.
    const at::Tensor ahead = gradient.lerp(group.momentum, config_.momentum);
    const double rows = static_cast<double>(ahead.size(1));
    const double columns = static_cast<double>(ahead.size(2));
    const at::Tensor update = orthogonalised(ahead).mul_(std::sqrt(std::max(1.0, rows / columns)));
    const double rate = config_.matrix_rate * rate_factor;
    std::vector<at::Tensor> updates;
    updates.reserve(group.weights.size());
    for (std::size_t i = 0; i < group.weights.size(); ++i)
        updates.push_back(update[static_cast<std::int64_t>(i)].reshape(group.weights[i].sizes()));
    at::_foreach_mul_(group.weights, 1 - rate * config_.matrix_decay);
    at::_foreach_add_(group.weights, updates, -rate);
}

void Optimizer::step_adam(AdamGroup& group, double rate_factor) const {
    std::vector<at::Tensor> gradients;
    gradients.reserve(group.weights.size());
    for (const at::Tensor& weight : group.weights) gradients.push_back(gradient_of(weight).contiguous());
    at::_foreach_add_(group.steps, 1);
    at::_fused_adamw_(group.weights, gradients, group.means, group.squares, {}, group.steps, group.rate * rate_factor,
                      config_.beta1, config_.beta2, group.decay, config_.eps, false, false);
}

void Optimizer::step(double rate_factor) {
    const c10::NoGradGuard no_grad;
    for (MatrixGroup& group : matrices_) step_matrices(group, rate_factor);
    for (AdamGroup& group : adam_) step_adam(group, rate_factor);
    const auto drop = [](std::vector<at::Tensor>& weights) {
        for (at::Tensor& weight : weights) weight.mutable_grad().reset();
    };
    for (MatrixGroup& group : matrices_) drop(group.weights);
    for (AdamGroup& group : adam_) drop(group.weights);
}

std::map<std::string, at::Tensor> Optimizer::state() const {
    std::map<std::string, at::Tensor> state;
    for (const MatrixGroup& group : matrices_) {
        for (std::size_t i = 0; i < group.names.size(); ++i)
            state["momentum/" + group.names[i]] = group.momentum[static_cast<std::int64_t>(i)];
    }
    for (const AdamGroup& group : adam_) {
        for (std::size_t i = 0; i < group.names.size(); ++i) {
            state["mean/" + group.names[i]] = group.means[i];
            state["square/" + group.names[i]] = group.squares[i];
            state["steps/" + group.names[i]] = group.steps[i];
        }
    }
    return state;
}

Result<void> Optimizer::load_state(const std::map<std::string, at::Tensor>& state) {
    const c10::NoGradGuard no_grad;
    const auto own = this->state();
    for (const auto& [name, tensor] : own) {
        const auto found = state.find(name);
        if (found == state.end() || found->second.sizes() != tensor.sizes())
            return Error{ErrorCode::bad_input,
                         fmt::format("the optimiser's state {} \"{}\"",
                                     found == state.end() ? "lacks" : "has another shape of", name)};
    }
    for (const auto& [name, tensor] : own) tensor.copy_(state.at(name));
    return {};
}

} // namespace wander::train
