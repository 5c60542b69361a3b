#include "quant/cache/attention.hpp"
#include "quant/cache/logit_bias.hpp"
#include "quant/cache/page_codec.hpp"
#include "quant/cache/rotation.hpp"
#include "quant/cache/tile_cutter.hpp"
#include "quant/cpu/tiles.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace wander::quant {
namespace {

using Clock = std::chrono::steady_clock;

template <class E>
class CpuAttention final : public Attention {
    using A = cpu::Accum<E>;
    static constexpr int kRowsTogether = std::is_same_v<E, cpu::Bf16> ? 2 : 1; // of values, see cpu::ValueTile

public:
    CpuAttention(const CacheShape& shape, const CachePolicy& policy, at::ScalarType compute)
        : shape_(shape),
          compute_(compute),
          bias_correction_(policy.bias_correction && shape.head_dim % kNoiseChannels == 0),
          codec_(shape, policy, compute),
          kernels_(cpu::tile_kernels<E>(cpu::best_simd())),
          cutter_(shape, codec_, policy.tile_tokens) {
        const std::size_t tile =
            static_cast<std::size_t>(cutter_.tile_tokens() + 1) * static_cast<std::size_t>(shape.head_dim);
        keys_rope_.resize(tile);
        keys_prope_.resize(tile);
        values_plain_.resize(tile);
        values_prope_.resize(tile);
        decoded_.resize(tile);
        scores_.resize(static_cast<std::size_t>(cpu::kMaxTileTokens + 1) * cpu::kMaxColumns);
    }

    void begin_chunk(const ReadView& view, int history_latents) override {
        rotation_.fill(view, shape_, history_latents);
        const int queries = view.latents * shape_.tokens_per_latent;
        blocks_ = (queries + cpu::kMaxColumns - 1) / cpu::kMaxColumns;
        block_queries_ = (queries + blocks_ - 1) / blocks_;
        columns_ = (block_queries_ + cpu::kColumnStep - 1) / cpu::kColumnStep * cpu::kColumnStep;
        const std::size_t branches = view.prope ? 2 : 1;
        const std::size_t block = branches * static_cast<std::size_t>(blocks_) * static_cast<std::size_t>(columns_);
        const std::size_t dim = static_cast<std::size_t>(shape_.head_dim);
        grow(queries_, block * dim);
        grow(out_, block * dim);
        grow(peak_, block);
        grow(weight_, block);
        grow(rotated_queries_, branches * static_cast<std::size_t>(queries) * dim);
        grow(bias_, static_cast<std::size_t>(columns_));
        if (bias_correction_) {
            grow(energy_, branches * static_cast<std::size_t>(queries * noise_groups()));
        }
    }

    at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& query_rows,
                      const at::Tensor& key_rows, const at::Tensor& value_rows) override {
        const at::Tensor q = query_rows.contiguous();
        const at::Tensor k = key_rows.contiguous();
        const at::Tensor v = value_rows.contiguous();
        at::Tensor result = empty_result(branches(), q);
        const std::vector<Tile<E>>& tiles =
            cutter_.cut(layer, text_.empty() ? nullptr : &text_[static_cast<std::size_t>(layer)], segments,
                        {static_cast<const E*>(k.const_data_ptr()), static_cast<const E*>(v.const_data_ptr()),
                         rotation_.latents, rotation_.history});
        for (int head = 0; head < shape_.heads; ++head) {
            start_head(q, head);
            for (std::size_t i = 0; i < tiles.size(); ++i) {
                const auto begin = Clock::now();
                expand(tiles[i], layer, head);
                // The next tile's rows come from memory while this one is attended to.
                prefetch(tiles[i + 1 < tiles.size() ? i + 1 : 0], i + 1 < tiles.size() ? head : head + 1);
                expand_ms_ += std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
                for (int branch = 0; branch < branches(); ++branch) {
                    for (int block = 0; block < blocks_; ++block) {
                        attend_tile(tiles[i], head, branch, block);
                    }
                }
            }
            finish_head(result, head);
        }
        return result;
    }

    void set_bias_correction(bool on) override { bias_correction_ = on && shape_.head_dim % kNoiseChannels == 0; }

    std::int64_t scratch_bytes() const override {
        return static_cast<std::int64_t>((keys_rope_.size() + keys_prope_.size() + values_plain_.size() +
                                          values_prope_.size() + queries_.size() + rotated_queries_.size()) *
                                             sizeof(E) +
                                         (decoded_.size() + energy_.size()) * sizeof(float) +
                                         (scores_.size() + out_.size() + peak_.size() + weight_.size() + bias_.size()) *
                                             sizeof(A));
    }

