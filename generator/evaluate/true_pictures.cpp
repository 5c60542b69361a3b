#include "generator/evaluate/true_pictures.hpp"

#include "generator/world/scene/render_cpu.hpp"

#include <ATen/ATen.h>

namespace wander::evaluate {

TruePictures::TruePictures(const EvaluatedWorld& world) : world_(&world) {
    format_.width = world.world.width;
    format_.height = world.world.height;
    format_.focal = static_cast<float>(world.world.camera.focal_x);
}

Result<TruePictures> TruePictures::open(const EvaluatedWorld& world) {
    TruePictures pictures(world);
    if (!world.device.is_cuda()) return pictures;
    std::vector<const scene::Scene*> scenes;
    scenes.reserve(world.themes.size());
    for (const Theme& theme : world.themes) scenes.push_back(&theme.scene);
    auto uploaded = DeviceScenes::upload(scenes, world.device.device);
    if (!uploaded) return uploaded.error();
    pictures.on_device_ = std::move(*uploaded);
    return pictures;
}

Result<at::Tensor> TruePictures::draw(int place, std::span<const Pose> poses) const {
    if (on_device_) {
        const std::vector<std::int32_t> scene_of(poses.size(), place);
        return on_device_->draw(scene_of, poses, format_);
    }
    const at::Tensor rgb =
        at::empty({static_cast<std::int64_t>(poses.size()), format_.height, format_.width, 3}, at::kByte);
    const Theme& theme = world_->themes[static_cast<std::size_t>(place)];
    // One thread: walks run side by side.
    scene::draw_pictures(theme.scene.view(), poses, format_, 1, rgb.mutable_data_ptr<std::uint8_t>());
    return rgb;
}

std::vector<Picture> to_pictures(const at::Tensor& rgb) {
    const at::Tensor host = rgb.to(at::kCPU).contiguous();
    const std::uint8_t* bytes = host.const_data_ptr<std::uint8_t>();
    const auto each = static_cast<std::size_t>(host.size(1) * host.size(2) * host.size(3));
    std::vector<Picture> pictures;
    for (std::int64_t i = 0; i < host.size(0); ++i, bytes += each) pictures.emplace_back(bytes, bytes + each);
    return pictures;
}

} // namespace wander::evaluate
