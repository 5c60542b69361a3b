#include "generator/train/world_export.hpp"

#include "generator/errors.hpp"
#include "generator/plain/atomic_file.hpp"
#include "generator/plain/png.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/scene/render_cpu.hpp"
#include "generator/world/walks/true_walk.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <numbers>
#include <set>

#include <fcntl.h>
#include <stdio.h> // renameat2

namespace wander::train {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What a world folder holds; whatever else lies in a folder that is written anew stays in it.
constexpr std::array<const char*, 7> kOwnEntries = {"world.json", "dit.safetensors",    "vae.safetensors", "README.md",
                                                    "starts",     "starts.safetensors", "themes"};

bool is_own(const fs::path& entry) {
    for (const char* own : kOwnEntries) {
        if (entry.filename() == own) return true;
    }
    return false;
}

Error io_error(const fs::path& path, const std::string& reason) {
    return {ErrorCode::io, fmt::format("cannot write {}: {}", path.string(), reason)};
}

Error bad(const std::string& message) { return {ErrorCode::bad_input, message}; }

// All tensors of a network in half precision.
Result<std::map<std::string, at::Tensor>> half_tensors(const TensorShapes& shapes, const TensorSource& source,
                                                       const char* what) {
    auto all = Parameters::load(shapes, source, at::kCPU, what);
    if (!all) return all.error();
    std::map<std::string, at::Tensor> halves;
    for (const auto& [name, tensor] : all->tensors()) {
        const at::Tensor half = tensor.detach().to(at::kHalf);
        if (!at::isfinite(half).all().item<bool>())
            return bad(
                fmt::format("{} of the {} holds numbers that half precision cannot: the training has diverged; go "
                            "back to an earlier checkpoint",
                            name, what));
        halves.emplace(name, half.contiguous());
    }
    return halves;
}

struct Start {
    std::string name;
    int world = 0;
    Pose pose;
};

Result<std::vector<Start>> starts_of(const std::vector<WorldTheme>& themes) {
    if (themes.empty()) return bad("a world needs at least one theme");
    std::vector<Start> starts;
    std::set<std::string> names, places;
    for (std::size_t world = 0; world < themes.size(); ++world) {
        const Theme& theme = themes[world].theme;
        // Both become names of files.
        if (theme.name.empty() || theme.name.front() == '.' || theme.name.find('/') != std::string::npos)
            return bad(fmt::format("the theme name '{}' cannot be a file name; change \"name\" in {}", theme.name,
                                   themes[world].file.string()));
        if (!places.insert(theme.name).second)
            return bad(fmt::format("two themes are called {}; change \"name\" in {}", theme.name,
                                   themes[world].file.string()));
        for (const ThemeStart& start : theme.starts) {
            if (start.name.empty() || start.name.front() == '.' || start.name.find('/') != std::string::npos)
                return bad(fmt::format("the start name '{}' cannot be a file name; change it in {}", start.name,
                                       themes[world].file.string()));
            if (!names.insert(start.name).second)
                return bad(fmt::format("two start points are called {}; change one in {}", start.name,
                                       themes[world].file.string()));
            starts.push_back({start.name, static_cast<int>(world), start.pose});
        }
    }
    return starts;
}

Json dit_json(const DitConfig& dit, int rows, int cols) {
    return {{"dim", dit.dim},
            {"layers", dit.layers},
            {"heads", dit.heads},
            {"head_dim", dit.head_dim},
            {"ffn", dit.ffn},
            {"in_channels", dit.channels},
            {"patch", {1, 2, 2}},
            {"tokens", {rows / 2, cols / 2}},
            {"freq_dim", dit.freq_dim},
            {"rope_theta", dit.rope_theta},
            {"rope_split", {dit.rope_time_channels, dit.rope_row_channels, dit.rope_col_channels}},
            {"eps", dit.eps},
            {"prope", dit.prope},
            {"pose_hidden", dit.pose_hidden},
            {"map_fine", {dit.map_channels, dit.map_fine_cells, dit.map_fine_cells}},
            {"map_coarse", {dit.map_channels, dit.map_coarse_cells, dit.map_coarse_cells}},
            {"fine_distances", dit.fine_distances},
            {"coarse_distances", dit.coarse_distances}};
}

Json vae_json(const VaeConfig& vae) {
    return {{"z", vae.z},
            {"encoder", vae.encoder_channels},
            {"decoder", vae.decoder_channels},
            {"temporal", vae.temporal_scale()},
            {"spatial", vae.spatial_scale()},
            {"patch", vae.patch},
            {"eps", vae.eps},
            {"latent_mean", vae.latent_mean},
            {"latent_std", vae.latent_std}};
}

// How the training walks moved: what a person's walk keeps to.
Json controls_json() {
    const WalkerLimits limits = walk_limits();
    return {{"walk_per_latent", limits.move_per_latent},
            {"yaw_per_latent", limits.yaw_per_latent},
            {"pitch_per_latent", limits.pitch_per_latent},
            {"pitch_limit", 0.61}, // radians: random_walk.cpp
            {"pitch_trained", limits.pitch_limit},
            {"speed_range", {0.06, 0.26}},
            {"yaw_range_deg", {2.0, limits.max_yaw_per_latent * 180 / std::numbers::pi}}};
}

Json world_json(const WorldDescription& description, const std::vector<WorldTheme>& themes,
                const std::vector<Start>& starts) {
    Json json = {{"name", description.name},
                 {"version", 1},
                 {"fps", description.fps},
                 {"height", description.height},
                 {"width", description.width},
                 {"eye_height", std::round(scene::kEyeHeight * 1e4) / 1e4},
                 {"focal_over_width", description.focal_over_width},
                 {"period", scene::kPeriod},
                 {"translation_scale", description.translation_scale}};
    Json worlds = Json::array();
    Json rows = Json::array();
    for (std::size_t i = 0; i < themes.size(); ++i) {
        const Theme& theme = themes[i].theme;
        worlds.push_back({{"id", i},
                          {"name", theme.name},
                          {"title", theme.title},
                          {"start", theme.starts.front().name},
                          {"theme", fmt::format("themes/{}.json", theme.name)}});
        rows.push_back(theme.map_rows);
    }
    json["worlds"] = worlds;
    json["dit"] = dit_json(description.dit, description.height / 8, description.width / 8);
    json["vae"] = vae_json(description.vae);
    json["chunk_latents"] = 1;
    json["window_latents"] = description.window_latents;
    json["sink_latents"] = 1;
    json["context_timestep"] = description.context_timestep;
    json["sampler"] = {
        {"kind", "euler_flow"}, {"timesteps", description.timesteps}, {"end", 0.0}, {"prediction", "velocity"}};
    json["controls"] = controls_json();
    json["starts"] = Json::array();
    for (const Start& start : starts) {
        json["starts"].push_back({{"name", start.name},
                                  {"world", start.world},
                                  {"pose", {start.pose.x, start.pose.z, start.pose.yaw, start.pose.pitch}},
                                  {"picture", fmt::format("starts/{}.png", start.name)},
                                  {"latent", start.name + ".latent"}});
    }
    json["walkable"] = {{"cells", kWalkableCells},
                        {"encoding", "rows z = 0..127, hex of 128 bits, most significant bit is x cell 0, 1 = free"},
                        {"rows", rows}};
    json["figures"] = description.figures;
    return json;
}

Result<void> write_starts(const fs::path& folder, const WorldDescription& description,
                          const std::vector<WorldTheme>& themes, const std::vector<Start>& starts,
                          const std::map<std::string, at::Tensor>& vae_tensors, int threads) {
    auto vae = WanVae::load(
        description.vae,
        [&](const std::string& name, const std::vector<std::int64_t>&) -> Result<at::Tensor> {
            return vae_tensors.at(name);
        },
        at::kCPU, at::kFloat, true, false);
    if (!vae) return vae.error();
    scene::PictureFormat format;
    format.width = description.width;
    format.height = description.height;
    std::map<std::string, at::Tensor> latents;
    for (const Start& start : starts) {
        const at::Tensor rgb = at::empty({format.height, format.width, 3}, at::kByte);
        scene::draw_pictures(themes[static_cast<std::size_t>(start.world)].theme.scene.view(), {&start.pose, 1}, format,
                             threads, rgb.mutable_data_ptr<std::uint8_t>());
        const auto png = png_bytes({rgb.const_data_ptr<std::uint8_t>(), static_cast<std::size_t>(rgb.numel())},
                                   format.width, format.height);
        if (!png) return png.error();
        if (auto done = write_file_atomically(folder / "starts" / (start.name + ".png"), *png); !done) return done;
        const at::Tensor picture = rgb.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).div_(127.5).sub_(1);
        latents.emplace(start.name + ".latent", vae->encode(picture.contiguous())[0].to(at::kHalf).contiguous());
    }
    return write_safetensors(folder / "starts.safetensors", latents);
}

