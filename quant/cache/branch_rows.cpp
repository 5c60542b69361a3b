#include "quant/cache/branch_rows.hpp"

#include "quant/cache/rotation.hpp"
#include "quant/cpu/tiles.hpp"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

namespace wander::quant {
namespace {

// Both turned forms of rows, [2][heads][tokens][dim].
template <class E>
at::Tensor turned_forms(const RotationTables<cpu::Accum<E>>& tables, int first, int latents, const at::Tensor& rows) {
    const at::Tensor source = rows.contiguous();
    const std::int64_t tokens = source.size(0), heads = source.size(1), dim = source.size(2);
    at::Tensor forms = at::empty({2, heads, tokens, dim}, source.options());
    const auto* from = static_cast<const E*>(source.const_data_ptr());
    auto* rope = static_cast<E*>(forms.mutable_data_ptr());
    auto* prope = rope + heads * tokens * dim;
    const auto& kernels = cpu::tile_kernels<E>(cpu::best_simd());
    for (std::int64_t head = 0; head < heads; ++head) {
        for (int n = 0; n < latents; ++n) {
            const std::int64_t token = std::int64_t{n} * tables.tokens_per_latent;
            const std::int64_t to = (head * tokens + token) * dim;
            kernels.expand_keys({from + (token * heads + head) * dim, static_cast<std::ptrdiff_t>(heads * dim),
                                 tables.tokens_per_latent, static_cast<int>(dim), rope + to, prope + to},
                                {tables.space_cos_of(0), tables.space_sin_of(0), tables.time_cos_of(first + n),
                                 tables.time_sin_of(first + n), tables.time_channels, tables.inverse_of(first + n)});
        }
    }
    return forms;
}

template <class E>
TextRows both(const ReadView& view, const CacheShape& shape, int first, int latents, const at::Tensor& keys,
              const at::Tensor& values) {
    RotationTables<cpu::Accum<E>> tables;
    tables.fill(view, shape, static_cast<int>(view.history_positions.size()));
    first += tables.history;
    const at::Tensor turned_values = turned_forms<E>(tables, first, latents, values)[1]; // RoPE leaves values alone
    return {turned_forms<E>(tables, first, latents, keys).transpose(1, 2).contiguous(),
            at::stack({values, turned_values.transpose(0, 1)})};
}

} // namespace

TextRows branch_rows(const ReadView& view, const CacheShape& shape, int first, int latents, const at::Tensor& keys,
                     const at::Tensor& values) {
    TORCH_CHECK(view.prope, "branch_rows: there is one branch only");
    TORCH_CHECK(keys.is_cpu() && values.is_cpu() && keys.sizes() == values.sizes() &&
                    keys.size(0) == std::int64_t{latents} * shape.tokens_per_latent && first >= 0 &&
                    first + latents <= view.latents,
                "branch_rows: rows of whole latents of the view are needed, on the CPU");
    switch (keys.scalar_type()) {
        case at::kDouble: return both<double>(view, shape, first, latents, keys, values);
        case at::kBFloat16: return both<cpu::Bf16>(view, shape, first, latents, keys, values);
        default: return both<float>(view, shape, first, latents, keys, values);
    }
}

} // namespace wander::quant
