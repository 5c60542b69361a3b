#include "generator/world/embedded_world.hpp"

#include "generator/json_fields.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <cmath>
#include <numbers>

namespace wander {

namespace {

// The patch is 2 x 2, the autoencoder's scale 8: pictures come in multiples of 16.
constexpr int kPixelsPerToken = 16;

DitConfig read_dit(JsonFields json, JsonFields& parent) {
    DitConfig dit;
    dit.dim = json.integer("dim", 16, 1 << 14);
    dit.layers = json.integer("layers", 1, 256);
    dit.heads = json.integer("heads", 1, 256);
    dit.head_dim = json.integer("head_dim", 8, 512);
    dit.ffn = json.integer("ffn", 16, 1 << 17);
    dit.channels = json.integer("in_channels", 1, 1024);
    dit.freq_dim = json.integer("freq_dim", 2, 1 << 14);
    dit.eps = json.number("eps", 1e-12, 1e-2);
    dit.rope_theta = json.number("rope_theta", 1, 1e9);
    const auto split = json.list<int>("rope_split", 3, 3);
    dit.rope_time_channels = split[0];
    dit.rope_row_channels = split[1];
    dit.rope_col_channels = split[2];
    dit.action_label = true;
    dit.prope = json.boolean("prope");
    dit.pose_hidden = json.integer("pose_hidden", 1, 1 << 14);
    const auto fine = json.list<int>("map_fine", 3, 3);
    const auto coarse = json.list<int>("map_coarse", 3, 3);
    dit.map_channels = fine[0];
    dit.map_fine_cells = fine[1];
    dit.map_coarse_cells = coarse[1];
    dit.fine_distances = json.list<double>("fine_distances", 1, 64);
    dit.coarse_distances = json.list<double>("coarse_distances", 1, 64);
    if (fine[1] != fine[2] || coarse[1] != coarse[2] || fine[0] != coarse[0] || fine[0] < 1 || fine[1] < 1 ||
        coarse[1] < 1) {
        json.complain("map_fine", "and \"map_coarse\" are not square maps of the same channels");
    }
    if (dit.heads * dit.head_dim != dit.dim) json.complain("heads", "times \"head_dim\" is not \"dim\"");
    for (int channels : split) {
        if (channels < 0 || channels % 2 != 0) json.complain("rope_split", "holds an odd or negative number");
    }
    if (split[0] + split[1] + split[2] != dit.head_dim) json.complain("rope_split", "does not add up to \"head_dim\"");
    parent.adopt(json);
    return dit;
}

VaeConfig read_vae(JsonFields json, JsonFields& parent) {
    VaeConfig vae;
    vae.layout = VaeConfig::Layout::embedded;
    vae.z = json.integer("z", 1, 1024);
    vae.encoder_channels = json.list<int>("encoder", 3, 3);
    vae.decoder_channels = json.list<int>("decoder", 3, 3);
    vae.patch = json.integer("patch", 2, 2);
    vae.eps = json.number("eps", 1e-12, 1e-2);
    json.integer("temporal", vae.temporal_scale(), vae.temporal_scale());
    json.integer("spatial", vae.spatial_scale(), vae.spatial_scale());
    vae.latent_mean =
        json.list<double>("latent_mean", static_cast<std::size_t>(vae.z), static_cast<std::size_t>(vae.z));
    vae.latent_std = json.list<double>("latent_std", static_cast<std::size_t>(vae.z), static_cast<std::size_t>(vae.z));
    for (double deviation : vae.latent_std) {
        if (!(deviation > 0)) json.complain("latent_std", "holds a number that is not above 0");
    }
    parent.adopt(json);
    return vae;
}

SamplerConfig read_sampler(JsonFields json, JsonFields& parent) {
    SamplerConfig sampler;
    sampler.kind = SamplerConfig::Kind::euler;
    if (json.text("kind") != "euler_flow") json.complain("kind", "is not \"euler_flow\"");
    sampler.timesteps = json.list<double>("timesteps", 1, 64);
    for (double t : sampler.timesteps) {
        if (!(t > 0 && t <= 1000)) json.complain("timesteps", "holds a value outside 0 to 1000");
        sampler.sigmas.push_back(t / 1000);
    }
    parent.adopt(json);
    return sampler;
}

WalkerLimits read_limits(JsonFields json, JsonFields& parent) {
    WalkerLimits limits;
    limits.move_per_latent = json.number("walk_per_latent", 1e-3, 10);
    limits.yaw_per_latent = json.number("yaw_per_latent", 1e-3, 1);
    limits.pitch_per_latent = json.number("pitch_per_latent", 1e-3, 1);
    limits.pitch_limit = json.number("pitch_trained", 0, 1.5);
    const auto yaw_range = json.list<double>("yaw_range_deg", 2, 2);
    limits.max_yaw_per_latent = std::max(limits.yaw_per_latent, yaw_range[1] * std::numbers::pi / 180);
    // The training walks pitched in proportion to how they turned.
    limits.max_pitch_per_latent = limits.pitch_per_latent * limits.max_yaw_per_latent / limits.yaw_per_latent;
    parent.adopt(json);
    return limits;
}

void read_maps(JsonFields json, JsonFields& parent, double period, EmbeddedWorld& world) {
    const int cells = json.integer("cells", 4, 4096);
    const auto rows = json.list<std::vector<std::string>>("rows", world.worlds.size(), world.worlds.size());
    for (const auto& world_rows : rows) {
        auto map = WalkableMap::from_hex(world_rows, cells, period);
        if (map) {
            world.maps.push_back(std::move(*map));
        } else {
            json.complain("rows", map.error().message);
        }
    }
    parent.adopt(json);
}

void read_starts(const nlohmann::json& file, JsonFields& parent, const std::string& where, EmbeddedWorld& world) {
    for (const auto& entry : file.at("starts")) {
        JsonFields json(entry, where + ": starts");
        StartPoint start;
        start.name = json.text("name");
        const int number = json.integer("world", 0, static_cast<int>(world.worlds.size()) - 1);
        start.world = world.worlds[static_cast<std::size_t>(number)];
        const auto pose = json.list<float>("pose", 4, 4);
        start.pose = {pose[0], pose[1], pose[2], pose[3]};
        start.picture = world.folder / json.text("picture");
        if (!json.error() && !may_stand(&world.maps[static_cast<std::size_t>(number)], world.limits, start.pose)) {
            json.complain("pose", fmt::format("of {} is not on free ground", start.name));
        }
        world.start_latents.push_back(json.text("latent"));
        world.starts.push_back(std::move(start));
        parent.adopt(json);
    }
}

} // namespace

Result<EmbeddedWorld> EmbeddedWorld::read(const std::filesystem::path& folder) {
    const auto path = folder / "world.json";
    auto file = read_json_file(path);
    if (!file) return file.error();
    JsonFields json(*file, path.string());

    EmbeddedWorld world;
    world.folder = folder;
    json.integer("version", 1, 1);
    world.name = json.text("name");
    world.width = json.integer("width", kPixelsPerToken, 8192);
    world.height = json.integer("height", kPixelsPerToken, 8192);
    if (world.width % kPixelsPerToken != 0 || world.height % kPixelsPerToken != 0)
        json.complain("width", "or \"height\" is no multiple of 16");
    world.fps = json.number("fps", 1, 240);
    world.chunk_latents = json.integer("chunk_latents", 1, 1); // a step of the walker is one chunk
    world.window_latents = json.integer("window_latents", 1, 4096);
    world.sink_latents = json.integer("sink_latents", 1, 1); // the start picture
    world.dit = read_dit(json.object("dit"), json);
    world.vae = read_vae(json.object("vae"), json);
    world.sampler = read_sampler(json.object("sampler"), json);
    world.sampler.context_timestep = json.number("context_timestep", 0, 1000);
    world.limits = read_limits(json.object("controls"), json);
    world.camera.period = json.number("period", 1e-3, 1e6);
    world.camera.translation_scale = json.number("translation_scale", 1e-6, 1e6);
    world.camera.focal_x = json.number("focal_over_width", 0.05, 20);
    world.camera.focal_y = world.camera.focal_x * world.width / std::max(1, world.height);
    if (json.error()) return *json.error();
    if (world.vae.z != world.dit.channels) {
        json.complain("vae", fmt::format("has {} channels, the transformer {}", world.vae.z, world.dit.channels));
    }

    for (const auto& entry : json.list<nlohmann::json>("worlds", 1, 1024)) {
        JsonFields item(entry, path.string() + ": worlds");
        item.integer("id", static_cast<int>(world.worlds.size()), static_cast<int>(world.worlds.size()));
        world.worlds.push_back(item.text("name"));
        json.adopt(item);
    }
    world.dit.pose_worlds = static_cast<int>(world.worlds.size());
    read_maps(json.object("walkable"), json, world.camera.period, world);
    json.list<nlohmann::json>("starts", 1, 1024);
    if (json.error()) return *json.error();
    read_starts(*file, json, path.string(), world);
    if (json.error()) return *json.error();
    return world;
}

quant::CacheShape EmbeddedWorld::cache_shape() const {
    return {.layers = dit.layers,
            .heads = dit.heads,
            .head_dim = dit.head_dim,
            .tokens_per_latent = token_rows() * token_cols(),
            .page_latents = page_latents,
            .sink_latents = sink_latents,
            .window_latents = window_latents};
}

Rollout::Config EmbeddedWorld::rollout_config() const {
    Rollout::Config config;
    config.sampler = sampler;
    config.rows = latent_rows();
    config.cols = latent_cols();
    config.slot_positions = true;
    config.period = camera.period;
    config.translation_scale = camera.translation_scale;
    config.focal_x = camera.focal_x;
    config.focal_y = camera.focal_y;
    config.draw_ahead = true;
    return config;
}

std::optional<int> EmbeddedWorld::world_number(const std::string& place) const {
    for (std::size_t i = 0; i < worlds.size(); ++i) {
        if (worlds[i] == place) return static_cast<int>(i);
    }
    return std::nullopt;
}

std::optional<std::size_t> EmbeddedWorld::find_start(const std::string& start) const {
    for (std::size_t i = 0; i < starts.size(); ++i) {
        if (starts[i].name == start) return i;
    }
    return std::nullopt;
}

std::string EmbeddedWorld::start_names() const {
    std::vector<std::string> names;
    names.reserve(starts.size());
    for (const auto& start : starts) names.push_back(start.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

std::string EmbeddedWorld::world_names() const { return fmt::format("{}", fmt::join(worlds, ", ")); }

Result<at::Tensor> EmbeddedWorld::start_latent(std::size_t start) const {
    auto file = Safetensors::open(folder / "starts.safetensors");
    if (!file) return file.error();
    auto latent = file->tensor(start_latents.at(start), {vae.z, latent_rows(), latent_cols()});
    if (!latent) return latent.error();
    return latent->to(at::kFloat, false, true);
}

Result<void> EmbeddedWorld::check_weights() const {
    for (const auto& [file_name, shapes] :
         {std::pair{"dit.safetensors", dit.tensor_shapes()}, {"vae.safetensors", vae.tensor_shapes(true, true)}}) {
        const auto file = Safetensors::open(folder / file_name);
        if (!file) return file.error();
        for (const auto& [tensor, shape] : shapes) {
            if (const auto found = file->tensor(tensor, shape); !found) return found.error();
        }
    }
    return {};
}

} // namespace wander
