#pragma once
// Scenes in a GPU's memory, and pictures of them as tensors; for the trainer, and for `wander world render --device
// cuda`. One thread at a time.

#include "generator/plain/result.hpp"
#include "generator/world/scene/render_cpu.hpp"

#include <ATen/core/Tensor.h>

#include <span>

namespace wander {

class DeviceScenes {
public:
    // Copies the scenes over. unavailable without CUDA; the device must have been opened.
    static Result<DeviceScenes> upload(std::span<const scene::Scene* const> scenes, at::Device device);

    // Picture i shows scene scene_of[i] from poses[i]. uint8 [pictures, height, width, 3] on the device, queued on the
    // current stream.
    Result<at::Tensor> draw(std::span<const std::int32_t> scene_of, std::span<const Pose> poses,
                            const scene::PictureFormat& format) const;

private:
    at::Tensor arrays_; // bytes: primitives, lights, ponds, layers and cells of all scenes
    at::Tensor views_;  // bytes: one SceneView a scene
    int count_ = 0;
};

} // namespace wander
