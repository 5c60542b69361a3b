#pragma once
// A chunk's ReadView as tables that kernels read: cosines and signed sines per channel, 4 x 4 matrices per latent.
//
// Angles are formed in double and rounded once, so absolute positions of a long walk lose nothing. Latents are counted
// visible history first, then the new chunk. A is float, or double for a double cache.

#include "quant/kv_cache.hpp"

#include <cstddef>
#include <vector>

namespace wander::quant {

template <class A>
struct RotationTables {
    int head_dim = 0;
    int time_channels = 0;
    int tokens_per_latent = 0;
    int history = 0; // latents
    int latents = 0; // of the new chunk
    bool prope = false;

    std::vector<A> space_cos; // [tokens_per_latent][head_dim], time channels unused
    std::vector<A> space_sin; // minus at even channels
    std::vector<A> time_cos;  // [history + latents][head_dim], space channels unused
    std::vector<A> time_sin;
    std::vector<A> inverse;    // [history + latents][4][4] P^-1
    std::vector<A> transposed; // [latents][4][4] P^T, turns queries
    std::vector<A> projection; // [latents][4][4] P, turns results

    const A* time_cos_of(int latent) const { return time_cos.data() + static_cast<std::size_t>(latent) * head_dim; }
    const A* time_sin_of(int latent) const { return time_sin.data() + static_cast<std::size_t>(latent) * head_dim; }
    const A* space_cos_of(int token) const { return space_cos.data() + static_cast<std::size_t>(token) * head_dim; }
    const A* space_sin_of(int token) const { return space_sin.data() + static_cast<std::size_t>(token) * head_dim; }
    const A* inverse_of(int latent) const {
        return prope ? inverse.data() + static_cast<std::size_t>(latent) * 16 : nullptr;
    }

    // Throws std::invalid_argument when the view does not fit `shape` or holds another number of history latents.
    void fill(const ReadView& view, const CacheShape& shape, int history_latents);

private:
    at::Tensor space_angles_; // of the tables at hand, to skip the work when they stay
};

} // namespace wander::quant