Result<void> fill(const fs::path& folder, const WorldDescription& description, const std::vector<WorldTheme>& themes,
                  const TensorSource& dit, const TensorSource& vae, int threads) {
    const auto starts = starts_of(themes);
    if (!starts) return starts.error();
    if (description.dit.pose_worlds != static_cast<int>(themes.size()))
        return bad(fmt::format("the transformer knows {} places, but there are {} themes", description.dit.pose_worlds,
                               themes.size()));
    auto dit_tensors = half_tensors(description.dit.tensor_shapes(), dit, "transformer");
    if (!dit_tensors) return dit_tensors.error();
    auto vae_tensors = half_tensors(description.vae.tensor_shapes(true, true), vae, "autoencoder");
    if (!vae_tensors) return vae_tensors.error();
    if (auto done = write_safetensors(folder / "dit.safetensors", *dit_tensors); !done) return done;
    if (auto done = write_safetensors(folder / "vae.safetensors", *vae_tensors); !done) return done;
    if (auto done = write_starts(folder, description, themes, *starts, *vae_tensors, threads); !done) return done;
    for (const WorldTheme& theme : themes) fs::copy_file(theme.file, folder / "themes" / (theme.theme.name + ".json"));
    if (!description.card.empty()) {
        if (auto done = write_file_atomically(folder / "README.md", description.card); !done) return done;
    }
    const std::string json =
        world_json(description, themes, *starts).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
    if (auto done = write_file_atomically(folder / "world.json", json); !done) return done;
    // Nothing is shown under its name that a walk would refuse.
    if (const auto readable = EmbeddedWorld::read(folder); !readable) return readable.error();
    return {};
}

