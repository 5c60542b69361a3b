#include "generator/saved_walk.hpp"
#include "generator/walk_run.hpp"
#include "generator/world/start_picture.hpp"
#include "generator/world/theme_starts.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
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
    return WalkStart{.latent = *latent, .view = {}, .pose = pose, .world = *number, .memory = {}};
}

Result<at::Tensor> draw_start(const WalkModel& model, const std::string& name) {
    return draw_theme_start(model.assets, name.empty() ? model.starts.front().name : name, model.width(),
                            model.height(), model.device.threads);
}

// [1, 3, height, width] in [-1, 1] as a picture file would hold it.
Picture levels_of(const at::Tensor& pixels) {
    const at::Tensor levels =
        ((pixels[0] + 1) * 127.5).round().clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
    const auto* first = levels.const_data_ptr<std::uint8_t>();
    return Picture{{static_cast<int>(levels.size(1)), static_cast<int>(levels.size(0))},
                   {first, first + levels.numel()}};
}

// For a model that looks at all of it, and crops for itself.
Result<WalkStart> whole_picture(const WalkModel& model, const std::string& name, bool file) {
    if (file) {
        auto levels = read_picture_levels(name);
        return levels ? model.encode_picture(*levels) : levels.error();
    }
    auto drawn = draw_start(model, name);
    return drawn ? model.encode_picture(levels_of(*drawn)) : drawn.error();
}

// A model that goes on from any picture, or from none.
Result<WalkStart> choose_picture(const WalkModel& model, const std::string& name, bool with_pose) {
    if (!model.takes_pictures()) {
        if (name.empty()) return WalkStart{};
        return Error{ErrorCode::wrong_use, fmt::format("{} has no start points; leave --start out", model.name)};
    }
    if (with_pose) {
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--start-pose: {} has no map, every walk begins at the origin; leave it out", model.name)};
    }
    const bool none = name == "none" || (name.empty() && model.starts.empty());
    if (none && model.needs_picture) {
        return Error{ErrorCode::wrong_use,
                     fmt::format("--start none: {} was published to go on from a picture, and cannot walk without one; "
                                 "give a picture file or a start point's name",
                                 model.name)};
    }
    if (none) return WalkStart{};
    std::error_code ignored;
    const bool file = std::filesystem::is_regular_file(name, ignored);
    if (model.encode_picture) return whole_picture(model, name, file);
    auto pixels = file ? read_picture(name, model.width(), model.height()) : draw_start(model, name);
    if (!pixels) return pixels.error();
    auto latent = model.encode_start(*pixels);
    if (!latent) return latent.error();
    return WalkStart{.latent = *latent, .view = {}, .pose = {}, .world = 0, .memory = {}};
}

} // namespace

namespace {

// Begins with the start picture, where the model has one, and goes on in whole chunks.
bool has_whole_chunks(const WalkModel& model, const CausalMemory& memory) {
    std::int64_t begin = 0;
    if (model.world) {
        if (memory.chunks.front().first_latent != 0 || memory.chunks.front().latents.size(0) != 1) return false;
        begin = 1;
    }
    return std::ranges::all_of(memory.chunks, [&](const CleanChunk& chunk) {
        return chunk.first_latent < begin || (chunk.latents.size(0) == model.chunk_latents &&
                                              (chunk.first_latent - begin) % model.chunk_latents == 0);
    });
}

// Of a causal model's walk: the number of its place, 0 for a text model; or why this model cannot go on from it.
Result<int> resumed_place(const WalkModel& model, const SavedWalk& saved) {
    const auto refuse = [](std::string why) { return Error{ErrorCode::wrong_use, std::move(why)}; };
    const CausalMemory& memory = *saved.memory.causal;
    if (saved.chunk_latents != model.chunk_latents) {
        return refuse(
            fmt::format("it was walked {} latents at a time, the model is open with {}; take --chunk-latents {}",
                        saved.chunk_latents, model.chunk_latents, saved.chunk_latents));
    }
    if (saved.window && *saved.window != model.window) {
        return refuse(
            fmt::format("it was walked with --window {}, the model is open with {}; open the model with the "
                        "walk's",
                        window_text(*saved.window), window_text(model.window)));
    }
    if (saved.place.empty() == (model.world != nullptr))
        return refuse(fmt::format("it is a walk of another kind of model, though of the name {}", saved.model));
    if (!has_whole_chunks(model, memory) || !first_rebuilt(memory.chunks, model.loop->cache().shape()))
        return refuse("its chunks are not those of this model; it is damaged, or of another world of the same name");
    if (!model.world) return 0;
    const EmbeddedWorld& world = *model.world;
    const auto number = world.world_number(saved.place);
    if (!number) {
        return refuse(fmt::format("it stands in {}, and places of {} are {}; open the world that it is of", saved.place,
                                  model.name, world.world_names()));
    }
    const std::vector<double>& stands = memory.chunks.back().steering;
    const Pose pose{static_cast<float>(stands[0]), static_cast<float>(stands[1]), static_cast<float>(stands[2]),
                    static_cast<float>(stands[3])};
    if (!may_stand(&world.maps[static_cast<std::size_t>(*number)], world.limits, pose)) {
        return refuse(
            fmt::format("at x {}, z {}, where it stands, nobody can stand in {}; it is damaged, or of another "
                        "world of the same name",
                        pose.x, pose.z, saved.place));
    }
    return *number;
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
    const bool causal = model.published_context == 0;
    if (saved->memory.causal.has_value() != causal)
        return refuse(fmt::format("it is a walk of another kind of model, though of the name {}", saved->model));
    const at::Tensor& latents =
        saved->memory.causal ? saved->memory.causal->chunks.front().latents : saved->memory.history.latents;
    const auto latent = latents.sizes().slice(1);
    if (latent != at::IntArrayRef({model.decoder->latent_channels(), model.latent_rows, model.latent_cols})) {
        return refuse(fmt::format("its pictures are {}x{}, the model is open at {}x{}; take the same --size",
                                  latent[2] * model.pixels_per_latent, latent[1] * model.pixels_per_latent,
                                  model.width(), model.height()));
    }
    if (causal) {
        if (auto place = resumed_place(model, *saved); place) {
            saved->memory.causal->place = *place;
        } else {
            return refuse(place.error().message);
        }
    }
    if (saved->context.latents > 0 && saved->context != model.context) {
        return refuse(fmt::format("it was walked with {}, the model is open with {}; open the model with the walk's",
                                  context_text(saved->context), context_text(model.context)));
    }
    const at::Tensor& view = saved->memory.view;
    if (view.defined() ? view.sizes() != at::IntArrayRef(model.view_size) : !model.view_size.empty())
        return refuse("its start picture was looked at by another encoder; this model cannot go on from it");
    *model.noise = keyed_noise(model.seed = saved->seed);
    model.prompt = saved->prompt;
    WalkStart start;
    start.memory = std::move(saved->memory);
    return start;
}

std::string place_of(const WalkModel& model, const WalkStart& start) {
    if (!model.world || !start.memory || !start.memory->causal) return {};
    return model.world->worlds[static_cast<std::size_t>(start.memory->causal->place)];
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
            .latent = *latent, .view = {}, .pose = start.pose, .world = *world.world_number(start.world), .memory = {}};
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
