#include "tests/support/model_folder_writer.hpp"

#include "generator/plain/hash.hpp"
#include "generator/weights/safetensors_stream.hpp"
#include "tests/support/published_names.hpp"
#include "tests/support/synthetic_tokenizer.hpp"
#include "tests/support/torch_archive_writer.hpp"

#include <c10/util/Half.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <numbers>
#include <vector>

namespace wander::test {
namespace {

using json = nlohmann::ordered_json;

std::uint64_t hash_of(const std::string& text, std::uint64_t seed) {
    return splitmix64(fnv1a64(text, kFnvStart ^ seed));
}

// A few million normal numbers that every tensor reads from a place of its own. The length is prime, so that the rows
// of a large matrix do not repeat.
class NormalNumbers {
public:
    static constexpr std::size_t kCount = 4'194'301;

    explicit NormalNumbers(std::uint64_t seed) : values_(kCount + 1) {
        const auto uniform = [](std::uint64_t bits) { return (static_cast<double>(bits >> 40) + 0.5) * 0x1p-24; };
        for (std::size_t i = 0; i < kCount; i += 2) {
            const double radius = std::sqrt(-2 * std::log(uniform(splitmix64(seed + 2 * i))));
            const double angle = 2 * std::numbers::pi * uniform(splitmix64(seed + 2 * i + 1));
            values_[i] = static_cast<float>(radius * std::cos(angle));
            values_[i + 1] = static_cast<float>(radius * std::sin(angle));
        }
    }
    const float* from(std::size_t index) const { return values_.data() + index; }

private:
    std::vector<float> values_;
};

std::uint16_t bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16); // to nearest, ties to even
}

struct Scale {
    float factor = 1;
    float offset = 0;
};

// Variance 1 / fan-in, gains near one, small biases; what a part needs beyond that.
Scale scale_of(const std::string& native, const std::vector<std::int64_t>& shape) {
    std::int64_t fan_in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    if (native.ends_with("gamma") || (native.find("norm") != std::string::npos && native.ends_with("weight")))
        return {0.1F, 1};
    if (native.ends_with("bias") || native.find("modulation") != std::string::npos) return {0.05F, 0};
    if (native == "token_embedding.weight") return {1, 0};
    auto factor = static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)));
    // umT5 does not divide attention by the root of the head's width: its weights do.
    if (native.ends_with("attn.q.weight") && native.find("self_attn") == std::string::npos &&
        native.find("cross_attn") == std::string::npos)
        factor /= 8;
    return {factor, 0};
}

// Writes the values of a tensor in pieces.
void write_values(const NormalNumbers& numbers, std::uint64_t seed, const std::string& native, Dtype dtype,
                  const std::vector<std::int64_t>& shape, const Write& write) {
    constexpr std::size_t kPiece = 1 << 18;
    std::size_t left = 1;
    for (const std::int64_t size : shape) left *= static_cast<std::size_t>(size);
    const Scale scale = scale_of(native, shape);
    std::size_t at = hash_of(native, seed) % NormalNumbers::kCount;
    std::vector<float> wide(kPiece);
    std::vector<std::uint16_t> narrow(kPiece);
    while (left > 0) {
        const std::size_t count = std::min({left, kPiece, NormalNumbers::kCount - at});
        const float* from = numbers.from(at);
        for (std::size_t i = 0; i < count; ++i) wide[i] = from[i] * scale.factor + scale.offset;
        if (dtype == Dtype::f32) {
            write(wide.data(), count * sizeof(float));
        } else {
            for (std::size_t i = 0; i < count; ++i)
                narrow[i] = dtype == Dtype::f16 ? c10::Half(wide[i]).x : bf16(wide[i]);
            write(narrow.data(), count * sizeof(std::uint16_t));
        }
        left -= count;
        at = (at + count) % NormalNumbers::kCount;
    }
}

using NameOf = std::string (*)(const std::string&);

class Writer {
public:
    Writer(const std::filesystem::path& folder, const ModelFolderRecipe& recipe)
        : folder_(folder), recipe_(recipe), sizes_(sizes_of(recipe.small)), numbers_(recipe.seed) {}