    double take_expand_ms() override { return std::exchange(expand_ms_, 0.0); }

    std::string engine() const override { return "CPU"; }

    void set_text(std::vector<TextRows> layers) override { text_ = std::move(layers); }

private:
    // Rows of the tile at hand as one branch reads them.
    struct Read {
        const E* keys = nullptr;
        std::ptrdiff_t key_stride = 0;
        const E* values = nullptr;
        std::ptrdiff_t value_stride = 0;
    };

    template <class T>
    static void grow(std::vector<T>& buffer, std::size_t size) {
        if (buffer.size() < size) {
            buffer.resize(size);
        }
    }
    std::ptrdiff_t row_stride() const { return static_cast<std::ptrdiff_t>(shape_.heads) * shape_.head_dim; }
    int branches() const { return rotation_.prope ? 2 : 1; }
    int queries() const { return rotation_.latents * shape_.tokens_per_latent; }

    cpu::TileRotation<A> turn(int latent, int token, const A* matrix) const {
        return {rotation_.space_cos_of(token), rotation_.space_sin_of(token), rotation_.time_cos_of(latent),
                rotation_.time_sin_of(latent), rotation_.time_channels,       matrix};
    }

    void start_head(const at::Tensor& q, int head) {
        const int dim = shape_.head_dim;
        const E* rows = static_cast<const E*>(q.const_data_ptr()) + static_cast<std::ptrdiff_t>(head) * dim;
        E* rope = rotated_queries_.data();
        E* prope = rope + static_cast<std::ptrdiff_t>(queries()) * dim;
        for (int n = 0; n < rotation_.latents; ++n) {
            const std::ptrdiff_t token = static_cast<std::ptrdiff_t>(n) * shape_.tokens_per_latent;
            const A* matrix = rotation_.prope ? rotation_.transposed.data() + n * 16 : nullptr;
            kernels_.expand_keys({rows + token * row_stride(), row_stride(), shape_.tokens_per_latent, dim,
                                  rope + token * dim, matrix ? prope + token * dim : nullptr},
                                 turn(rotation_.history + n, 0, matrix));
        }
        for (int branch = 0; branch < branches(); ++branch) {
            for (int block = 0; block < blocks_; ++block) {
                const int first = block * block_queries_;
                cpu::pack_queries((branch == 0 ? rope : prope) + static_cast<std::ptrdiff_t>(first) * dim,
                                  std::min(block_queries_, queries() - first), columns_, dim,
                                  queries_.data() + block_offset(branch, block) * dim);
            }
        }
        if (bias_correction_) {
            measure_queries(rope, prope);
        }
        const std::size_t columns = static_cast<std::size_t>(branches() * blocks_) * static_cast<std::size_t>(columns_);
        std::fill_n(out_.begin(), columns * static_cast<std::size_t>(dim), A(0));
        std::fill_n(peak_.begin(), columns, -std::numeric_limits<A>::infinity());
        std::fill_n(weight_.begin(), columns, A(0));
    }

    std::ptrdiff_t block_offset(int branch, int block) const {
        return static_cast<std::ptrdiff_t>(branch * blocks_ + block) * columns_;
    }

    void prefetch(const Tile<E>& tile, int head) const {
        if (tile.group || head >= shape_.heads) {
            return; // rows of a packed page are few and lie together
        }
        constexpr std::ptrdiff_t kLine = 64 / sizeof(E);
        for (const E* base : {tile.key_rows, tile.value_rows}) {
            const E* row = base + static_cast<std::ptrdiff_t>(head) * shape_.head_dim;
            for (int t = 0; t < tile.tokens; ++t, row += row_stride()) {
                for (std::ptrdiff_t c = 0; c < shape_.head_dim; c += kLine) {
                    __builtin_prefetch(row + c, 0, 2);
                }
            }
        }
    }

    void expand_text(const Tile<E>& tile, int head) {
        for (int branch = 0; branch < branches(); ++branch) {
            if (branch > 0 && tile.branch_stride == 0) {
                read_[branch] = read_[0];
                break;
            }
            const std::ptrdiff_t offset =
                branch * tile.branch_stride + static_cast<std::ptrdiff_t>(head) * shape_.head_dim;
            Read rows{tile.key_rows + offset, row_stride(), tile.value_rows + offset, row_stride()};
            if constexpr (kRowsTogether != 1) {
                E* const together = branch == 0 ? values_plain_.data() : values_prope_.data();
                kernels_.expand_values({rows.values, row_stride(), tile.tokens, shape_.head_dim, together, nullptr},
                                       {});
                rows.values = together;
                rows.value_stride = static_cast<std::ptrdiff_t>(shape_.head_dim) * kRowsTogether;
            }
            read_[branch] = rows;
        }
    }

