#pragma once
// SigLIP's picture tower without its pooling head (hy-worldplay.md 3.3): pixels to one vector for each patch, behind
// the last norm. Sizes are data; so400m/14-384 is the default (729 patches of 1152 values).
//
// bf16, fp16 or float32 products; norms, softmax and the residual stream are float32 (double when computing in double).
// Placement as in umt5_encoder.hpp; so400m in 16 bits: 0.82 GB resident, 20 MB of buffers streamed.
//
// encode() may run on any one thread at a time, and beside the walk: on a GPU it has streams of its own.

#include "generator/plain/result.hpp"
#include "generator/text/checkpoint_part.hpp"
#include "generator/text/text_placement.hpp"
#include "generator/vision/plain/picture_scaling.hpp"

#include <ATen/core/Tensor.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander {

struct SiglipConfig {
    int image = 384; // pixels a side of the square that the network takes
    int patch = 14;  // a rest that fills no patch is left out
    int dim = 1152;
    int heads = 16;
    int layers = 27;
    int ffn = 4304;
    double eps = 1e-6;

    int patches() const { return (image / patch) * (image / patch); }
    // config.json beside the weights: of the tower, or of both towers with the one in vision_config. bad_input naming
    // `where` and the entry.
    static Result<SiglipConfig> of_json(const nlohmann::json& json, const std::string& where);

    // Every tensor that is read, with the checkpoint's name and its shape.
    std::map<std::string, std::vector<std::int64_t>> tensor_shapes() const;
};

class SiglipVision {
public:
    using TensorSource = CheckpointPart::TensorSource;

    // Loads strictly. compute: kFloat, kHalf, kBFloat16, kDouble.
    static Result<SiglipVision> load(const SiglipConfig& config, const TensorSource& source, at::Device device,
                                     at::ScalarType compute, TextPlacement placement,
                                     const std::function<void(double)>& progress = {});

    // pixels [1, 3, image, image] in [-1, 1] on the CPU or the device. [patches, dim] float32 (double) on the device,
    // rows of the picture one after another; finished when this returns.
    at::Tensor encode(const at::Tensor& pixels) const;

    const SiglipConfig& config() const;

    struct Weights;
    // For tests of the parts (siglip_weights.hpp).
    const Weights& weights() const { return *weights_; }

private:
    std::shared_ptr<Weights> weights_;
};

// The picture as SiglipVision takes it: cropped to the nearest bucket, then scaled (bicubic, aspect not kept) to
// `image` x `image`. [1, 3, image, image] float32 CPU in [-1, 1].
at::Tensor siglip_pixels(const Picture& picture, int image);

// For open_checkpoint_part; the extra is the pooling head.
TensorRole siglip_tensor_role(std::string_view name);

// A folder with config.json and model.safetensors.
struct SiglipFiles {
    SiglipConfig config;
    CheckpointPart part;
};
Result<SiglipFiles> open_siglip(const std::filesystem::path& folder);

} // namespace wander
