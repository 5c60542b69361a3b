#pragma once
// Tiny autoencoders (TAEHV; self-forcing.md 9, hy-worldplay.md 6): streaming decoder and encoder with exact state. One
// network for the latents of Wan 2.1 (taew2_1), Wan 2.2 (taew2_2) and HunyuanVideo 1.5 (taehv1_5): sizes are data,
// tensor names are the checkpoint's own. The newer two work on pixels in squares of 2 x 2 (patch).
//
// The files of madebyollin/taehv take the latents as the sampler makes them (no mean, no deviation), rectify with ReLU
// and give pictures in [0, 1]. LightX2V's ("lighttae...") have the same tensors and other conventions, see
// TaehvConfig::lighttae. A Taehv holds weights and may be shared by streams; one thread per stream. State of a decoder:
// the last input of every memory block.

#include "generator/plain/result.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

struct TaehvConfig {
    int z = 16;
    std::vector<int> decoder_channels = {256, 128, 64, 64}; // of the three levels, coarse to fine, and behind them
    int encoder_channels = 64;
    int memory_blocks = 3; // of every level
    int patch = 1;         // the last convolution makes 3 patch^2 channels, which become squares of pixels
    // Conventions, which no tensor tells. Negative values are multiplied by `leak` (LeakyReLU; 0: ReLU). The network
    // takes latents * deviation + mean, value by channel; empty: as the sampler makes them. `range`: of pictures.
    double leak = 0;
    std::vector<double> latent_mean;
    std::vector<double> latent_std;
    PixelRange range = {0, 1};
    // What the time-growing 1x1 convolutions of the file make of a frame (true: two frames), coarse to fine, and what
    // is wanted of them: fewer frames for previews, then the last output channels count.
    std::vector<bool> stored_time_upscale = {false, true, true};
    std::vector<bool> decoder_time_upscale = {false, true, true};
    std::vector<bool> encoder_time_downscale = {true, true, false};

    int decoder_time_scale() const; // frames per latent, 4
    int encoder_time_scale() const;
    int spatial_scale() const { return 8 * patch; } // pixels of a latent's side
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes(bool encoder, bool decoder) const;
};

class Taehv : public VideoDecoder {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    // plain: torch's own operations on a GPU too, for tests and benches.
    static Result<Taehv> load(const TaehvConfig& config, const TensorSource& source, at::Device device,
                              at::ScalarType compute, bool with_encoder, bool with_decoder, bool plain = false);

    // The last input frame of every memory block, [1, channels, height, width], by the block's name ("decoder.5").
    using Memory = std::map<std::string, at::Tensor>;
    struct Weights;

    class DecodeStream : public VideoDecodeStream {
    public:
        // Frames in about the range. The first latent gives 1 frame: the 3 that the network makes before it are
        // dropped, once a video.
        at::Tensor decode(const at::Tensor& latents) override;
        // The same with those 3 frames.
        at::Tensor decode_all(const at::Tensor& latents);
        void reset() override;
        std::int64_t state_bytes() const override;
        // The memory blocks' frames by name.
        std::map<std::string, at::Tensor> save() const override { return memory_; }
        bool restore(const std::map<std::string, at::Tensor>& saved) override;
        const Memory& memory() const { return memory_; }

    private:
        friend class Taehv;
        at::Tensor run(const at::Tensor& latents, std::int64_t drop);
        std::shared_ptr<const Weights> weights_;
        Memory memory_;
        bool started_ = false;
    };
    DecodeStream decode_stream() const;

    // Frames in [0, 1] to latents, 4 to 1, in groups from the first frame on (not 1, 4, 4, ... as the full VAE's).
    class EncodeStream {
    public:
        // frames: [N, 3, H, W], any N. Returns the latents of the groups that are complete, [n, z, h, w], maybe none.
        at::Tensor encode(const at::Tensor& frames);
        // The video's end: a group that is not complete is filled with copies of its last frame. Begins a new video.
        at::Tensor finish();

    private:
        friend class Taehv;
        std::shared_ptr<const Weights> weights_;
        Memory memory_;
        at::Tensor waiting_; // frames of a group that is not complete, or undefined
    };
    EncodeStream encode_stream() const;

    std::string name() const override { return "tiny"; }
    PixelRange range() const override { return config().range; }
    int latent_channels() const override { return config().z; }
    std::unique_ptr<VideoDecodeStream> open_stream() const override;
    int latents_per_call() const override;

    const TaehvConfig& config() const;

private:
    std::shared_ptr<Weights> weights_;
};

} // namespace wander
