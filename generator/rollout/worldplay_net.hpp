#pragma once
// What the chunk loop of HY-WorldPlay asks of a network. WAN-5B's transformer and that of the 8B model answer alike.
//
// Immutable while a pass runs; forward() as WanDit::forward: InferenceMode and the thread are the caller's.

#include "generator/wan/dit.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/core/Tensor.h>

#include <memory>

namespace wander {

struct WorldPlayPass : DitPass {
    // [1, C, h, w]: the start picture of the walk, where the first latent of the pass is the walk's latent 0. A network
    // that takes the picture as extra channels needs it in every pass that holds that latent; undefined: none.
    at::Tensor picture;
};

class WorldPlayNet {
public:
    virtual ~WorldPlayNet() = default;
    virtual at::Device device() const = 0;
    virtual int channels() const = 0; // of a latent
    virtual bool prope() const = 0;   // is there a second attention branch?
    // What a ReadView needs to know of a latent of rows x cols.
    virtual void fill_rope(quant::ReadView& view, int rows, int cols) const = 0;
    // Velocity [F, C, h, w], float32 or wider; undefined for a context pass.
    virtual at::Tensor forward(const WorldPlayPass& pass, quant::KvCache& cache) const = 0;
};

std::shared_ptr<const WorldPlayNet> worldplay_net(std::shared_ptr<const WanDit> dit);

} // namespace wander
