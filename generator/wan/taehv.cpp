#include "generator/wan/taehv.hpp"

#include "generator/wan/decode_ops.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace wander {

namespace {

using ShapeMap = std::map<std::string, std::vector<std::int64_t>>;

int scale_of(const std::vector<bool>& doublings) { return 1 << std::count(doublings.begin(), doublings.end(), true); }

// Where the three levels of each half begin, counted as the checkpoint's list of modules counts.
struct Level {
    int first_block = 0; // memory blocks first_block, ..., first_block + n - 1
    int time_change = 0; // TGrow or TPool
    int conv = 0;        // 3x3
};

Level decoder_level(const TaehvConfig& config, int level) {
    const int first = 3 + level * (config.memory_blocks + 3); // behind clamp, convolution, ReLU
    const int after = first + config.memory_blocks;           // nearest x2, then
    return {first, after + 1, after + 2};
}

Level encoder_level(const TaehvConfig& config, int level) {
    const int first = 2 + level * (config.memory_blocks + 2); // behind convolution, ReLU
    return {first + 2, first, first + 1};
}

std::string numbered(const char* half, int index) { return std::string(half) + "." + std::to_string(index); }

void add_conv(ShapeMap& shapes, const std::string& name, std::int64_t out, std::int64_t in, int size, bool bias) {
    shapes[name + ".weight"] = {out, in, size, size};
    if (bias) shapes[name + ".bias"] = {out};
}

void add_memory_blocks(ShapeMap& shapes, const char* half, const Level& level, int blocks, int width) {
    for (int i = 0; i < blocks; ++i) {
        const std::string name = numbered(half, level.first_block + i) + ".conv.";
        add_conv(shapes, name + "0", width, 2 * width, 3, true);
        add_conv(shapes, name + "2", width, width, 3, true);
        add_conv(shapes, name + "4", width, width, 3, true);
    }
}

} // namespace

int TaehvConfig::decoder_time_scale() const { return scale_of(decoder_time_upscale); }
int TaehvConfig::encoder_time_scale() const { return scale_of(encoder_time_downscale); }

ShapeMap TaehvConfig::tensor_shapes(bool encoder, bool decoder) const {
    ShapeMap shapes;
    if (encoder) {
        const int width = encoder_channels;
        add_conv(shapes, "encoder.0", width, 3 * patch * patch, 3, true);
        for (int level = 0; level < 3; ++level) {
            const Level at = encoder_level(*this, level);
            const int taken = encoder_time_downscale[static_cast<std::size_t>(level)] ? 2 : 1;
            add_conv(shapes, numbered("encoder", at.time_change) + ".conv", width, taken * width, 1, false);
            add_conv(shapes, numbered("encoder", at.conv), width, width, 3, false);
            add_memory_blocks(shapes, "encoder", at, memory_blocks, width);
        }
        add_conv(shapes, numbered("encoder", encoder_level(*this, 3).time_change), z, width, 3, true);
    }
    if (decoder) {
        add_conv(shapes, "decoder.1", decoder_channels[0], z, 3, true);
        for (std::size_t level = 0; level < 3; ++level) {
            const int width = decoder_channels[level];
            const Level at = decoder_level(*this, static_cast<int>(level));
            add_memory_blocks(shapes, "decoder", at, memory_blocks, width);
            const int made = stored_time_upscale[level] ? 2 : 1;
            add_conv(shapes, numbered("decoder", at.time_change) + ".conv", made * width, width, 1, false);
            add_conv(shapes, numbered("decoder", at.conv), decoder_channels[level + 1], width, 3, false);
        }
        add_conv(shapes, numbered("decoder", decoder_level(*this, 3).first_block + 1), 3 * patch * patch,
                 decoder_channels[3], 3, true);
    }
    return shapes;
}

struct Taehv::Weights {
    TaehvConfig config;
    at::ScalarType compute = at::kFloat;
    at::Device device = at::kCPU;
    bool has_decoder = false;
    bool has_encoder = false;
    bool fused = false;         // see decode_ops.hpp
    at::Tensor mean, deviation; // of latents, [1, z, 1, 1], or undefined
    std::map<std::string, PlainConv> convs;

    const PlainConv& conv(const std::string& name) const { return convs.at(name); }
    at::ScalarType wide() const { return compute == at::kDouble ? at::kDouble : at::kFloat; }

    // x: [T, C, h, w], consecutive frames. The block sees every frame beside the one before it.
    at::Tensor memory_block(const std::string& name, const at::Tensor& x, Memory& memory) const {
        at::Tensor& last = memory[name];
        if (!last.defined()) last = at::zeros_like(x.narrow(0, 0, 1));
        const std::int64_t frames = x.size(0);
        const at::Tensor before = frames == 1 ? last : at::cat({last, x.narrow(0, 0, frames - 1)});
        const at::Tensor pairs = at::cat({x, before}, 1);
        last = x.narrow(0, frames - 1, 1).clone(at::MemoryFormat::ChannelsLast);
        at::Tensor h = conv_relu(conv(name + ".conv.0"), pairs, fused, config.leak);
        h = conv_relu(conv(name + ".conv.2"), h, fused, config.leak);
        return conv_add_relu(conv(name + ".conv.4"), h, x, fused, config.leak);
    }

