#include "quant/cache/rotation.hpp"

#include <ATen/Functions.h>

#include <cmath>
#include <stdexcept>
#include <string>

namespace wander::quant {
namespace {

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw std::invalid_argument("KvCache: " + what);
    }
}

template <class A>
void append_matrices(const at::Tensor& matrices, int count, bool transpose, std::vector<A>& out) {
    if (count == 0) {
        return;
    }
    require(matrices.defined() && matrices.dim() == 3 && matrices.size(0) == count && matrices.size(1) == 4 &&
                matrices.size(2) == 4,
            "one 4 x 4 matrix a latent is needed for the PRoPE branch");
    const at::Tensor values = (transpose ? matrices.transpose(1, 2) : matrices).to(at::kCPU, at::kDouble).contiguous();
    const double* source = values.data_ptr<double>();
    out.insert(out.end(), source, source + values.numel());
}

} // namespace

template <class A>
void RotationTables<A>::fill(const ReadView& view, const CacheShape& shape, int history_latents) {
    require(static_cast<int>(view.history_positions.size()) == history_latents,
            "history_positions must name exactly the visible latents (" + std::to_string(history_latents) + ")");
    require(view.latents > 0 && static_cast<int>(view.new_positions.size()) == view.latents,
            "new_positions must have one entry a latent of the chunk");
    require(view.time_frequencies.defined() && view.space_angles.defined(), "rotary tables are missing");
    const int time_pairs = static_cast<int>(view.time_frequencies.numel());
    require(view.space_angles.dim() == 2 && view.space_angles.size(0) == shape.tokens_per_latent &&
                2 * (time_pairs + view.space_angles.size(1)) == shape.head_dim,
            "rotary tables do not fit the head dimension and tokens of a latent");

    head_dim = shape.head_dim;
    time_channels = 2 * time_pairs;
    tokens_per_latent = shape.tokens_per_latent;
    history = history_latents;
    latents = view.latents;
    prope = view.prope;
    const std::size_t dim = static_cast<std::size_t>(head_dim);

    if (!space_angles_.defined() || !space_angles_.equal(view.space_angles)) {
        space_angles_ = view.space_angles.to(at::kCPU, at::kDouble).contiguous().clone();
        space_cos.assign(static_cast<std::size_t>(tokens_per_latent) * dim, A(1));
        space_sin.assign(static_cast<std::size_t>(tokens_per_latent) * dim, A(0));
        const int space_pairs = head_dim / 2 - time_pairs;
        const double* angles = space_angles_.template data_ptr<double>();
        for (int t = 0; t < tokens_per_latent; ++t) {
            for (int j = 0; j < space_pairs; ++j) {
                const double angle = angles[t * space_pairs + j];
                const std::size_t c =
                    static_cast<std::size_t>(t) * dim + static_cast<std::size_t>(time_channels + 2 * j);
                space_cos[c] = space_cos[c + 1] = static_cast<A>(std::cos(angle));
                space_sin[c] = static_cast<A>(-std::sin(angle));
                space_sin[c + 1] = static_cast<A>(std::sin(angle));
            }
        }
    }

    const at::Tensor frequencies = view.time_frequencies.to(at::kCPU, at::kDouble).contiguous();
    const double* frequency = frequencies.data_ptr<double>();
    time_cos.assign(static_cast<std::size_t>(history + latents) * dim, A(1));
    time_sin.assign(static_cast<std::size_t>(history + latents) * dim, A(0));
    for (int n = 0; n < history + latents; ++n) {
        const double position = n < history ? view.history_positions[static_cast<std::size_t>(n)]
                                            : view.new_positions[static_cast<std::size_t>(n - history)];
        for (int j = 0; j < time_pairs; ++j) {
            const double angle = position * frequency[j];
            const std::size_t c = static_cast<std::size_t>(n) * dim + static_cast<std::size_t>(2 * j);
            time_cos[c] = time_cos[c + 1] = static_cast<A>(std::cos(angle));
            time_sin[c] = static_cast<A>(-std::sin(angle));
            time_sin[c + 1] = static_cast<A>(std::sin(angle));
        }
    }

    inverse.clear();
    transposed.clear();
    projection.clear();
    if (prope) {
        require(head_dim % 4 == 0, "PRoPE needs a head dimension that is a multiple of 4");
        append_matrices(view.history_inverse, history, false, inverse);
        append_matrices(view.new_inverse, latents, false, inverse);
        append_matrices(view.new_projection, latents, true, transposed);
        append_matrices(view.new_projection, latents, false, projection);
    }
}

template struct RotationTables<float>;
template struct RotationTables<double>;

} // namespace wander::quant
