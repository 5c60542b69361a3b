#include "generator/model_folder.hpp"

#include "generator/json_fields.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>

namespace wander {

namespace {

DitConfig read_dit(JsonFields json, JsonFields& parent) {
    DitConfig dit;
    dit.dim = json.integer("dim", 16, 1 << 15);
    dit.layers = json.integer("layers", 1, 256);
    dit.heads = json.integer("heads", 1, 512);
    dit.ffn = json.integer("ffn", 16, 1 << 18);
    dit.channels = json.integer("channels", 1, 1024);
    dit.freq_dim = json.integer("freq_dim", 2, 1 << 14);
    dit.eps = json.number("eps", 1e-12, 1e-2);
    dit.rope_theta = json.number("rope_theta", 1, 1e9);
    dit.text_dim = json.integer("text_dim", 1, 1 << 16);
    dit.text_len = json.integer("text_len", 1, 1 << 14);
    const auto split = json.list<int>("rope_split", 3, 3);
    dit.rope_time_channels = split[0];
    dit.rope_row_channels = split[1];
    dit.rope_col_channels = split[2];
    if (dit.dim % dit.heads != 0) json.complain("dim", "is no multiple of \"heads\"");
    dit.head_dim = dit.dim / dit.heads;
    for (int channels : split) {
        if (channels < 0 || channels % 2 != 0) json.complain("rope_split", "holds an odd or negative number");
    }
    if (split[0] + split[1] + split[2] != dit.head_dim)
        json.complain("rope_split", "does not add up to \"dim\" / \"heads\"");
    parent.adopt(json);
    return dit;
}

VaeConfig read_vae(JsonFields json, JsonFields& parent) {
    VaeConfig vae;
    vae.layout = VaeConfig::Layout::wan21;
    vae.z = json.integer("z", 1, 1024);
    vae.dim = json.integer("dim", 2, 4096);
    vae.multipliers = json.list<int>("multipliers", 4, 4);
    vae.residual_blocks = json.integer("residual_blocks", 1, 16);
    vae.temporal_downsample = json.list<bool>("temporal_downsample", 3, 3);
    vae.eps = json.number("eps", 1e-12, 1e-2);
    const auto z = static_cast<std::size_t>(vae.z);
    vae.latent_mean = json.list<double>("latent_mean", z, z);
    vae.latent_std = json.list<double>("latent_std", z, z);
    for (double deviation : vae.latent_std) {
        if (!(deviation > 0)) json.complain("latent_std", "holds a number that is not above 0");
    }
    for (int multiplier : vae.multipliers) {
        if (multiplier < 1 || multiplier > 64) json.complain("multipliers", "holds a value outside 1 to 64");
    }
    if (std::count(vae.temporal_downsample.begin(), vae.temporal_downsample.end(), true) != 2) {
        json.complain("temporal_downsample", "does not halve the time twice");
    }
    parent.adopt(json);
    return vae;
}

SamplerConfig read_sampler(JsonFields json, JsonFields& parent) {
    if (json.text("kind") != "renoise") json.complain("kind", "is not \"renoise\"");
    const double shift = json.number("shift", 0.1, 100);
    const auto steps = json.list<int>("steps", 1, 64);
    for (int step : steps) {
        if (step < 1 || step > kNoiseLevels) json.complain("steps", "holds a value outside 1 to 1000");
    }
    const double context = json.number("context_timestep", 0, 1000);
    parent.adopt(json);
    if (parent.error()) return {};
    SamplerConfig sampler = SamplerConfig::self_forcing(shift, steps);
    sampler.context_timestep = context;
    return sampler;
}

} // namespace

Result<ModelFolder> ModelFolder::read(const std::filesystem::path& folder) {
    const auto path = folder / "config.json";
    auto file = read_json_file(path);
    if (!file) return file.error();
    JsonFields json(*file, path.string());
    ModelFolder model;
    model.folder = folder;
    json.integer("version", 1, 1);
    if (json.text("kind") != "wan-causal") json.complain("kind", "is not \"wan-causal\", the kind this program runs");
    model.name = json.text("name");
    model.latent_rows = json.integer("latent_rows", 2, 1024);
    model.latent_cols = json.integer("latent_cols", 2, 1024);
    if (model.latent_rows % 2 != 0 || model.latent_cols % 2 != 0)
        json.complain("latent_rows", "or \"latent_cols\" is odd");
    model.fps = json.number("fps", 1, 240);
    model.chunk_latents = json.integer("chunk_latents", 1, 64);
    model.page_latents = json.integer("page_latents", 1, 256);
    model.sink_latents = json.integer("sink_latents", 0, 4096);
    model.window_latents = json.integer("window_latents", 0, 1 << 20);
    if (model.sink_latents % model.chunk_latents != 0) json.complain("sink_latents", "is not a whole number of chunks");
    model.dit = read_dit(json.object("dit"), json);
    model.vae = read_vae(json.object("vae"), json);
    model.sampler = read_sampler(json.object("sampler"), json);
    if (model.vae.z != model.dit.channels) {
        json.complain("vae", fmt::format("has {} channels, the transformer {}", model.vae.z, model.dit.channels));
    }
    if (json.error()) return *json.error();
    return model;
}

Result<at::Tensor> ModelFolder::text_embedding() const {
    const auto path = folder / "text_embedding.safetensors";
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    auto tensor = file->tensor("text_embedding");
    if (!tensor) return tensor.error();
    if (tensor->dim() != 2 || tensor->size(0) < 1 || tensor->size(0) > dit.text_len ||
        tensor->size(1) != dit.text_dim) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: text_embedding is not [1 to {}, {}]", path.string(), dit.text_len, dit.text_dim)};
    }
    return *tensor;
}

} // namespace wander
