#pragma once
// Wan 2.2 VAE (hy-worldplay.md 7.4): streaming decoder and encoder. Sizes are data, tensor names native.
//
// Causal like the 2.1 one, with shortcuts around whole levels. A stream is the state of one video and belongs to one
// thread; the Wan22Vae holds weights only and may be shared. On CUDA all work is queued on the current stream.

#include "generator/plain/result.hpp"
#include "generator/wan/vae22_config.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

class Wan22Vae : public VideoDecoder {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    // compute: kFloat, kBFloat16 or kDouble. bad_input lists what the checkpoint lacks.
    static Result<Wan22Vae> load(const Vae22Config& config, const TensorSource& source, at::Device device,
                                 at::ScalarType compute, bool with_encoder, bool with_decoder);

    class DecodeStream : public VideoDecodeStream {
    public:
        at::Tensor decode(const at::Tensor& latents) override;
        void reset() override;
        std::int64_t state_bytes() const override;
        // Last input frames of the causal convolutions by tensor name: the whole state, compute type, [1 or 2, C, h,
        // w]. Restored, the next frames are the same bits. Empty before the first latent.
        std::map<std::string, at::Tensor> save() const;
        void restore(const std::map<std::string, at::Tensor>& saved);
        struct State;
        std::shared_ptr<State> state;
    };
    DecodeStream decode_stream() const;

    std::string name() const override { return "full"; }
    PixelRange range() const override { return {-1, 1}; }
    std::unique_ptr<VideoDecodeStream> open_stream() const override;

    // [T, z, h, w], float32 (float64 for kDouble), as the network gives them: not yet normalised.
    struct Moments {
        at::Tensor mean;
        at::Tensor log_variance;
    };
    class EncodeStream {
    public:
        // frames: [N, 3, H, W] in [-1, 1]; a video's first call has 1 + 4k frames, later ones 4k. T = k (+ 1).
        Moments encode(const at::Tensor& frames);
        void reset();
        struct State;
        std::shared_ptr<State> state;
    };
    EncodeStream encode_stream() const;

    // Latents as the transformer takes them. The mode is the mean; a sample adds noise [T, z, h, w] times the deviation
    // exp(0.5 log_variance), log_variance within -30..20. WAN-5B starts from a sample.
    at::Tensor normalised_mode(const Moments& moments) const;
    at::Tensor normalised_sample(const Moments& moments, const at::Tensor& noise) const;

    const Vae22Config& config() const;

    struct Weights;

private:
    std::shared_ptr<Weights> weights_;
};

} // namespace wander
