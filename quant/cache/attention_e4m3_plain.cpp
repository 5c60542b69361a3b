// E4M3 attention in plain torch operations, on any device: for shapes that no kernel takes, so that what its roundings
// do to a model's pictures can be measured there. Slow, and every visible row is expanded at once.
//
// Rounded is what Hopper's kernel rounds, by the same factors (quant/cuda/e4m3_scales.cu): turned queries, keys and
// values, and probabilities (quant/cuda/e4m3_probabilities.hpp). Sums are float32; the tensor cores of some GPUs add up
// with fewer bits, which this does not show. cuDNN's attention, which long histories get, stores the nearest E4M3
// numbers of probabilities and measures keys and values in every pass, where Hopper's kernel and this one do so in the
// first of two branches alone.

#include "quant/cache/attention.hpp"
#include "quant/cache/page_codec.hpp"
#include "quant/cuda/e4m3_probabilities.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace wander::quant {
namespace {

constexpr double kLargest = 448; // of E4M3

// x to the nearest E4M3 number, as float32; beyond the largest it is the largest.
at::Tensor rounded(const at::Tensor& x) { return x.clamp(-kLargest, kLargest).to(at::kFloat8_e4m3fn).to(at::kFloat); }

// Whole steps, which are an E4M3 number's bits: from 0 to as many as half precision has above 1,024.
at::Tensor whole(const at::Tensor& steps) { return steps.clamp(0, 64480).to(at::kHalf).to(at::kFloat).round(); }

// exp(scores) but for a factor of the row, as it is stored and summed up, in float32. (The kernel may cut a row's tiles
// into slices and parts, each of which begins as the row does here.) scores: [heads, rows, keys].
at::Tensor stored_probabilities(const at::Tensor& scores) {
    constexpr std::int64_t kTile = cuda::kE4m3TileKeys;
    const at::Tensor steps = scores * (cuda::kE4m3Steps / std::log(2.0));
    const std::int64_t keys = steps.size(2), tiles = (keys + kTile - 1) / kTile;
    const auto tile_of = [&](const at::Tensor& all, std::int64_t tile) {
        return all.narrow(2, tile * kTile, std::min(kTile, keys - tile * kTile));
    };
    std::vector<at::Tensor> peaks(static_cast<std::size_t>(tiles)), stored(static_cast<std::size_t>(tiles));
    at::Tensor peak = std::get<0>(tile_of(steps, tiles - 1).max(2, true));
    for (std::int64_t tile = tiles - 1; tile >= 0; --tile) {
        const auto at = static_cast<std::size_t>(tile);
        const at::Tensor largest = std::get<0>(tile_of(steps, tile).max(2, true));
        const at::Tensor most = whole(largest - peak + cuda::kLargestStep);
        const at::Tensor by_steps = at::where(most > cuda::kMostStep, most - std::floor(cuda::kLargestStep), 0);
        const at::Tensor leapt = most > cuda::kMostExact;
        const at::Tensor before = peak;
        peak = at::where(leapt, largest, before + by_steps);
        peaks[at] = peak;
        // Steps are taken off whole ones, but for a leap.
        at::Tensor bits = whole(tile_of(steps, tile) - at::where(leapt, largest, before) + cuda::kLargestStep);
        bits = (bits - at::where(leapt, 0, by_steps)).clamp(0, cuda::kMostStep);
        stored[at] = bits.to(at::kByte).view(at::kFloat8_e4m3fn).to(at::kFloat);
    }
    for (std::size_t at = 0; at < stored.size(); ++at) {
        stored[at] = stored[at] * at::exp2((peaks[at] - peak) / cuda::kE4m3Steps);
    }
    return at::cat(stored, 2).masked_fill_(scores.isnan().any(2, true), std::nan("")); // bytes have no such sum
}

class PlainE4m3Attention final : public Attention {
public:
    PlainE4m3Attention(const CacheShape& shape, const CachePolicy& policy, at::Device device, at::ScalarType compute)
        : shape_(shape),
          codec_(shape, policy, compute),
          device_(device),
          measured_(static_cast<std::size_t>(shape.layers)) {}

