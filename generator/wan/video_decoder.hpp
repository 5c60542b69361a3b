#pragma once
// What turns latents into pictures: the full VAE (WanVae) or the tiny one (Taehv), behind one interface.
//
// A VideoDecoder holds weights only and may be shared; a VideoDecodeStream is the state of one video, used by one
// thread. On CUDA all work is queued on the calling thread's current stream.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace wander {

// Values of decoded pictures that mean black and white; values beyond are clamped when pixels are made.
struct PixelRange {
    float black = -1;
    float white = 1;
};

// How a full VAE's decoder runs on a GPU. 0: chosen by the memory that is free when it is loaded. With 24 GiB or more
// Wan 2.1 takes three latents a call and four frames of 480x832 at once, HunyuanVideo's one latent and four frames, Wan
// 2.2 one latent and two frames of 704x1280; else all of them one latent and one frame, which takes less memory and
// more time (docs/performance.md).
struct DecodeTuning {
    bool plain = false;               // torch's own operations, for tests and benches
    bool twin = false;                // the GPU's path on any device and in any type, step by step in torch: for tests
    std::int64_t pixels_per_pass = 0; // see FusedVaeForm
    int latents_per_call = 0;
};

class VideoDecodeStream {
public:
    virtual ~VideoDecodeStream() = default;
    // latents: [T, z, h, w], normalised, as the sampler makes them; any floating type, any T. Returns [N, 3, H, W] of
    // the compute type, in the decoder's range but not clamped, N = frames_of(T, is this the video's first call). Any
    // split of a video into calls gives the same pictures, up to rounding.
    virtual at::Tensor decode(const at::Tensor& latents) = 0;
    // Forgets the video: the next latent is a first one.
    virtual void reset() = 0;
    // What the stream keeps between two calls. 0 before the first.
    virtual std::int64_t state_bytes() const = 0;
    // All that the stream keeps, by name; restored, the next frames are the same bits. Empty before the first latent,
    // and where a decoder's state cannot be kept.
    virtual std::map<std::string, at::Tensor> save() const { return {}; }
    // False, and nothing changes: this is no state of such a stream.
    virtual bool restore(const std::map<std::string, at::Tensor>& /*saved*/) { return false; }
};

class VideoDecoder {
public:
    virtual ~VideoDecoder() = default;
    virtual std::string name() const = 0; // "full" or "tiny", as metrics and sessions say it
    virtual PixelRange range() const = 0;
    virtual int latent_channels() const = 0;
    virtual std::unique_ptr<VideoDecodeStream> open_stream() const = 0;
    // How many latents a call should get at most where the first picture is not waited for. More of them use a GPU a
    // little better, fewer give frames earlier.
    virtual int latents_per_call() const { return 1; }
    // Both decoders: the first latent of a video is one frame, every other is four.
    int frames_of(std::int64_t latents, bool first) const { return static_cast<int>(4 * latents - (first ? 3 : 0)); }
};

} // namespace wander
