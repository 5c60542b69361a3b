#pragma once
// What the causal VAEs (Wan 2.1 and 2.2, HunyuanVideo 1.5) have in common: parts by name, streams whose whole state is
// the last input frames of their convolutions.
//
// A net holds weights only and may be shared by streams. A stream is the state of one video and belongs to one thread.
// On CUDA all work is queued on the current stream.

#include "generator/plain/result.hpp"
#include "generator/wan/vae_ops.hpp"
#include "generator/wan/video_decoder.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander {

// [T, z, h, w], float32 (float64 for kDouble), as an encoder gives them: not yet normalised.
struct VaeMoments {
    at::Tensor mean;
    at::Tensor log_variance;

    // mean + exp(0.5 log_variance) noise, log_variance within -30..20; noise like mean.
    at::Tensor sample(const at::Tensor& noise) const;
};

class CausalVaeNet {
public:
    using TensorSource =
        std::function<Result<at::Tensor>(const std::string& name, const std::vector<std::int64_t>& shape)>;
    using Shapes = std::map<std::string, std::vector<std::int64_t>>;

    virtual ~CausalVaeNet() = default;
    // Latents as the sampler makes them -> what the decoder takes, compute type, channels last.
    virtual at::Tensor to_decoder(const at::Tensor& latents) const = 0;
    // `first`: z is the video's first latent, alone. Returns [frames, 3, H, W].
    virtual at::Tensor decode_part(const at::Tensor& z, VaePast& past, bool first) const = 0;
    // frames: [1, 3, H, W] at the video's beginning, then [4, 3, H, W]. Returns [1, 2 z, h, w]: mean, log variance.
    virtual at::Tensor encode_part(const at::Tensor& frames, VaePast& past) const = 0;

    // Latents that a call of decode_part gets at most, after the first.
    virtual std::int64_t latents_per_part() const;

    at::Device device() const { return device_; }
    at::ScalarType compute() const { return compute_; }
    at::ScalarType wide() const { return compute_ == at::kDouble ? at::kDouble : at::kFloat; }

protected:
    CausalVaeNet(at::Device device, at::ScalarType compute, VaeNorm norm = VaeNorm::wan, double eps = 0)
        : device_(device), compute_(compute), norm_(norm), eps_(eps) {}
    // Every tensor of `shapes`: NAME.gamma become norms, NAME.weight with NAME.bias convolutions. bad_input lists what
    // the checkpoint lacks. side_by_side: see VaeConv.
    Result<void> load_parts(const Shapes& shapes, const TensorSource& source, const char* what,
                            bool side_by_side = true);
    // Pictures and the time before them continue as their border instead of zeros. Before load_parts.
    void replicate_borders() { replicate_ = true; }

    std::map<std::string, VaeConv>& convs() { return convs_; }
    const std::map<std::string, VaeConv>& convs() const { return convs_; }
    const std::map<std::string, at::Tensor>& gammas() const { return gammas_; }
    const VaeConv& part(const std::string& name) const { return convs_.at(name); }
    at::Tensor conv(const std::string& name, const at::Tensor& x, VaePast& past) const;
    at::Tensor norm(const std::string& name, const at::Tensor& x, bool silu = true) const;
    // x + conv2(norm2(conv1(norm1(x)))), or the convolved x where its width changes.
    struct ResidualNames {
        std::string norm1, conv1, norm2, conv2;
        std::string shortcut; // empty: none
    };
    at::Tensor residual(const ResidualNames& names, const at::Tensor& x, VaePast& past) const;

private:
    at::Device device_;
    at::ScalarType compute_;
    VaeNorm norm_;
    double eps_;
    bool replicate_ = false;
    std::map<std::string, VaeConv> convs_;
    std::map<std::string, at::Tensor> gammas_; // float32 (float64 for double) [channels]
};

class CausalDecodeStream : public VideoDecodeStream {
public:
    explicit CausalDecodeStream(std::shared_ptr<const CausalVaeNet> net) : net_(std::move(net)) {}
    at::Tensor decode(const at::Tensor& latents) override;
    void reset() override;
    std::int64_t state_bytes() const override;
    // The last input frames of the causal convolutions by name: the whole state. A stream that is under way knows names
    // and sizes and takes no others; a new one takes what it gets.
    std::map<std::string, at::Tensor> save() const override;
    bool restore(const std::map<std::string, at::Tensor>& saved) override;

private:
    std::shared_ptr<const CausalVaeNet> net_;
    VaePast past_;
    bool started_ = false;
};

class CausalEncodeStream {
public:
    explicit CausalEncodeStream(std::shared_ptr<const CausalVaeNet> net) : net_(std::move(net)) {}
    // frames: [N, 3, H, W] in [-1, 1]; a video's first call has 1 + 4k frames, later ones 4k. T = k (+ 1).
    VaeMoments encode(const at::Tensor& frames);
    void reset();

private:
    std::shared_ptr<const CausalVaeNet> net_;
    VaePast past_;
    bool started_ = false;
};

} // namespace wander
