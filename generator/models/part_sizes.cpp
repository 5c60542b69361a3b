#include "generator/models/part_sizes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace wander {
namespace {

constexpr std::int64_t kMaxSize = 1 << 20;

// Reads sizes and keeps the first complaint.
class Sizes {
public:
    explicit Sizes(const ShapeTable& shapes) : shapes_(shapes) {}

    int size(const std::string& name, std::size_t dimensions, std::size_t which) {
        const auto found = shapes_.find(name);
        if (found == shapes_.end()) {
            complain(fmt::format("tensor '{}' is missing", name));
        } else if (found->second.size() != dimensions || found->second[which] < 1 || found->second[which] > kMaxSize) {
            complain(fmt::format("tensor '{}' has shape [{}]", name, fmt::join(found->second, ", ")));
        } else {
            return static_cast<int>(found->second[which]);
        }
        return 1;
    }
    // Behind the highest N of "blocks.N.".
    int layers() {
        int count = 0;
        for (const auto& [name, shape] : shapes_) {
            if (!name.starts_with("blocks.")) continue;
            int number = 0;
            const char* begin = name.data() + 7;
            const auto [end, code] = std::from_chars(begin, name.data() + name.size(), number);
            if (code == std::errc{} && end != begin && *end == '.' && number >= 0 && number < 256)
                count = std::max(count, number + 1);
        }
        if (count == 0) complain("it has no 'blocks.0'");
        return count;
    }
    void complain(std::string what) {
        if (error_.empty()) error_ = std::move(what);
    }
    template <typename T>
    Result<T> give(T value) const {
        if (error_.empty()) return value;
        return Error{ErrorCode::bad_input, error_};
    }

private:
    const ShapeTable& shapes_;
    std::string error_;
};

} // namespace

void set_rope_split(DitConfig& dit) {
    dit.rope_row_channels = 2 * (dit.head_dim / 6);
    dit.rope_col_channels = 2 * (dit.head_dim / 6);
    dit.rope_time_channels = dit.head_dim - dit.rope_row_channels - dit.rope_col_channels;
}

DitConfig self_forcing_dit() {
    DitConfig dit;
    dit.dim = 1536;
    dit.layers = 30;
    dit.heads = 12;
    dit.head_dim = 128;
    dit.ffn = 8960;
    dit.text_dim = 4096;
    dit.text_len = 512;
    set_rope_split(dit);
    return dit;
}

VaeConfig wan21_vae() {
    VaeConfig vae;
    vae.latent_mean = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,  -0.1517, 1.5508,
                       0.4134,  -0.0715, 0.5517,  -0.3632, -0.1922, -0.9497, 0.2503,  -0.2921};
    vae.latent_std = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                      3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160};
    return vae;
}

Result<DitConfig> dit_of_shapes(const ShapeTable& shapes, int head_dim) {
    Sizes sizes(shapes);
    DitConfig dit = self_forcing_dit();
    dit.dim = sizes.size("patch_embedding.weight", 5, 0);
    dit.channels = sizes.size("patch_embedding.weight", 5, 1);
    dit.layers = sizes.layers();
    dit.ffn = sizes.size("blocks.0.ffn.0.weight", 2, 0);
    dit.freq_dim = sizes.size("time_embedding.0.weight", 2, 1);
    dit.text_dim = sizes.size("text_embedding.0.weight", 2, 1);
    dit.head_dim = head_dim;
    dit.heads = dit.dim / head_dim;
    if (dit.dim % head_dim != 0)
        sizes.complain(fmt::format("{} channels are no whole number of heads of {}", dit.dim, head_dim));
    set_rope_split(dit);
    return sizes.give(dit);
}

Result<VaeConfig> vae_of_shapes(const ShapeTable& shapes) {
    Sizes sizes(shapes);
    VaeConfig vae = wan21_vae();
    vae.z = sizes.size("conv2.weight", 5, 0);
    vae.dim = sizes.size("decoder.head.2.weight", 5, 1);
    if (static_cast<std::size_t>(vae.z) != vae.latent_mean.size())
        sizes.complain(
            fmt::format("its latents have {} channels, not the {} of Wan 2.1", vae.z, vae.latent_mean.size()));
    return sizes.give(vae);
}

Result<DitConfig> wan5b_of_shapes(const ShapeTable& shapes, int head_dim) {
    auto dit = dit_of_shapes(shapes, head_dim);
    if (!dit) return dit;
    dit->action_label = true;
    dit->prope = true;
    return dit;
}

ShapeTable wan5b_shapes(const DitConfig& dit) {
    ShapeTable shapes = dit.tensor_shapes();
    for (int layer = 0; layer < dit.layers; ++layer)
        shapes[fmt::format("blocks.{}.self_attn.prope_proj.bias", layer)] = {dit.dim};
    return shapes;
}

