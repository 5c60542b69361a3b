#pragma once
// The network of small_dit.hpp over a whole sequence at once, in the plainest way, with any mask: what cached roll-outs
// are compared with. float64 on the CPU; reads the same random weights by name.

#include "generator/wan/dit_weights.hpp"
#include "tests/unit/generator/small_dit.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace wander::test {

// The network over a list of latents, each with its own timestep; latent i sees those for which sees(i, j).
class FullSequence {
public:
    explicit FullSequence(const DitConfig& config, int rows = kRows, int cols = kCols)
        : c_(config), rows_(rows), cols_(cols), tokens_(rows / 2 * (cols / 2)) {}

    at::Tensor operator()(const at::Tensor& latents, const std::vector<double>& times,
                          const std::vector<double>& positions, const std::function<bool(int, int)>& sees) const {
        const std::int64_t n = latents.size(0);
        at::Tensor x = at::conv3d(latents.to(at::kDouble).transpose(0, 1).unsqueeze(0),
                                  w("patch_embedding.weight", {c_.dim, 16, 1, 2, 2}),
                                  w("patch_embedding.bias", {c_.dim}), {1, 2, 2})[0]
                           .flatten(1)
                           .t();
        std::vector<at::Tensor> rows;
        for (const double t : times) rows.push_back(sinusoidal_embedding({t}, c_.freq_dim));
        const at::Tensor e =
            linear("time_embedding.2", at::silu(linear("time_embedding.0", at::cat(rows), c_.dim)), c_.dim);
        const at::Tensor e0 = linear("time_projection.1", at::silu(e), 6 * c_.dim).view({n, 6, c_.dim});
        at::Tensor text = at::zeros({c_.text_len, c_.text_dim}, at::kDouble);
        text.narrow(0, 0, 4).copy_(gaussian_tensor(1, {4, c_.text_dim}));
        text = linear("text_embedding.2", at::gelu(linear("text_embedding.0", text, c_.dim), "tanh"), c_.dim);
        at::Tensor mask = at::zeros({n * tokens_, n * tokens_}, at::kDouble);
        for (int i = 0; i < n; ++i) {
            for (int j = 0; j < n; ++j) {
                if (!sees(i, j)) mask.narrow(0, i * tokens_, tokens_).narrow(1, j * tokens_, tokens_).fill_(-INFINITY);
            }
        }
        for (int layer = 0; layer < c_.layers; ++layer) x = block(layer, x, e0, text, positions, mask);
        const at::Tensor m = w("head.modulation", {1, 2, c_.dim}) + e.unsqueeze(1);
        x = linear("head.head", norm(x) * (1 + per_token(m.select(1, 1))) + per_token(m.select(1, 0)), 64);
        return x.view({n, rows_ / 2, cols_ / 2, 2, 2, 16}).permute({0, 5, 1, 3, 2, 4}).reshape({n, 16, rows_, cols_});
    }

private:
    at::Tensor w(const std::string& name, const std::vector<std::int64_t>& shape) const {
        return random_weight(name, shape);
    }
    at::Tensor linear(const std::string& name, const at::Tensor& x, std::int64_t out) const {
        return at::matmul(x, w(name + ".weight", {out, x.size(-1)}).t()) + w(name + ".bias", {out});
    }
    at::Tensor norm(const at::Tensor& x) const {
        const at::Tensor centred = x - x.mean(-1, true);
        return centred / at::sqrt(centred.square().mean(-1, true) + c_.eps);
    }
    at::Tensor rms(const std::string& name, const at::Tensor& x) const {
        return x / at::sqrt(x.square().mean(-1, true) + c_.eps) * w(name, {c_.dim});
    }
    at::Tensor per_token(const at::Tensor& rows) const { return rows.repeat_interleave(tokens_, 0); }
    at::Tensor heads(const at::Tensor& x) const { return x.view({-1, c_.heads, c_.head_dim}).transpose(0, 1); }
    // x: [heads, rows, head_dim]; pairs of neighbouring channels turn, time's first, then rows', then columns'.
    at::Tensor rope(const at::Tensor& x, const std::vector<double>& positions) const {
        at::Tensor angles = at::empty({x.size(1), c_.head_dim / 2}, at::kDouble);
        double* angle = angles.data_ptr<double>();
        for (std::int64_t row = 0; row < x.size(1); ++row) {
            const double place[] = {positions[static_cast<std::size_t>(row / tokens_)],
                                    static_cast<double>(row % tokens_ / (cols_ / 2)),
                                    static_cast<double>(row % (cols_ / 2))};
            const int widths[] = {c_.rope_time_channels, c_.rope_row_channels, c_.rope_col_channels};
            for (int axis = 0; axis < 3; ++axis) {
                for (int j = 0; j < widths[axis] / 2; ++j)
                    *angle++ = place[axis] * std::pow(c_.rope_theta, -2.0 * j / widths[axis]);
            }
        }
        const at::Tensor a = x.slice(2, 0, c_.head_dim, 2), b = x.slice(2, 1, c_.head_dim, 2);
        return at::stack({a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()}, 3).flatten(2);
    }
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) const {
        at::Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(c_.head_dim));
        if (mask.defined()) scores = scores + mask;
        return at::matmul(at::softmax(scores, -1), v).transpose(0, 1).reshape({-1, c_.dim});
    }
    at::Tensor block(int layer, at::Tensor x, const at::Tensor& e0, const at::Tensor& text,
                     const std::vector<double>& positions, const at::Tensor& mask) const {
        const std::string b = "blocks." + std::to_string(layer) + ".", s = b + "self_attn.", t = b + "cross_attn.";
        const at::Tensor e = w(b + "modulation", {1, 6, c_.dim}) + e0;
        const auto slot = [&](int i) { return per_token(e.select(1, i)); };
        const auto project = [&](const std::string& name, const at::Tensor& h) { return linear(name, h, c_.dim); };
        at::Tensor h = norm(x) * (1 + slot(1)) + slot(0);
        const at::Tensor q = rope(heads(rms(s + "norm_q.weight", project(s + "q", h))), positions);
        const at::Tensor k = rope(heads(rms(s + "norm_k.weight", project(s + "k", h))), positions);
        x = x + project(s + "o", attention(q, k, heads(project(s + "v", h)), mask)) * slot(2);
        h = norm(x) * w(b + "norm3.weight", {c_.dim}) + w(b + "norm3.bias", {c_.dim});
        x = x + project(t + "o", attention(heads(rms(t + "norm_q.weight", project(t + "q", h))),
                                           heads(rms(t + "norm_k.weight", project(t + "k", text))),
                                           heads(project(t + "v", text)), {}));
        h = norm(x) * (1 + slot(4)) + slot(3);
        return x + linear(b + "ffn.2", at::gelu(linear(b + "ffn.0", h, c_.ffn), "tanh"), c_.dim) * slot(5);
    }

    DitConfig c_;
    int rows_, cols_; // of a latent
    std::int64_t tokens_;
};

} // namespace wander::test
