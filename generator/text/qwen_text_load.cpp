// Qwen2.5-VL's text part: sizes, names, loading.

#include "generator/json_fields.hpp"
#include "generator/text/qwen_text_weights.hpp"
#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace wander {
namespace {

// hidden_states[-3] of n layers is what comes out of layer n - 2: its list begins with the embedding.
constexpr int kUnusedLayers = 2;

// "layers.12.mlp.up_proj.weight" -> 12; -1 where it is not a layer's.
int layer_of(std::string_view name) {
    constexpr std::string_view kLayers = "layers.";
    if (!name.starts_with(kLayers)) return -1;
    name.remove_prefix(kLayers.size());
    int layer = -1;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), layer);
    const bool sound = failed == std::errc{} && end != name.data() + name.size() && *end == '.';
    return sound ? layer : -1;
}

// The name without what stands in front of the language model; the published file has "model.".
std::string_view bare_name(std::string_view name) {
    for (const std::string_view head :
         {"model.language_model.", "language_model.model.", "language_model.", "model."}) {
        if (name.starts_with(head)) return name.substr(head.size());
    }
    return name;
}

} // namespace

Result<QwenTextConfig> QwenTextConfig::of_json(const nlohmann::json& json, const std::string& where) {
    const auto refuse = [&](const std::string& what) {
        return Error{ErrorCode::bad_input, fmt::format("{}: {}", where, what)};
    };
    if (!json.is_object()) return refuse("is no JSON object");
    JsonFields outer(json, where);
    const std::string kind = outer.text("model_type");
    if (outer.error()) return *outer.error();
    if (kind != "qwen2_5_vl" && kind != "qwen2_5_vl_text") {
        return refuse(fmt::format("\"model_type\" is \"{}\", wanted is Qwen2.5-VL (\"qwen2_5_vl\")", kind));
    }
    const nlohmann::json& text = json.contains("text_config") ? json.at("text_config") : json;
    JsonFields fields(text, where);
    QwenTextConfig config;
    config.vocab = fields.integer("vocab_size", 1, 1 << 24);
    config.dim = fields.integer("hidden_size", 1, 1 << 16);
    config.heads = fields.integer("num_attention_heads", 1, 1 << 10);
    config.kv_heads = fields.integer("num_key_value_heads", 1, 1 << 10);
    config.file_layers = fields.integer("num_hidden_layers", kUnusedLayers + 1, 1 << 10);
    config.layers = config.file_layers - kUnusedLayers;
    config.ffn = fields.integer("intermediate_size", 1, 1 << 20);
    config.eps = fields.number("rms_norm_eps", 0, 1);
    if (fields.text("hidden_act") != "silu") fields.complain("hidden_act", "is not \"silu\"");
    if (fields.has("use_sliding_window") && fields.boolean("use_sliding_window")) {
        fields.complain("use_sliding_window", "is true, which this program does not do");
    }
    if (fields.has("rope_theta")) {
        config.rope_theta = fields.number("rope_theta", 1, 1e12);
    } else {
        JsonFields rope = fields.object("rope_parameters");
        config.rope_theta = rope.number("rope_theta", 1, 1e12);
        fields.adopt(rope);
    }
    config.head_dim = fields.has("head_dim") ? fields.integer("head_dim", 2, 1024) : config.dim / config.heads;
    if (fields.error()) return *fields.error();
    const bool whole = fields.has("head_dim") || config.dim % config.heads == 0;
    if (!whole || config.head_dim % 2 != 0 || config.heads % config.kv_heads != 0) {
        return refuse(fmt::format("{} values in {} heads, {} of them for keys, do not go together", config.dim,
                                  config.heads, config.kv_heads));
    }
    return config;
}

Result<QwenTextConfig> QwenTextConfig::read(const std::filesystem::path& config_json) {
    auto json = read_json_file(config_json);
    if (!json) return json.error();
    return of_json(*json, config_json.string());
}

