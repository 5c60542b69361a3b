#pragma once
// The decoders of WanVae, Wan22Vae and HunyuanVae on a CUDA device in bf16: cuDNN's 2-D convolutions, and one kernel of
// ours between two of them.
//
// A convolution that is causal in time reads three frames side by side as channels, which cuDNN does at twice the speed
// of its 3-D form at 96 channels. Its bias, the residual sum, norm, SiLU, borders that repeat the edge, the way from
// channels to pixels and laying the frames side by side are one pass over memory (decode_kernels.hpp), which also keeps
// the stream's state. Levels run in slices of few frames, so memory does not grow with the number of latents in a call.
// What goes around a level or a change of size is added where the next level reads. The plain twins are the VAEs' own
// paths through torch.

#include "generator/wan/decode_ops.hpp"
#include "generator/wan/vae_ops.hpp"
#include "generator/wan/vae_plan.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

namespace wander {

struct FusedVaeForm {
    VaeNorm norm = VaeNorm::wan;
    double eps = 0;
    int patch = 1;
    bool column_patches = false; // how patches lie: as from_column_patches says, not as from_patches
    bool replicate = false;      // pictures and the time before them continue as their border instead of zeros
    // With little memory: pixels x frames that a layer of the head's width works on at once, wider ones fewer; at least
    // one frame.
    std::int64_t pixels_per_pass = 0;
    int roomy_passes = 1;  // that many of them at once with room enough
    int roomy_latents = 1; // latents a call with room enough
};

// A net's decoder on that path, or off where the device, the type or a width does not have it. Holds no weights.
class FusedVae {
public:
    FusedVae() = default;
    FusedVae(VaeHalf decoder, const FusedVaeForm& form, at::Device device, at::ScalarType compute,
             const DecodeTuning& tuning);

    bool on() const { return on_; }
    int latents_per_call() const { return on_ ? tuning_.latents_per_call : 1; }
    // Brings some of the decoder's weights, side by side, into the form that decode() reads, and chooses by the memory
    // that is free then.
    void prepare(std::map<std::string, VaeConv>& convs);
    // latents: [T, z, h, w] as the first convolution takes them, or as it leaves them where the plan has none. first: T
    // = 1, the video's first latent. Returns [frames, 3, H, W] bf16, channels last. `past` holds input frames by the
    // names that the plain path gives them.
    at::Tensor decode(const std::map<std::string, VaeConv>& convs, const std::map<std::string, at::Tensor>& gammas,
                      const at::Tensor& latents, VaePast& past, bool first) const;

private:
    VaeHalf decoder_;
    FusedVaeForm form_;
    DecodeTuning tuning_;
    bool on_ = false;
};

} // namespace wander
