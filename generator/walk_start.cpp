#include "generator/saved_walk.hpp"
#include "generator/walk_run.hpp"
#include "generator/world/start_picture.hpp"
#include "generator/world/theme_starts.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace wander {

namespace {

Error wrong_start(const EmbeddedWorld& world, const std::string& what) {
    return {ErrorCode::wrong_use, fmt::format("--start: {}; start points are {}", what, world.start_names())};
}

Result<at::Tensor> encode_start(const WalkModel& model, const std::filesystem::path& picture) {
    auto pixels = read_picture(picture, model.width(), model.height());
    if (!pixels) return pixels.error();
    return model.encode_start(*pixels);
}

Result<WalkStart> start_from_picture(const WalkModel& model, const std::filesystem::path& picture,
                                     const std::string& world_name, const Pose& pose) {
    const EmbeddedWorld& world = *model.world;
    const auto number = world.world_number(world_name);
    if (!number) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--start-pose: there is no world {}; worlds are {}", world_name, world.world_names())};
    }
    if (!may_stand(&world.maps[static_cast<std::size_t>(*number)], world.limits, pose)) {
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--start-pose: at x {}, z {}, pitch {} nobody can stand in {}; take free ground and a pitch "
                        "within {} rad",
                        pose.x, pose.z, pose.pitch, world_name, world.limits.pitch_limit)};
    }
    auto latent = encode_start(model, picture);
    if (!latent) return latent.error();
    return WalkStart{.latent = *latent, .pose = pose, .world = *number, .memory = {}};
}

// A model that goes on from any picture, or from none.
Result<WalkStart> choose_picture(const WalkModel& model, const std::string& name, bool with_pose) {
    if (!model.encode_start) {
        if (name.empty()) return WalkStart{};
        return Error{ErrorCode::wrong_use, fmt::format("{} has no start points; leave --start out", model.name)};
    }
    if (with_pose) {
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--start-pose: {} has no map, every walk begins at the origin; leave it out", model.name)};
    }
    if (name == "none" || (name.empty() && model.starts.empty())) return WalkStart{};
    std::error_code ignored;
    auto pixels = std::filesystem::is_regular_file(name, ignored)
                      ? read_picture(name, model.width(), model.height())
                      : draw_theme_start(model.assets, name.empty() ? model.starts.front().name : name, model.width(),
                                         model.height(), model.device.threads);
    if (!pixels) return pixels.error();
    auto latent = model.encode_start(*pixels);
    if (!latent) return latent.error();
    return WalkStart{.latent = *latent, .pose = {}, .world = 0, .memory = {}};
}

} // namespace

Result<WalkStart> resume_walk(WalkModel& model, const std::filesystem::path& file) {
    auto saved = read_saved_walk(file);
    if (!saved) return saved.error();
    const auto refuse = [&](const std::string& why) {
        return Error{ErrorCode::wrong_use, fmt::format("{}: {}", file.string(), why)};
    };
    if (!model.keeps_walks) return refuse(fmt::format("walks of {} cannot be resumed", model.name));
    if (saved->model != model.name)
        return refuse(fmt::format("it is a walk of {}; open that model first", saved->model));
    const auto latent = saved->memory.history.latents.sizes().slice(1);
    if (latent != at::IntArrayRef({model.decoder->latent_channels(), model.latent_rows, model.latent_cols})) {
        return refuse(fmt::format("its pictures are {}x{}, the model is open at {}x{}; take the same --size",
                                  latent[2] * model.pixels_per_latent, latent[1] * model.pixels_per_latent,
                                  model.width(), model.height()));
    }
    *model.noise = keyed_noise(model.seed = saved->seed);
    model.prompt = saved->prompt;
    WalkStart start;
    start.memory = std::move(saved->memory);
    return start;
}

Result<WalkStart> choose_start(const WalkModel& model, const std::string& name,
                               const std::optional<std::pair<std::string, Pose>>& pose) {
    if (!model.world) return choose_picture(model, name, pose.has_value());
    const EmbeddedWorld& world = *model.world;
    const auto number = name.empty() ? std::optional<std::size_t>(0) : world.find_start(name);
    if (number && !pose) {
        auto latent = world.start_latent(*number);
        if (!latent) return latent.error();
        const StartPoint& start = world.starts[*number];
        return WalkStart{
            .latent = *latent, .pose = start.pose, .world = *world.world_number(start.world), .memory = {}};
    }
    if (number) return wrong_start(world, "--start-pose goes with a picture, not with a start point's name");
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(name, ignored))
        return wrong_start(world, fmt::format("{} is neither a start point nor a picture file", name));
    if (!pose) {
        return wrong_start(
            world, fmt::format("the picture {} needs --start-pose WORLD,X,Z,YAW,PITCH as well (worlds: {})", name,
                               world.world_names()));
    }
    return start_from_picture(model, name, pose->first, pose->second);
}

} // namespace wander