    Result<void> run() {
        std::error_code failed;
        std::filesystem::create_directories(folder_, failed);
        if (failed)
            return Error{ErrorCode::io, fmt::format("{}: cannot be made: {}", folder_.string(), failed.message())};
        const bool done = recipe_.layout == ModelFolderRecipe::Layout::official ? official() : diffusers();
        if (!done) return error_;
        return {};
    }

private:
    bool official() {
        const DitConfig& dit = sizes_.dit;
        const json config = {{"_class_name", "WanModel"}, {"dim", dit.dim},           {"eps", dit.eps},
                             {"ffn_dim", dit.ffn},        {"freq_dim", dit.freq_dim}, {"in_dim", dit.channels},
                             {"model_type", "t2v"},       {"num_heads", dit.heads},   {"num_layers", dit.layers},
                             {"out_dim", dit.channels},   {"text_len", dit.text_len}};
        return write_text("config.json", config.dump(2)) && overrides() &&
               torch_file("self_forcing_dmd.pt", "generator_ema", "model.", dit.tensor_shapes(), Dtype::f32) &&
               torch_file("Wan2.1_VAE.pth", "", "", sizes_.vae.tensor_shapes(true, true), Dtype::f32) &&
               torch_file("taew2_1.pth", "", "", sizes_.tiny.tensor_shapes(true, true), Dtype::f16) &&
               (!recipe_.with_text ||
                (torch_file("models_t5_umt5-xxl-enc-bf16.pth", "", "", sizes_.text.tensor_shapes(), text_dtype()) &&
                 tokenizer("google/umt5-xxl")));
    }

    bool diffusers() {
        const DitConfig& dit = sizes_.dit;
        const VaeConfig& vae = sizes_.vae;
        const Umt5Config& text = sizes_.text;
        const json index = {{"_class_name", "WanPipeline"},
                            {"text_encoder", {"transformers", "UMT5EncoderModel"}},
                            {"tokenizer", {"transformers", "T5TokenizerFast"}},
                            {"transformer", {"diffusers", "WanTransformer3DModel"}},
                            {"vae", {"diffusers", "AutoencoderKLWan"}}};
        const json transformer = {{"_class_name", "WanTransformer3DModel"},
                                  {"attention_head_dim", dit.head_dim},
                                  {"cross_attn_norm", true},
                                  {"eps", dit.eps},
                                  {"ffn_dim", dit.ffn},
                                  {"freq_dim", dit.freq_dim},
                                  {"in_channels", dit.channels},
                                  {"num_attention_heads", dit.heads},
                                  {"num_layers", dit.layers},
                                  {"out_channels", dit.channels},
                                  {"patch_size", {1, 2, 2}},
                                  {"qk_norm", "rms_norm_across_heads"},
                                  {"rope_max_seq_len", 1024},
                                  {"text_dim", dit.text_dim}};
        const json autoencoder = {{"_class_name", "AutoencoderKLWan"},
                                  {"base_dim", vae.dim},
                                  {"dim_mult", vae.multipliers},
                                  {"latents_mean", vae.latent_mean},
                                  {"latents_std", vae.latent_std},
                                  {"num_res_blocks", vae.residual_blocks},
                                  {"temperal_downsample", vae.temporal_downsample},
                                  {"z_dim", vae.z}};
        const json encoder = {{"architectures", {"UMT5EncoderModel"}},
                              {"d_ff", text.ffn},
                              {"d_kv", text.head_dim},
                              {"d_model", text.dim},
                              {"num_heads", text.heads},
                              {"num_layers", text.layers},
                              {"vocab_size", text.vocab}};
        return write_text("model_index.json", index.dump(2)) && overrides() &&
               write_text("transformer/config.json", transformer.dump(2)) &&
               write_text("vae/config.json", autoencoder.dump(2)) &&
               shards("transformer/diffusion_pytorch_model", 2, dit.tensor_shapes(), Dtype::f32, diffusers_dit_name) &&
               safetensors("vae/diffusion_pytorch_model.safetensors", vae.tensor_shapes(true, true), Dtype::f32,
                           [](const std::string& name) { return diffusers_vae_name(name); }) &&
               torch_file("taew2_1.pth", "", "", sizes_.tiny.tensor_shapes(true, true), Dtype::f16) &&
               (!recipe_.with_text ||
                (write_text("text_encoder/config.json", encoder.dump(2)) &&
                 shards("text_encoder/model", 5, text.tensor_shapes(), text_dtype(), transformers_umt5_name) &&
                 tokenizer("tokenizer")));
    }

    Dtype text_dtype() const { return recipe_.wide_text ? Dtype::f32 : Dtype::bf16; }

    // The small model is also small on the screen.
    bool overrides() {
        if (!recipe_.small) return true;
        return write_text("wander.json",
                          json({{"name", "random-small"}, {"latent_rows", 8}, {"latent_cols", 12}}).dump(2));
    }

    bool tokenizer(const std::string& place) {
        return write_text(place + "/tokenizer.json", synthetic_tokenizer(sizes_.pieces, sizes_.extra_ids));
    }

    bool fail(const std::string& name) {
        error_ = {ErrorCode::io, fmt::format("{}: cannot be written", (folder_ / name).string())};
        return false;
    }

