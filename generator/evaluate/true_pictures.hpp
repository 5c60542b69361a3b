#pragma once
// What a walk truly shows: pictures of a place's theme at its poses. One thread.

#include "generator/evaluate/evaluate_world.hpp"
#include "generator/evaluate/plain/picture_measures.hpp"
#include "generator/world/device_scenes.hpp"

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>

namespace wander::evaluate {

class TruePictures {
public:
    // The world must outlive it. On a GPU the scenes are uploaded.
    static Result<TruePictures> open(const EvaluatedWorld& world);

    // uint8 [poses, height, width, 3] on the world's device.
    Result<at::Tensor> draw(int place, std::span<const Pose> poses) const;

private:
    explicit TruePictures(const EvaluatedWorld& world);

    const EvaluatedWorld* world_;
    scene::PictureFormat format_;
    std::optional<DeviceScenes> on_device_;
};

// uint8 [N, height, width, 3] on any device -> one Picture each; waits for the device.
std::vector<Picture> to_pictures(const at::Tensor& rgb);

} // namespace wander::evaluate