    at::Tensor memory_blocks(const char* half, const Level& level, at::Tensor x, Memory& memory) const {
        for (int i = 0; i < config.memory_blocks; ++i)
            x = memory_block(numbered(half, level.first_block + i), x, memory);
        return x;
    }

    // All frames but the first `drop`.
    at::Tensor decode(const at::Tensor& latents, std::int64_t drop, Memory& memory) const {
        at::Tensor x = latents.to(device, wide());
        if (mean.defined()) x = x * deviation + mean;
        x = (at::tanh(x / 3) * 3).to(compute).contiguous(at::MemoryFormat::ChannelsLast);
        x = conv_relu(conv("decoder.1"), x, fused, config.leak);
        for (int level = 0; level < 3; ++level) {
            const Level at = decoder_level(config, level);
            x = memory_blocks("decoder", at, x, memory);
            // The 1x1 convolution comes after the doubling of pixels in the published list; in front of it it gives
            // the same values for a quarter of the work.
            x = conv_only(conv(numbered("decoder", at.time_change) + ".conv"), x);
            const int times = config.decoder_time_upscale[static_cast<std::size_t>(level)] ? 2 : 1;
            // Behind the last memory block a frame no longer depends on others.
            x = enlarge({x, {}, {}}, times, level == 2 ? drop : 0, fused);
            const PlainConv& last = conv(numbered("decoder", at.conv));
            x = level == 2 ? conv_relu(last, x, fused, config.leak) : conv_only(last, x);
        }
        x = conv_only(conv(numbered("decoder", decoder_level(config, 3).first_block + 1)), x);
        return config.patch == 1 ? x : at::pixel_shuffle(x, config.patch);
    }

    // A whole number of groups.
    at::Tensor encode(const at::Tensor& frames, Memory& memory) const {
        at::Tensor x = frames.to(device, compute);
        if (config.patch > 1) x = at::pixel_unshuffle(x, config.patch);
        x = conv_relu(conv("encoder.0"), x.contiguous(at::MemoryFormat::ChannelsLast), fused, config.leak);
        for (int level = 0; level < 3; ++level) {
            const Level at = encoder_level(config, level);
            if (config.encoder_time_downscale[static_cast<std::size_t>(level)]) {
                x = at::cat({x.slice(0, 0, x.size(0), 2), x.slice(0, 1, x.size(0), 2)}, 1);
            }
            x = conv_only(conv(numbered("encoder", at.time_change) + ".conv"), x);
            const PlainConv& shrink = conv(numbered("encoder", at.conv));
            x = at::conv2d(x, shrink.weight, {}, 2, shrink.padding);
            x = memory_blocks("encoder", at, x, memory);
        }
        return conv_only(conv(numbered("encoder", encoder_level(config, 3).time_change)), x);
    }
};

Result<Taehv> Taehv::load(const TaehvConfig& config, const TensorSource& source, at::Device device,
                          at::ScalarType compute, bool with_encoder, bool with_decoder, bool plain) {
    auto weights = std::make_shared<Weights>();
    weights->config = config;
    weights->compute = compute;
    weights->device = device;
    weights->has_encoder = with_encoder;
    weights->fused = device.is_cuda() && compute == at::kBFloat16 && !plain;
    weights->has_decoder = with_decoder;
    if (!config.latent_mean.empty()) {
        const auto by_channel = [&](const std::vector<double>& values) {
            return at::tensor(values, at::kDouble).view({1, -1, 1, 1}).to(device, weights->wide());
        };
        if (config.latent_mean.size() != static_cast<std::size_t>(config.z) ||
            config.latent_std.size() != static_cast<std::size_t>(config.z)) {
            return Error{ErrorCode::bad_input, "TAEHV: means or deviations of another number of channels"};
        }
        weights->mean = by_channel(config.latent_mean);
        weights->deviation = by_channel(config.latent_std);
    }
    std::map<std::string, std::int64_t> wanted_rows; // of a 1x1 convolution that grows time
    for (std::size_t level = 0; with_decoder && level < 3; ++level) {
        const std::string name = numbered("decoder", decoder_level(config, static_cast<int>(level)).time_change);
        wanted_rows[name + ".conv"] = config.decoder_channels[level] * (config.decoder_time_upscale[level] ? 2 : 1);
    }
    const ShapeMap shapes = config.tensor_shapes(with_encoder, with_decoder);
    for (const auto& [name, shape] : shapes) {
        if (name.ends_with(".bias")) continue; // taken together with its weight
        const std::string base = name.substr(0, name.size() - 7);
        auto weight = source(name, shape);
        if (!weight) return weight.error();
        at::Tensor bias;
        if (const auto at = shapes.find(base + ".bias"); at != shapes.end()) {
            auto found = source(at->first, at->second);
            if (!found) return found.error();
            bias = *found;
        }
        at::Tensor rows = *weight;
        if (const auto at = wanted_rows.find(base); at != wanted_rows.end()) {
            if (at->second > rows.size(0)) {
                return Error{ErrorCode::bad_input, "TAEHV: " + name + " holds too few channels to double the frames"};
            }
            rows = rows.narrow(0, rows.size(0) - at->second, at->second);
        }
        weights->convs[base] = make_plain_conv(rows, bias, device, compute);
    }
    Taehv taehv;
    taehv.weights_ = std::move(weights);
    return taehv;
}