    void expand(const Tile<E>& tile, int layer, int head) {
        if (tile.text) {
            return expand_text(tile, head);
        }
        const int dim = shape_.head_dim;
        const cpu::TileRotation<A> rotation = turn(tile.latent, tile.token, rotation_.inverse_of(tile.latent));
        E* prope_keys = rotation.matrix ? keys_prope_.data() : nullptr;
        E* prope_values = rotation.matrix ? values_prope_.data() : nullptr;
        E* plain_values = values_plain_.data();
        read_[0] = {keys_rope_.data(), dim, plain_values, dim * kRowsTogether};
        read_[1] = {prope_keys, dim, prope_values, dim * kRowsTogether};
        if (!tile.group) {
            const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(head) * dim;
            if constexpr (kRowsTogether == 1) {
                // Dense rows are attended where they lie.
                plain_values = nullptr;
                read_[0].values = tile.value_rows + offset;
                read_[0].value_stride = row_stride();
            }
            kernels_.expand_keys(
                {tile.key_rows + offset, row_stride(), tile.tokens, dim, keys_rope_.data(), prope_keys}, rotation);
            kernels_.expand_values(
                {tile.value_rows + offset, row_stride(), tile.tokens, dim, plain_values, prope_values}, rotation);
            return;
        }
        decode(tile, layer, head, true);
        kernels_.expand_float_keys({decoded_.data(), dim, tile.tokens, dim, keys_rope_.data(), prope_keys}, rotation);
        decode(tile, layer, head, false);
        if constexpr (std::is_same_v<E, float>) {
            plain_values = nullptr;
            read_[0].values = decoded_.data();
        }
        kernels_.expand_float_values({decoded_.data(), dim, tile.tokens, dim, plain_values, prope_values}, rotation);
    }

    void decode(const Tile<E>& tile, int layer, int head, bool is_key) {
        const Page& page = is_key ? *tile.keys : *tile.values;
        page.format->decode_rows(page.bytes.template const_data_ptr<std::uint8_t>(),
                                 codec_.page_shape(*tile.group, is_key), codec_.options(*tile.group, layer, is_key),
                                 head, tile.row, tile.row + tile.tokens, decoded_.data());
    }

    // What is added to the tile's scores (before their scale): weights of summary rows and the correction of
    // quant/cache/logit_bias.hpp.
    bool tile_bias(const Tile<E>& tile, int head, int branch, int block) {
        const bool noisy = bias_correction_ && tile.keys && tile.keys->noise.defined();
        if (!noisy && tile.log_weight == 0) {
            return false;
        }
        const double scale = 1.0 / std::sqrt(static_cast<double>(shape_.head_dim));
        const float* noise =
            noisy ? tile.keys->noise.template const_data_ptr<float>() + head * noise_groups() : nullptr;
        const float* energy =
            energy_.data() +
            (static_cast<std::ptrdiff_t>(branch) * queries() + block * block_queries_) * noise_groups();
        const int count = std::min(block_queries_, queries() - block * block_queries_);
        for (int q = 0; q < columns_; ++q) {
            double beta = 0;
            for (int g = 0; noise && q < count && g < noise_groups(); ++g) {
                beta += static_cast<double>(noise[g]) * energy[q * noise_groups() + g];
            }
            beta = std::min(beta * scale * scale / 2, static_cast<double>(kMaxLogitBias));
            bias_[static_cast<std::size_t>(q)] = static_cast<A>((tile.log_weight - beta) / scale);
        }
        return true;
    }

    int noise_groups() const { return shape_.head_dim / kNoiseChannels; }

    // |q|^2 of every query and group of kNoiseChannels channels, both branches of one head.
    void measure_queries(const E* rope, const E* prope) {
        for (int branch = 0; branch < branches(); ++branch) {
            const E* rows = branch == 0 ? rope : prope;
            float* energy = energy_.data() + static_cast<std::ptrdiff_t>(branch) * queries() * noise_groups();
            for (int q = 0; q < queries(); ++q) {
                for (int g = 0; g < noise_groups(); ++g) {
                    float sum = 0;
                    for (int c = 0; c < kNoiseChannels; ++c) {
                        const auto value = static_cast<float>(cpu::widen(
                            rows[static_cast<std::ptrdiff_t>(q) * shape_.head_dim + g * kNoiseChannels + c]));
                        sum += value * value;
                    }
                    *energy++ = sum;
                }
            }
        }
    }

