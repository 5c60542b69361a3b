#include "generator/world/device_scenes.hpp"

#if WANDER_CUDA
#include "generator/world/scene/render_cuda.hpp"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <fmt/format.h>

#include <cstring>
#endif

namespace wander {

#if WANDER_CUDA

namespace {

constexpr std::size_t kAlign = 16;

at::Tensor to_device(const std::vector<std::uint8_t>& bytes, at::Device device) {
    const auto host = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
    std::memcpy(host.data_ptr(), bytes.data(), bytes.size());
    return host.to(device);
}

template <typename T>
std::size_t append(std::vector<std::uint8_t>& bytes, const std::vector<T>& items) {
    const std::size_t at = (bytes.size() + kAlign - 1) / kAlign * kAlign;
    bytes.resize(at + items.size() * sizeof(T));
    if (!items.empty()) std::memcpy(bytes.data() + at, items.data(), items.size() * sizeof(T));
    return at;
}

template <typename T>
std::vector<std::uint8_t> bytes_of(std::span<const T> items) {
    std::vector<std::uint8_t> bytes(items.size_bytes());
    std::memcpy(bytes.data(), items.data(), items.size_bytes());
    return bytes;
}

} // namespace

Result<DeviceScenes> DeviceScenes::upload(std::span<const scene::Scene* const> scenes, at::Device device) {
    if (!device.is_cuda()) return Error{ErrorCode::wrong_use, "scenes are uploaded to a CUDA device only"};
    struct Offsets {
        std::size_t primitives, lights, ponds, layers, starts, entries;
    };
    std::vector<std::uint8_t> bytes;
    std::vector<Offsets> offsets;
    for (const scene::Scene* scene : scenes) {
        Offsets at{};
        at.primitives = append(bytes, scene->primitives);
        at.lights = append(bytes, scene->lights);
        at.ponds = append(bytes, scene->ponds);
        at.layers = append(bytes, scene->layers);
        at.starts = append(bytes, scene->cell_starts);
        at.entries = append(bytes, scene->cell_entries);
        offsets.push_back(at);
    }
    DeviceScenes made;
    made.count_ = static_cast<int>(scenes.size());
    made.arrays_ = to_device(bytes, device);
    const auto* base = made.arrays_.const_data_ptr<std::uint8_t>();
    std::vector<scene::SceneView> views;
    for (std::size_t i = 0; i < scenes.size(); ++i) {
        scene::SceneView view = scenes[i]->view();
        view.primitives = reinterpret_cast<const scene::Primitive*>(base + offsets[i].primitives);
        view.lights = reinterpret_cast<const scene::Light*>(base + offsets[i].lights);
        view.ponds = reinterpret_cast<const scene::Pond*>(base + offsets[i].ponds);
        view.layers = reinterpret_cast<const scene::GroundLayer*>(base + offsets[i].layers);
        view.cell_starts = reinterpret_cast<const std::uint32_t*>(base + offsets[i].starts);
        view.cell_entries = reinterpret_cast<const scene::CellEntry*>(base + offsets[i].entries);
        views.push_back(view);
    }
    made.views_ = to_device(bytes_of(std::span<const scene::SceneView>(views)), device);
    return made;
}

Result<at::Tensor> DeviceScenes::draw(std::span<const std::int32_t> scene_of, std::span<const Pose> poses,
                                      const scene::PictureFormat& format) const {
    if (scene_of.size() != poses.size()) return Error{ErrorCode::internal, "each picture needs one scene and one pose"};
    for (const std::int32_t scene : scene_of) {
        if (scene < 0 || scene >= count_)
            return Error{ErrorCode::internal, "a picture of a scene that was not uploaded"};
    }
    const at::Device device = views_.device();
    const c10::cuda::CUDAGuard guard(device);
    std::vector<scene::CameraView> cameras;
    cameras.reserve(poses.size());
    for (const Pose& pose : poses) cameras.push_back(scene::camera_view(pose));
    const at::Tensor numbers = to_device(bytes_of(scene_of), device);
    const at::Tensor places = to_device(bytes_of(std::span<const scene::CameraView>(cameras)), device);
    at::Tensor pictures = at::empty({static_cast<std::int64_t>(poses.size()), format.height, format.width, 3},
                                    at::TensorOptions(device).dtype(at::kByte));
    scene::cuda::DrawJob job;
    job.scenes = static_cast<const scene::SceneView*>(views_.const_data_ptr());
    job.scene_of = static_cast<const std::int32_t*>(numbers.const_data_ptr());
    job.cameras = static_cast<const scene::CameraView*>(places.const_data_ptr());
    job.pictures = static_cast<int>(poses.size());
    job.format = format;
    job.rgb = pictures.mutable_data_ptr<std::uint8_t>();
    const cudaError_t failed = scene::cuda::draw_pictures(job, c10::cuda::getCurrentCUDAStream());
    if (failed != cudaSuccess) {
        return Error{ErrorCode::internal, fmt::format("drawing on the GPU failed: {}", cudaGetErrorString(failed))};
    }
    return pictures;
}

#else

Result<DeviceScenes> DeviceScenes::upload(std::span<const scene::Scene* const> /*scenes*/, at::Device /*device*/) {
    return Error{ErrorCode::unavailable, "this build has no CUDA; use --device cpu"};
}

Result<at::Tensor> DeviceScenes::draw(std::span<const std::int32_t> /*scene_of*/, std::span<const Pose> /*poses*/,
                                      const scene::PictureFormat& /*format*/) const {
    return Error{ErrorCode::unavailable, "this build has no CUDA; use --device cpu"};
}

#endif

} // namespace wander
