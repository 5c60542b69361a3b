// SigLIP's picture tower: sizes, names, loading.

#include "generator/json_fields.hpp"
#include "generator/vision/siglip_weights.hpp"
#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <array>
#include <utility>

namespace wander {

Result<SiglipConfig> SiglipConfig::of_json(const nlohmann::json& json, const std::string& where) {
    if (!json.is_object()) return Error{ErrorCode::bad_input, fmt::format("{}: is no JSON object", where)};
    const nlohmann::json& vision = json.contains("vision_config") ? json.at("vision_config") : json;
    JsonFields fields(vision, where);
    const std::string kind = fields.text("model_type");
    if (!fields.error() && kind != "siglip_vision_model") {
        fields.complain("model_type", fmt::format("is \"{}\", wanted is \"siglip_vision_model\"", kind));
    }
    SiglipConfig config;
    config.image = fields.integer("image_size", 1, 4096);
    config.patch = fields.integer("patch_size", 1, 4096);
    config.dim = fields.integer("hidden_size", 1, 1 << 16);
    config.heads = fields.integer("num_attention_heads", 1, 1 << 10);
    config.layers = fields.integer("num_hidden_layers", 1, 1 << 10);
    config.ffn = fields.integer("intermediate_size", 1, 1 << 20);
    if (fields.has("layer_norm_eps")) config.eps = fields.number("layer_norm_eps", 0, 1);
    if (fields.has("hidden_act") && fields.text("hidden_act") != "gelu_pytorch_tanh") {
        fields.complain("hidden_act", "is not \"gelu_pytorch_tanh\"");
    }
    if (fields.error()) return *fields.error();
    if (config.patch > config.image || config.dim % config.heads != 0) {
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: patches of {} in {} pixels, or {} values in {} heads, do not go together", where,
                                 config.patch, config.image, config.dim, config.heads)};
    }
    return config;
}

std::map<std::string, std::vector<std::int64_t>> SiglipConfig::tensor_shapes() const {
    std::map<std::string, std::vector<std::int64_t>> shapes;
    const auto affine = [&](const std::string& name, std::vector<std::int64_t> weight) {
        shapes[name + ".bias"] = {weight.front()};
        shapes[name + ".weight"] = std::move(weight);
    };
    affine("vision_model.embeddings.patch_embedding", {dim, 3, patch, patch});
    shapes["vision_model.embeddings.position_embedding.weight"] = {patches(), dim};
    for (int layer = 0; layer < layers; ++layer) {
        const std::string block = fmt::format("vision_model.encoder.layers.{}.", layer);
        affine(block + "layer_norm1", {dim});
        affine(block + "layer_norm2", {dim});
        for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
            affine(block + "self_attn." + part, {dim, dim});
        }
        affine(block + "mlp.fc1", {ffn, dim});
        affine(block + "mlp.fc2", {dim, ffn});
    }
    affine("vision_model.post_layernorm", {dim});
    return shapes;
}

TensorRole siglip_tensor_role(std::string_view name) {
    constexpr std::string_view kTower = "vision_model.";
    if (name.starts_with(kTower)) name.remove_prefix(kTower.size());
    if (name.starts_with("head.")) return {.extra = "vision_model.head"};
    for (const std::string_view part : {"embeddings.", "encoder.layers.", "post_layernorm."}) {
        if (name.starts_with(part) && name != "embeddings.position_ids") {
            return {.native = fmt::format("{}{}", kTower, name)};
        }
    }
    // A file with both towers, and the table of positions 0, 1, 2, ... that older files carry.
    if (name == "embeddings.position_ids") return {.extra = "position ids"};
    if (name.starts_with("text_model.")) return {.extra = "text_model"};
    if (name == "logit_scale" || name == "logit_bias") return {.extra = "logit scale and bias"};
    return {};
}

Result<SiglipVision> SiglipVision::load(const SiglipConfig& config, const TensorSource& source, at::Device device,
                                        at::ScalarType compute, TextPlacement placement,
                                        const std::function<void(double)>& progress) {
    const c10::InferenceMode inference;
    TORCH_CHECK(config.dim % config.heads == 0, "SigLIP: heads");
    auto tensors = load_strictly(config.tensor_shapes(), source, "SigLIP picture encoder");
    if (!tensors) return tensors.error();

    auto weights = std::make_shared<Weights>();
    Weights& w = *weights;
    w.config = config;
    w.device = device;
    w.compute = compute;
    w.wide = compute == at::kDouble ? at::kDouble : at::kFloat;
    if (device.is_cuda()) w.stream = c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(device);
    std::optional<c10::StreamGuard> guard;
    if (w.stream) guard.emplace(*w.stream);

    const auto own = [&](const std::string& name, at::ScalarType type) {
        return tensors->at("vision_model." + name).to(device, type, false, true).contiguous();
    };
    const auto norm = [&](const std::string& name) {
        return SiglipNorm{own(name + ".weight", w.wide).unsqueeze(0), own(name + ".bias", w.wide).unsqueeze(0)};
    };
    w.patch_weight = own("embeddings.patch_embedding.weight", compute).view({config.dim, -1});
    w.patch_bias = own("embeddings.patch_embedding.bias", compute);
    w.positions = own("embeddings.position_embedding.weight", w.wide);
    w.last_norm = norm("post_layernorm");
    std::vector<WeightFeed::Unit> units;
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::string block = fmt::format("encoder.layers.{}.", layer);
        const auto matrix = [&](const char* name) { return tensors->at("vision_model." + block + name + ".weight"); };
        const auto bias = [&](const char* name) { return own(block + name + ".bias", compute); };
        w.layers.push_back({norm(block + "layer_norm1"), norm(block + "layer_norm2"),
                            at::cat({bias("self_attn.q_proj"), bias("self_attn.k_proj"), bias("self_attn.v_proj")}),
                            bias("self_attn.out_proj"), bias("mlp.fc1"), bias("mlp.fc2")});
        units.push_back({{matrix("self_attn.q_proj"), matrix("self_attn.k_proj"), matrix("self_attn.v_proj")},
                         {matrix("self_attn.out_proj")}});
        units.push_back({{matrix("mlp.fc1")}, {matrix("mlp.fc2")}});
    }
    tensors->clear();
    w.feed =
        std::make_unique<WeightFeed>(std::move(units), device, compute, placement == TextPlacement::resident, progress);
    if (w.stream) w.stream->synchronize();

    SiglipVision vision;
    vision.weights_ = std::move(weights);
    return vision;
}

Result<SiglipFiles> open_siglip(const std::filesystem::path& folder) {
    const std::string what = "SigLIP's picture tower";
    auto json = read_json_file(folder / "config.json");
    if (!json) return json.error();
    auto config = SiglipConfig::of_json(*json, (folder / "config.json").string());
    if (!config) return config.error();
    auto file = TensorFile::open(folder / "model.safetensors");
    if (!file) return file.error();
    auto part = open_checkpoint_part(*file, siglip_tensor_role, what);
    if (!part) return part.error();
    if (auto fits = part->check(config->tensor_shapes(), what); !fits) return fits.error();
    return SiglipFiles{*config, std::move(*part)};
}

} // namespace wander