// Entries that are not a world's go over, unless there is one of that name already.
void move_foreign(const fs::path& from, const fs::path& to) {
    std::vector<fs::path> foreign;
    for (const auto& entry : fs::directory_iterator(from)) {
        if (!is_own(entry.path())) foreign.push_back(entry.path());
    }
    for (const fs::path& entry : foreign) {
        if (!fs::exists(fs::symlink_status(to / entry.filename()))) fs::rename(entry, to / entry.filename());
    }
}

// A world's entries, and the folder if nothing else is left in it.
void remove_world(const fs::path& folder) {
    for (const char* own : kOwnEntries) fs::remove_all(folder / own);
    std::error_code ignored;
    fs::remove(folder, ignored);
}

// `part` becomes `folder`; what was there is `part` then.
Result<void> exchange(const fs::path& part, const fs::path& folder) {
    if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) return {};
    // File systems without it: a moment in which neither is there.
    const fs::path old = folder.string() + ".old";
    std::error_code failed;
    fs::rename(folder, old, failed);
    if (!failed) fs::rename(part, folder, failed);
    if (!failed) fs::rename(old, part, failed);
    return failed ? Result<void>(io_error(folder, failed.message())) : Result<void>();
}

} // namespace

Result<void> write_world(const fs::path& folder, const WorldDescription& description,
                         const std::vector<WorldTheme>& themes, const TensorSource& dit, const TensorSource& vae,
                         int threads) {
    const fs::path target = folder.filename().empty() ? folder.parent_path() : folder;
    const fs::path part = target.string() + ".part";
    try {
        const at::NoGradGuard no_gradients;
        if (fs::exists(part)) {
            // A write that was interrupted after it had exchanged the two left a person's files here.
            if (fs::is_directory(target)) move_foreign(part, target);
            remove_world(part);
        }
        fs::create_directories(part / "starts");
        fs::create_directories(part / "themes");
        if (auto filled = fill(part, description, themes, dit, vae, threads); !filled) {
            remove_world(part);
            return filled;
        }
        if (!fs::exists(target)) {
            fs::rename(part, target);
            return {};
        }
        if (!fs::is_directory(target)) return io_error(target, "there is a file of that name; choose another folder");
        if (auto exchanged = exchange(part, target); !exchanged) return exchanged;
        move_foreign(part, target);
        remove_world(part);
        return {};
    } catch (const fs::filesystem_error& failed) {
        return io_error(target, failed.code().message() + " (" + failed.path1().string() + ")");
    } catch (...) {
        return current_exception_as_error("writing the world");
    }
}

} // namespace wander::train
