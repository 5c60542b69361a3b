#include "generator/train/training_data.hpp"

#include "generator/errors.hpp"
#include "generator/plain/keyed_random.hpp"
#include "generator/train/train_vae.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander::train {

namespace {

// Frames of 192 x 112 that are encoded together: on a GPU the widest activations of 2048 take 1 GB in bfloat16, and
// three frames side by side thrice that.
constexpr std::int64_t kFramesAtOnceCuda = 2048;
constexpr std::int64_t kFramesAtOnceCpu = 256;
constexpr std::int64_t kUsualPixels = std::int64_t{192} * 112;

int walks_at_once(const DataSizes& sizes, at::Device device, int latents) {
    if (sizes.walks_at_once > 0) return sizes.walks_at_once;
    const std::int64_t pixels = std::int64_t{sizes.format.width} * sizes.format.height;
    const std::int64_t frames = (device.is_cuda() ? kFramesAtOnceCuda : kFramesAtOnceCpu) * kUsualPixels / pixels;
    return static_cast<int>(std::max<std::int64_t>(1, frames / (1 + kFramesPerLatent * latents)));
}

// Poses, labels and worlds of walks of equal length, on a device.
struct WalkRows {
    at::Tensor poses;
    at::Tensor labels;
    at::Tensor worlds;
};

WalkRows rows_of(std::span<const PlannedWalk> walks, at::Device device) {
    const auto count = static_cast<std::int64_t>(walks.size());
    const auto length = count ? static_cast<std::int64_t>(walks[0].walk.poses.size()) : 0;
    WalkRows rows{at::empty({count, length, 4}, at::kFloat), at::empty({count, length}, at::kFloat),
                  at::empty({count}, at::kLong)};
    auto* pose = rows.poses.mutable_data_ptr<float>();
    auto* label = rows.labels.mutable_data_ptr<float>();
    auto* world = rows.worlds.mutable_data_ptr<std::int64_t>();
    for (const PlannedWalk& planned : walks) {
        *world++ = planned.world;
        for (const Pose& p : planned.walk.poses) {
            *pose++ = p.x;
            *pose++ = p.z;
            *pose++ = p.yaw;
            *pose++ = p.pitch;
        }
        for (const int l : planned.walk.labels) *label++ = static_cast<float>(l);
    }
    return {rows.poses.to(device), rows.labels.to(device), rows.worlds.to(device)};
}

Error stopped() { return {ErrorCode::unavailable, "making training data was stopped"}; }

Result<void> check_plan(std::span<const Theme> themes, const WalkPlan& plan) {
    if (themes.empty() || plan.walks_per_theme < 1 || plan.latents < 1)
        return Error{ErrorCode::wrong_use, "training data needs at least one theme, one walk and one latent"};
    return {};
}

} // namespace

at::Tensor unit_frames(const at::Tensor& levels) { return levels.to(at::kFloat).div_(127.5).sub_(1); }

std::vector<PlannedWalk> plan_walks(std::span<const Theme> themes, const WalkPlan& plan) {
    std::vector<PlannedWalk> walks;
    for (int number = 0; number < plan.walks_per_theme; ++number) {
        for (std::size_t world = 0; world < themes.size(); ++world) {
            const Theme& theme = themes[world];
            const KeyedRandom random =
                KeyedRandom(plan.seed).child("walks").child(world).child(static_cast<std::uint64_t>(number));
            std::optional<Pose> start;
            const double kind = random.unit(0);
            if (kind < plan.spawn_share) {
                start =
                    theme.starts[static_cast<std::size_t>(random.below(1, static_cast<int>(theme.starts.size())))].pose;
            } else if (kind < plan.spawn_share + plan.close_share) {
                start = close_start(theme.map, random.bits(2), 0);
            }
            walks.push_back({static_cast<int>(world), random_walk(theme.map, start, random.bits(3), 0, plan.latents)});
        }
    }
    return walks;
}

Result<ScenePictures> ScenePictures::make(std::span<const Theme> themes, const scene::PictureFormat& format,
                                          at::Device device, int threads) {
    ScenePictures pictures;
    pictures.themes_ = themes;
    pictures.format_ = format;
    pictures.device_ = device;
    pictures.threads_ = threads;
    if (!device.is_cuda()) return pictures;
    std::vector<const scene::Scene*> scenes;
    for (const Theme& theme : themes) scenes.push_back(&theme.scene);
    auto uploaded = DeviceScenes::upload(scenes, device);
    if (!uploaded) return uploaded.error();
    pictures.scenes_ = std::make_shared<const DeviceScenes>(std::move(*uploaded));
    return pictures;
}