    bool prepare(const std::string& name) {
        if (recipe_.say) recipe_.say(name);
        std::error_code failed;
        std::filesystem::create_directories((folder_ / name).parent_path(), failed);
        return !failed || fail(name);
    }

    bool write_text(const std::string& name, const std::string& text) {
        if (!prepare(name)) return false;
        std::ofstream file(folder_ / name, std::ios::binary);
        file << text << '\n';
        return file.good() || fail(name);
    }

    bool torch_file(const std::string& name, const std::string& outer, const std::string& prefix,
                    const ShapeTable& shapes, Dtype dtype) {
        if (!prepare(name)) return false;
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen((folder_ / name).c_str(), "wb"),
                                                                   std::fclose);
        if (!file) return fail(name);
        bool good = true;
        std::vector<SavedTensor> saved;
        for (const auto& [native, shape] : shapes) saved.push_back({prefix + native, dtype, shape});
        save_tensors(
            [&](const void* data, std::size_t size) { good &= std::fwrite(data, 1, size, file.get()) == size; }, outer,
            saved,
            [&](std::size_t i, const Write& write) {
                const std::string native = saved[i].name.substr(prefix.size());
                write_values(numbers_, recipe_.seed, native, dtype, saved[i].shape, write);
            });
        good &= std::fflush(file.get()) == 0;
        return good || fail(name);
    }

    template <typename Name>
    bool safetensors(const std::string& name, const ShapeTable& shapes, Dtype dtype, const Name& name_of) {
        if (!prepare(name)) return false;
        std::vector<StreamedTensor> tensors;
        for (const auto& [native, shape] : shapes) tensors.push_back({name_of(native), dtype, shape});
        auto stream = SafetensorsStream::create(folder_ / name, tensors, {{"format", "pt"}});
        bool good = static_cast<bool>(stream);
        for (const auto& [native, shape] : shapes) {
            if (!good) break;
            write_values(numbers_, recipe_.seed, native, dtype, shape, [&](const void* data, std::size_t size) {
                good &= static_cast<bool>(stream->write(data, size));
            });
        }
        return (good && stream->finish()) || fail(name);
    }

    // STEM-00001-of-0000N.safetensors and STEM.safetensors.index.json, as large models are published.
    bool shards(const std::string& stem, std::size_t count, const ShapeTable& shapes, Dtype dtype, NameOf name_of) {
        std::vector<ShapeTable> tables(count);
        json map = json::object();
        std::size_t i = 0;
        const auto file_of = [&](std::size_t shard) {
            return fmt::format("{}-{:05}-of-{:05}.safetensors", std::filesystem::path(stem).filename().string(),
                               shard + 1, count);
        };
        std::uint64_t bytes = 0;
        for (const auto& [native, shape] : shapes) {
            const std::size_t shard = i++ * count / shapes.size();
            tables[shard][native] = shape;
            map[name_of(native)] = file_of(shard);
            bytes += TensorInfo{dtype, shape}.bytes();
        }
        const auto parent = std::filesystem::path(stem).parent_path();
        for (std::size_t shard = 0; shard < count; ++shard) {
            if (!safetensors((parent / file_of(shard)).string(), tables[shard], dtype, name_of)) return false;
        }
        return write_text(stem + ".safetensors.index.json",
                          json({{"metadata", {{"total_size", bytes}}}, {"weight_map", map}}).dump(2));
    }

    const std::filesystem::path folder_;
    const ModelFolderRecipe& recipe_;
    const ModelSizes sizes_;
    const NormalNumbers numbers_;
    Error error_;
};

} // namespace

ModelSizes sizes_of(bool small) {
    ModelSizes sizes;
    sizes.dit = self_forcing_dit();
    sizes.vae = wan21_vae();
    sizes.pieces = 256'300;
    sizes.extra_ids = 300;
    if (small) {
        sizes.dit.dim = 256;
        sizes.dit.layers = 3;
        sizes.dit.heads = 2;
        sizes.dit.ffn = 512;
        sizes.dit.text_dim = 64;
        sizes.dit.text_len = 32;
        sizes.vae.dim = 16;
        sizes.tiny.decoder_channels = {32, 16, 16, 16};
        sizes.tiny.encoder_channels = 16;
        sizes.text.vocab = 3072;
        sizes.text.dim = 64;
        sizes.text.layers = 2;
        sizes.text.heads = 4;
        sizes.text.head_dim = 16;
        sizes.text.ffn = 128;
        sizes.pieces = 3020;
        sizes.extra_ids = 20;
    }
    return sizes;
}

Result<void> write_model_folder(const std::filesystem::path& folder, const ModelFolderRecipe& recipe) {
    return Writer(folder, recipe).run();
}

} // namespace wander::test