    void begin_chunk(const ReadView& view, int history_latents) override {
        TORCH_CHECK(static_cast<int>(view.history_positions.size()) == history_latents,
                    "KvCache: history_positions must name exactly the visible latents");
        prope_ = view.prope;
        std::fill(measured_.begin(), measured_.end(), Scales{});
        std::vector<float> positions = view.history_positions;
        positions.insert(positions.end(), view.new_positions.begin(), view.new_positions.end());
        const auto latents = static_cast<std::int64_t>(positions.size());
        const at::Tensor place = at::tensor(positions, at::kFloat).to(at::kDouble).view({latents, 1, 1});
        const std::int64_t tokens = shape_.tokens_per_latent;
        const at::Tensor time = (place * view.time_frequencies.view({1, 1, -1})).expand({latents, tokens, -1});
        const at::Tensor space = view.space_angles.unsqueeze(0).expand({latents, tokens, -1});
        const at::Tensor angle = at::cat({time, space}, 2).reshape({latents * tokens, 1, -1});
        cosine_ = angle.cos().to(device_, at::kFloat);
        sine_ = angle.sin().to(device_, at::kFloat);
        if (!prope_) return;
        inverse_ = at::cat({view.history_inverse, view.new_inverse}).to(device_);
        projection_ = view.new_projection.to(device_);
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v) override {
        std::vector<at::Tensor> key_parts, value_parts;
        for (const HistorySegment& s : segments) {
            key_parts.push_back(codec_.read(*s.group, layer, true, s.page_latent, s.latents));
            value_parts.push_back(codec_.read(*s.group, layer, false, s.page_latent, s.latents));
        }
        key_parts.push_back(k);
        value_parts.push_back(v);
        const at::Tensor queries = q.to(at::kFloat);
        const at::Tensor keys = at::cat(key_parts).to(at::kFloat), values = at::cat(value_parts).to(at::kFloat);
        const Scales scales = scales_for(layer, q, k, v);
        const std::int64_t first = keys.size(0) - queries.size(0);
        std::vector<at::Tensor> branches = {
            softmax({rope(queries, first), rope(keys, 0), values}, scales, q.scalar_type())};
        if (prope_) {
            const at::Tensor result = softmax(
                {turned(queries, projection_.transpose(1, 2)), turned(keys, inverse_), turned(values, inverse_)},
                scales, q.scalar_type());
            branches.push_back(turned(result.to(at::kFloat), projection_).to(q.scalar_type()));
        }
        return at::stack(branches, 1).transpose(0, 1); // as empty_result() has it
    }

    void set_bias_correction(bool /*on*/) override {}
    void set_text(std::vector<TextRows> layers) override {
        TORCH_CHECK(layers.empty(), "KvCache: emulated FP8 attention reads no text");
    }
    std::int64_t scratch_bytes() const override { return 0; }
    double take_expand_ms() override { return 0; }
    std::string engine() const override { return "torch, E4M3 emulated"; }

private:
    struct Rows {
        at::Tensor queries, keys, values; // [rows, heads, head_dim] float32, turned
    };
    struct Scales { // device scalars; what is multiplied before it is stored
        at::Tensor queries, keys, values;
    };

    // Keys and values have half of the range to spare: older ones may be larger than the chunk's own. With two branches
    // so may those of later passes, for which the first one's hold.
    Scales scales_for(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        Scales& scales = measured_[static_cast<std::size_t>(layer)];
        scales.queries = scale_of(q, kLargest);
        if (!prope_ || !scales.keys.defined()) {
            scales.keys = scale_of(k, kLargest / 2);
            scales.values = scale_of(v, kLargest / 2);
        }
        return scales;
    }

    static at::Tensor scale_of(const at::Tensor& rows, double target) {
        return target / rows.abs().amax().to(at::kFloat).clamp_min(1e-12);
    }

    // Rows whose first has the place `first` among all.
    at::Tensor rope(const at::Tensor& rows, std::int64_t first) const {
        const at::Tensor c = cosine_.narrow(0, first, rows.size(0)), s = sine_.narrow(0, first, rows.size(0));
        const at::Tensor pairs = rows.unflatten(2, {-1, 2});
        const at::Tensor x = pairs.select(3, 0), y = pairs.select(3, 1);
        return at::stack({x * c - y * s, x * s + y * c}, 3).flatten(2);
    }

    // Every four channels of a latent's rows times its matrix.
    at::Tensor turned(const at::Tensor& rows, const at::Tensor& matrices) const {
        const at::Tensor fours = rows.reshape({matrices.size(0), -1, 4}).transpose(1, 2);
        return at::matmul(matrices, fours).transpose(1, 2).reshape(rows.sizes());
    }

    at::Tensor softmax(const Rows& rows, const Scales& scales, at::ScalarType out) const {
        const auto stored = [](const at::Tensor& x, const at::Tensor& scale) {
            return rounded(x * scale).transpose(0, 1).contiguous(); // [heads, rows, head_dim]
        };
        const at::Tensor q = stored(rows.queries, scales.queries), k = stored(rows.keys, scales.keys);
        const at::Tensor v = stored(rows.values, scales.values);
        const at::Tensor unit = 1.0 / (scales.queries * scales.keys * std::sqrt(static_cast<double>(shape_.head_dim)));
        const at::Tensor probabilities = stored_probabilities(at::matmul(q, k.transpose(1, 2)).mul_(unit));
        const at::Tensor total = probabilities.sum({2}, true);
        return (at::matmul(probabilities, v) / (total * scales.values)).transpose(0, 1).to(out);
    }

    CacheShape shape_;
    PageCodec codec_;
    at::Device device_;
    bool prope_ = false;
    at::Tensor cosine_, sine_;     // [rows, 1, head_dim / 2]
    at::Tensor inverse_;           // [latents, 4, 4], history first
    at::Tensor projection_;        // [new latents, 4, 4]
    std::vector<Scales> measured_; // by layer, since begin_chunk()
};

} // namespace

std::unique_ptr<Attention> make_plain_e4m3_attention(const CacheShape& shape, const CachePolicy& policy,
                                                     at::Device device, at::ScalarType compute) {
    return std::make_unique<PlainE4m3Attention>(shape, policy, device, compute);
}

} // namespace wander::quant