Result<Vae22Config> vae22_of_shapes(const ShapeTable& shapes) {
    Sizes sizes(shapes);
    Vae22Config vae = Vae22Config::published();
    vae.z = sizes.size("conv2.weight", 5, 0);
    vae.decoder_dim = sizes.size("decoder.head.2.weight", 5, 1);
    if (shapes.contains("encoder.conv1.weight")) vae.dim = sizes.size("encoder.conv1.weight", 5, 0);
    const int colours = sizes.size("decoder.head.2.weight", 5, 0);
    vae.patch = colours >= 12 ? 2 : 1;
    if (colours != 3 * vae.patch * vae.patch)
        sizes.complain(fmt::format("its decoder makes {} numbers a pixel, not the 12 of 2 x 2 colours", colours));
    // The decoder's levels, widest first.
    const auto in_level = [](std::size_t level, int layer, const char* tensor) {
        return fmt::format("decoder.upsamples.{}.upsamples.{}.{}", level, layer, tensor);
    };
    vae.multipliers.clear();
    while (vae.multipliers.size() < 16 && shapes.contains(in_level(vae.multipliers.size(), 0, "residual.2.weight"))) {
        const int width = sizes.size(in_level(vae.multipliers.size(), 0, "residual.2.weight"), 5, 0);
        if (width % vae.decoder_dim != 0)
            sizes.complain(fmt::format("a level of {} channels is no multiple of {}", width, vae.decoder_dim));
        vae.multipliers.insert(vae.multipliers.begin(), width / vae.decoder_dim);
    }
    const std::size_t levels = vae.multipliers.size();
    if (levels < 2) {
        sizes.complain("it has no levels 'decoder.upsamples.0.upsamples.0'");
        return sizes.give(vae);
    }
    int blocks = 0;
    while (blocks < 16 && shapes.contains(in_level(0, blocks, "residual.2.weight"))) ++blocks;
    vae.residual_blocks = blocks - 1;
    vae.temporal_downsample.assign(levels - 1, false);
    for (std::size_t level = 0; level + 1 < levels; ++level)
        vae.temporal_downsample[levels - 2 - level] = shapes.contains(in_level(level, blocks, "time_conv.weight"));
    return sizes.give(vae);
}

Result<Umt5Config> umt5_of_shapes(const ShapeTable& shapes) {
    Sizes sizes(shapes);
    Umt5Config text;
    text.vocab = sizes.size("token_embedding.weight", 2, 0);
    text.dim = sizes.size("token_embedding.weight", 2, 1);
    text.layers = sizes.layers();
    text.buckets = sizes.size("blocks.0.pos_embedding.embedding.weight", 2, 0);
    text.heads = sizes.size("blocks.0.pos_embedding.embedding.weight", 2, 1);
    const int inner = sizes.size("blocks.0.attn.q.weight", 2, 0);
    text.head_dim = inner / text.heads;
    if (inner % text.heads != 0)
        sizes.complain(fmt::format("{} channels of attention are no whole number of {} heads", inner, text.heads));
    text.ffn = sizes.size("blocks.0.ffn.gate.0.weight", 2, 0);
    return sizes.give(text);
}

Result<TaehvConfig> taehv_of_shapes(const ShapeTable& shapes) {
    Sizes sizes(shapes);
    TaehvConfig tiny;
    tiny.z = sizes.size("decoder.1.weight", 4, 1);
    tiny.decoder_channels = {sizes.size("decoder.1.weight", 4, 0), sizes.size("decoder.8.weight", 4, 0),
                             sizes.size("decoder.14.weight", 4, 0), sizes.size("decoder.20.weight", 4, 0)};
    if (shapes.contains("encoder.0.weight")) tiny.encoder_channels = sizes.size("encoder.0.weight", 4, 0);
    const int made = sizes.size("decoder.22.weight", 4, 0);
    tiny.patch = made == 12 ? 2 : 1;
    if (made != 3 && made != 12)
        sizes.complain(fmt::format("'decoder.22.weight' makes {} channels, not 3 or 12", made));
    return sizes.give(tiny);
}

bool is_lighttae(const std::filesystem::path& file) {
    std::string name = file.filename().string();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return name.find("lighttae") != std::string::npos;
}

void take_lighttae_of_wan(TaehvConfig& tiny, const std::vector<double>& mean, const std::vector<double>& deviation) {
    tiny.latent_mean = mean;
    tiny.latent_std = deviation;
}

void take_lighttae_of_hunyuan(TaehvConfig& tiny, double scale) {
    tiny.latent_mean.assign(static_cast<std::size_t>(tiny.z), 0);
    tiny.latent_std.assign(static_cast<std::size_t>(tiny.z), 1 / scale);
    tiny.leak = 0.2;
    tiny.range = {-1, 1};
}

} // namespace wander