Result<at::Tensor> ScenePictures::draw(std::span<const std::int32_t> world_of, std::span<const Pose> poses) const {
    if (scenes_) return scenes_->draw(world_of, poses, format_);
    if (world_of.size() != poses.size()) return Error{ErrorCode::internal, "each picture needs one theme and one pose"};
    at::Tensor pictures =
        at::empty({static_cast<std::int64_t>(poses.size()), format_.height, format_.width, 3}, at::kByte);
    auto* rgb = pictures.mutable_data_ptr<std::uint8_t>();
    const std::size_t bytes = static_cast<std::size_t>(format_.width) * static_cast<std::size_t>(format_.height) * 3;
    // Runs of pictures of one theme share a call.
    for (std::size_t begin = 0, end = 0; begin < poses.size(); begin = end) {
        while (end < poses.size() && world_of[end] == world_of[begin]) ++end;
        if (world_of[begin] < 0 || static_cast<std::size_t>(world_of[begin]) >= themes_.size())
            return Error{ErrorCode::internal, "a picture of a theme that there is not"};
        const Theme& theme = themes_[static_cast<std::size_t>(world_of[begin])];
        scene::draw_pictures(theme.scene.view(), poses.subspan(begin, end - begin), format_, threads_,
                             rgb + begin * bytes);
    }
    return pictures;
}

Result<at::Tensor> ScenePictures::draw_walks(std::span<const PlannedWalk> walks) const {
    std::vector<std::int32_t> world_of;
    std::vector<Pose> poses;
    for (const PlannedWalk& planned : walks) {
        const std::vector<Pose> frames = frame_poses(planned.walk);
        poses.insert(poses.end(), frames.begin(), frames.end());
        world_of.resize(poses.size(), planned.world);
    }
    auto drawn = draw(world_of, poses);
    if (!drawn) return drawn.error();
    return drawn->view({static_cast<std::int64_t>(walks.size()), -1, format_.height, format_.width, 3});
}

Result<TrainingData> make_training_data(std::span<const Theme> themes, const TrainVae& vae, const WalkPlan& plan,
                                        const DataSizes& sizes, const DataProgress& progress) {
    if (auto fits = check_plan(themes, plan); !fits) return fits.error();
    try {
        const at::NoGradGuard no_gradients;
        const at::Device device = vae.device();
        auto pictures = ScenePictures::make(themes, sizes.format, device, sizes.threads);
        if (!pictures) return pictures.error();
        const std::vector<PlannedWalk> walks = plan_walks(themes, plan);
        const auto all = static_cast<std::int64_t>(walks.size());
        TrainingData data;
        data.latents =
            at::empty({all, 1 + plan.latents, vae.config().z, sizes.format.height / 8, sizes.format.width / 8},
                      at::TensorOptions(device).dtype(at::kHalf));
        const WalkRows rows = rows_of(walks, device);
        data.poses = rows.poses;
        data.labels = rows.labels;
        data.worlds = rows.worlds;
        const std::int64_t step = walks_at_once(sizes, device, plan.latents);
        for (std::int64_t done = 0; done < all;) {
            const std::int64_t count = std::min(step, all - done);
            auto frames = pictures->draw_walks(
                std::span(walks).subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)));
            if (!frames) return frames.error();
            data.latents.narrow(0, done, count).copy_(vae.encode(*frames));
            done += count;
            if (progress && !progress(done, all)) return stopped();
        }
        return data;
    } catch (...) {
        return current_exception_as_error("making training data");
    }
}

Result<FramePool> make_frame_pool(std::span<const Theme> themes, const WalkPlan& plan, const DataSizes& sizes,
                                  at::Device device, const DataProgress& progress) {
    if (auto fits = check_plan(themes, plan); !fits) return fits.error();
    try {
        auto pictures = ScenePictures::make(themes, sizes.format, device, sizes.threads);
        if (!pictures) return pictures.error();
        const std::vector<PlannedWalk> walks = plan_walks(themes, plan);
        const auto all = static_cast<std::int64_t>(walks.size());
        const WalkRows rows = rows_of(walks, device);
        FramePool pool{at::empty({all, 1 + kFramesPerLatent * plan.latents, sizes.format.height, sizes.format.width, 3},
                                 at::TensorOptions(device).dtype(at::kByte)),
                       rows.poses, rows.labels, rows.worlds};
        const std::int64_t step = walks_at_once(sizes, device, plan.latents);
        for (std::int64_t done = 0; done < all;) {
            const std::int64_t count = std::min(step, all - done);
            auto frames = pictures->draw_walks(
                std::span(walks).subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)));
            if (!frames) return frames.error();
            pool.frames.narrow(0, done, count).copy_(*frames);
            done += count;
            if (progress && !progress(done, all)) return stopped();
        }
        return pool;
    } catch (...) {
        return current_exception_as_error("drawing pictures to train on");
    }
}

TrainingData encode_pool(const FramePool& pool, const TrainVae& vae, int at_once) {
    const at::NoGradGuard no_gradients;
    DataSizes sizes;
    sizes.format.height = static_cast<int>(pool.frames.size(2));
    sizes.format.width = static_cast<int>(pool.frames.size(3));
    sizes.walks_at_once = at_once;
    const std::int64_t step = walks_at_once(sizes, vae.device(), static_cast<int>(pool.latents() - 1));
    TrainingData data{{}, pool.poses, pool.labels, pool.worlds};
    data.latents =
        at::empty({pool.walks(), pool.latents(), vae.config().z, sizes.format.height / 8, sizes.format.width / 8},
                  at::TensorOptions(vae.device()).dtype(at::kHalf));
    for (std::int64_t done = 0; done < pool.walks(); done += step) {
        const std::int64_t count = std::min(step, pool.walks() - done);
        data.latents.narrow(0, done, count).copy_(vae.encode(pool.frames.narrow(0, done, count)));
    }
    return data;
}

} // namespace wander::train