    void attend_tile(const Tile<E>& from, int head, int branch, int block) {
        const std::ptrdiff_t offset = block_offset(branch, block);
        // The running peak moves instead of the tile's scores: exp((s + b) - p) = exp(s - (p - b)).
        const bool biased = tile_bias(from, head, branch, block);
        A* peak = peak_.data() + offset;
        for (int q = 0; biased && q < columns_; ++q) {
            peak[q] -= bias_[static_cast<std::size_t>(q)];
        }
        cpu::AttendTile<E> tile;
        tile.queries = queries_.data() + offset * shape_.head_dim;
        tile.columns = columns_;
        tile.keys = read_[branch].keys;
        tile.key_stride = read_[branch].key_stride;
        tile.values = read_[branch].values;
        tile.value_stride = read_[branch].value_stride;
        tile.tokens = from.tokens;
        tile.head_dim = shape_.head_dim;
        tile.scale_log2 = static_cast<A>(1.4426950408889634074 / std::sqrt(static_cast<double>(shape_.head_dim)));
        tile.scores = scores_.data();
        tile.out = out_.data() + offset * shape_.head_dim;
        tile.peak = peak;
        tile.weight = weight_.data() + offset;
        kernels_.attend(tile);
        for (int q = 0; biased && q < columns_; ++q) {
            peak[q] += bias_[static_cast<std::size_t>(q)];
        }
    }

    // Divides by the weights, turns the second branch back, and writes the head's rows.
    void finish_head(at::Tensor& result, int head) {
        const int dim = shape_.head_dim;
        for (int branch = 0; branch < branches(); ++branch) {
            E* rows = static_cast<E*>(result.data_ptr()) + branch * result.stride(0) +
                      static_cast<std::ptrdiff_t>(head) * dim;
            for (int block = 0; block < blocks_; ++block) {
                const int first = block * block_queries_;
                const std::ptrdiff_t offset = block_offset(branch, block);
                cpu::ResultBlock<E> write;
                write.queries = std::min(block_queries_, queries() - first);
                write.columns = columns_;
                write.head_dim = dim;
                write.out = out_.data() + offset * dim;
                write.weight = weight_.data() + offset;
                write.matrices = branch == 1 ? rotation_.projection.data() : nullptr;
                write.first_query = first;
                write.tokens_per_latent = shape_.tokens_per_latent;
                write.rows = rows + first * result.stride(1);
                write.stride = result.stride(1);
                cpu::write_results(write);
            }
        }
    }

    CacheShape shape_;
    at::ScalarType compute_;
    bool bias_correction_;
    PageCodec codec_;
    const cpu::TileKernels<E>& kernels_;
    TileCutter<E> cutter_;
    RotationTables<A> rotation_;
    int blocks_ = 0;
    int block_queries_ = 0;
    int columns_ = 0;
    double expand_ms_ = 0;
    std::vector<TextRows> text_; // of each layer, or empty

    // Scratch of one head and one tile, shared by all layers.
    std::vector<E> keys_rope_, keys_prope_, values_plain_, values_prope_;
    std::vector<float> decoded_;
    std::vector<A> scores_;
    Read read_[2]; // of each branch
    // Queries and partial results of one head, [branches][blocks][...][columns].
    std::vector<E> rotated_queries_, queries_;
    std::vector<A> out_, peak_, weight_;
    std::vector<A> bias_;       // of one tile, [columns]
    std::vector<float> energy_; // of one head, [branches][queries][noise groups]
};

} // namespace

std::unique_ptr<Attention> make_cpu_attention(const CacheShape& shape, const CachePolicy& policy,
                                              at::ScalarType compute) {
    switch (compute) {
        case at::kDouble: return std::make_unique<CpuAttention<double>>(shape, policy, compute);
        case at::kFloat: return std::make_unique<CpuAttention<float>>(shape, policy, compute);
        case at::kBFloat16: return std::make_unique<CpuAttention<cpu::Bf16>>(shape, policy, compute);
        default: throw std::invalid_argument("KvCache: compute type must be float, bfloat16 or double");
    }
}

} // namespace wander::quant
