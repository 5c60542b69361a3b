#include "generator/world/scene/render_cpu.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace wander::scene {

CameraView camera_view(const Pose& pose) {
    const auto in_tile = [](double x) {
        return static_cast<float>(x - kPeriod * std::floor((x + kPeriod * 0.5) / kPeriod));
    };
    CameraView camera;
    camera.x = in_tile(pose.x);
    camera.z = in_tile(pose.z);
    camera.sin_yaw = static_cast<float>(std::sin(static_cast<double>(pose.yaw)));
    camera.cos_yaw = static_cast<float>(std::cos(static_cast<double>(pose.yaw)));
    camera.sin_pitch = static_cast<float>(std::sin(static_cast<double>(pose.pitch)));
    camera.cos_pitch = static_cast<float>(std::cos(static_cast<double>(pose.pitch)));
    return camera;
}

void draw_pictures(const SceneView& scene, std::span<const Pose> poses, const PictureFormat& format, int threads,
                   std::uint8_t* rgb) {
    const auto rows = static_cast<std::int64_t>(poses.size()) * format.height;
    std::vector<CameraView> cameras;
    cameras.reserve(poses.size());
    for (const Pose& pose : poses) cameras.push_back(camera_view(pose));

    constexpr std::int64_t kRowsAtOnce = 8;
    std::atomic<std::int64_t> next{0};
    const auto work = [&] {
        for (std::int64_t first = next.fetch_add(kRowsAtOnce); first < rows; first = next.fetch_add(kRowsAtOnce)) {
            for (std::int64_t row = first; row < std::min(first + kRowsAtOnce, rows); ++row) {
                const CameraView& camera = cameras[static_cast<std::size_t>(row / format.height)];
                for (int column = 0; column < format.width; ++column) {
                    draw_pixel(scene, camera, format, column, static_cast<int>(row % format.height),
                               rgb + (row * format.width + column) * 3);
                }
            }
        }
    };
    const int wanted = threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
    const auto useful = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
    std::vector<std::jthread> helpers;
    for (int i = 1; i < wanted && i < useful; ++i) helpers.emplace_back(work);
    work();
}

} // namespace wander::scene
