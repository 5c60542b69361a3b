#include "generator/train/discriminator.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

namespace wander::train {

namespace {

constexpr double kSlope = 0.2; // of the rectifier below zero
constexpr double kAdamEps = 1e-8;
constexpr int kFirstIterations = 20; // of the singular vectors, before anything is judged

at::Tensor unit(const at::Tensor& v) { return v / v.norm().clamp_min(1e-12); }

} // namespace

Discriminator::Discriminator(const DiscriminatorConfig& config, at::Device device, at::ScalarType compute,
                             std::uint64_t seed)
    : config_(config), compute_(compute), steps_(at::zeros({}, at::kLong)) {
    const at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
    const std::int64_t w = config.width;
    struct Size {
        std::int64_t in, out, side;
        int stride;
    };
    for (const Size& size : {Size{3, w, 4, 2}, Size{w, 2 * w, 4, 2}, Size{2 * w, 4 * w, 4, 2}, Size{4 * w, 4 * w, 3, 1},
                             Size{4 * w, 1, 3, 1}}) {
        const std::int64_t inputs = size.in * size.side * size.side;
        const double bound = 1 / std::sqrt(static_cast<double>(inputs));
        Layer layer;
        const auto leaf = [&](at::Tensor value) { return value.to(device).set_requires_grad(true); };
        layer.weight =
            leaf(at::empty({size.out, size.in, size.side, size.side}, at::kFloat).uniform_(-bound, bound, random));
        layer.bias = leaf(at::empty({size.out}, at::kFloat).uniform_(-bound, bound, random));
        layer.left = unit(at::empty({size.out}, at::kFloat).normal_(0, 1, random)).to(device);
        layer.right = unit(at::empty({inputs}, at::kFloat).normal_(0, 1, random)).to(device);
        layer.stride = size.stride;
        layers_.push_back(std::move(layer));
    }
    for (const at::Tensor& leaf : leaves()) {
        first_.push_back(at::zeros_like(leaf));
        second_.push_back(at::zeros_like(leaf));
    }
    iterate(kFirstIterations);
}

std::vector<at::Tensor> Discriminator::leaves() const {
    std::vector<at::Tensor> all;
    for (const Layer& layer : layers_) {
        all.push_back(layer.weight);
        all.push_back(layer.bias);
    }
    return all;
}

void Discriminator::iterate(int times) {
    const at::NoGradGuard no_gradients;
    for (Layer& layer : layers_) {
        const at::Tensor matrix = layer.weight.detach().flatten(1);
        for (int i = 0; i < times; ++i) {
            layer.right.copy_(unit(matrix.t().mv(layer.left)));
            layer.left.copy_(unit(matrix.mv(layer.right)));
        }
    }
}

at::Tensor Discriminator::normed(const Layer& layer, bool trained) const {
    const at::Tensor weight = trained ? layer.weight : layer.weight.detach();
    // clone: the vectors change in place before a graph that needs them is done with.
    const at::Tensor norm = layer.left.clone().dot(weight.flatten(1).mv(layer.right.clone()));
    return (weight / norm).to(compute_).contiguous(at::MemoryFormat::ChannelsLast);
}

Discriminator::Verdict Discriminator::judge(const at::Tensor& frames, bool trained) const {
    Verdict verdict;
    at::Tensor x = frames.to(compute_).permute({0, 3, 1, 2});
    for (const Layer& layer : layers_) {
        const at::Tensor bias = (trained ? layer.bias : layer.bias.detach()).to(compute_);
        x = at::conv2d(x, normed(layer, trained), bias, layer.stride, 1);
        if (&layer == &layers_.back()) break;
        x = at::leaky_relu(x, kSlope);
        verdict.features.push_back(x);
    }
    verdict.score = x.to(compute_ == at::kDouble ? at::kDouble : at::kFloat);
    return verdict;
}

at::Tensor Discriminator::step(const at::Tensor& made, const at::Tensor& truth, const Average& average) {
    iterate(1);
    at::Tensor loss;
    {
        const at::AutoGradMode gradients(true);
        loss = at::relu(1 + judge(made.detach(), true).score).mean() +
               at::relu(1 - judge(truth.detach(), true).score).mean();
        loss.backward();
    }
    const at::NoGradGuard no_gradients;
    const std::vector<at::Tensor> weights = leaves();
    std::vector<at::Tensor> gradients;
    gradients.reserve(weights.size());
    for (const at::Tensor& weight : weights) gradients.push_back(weight.grad());
    if (average) average(gradients);
    steps_.add_(1);
    const auto steps = static_cast<double>(steps_.item<std::int64_t>());
    const double first_share = 1 - std::pow(config_.beta1, steps);
    const double second_share = 1 - std::pow(config_.beta2, steps);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        first_[i].lerp_(gradients[i], 1 - config_.beta1);
        second_[i].mul_(config_.beta2).addcmul_(gradients[i], gradients[i], 1 - config_.beta2);
        const at::Tensor size = (second_[i] / second_share).sqrt_().add_(kAdamEps);
        at::Tensor weight = weights[i].detach(); // shares the memory
        weight.addcdiv_(first_[i], size, -config_.rate / first_share);
        weights[i].mutable_grad().reset();
    }
    return loss.detach();
}

std::map<std::string, at::Tensor> Discriminator::state() const {
    std::map<std::string, at::Tensor> state{{"discriminator/steps", steps_}};
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const std::string name = fmt::format("discriminator/{}/", i);
        state[name + "weight"] = layers_[i].weight.detach();
        state[name + "bias"] = layers_[i].bias.detach();
        state[name + "left"] = layers_[i].left;
        state[name + "right"] = layers_[i].right;
        state[name + "weight_mean"] = first_[2 * i];
        state[name + "bias_mean"] = first_[2 * i + 1];
        state[name + "weight_square"] = second_[2 * i];
        state[name + "bias_square"] = second_[2 * i + 1];
    }
    return state;
}

bool Discriminator::load_state(const std::map<std::string, at::Tensor>& saved) {
    const at::NoGradGuard no_gradients;
    auto living = state();
    for (const auto& [name, tensor] : living) {
        const auto found = saved.find(name);
        if (found == saved.end() || found->second.sizes() != tensor.sizes()) return false;
    }
    for (auto& [name, tensor] : living) tensor.copy_(saved.at(name));
    return true;
}

} // namespace wander::train
