#pragma once
// The decoders of WanVae and Wan22Vae on a CUDA device in bf16: cuDNN's 2-D convolutions, and one kernel of ours
// between two of them.
//
// A convolution that is causal in time reads three frames side by side as channels, which cuDNN does at twice the speed
// of its 3-D form at 96 channels. Its bias, the residual sum, norm, SiLU and laying the frames side by side are one
// pass over memory (decode_kernels.hpp), which also keeps the stream's state. Levels run in slices of few frames, so
// memory does not grow with the number of latents in a call. What Wan 2.2 leads around a level is added where the next
// level reads. The plain twins are the VAEs' own paths through torch.

#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae_ops.hpp"
#include "generator/wan/vae_plan.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

namespace wander {

struct FusedVaeWeights {
    const VaeHalf* decoder = nullptr;
    const std::map<std::string, VaeConv>* convs = nullptr;     // side by side
    const std::map<std::string, at::Tensor>* gammas = nullptr; // float32
    VaeNorm norm = VaeNorm::wan;
    double eps = 0;
    int patch = 1;
    bool column_patches = false; // how patches lie: as from_column_patches says, not as from_patches
    // Pixels x frames that a layer of the head's width works on at once, wider ones fewer; at least one frame.
    std::int64_t pixels_per_pass = 0;
};

// Does the fused path know every width of this plan?
bool fused_decoder_serves(const VaeHalf& decoder);

// Are 24 GiB or more of the GPU's memory free? See DecodeTuning.
bool decoder_has_room();

// Brings some of the decoder's weights into the form that decode_fused reads (VaeConv::special_weight).
void prepare_fused(const VaeHalf& decoder, bool column_patches, std::map<std::string, VaeConv>& convs);

// latents: [T, z, h, w] as conv1 takes them. first: T = 1, the video's first latent. Returns [frames, 3, H, W] bf16,
// channels last. `past` holds input frames by the names that the plain path gives them.
at::Tensor decode_fused(const FusedVaeWeights& weights, const at::Tensor& latents, VaePast& past, bool first);

} // namespace wander
