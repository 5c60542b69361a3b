#pragma once
// What a world model is trained on: random walks through themes, drawn and encoded. Walks depend on the seed, the
// theme's place in the list and the walk's number alone.
//
// One thread at a time; on CUDA the work is queued on the current stream of the device.

#include "generator/plain/result.hpp"
#include "generator/world/device_scenes.hpp"
#include "generator/world/theme/theme.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace wander::train {

class TrainVae;

// Everything on one device. Entry 0 of a walk is its start picture.
struct TrainingData {
    at::Tensor latents; // [walks, 1 + T, z, h, w] float16, normalised
    at::Tensor poses;   // [walks, 1 + T, 4] float32: x, z, yaw, pitch of the last frame of the latent
    at::Tensor labels;  // [walks, 1 + T] float32, 0 to 80
    at::Tensor worlds;  // [walks] int64: place in the list of themes
};

// Walks with their pictures kept, for the phases of the autoencoder.
struct FramePool {
    at::Tensor frames; // [walks, 1 + 4 T, height, width, 3] uint8
    at::Tensor poses;  // as above
    at::Tensor labels;
    at::Tensor worlds;

    std::int64_t walks() const { return frames.size(0); }
    std::int64_t latents() const { return poses.size(1); } // 1 + T
};

struct WalkPlan {
    int walks_per_theme = 280;
    int latents = 120; // T: after the start picture
    std::uint64_t seed = 0;
    double spawn_share = 0.1;     // of the walks: from one of the theme's start points
    double close_share = 1.0 / 3; // of the walks: at arm's length of something, looking at it
};

struct PlannedWalk {
    int world = 0;
    TrueWalk walk;
};

// Themes take turns (walk i is in theme i % themes), so that any slice of the walks has all of them.
std::vector<PlannedWalk> plan_walks(std::span<const Theme> themes, const WalkPlan& plan);

// Draws any of the themes on a device: DeviceScenes on CUDA, the plain renderer on the CPU.
class ScenePictures {
public:
    // The themes must outlive it. threads: of the plain renderer, 0: one for each core.
    static Result<ScenePictures> make(std::span<const Theme> themes, const scene::PictureFormat& format,
                                      at::Device device, int threads = 0);

    // uint8 [pictures, height, width, 3] on the device.
    Result<at::Tensor> draw(std::span<const std::int32_t> world_of, std::span<const Pose> poses) const;
    // All frames of some walks of equal length: uint8 [walks, 1 + 4 T, height, width, 3].
    Result<at::Tensor> draw_walks(std::span<const PlannedWalk> walks) const;

    const scene::PictureFormat& format() const { return format_; }
    at::Device device() const { return device_; }

private:
    std::span<const Theme> themes_;
    scene::PictureFormat format_;
    at::Device device_ = at::kCPU;
    int threads_ = 0;
    std::shared_ptr<const DeviceScenes> scenes_; // null on the CPU
};

// Called with walks that are ready and all walks; false stops (the result is then an error that says so).
using DataProgress = std::function<bool(std::int64_t done, std::int64_t all)>;

struct DataSizes {
    scene::PictureFormat format; // multiples of 16
    int threads = 0;             // of the plain renderer
    int walks_at_once = 0;       // drawn and encoded together; 0: by the device
};

// Draws and encodes a few walks at a time: never holds more frames than those. Without gradients, in the VAE's compute
// type, on its device.
Result<TrainingData> make_training_data(std::span<const Theme> themes, const TrainVae& vae, const WalkPlan& plan,
                                        const DataSizes& sizes, const DataProgress& progress = {});

// bytes: walks x (1 + 4 T) x height x width x 3 of device memory.
Result<FramePool> make_frame_pool(std::span<const Theme> themes, const WalkPlan& plan, const DataSizes& sizes,
                                  at::Device device, const DataProgress& progress = {});
// The pool's walks as training data (for roll-outs along them).
TrainingData encode_pool(const FramePool& pool, const TrainVae& vae, int walks_at_once = 0);

// uint8 [..., H, W, 3] -> float32 [-1, 1] of the same shape.
at::Tensor unit_frames(const at::Tensor& levels);

} // namespace wander::train