const TaehvConfig& Taehv::config() const { return weights_->config; }

// On a GPU three latents fill it; their widest activations are under 700 MB at 480x832. With patches they are half as
// many for as many pixels.
int Taehv::latents_per_call() const {
    if (!weights_->device.is_cuda()) return 1;
    return weights_->config.patch == 1 ? 3 : 4;
}

Taehv::DecodeStream Taehv::decode_stream() const {
    if (!weights_->has_decoder) throw std::logic_error("Taehv: loaded without its decoder");
    DecodeStream stream;
    stream.weights_ = weights_;
    return stream;
}

std::unique_ptr<VideoDecodeStream> Taehv::open_stream() const {
    return std::make_unique<DecodeStream>(decode_stream());
}

at::Tensor Taehv::DecodeStream::run(const at::Tensor& latents, std::int64_t drop) {
    if (latents.size(0) == 0) {
        const std::int64_t scale = weights_->config.spatial_scale();
        return at::empty({0, 3, scale * latents.size(2), scale * latents.size(3)},
                         at::TensorOptions().dtype(weights_->compute).device(weights_->device));
    }
    const at::Tensor frames = weights_->decode(latents, drop, memory_);
    started_ = true;
    return frames;
}

at::Tensor Taehv::DecodeStream::decode(const at::Tensor& latents) {
    return run(latents, started_ ? 0 : weights_->config.decoder_time_scale() - 1);
}

at::Tensor Taehv::DecodeStream::decode_all(const at::Tensor& latents) { return run(latents, 0); }

void Taehv::DecodeStream::reset() {
    memory_.clear();
    started_ = false;
}

bool Taehv::DecodeStream::restore(const std::map<std::string, at::Tensor>& saved) {
    const TaehvConfig& config = weights_->config;
    Memory memory;
    at::Tensor first; // of level 0; each level has twice the rows and columns of the one before
    for (int level = 0; level < 3 && !saved.empty(); ++level) {
        const int width = config.decoder_channels[static_cast<std::size_t>(level)];
        for (int i = 0; i < config.memory_blocks; ++i) {
            const std::string name = numbered("decoder", decoder_level(config, level).first_block + i);
            const auto found = saved.find(name);
            if (found == saved.end() || found->second.dim() != 4) return false;
            const at::Tensor& frame = found->second;
            if (!first.defined()) first = frame;
            if (frame.sizes() != at::IntArrayRef({1, width, first.size(2) << level, first.size(3) << level}))
                return false;
            const auto now = memory_.find(name);
            if (now != memory_.end() && now->second.sizes() != frame.sizes()) return false;
            memory[name] = frame.to(weights_->device, weights_->compute).clone(at::MemoryFormat::ChannelsLast);
        }
    }
    if (memory.size() != saved.size()) return false;
    started_ = !saved.empty();
    memory_ = std::move(memory);
    return true;
}

std::int64_t Taehv::DecodeStream::state_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [name, frame] : memory_) bytes += static_cast<std::int64_t>(frame.nbytes());
    return bytes;
}

Taehv::EncodeStream Taehv::encode_stream() const {
    if (!weights_->has_encoder) throw std::logic_error("Taehv: loaded without its encoder");
    EncodeStream stream;
    stream.weights_ = weights_;
    return stream;
}

at::Tensor Taehv::EncodeStream::encode(const at::Tensor& frames) {
    const at::Tensor all = waiting_.defined() ? at::cat({waiting_, frames}) : frames;
    const std::int64_t group = weights_->config.encoder_time_scale();
    const std::int64_t whole = all.size(0) / group * group;
    waiting_ = whole < all.size(0) ? all.narrow(0, whole, all.size(0) - whole).clone() : at::Tensor();
    if (whole == 0) {
        const std::int64_t scale = weights_->config.spatial_scale();
        return at::empty({0, weights_->config.z, frames.size(2) / scale, frames.size(3) / scale},
                         at::TensorOptions().dtype(weights_->compute).device(weights_->device));
    }
    return weights_->encode(all.narrow(0, 0, whole), memory_);
}

at::Tensor Taehv::EncodeStream::finish() {
    at::Tensor latents;
    if (waiting_.defined()) {
        const std::int64_t missing = weights_->config.encoder_time_scale() - waiting_.size(0);
        const at::Tensor last = waiting_.narrow(0, waiting_.size(0) - 1, 1);
        latents = encode(last.expand({missing, -1, -1, -1}));
    } else {
        latents = at::empty({0, weights_->config.z, 0, 0});
    }
    memory_.clear();
    waiting_ = at::Tensor();
    return latents;
}

} // namespace wander