std::map<std::string, std::vector<std::int64_t>> QwenTextConfig::tensor_shapes() const {
    const std::int64_t inner = std::int64_t{heads} * head_dim, kv_inner = std::int64_t{kv_heads} * head_dim;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    shapes["model.embed_tokens.weight"] = {vocab, dim};
    for (int layer = 0; layer < layers; ++layer) {
        const std::string block = fmt::format("model.layers.{}.", layer);
        const std::pair<const char*, std::int64_t> projections[] = {{"q", inner}, {"k", kv_inner}, {"v", kv_inner}};
        for (const auto& [part, rows] : projections) {
            shapes[block + "self_attn." + part + "_proj.weight"] = {rows, dim};
            shapes[block + "self_attn." + part + "_proj.bias"] = {rows};
        }
        shapes[block + "self_attn.o_proj.weight"] = {dim, inner};
        shapes[block + "mlp.gate_proj.weight"] = {ffn, dim};
        shapes[block + "mlp.up_proj.weight"] = {ffn, dim};
        shapes[block + "mlp.down_proj.weight"] = {dim, ffn};
        shapes[block + "input_layernorm.weight"] = {dim};
        shapes[block + "post_attention_layernorm.weight"] = {dim};
    }
    return shapes;
}

TensorRole QwenTextConfig::role(std::string_view name) const {
    if (name.starts_with("visual.") || name.starts_with("model.visual.")) return {.extra = "visual"};
    if (name == "lm_head.weight") return {.extra = "lm_head"};
    const std::string_view bare = bare_name(name);
    if (bare == "norm.weight") return {.extra = "model.norm"};
    const int layer = layer_of(bare);
    if (layer >= layers && layer < file_layers) return {.extra = fmt::format("layers {} and up", layers)};
    if (layer >= 0 || bare == "embed_tokens.weight") return {.native = fmt::format("model.{}", bare)};
    return {};
}

Result<QwenTextEncoder> QwenTextEncoder::load(const QwenTextConfig& config, const TensorSource& source,
                                              at::Device device, at::ScalarType compute, TextPlacement placement,
                                              const std::function<void(double)>& progress) {
    const c10::InferenceMode inference;
    TORCH_CHECK(config.heads % config.kv_heads == 0 && config.head_dim % 2 == 0, "Qwen text: heads");
    auto tensors = load_strictly(config.tensor_shapes(), source, "Qwen2.5-VL text encoder");
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

    std::vector<WeightFeed::Unit> units;
    for (int layer = 0; layer < config.layers; ++layer) {
        const std::string block = fmt::format("model.layers.{}.", layer);
        const auto matrix = [&](const char* name) { return tensors->at(block + name + ".weight"); };
        const auto norm = [&](const char* name) { return matrix(name).to(device, w.wide).contiguous(); };
        const auto bias = [&](const char* part) { return tensors->at(block + "self_attn." + part + "_proj.bias"); };
        w.layers.push_back({norm("input_layernorm"), norm("post_attention_layernorm"),
                            at::cat({bias("q"), bias("k"), bias("v")}).to(device, compute)});
        units.push_back({{matrix("self_attn.q_proj"), matrix("self_attn.k_proj"), matrix("self_attn.v_proj")},
                         {matrix("self_attn.o_proj")}});
        // One by one: a buffer is as large as the largest unit.
        for (const char* part : {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) units.push_back({{matrix(part)}});
    }
    w.embedding = tensors->at("model.embed_tokens.weight");
    const bool resident = placement == TextPlacement::resident;
    if (resident) w.embedding = w.embedding.to(device, compute).contiguous();
    tensors->clear();
    w.feed = std::make_unique<WeightFeed>(std::move(units), device, compute, resident, progress);
    if (w.stream) w.stream->synchronize();

    QwenTextEncoder encoder;
    encoder.weights_ = std::move(weights);
    return encoder;
}

Result<QwenTextFiles> open_qwen_text(const std::filesystem::path& folder) {
    const std::string what = "the text part of Qwen2.5-VL";
    auto config = QwenTextConfig::read(folder / "config.json");
    if (!config) return config.error();
    std::error_code ignored;
    const auto index = folder / "model.safetensors.index.json";
    auto file = TensorFile::open(std::filesystem::exists(index, ignored) ? index : folder / "model.safetensors");
    if (!file) return file.error();
    auto part = open_checkpoint_part(*file, [&](std::string_view name) { return config->role(name); }, what);
    if (!part) return part.error();
    if (auto fits = part->check(config->tensor_shapes(), what); !fits) return fits.error();
    return QwenTextFiles{*config, std::move(*part)};
}

} // namespace wander
