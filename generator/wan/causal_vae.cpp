#include "generator/wan/causal_vae.hpp"

#include "generator/wan/strict_load.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace wander {

at::Tensor VaeMoments::sample(const at::Tensor& noise) const {
    return mean + (0.5 * log_variance.clamp(-30, 20)).exp() * noise.to(mean.options());
}

Result<void> CausalVaeNet::load_parts(const Shapes& shapes, const TensorSource& source, const char* what,
                                      bool side_by_side) {
    auto tensors = load_strictly(shapes, source, what);
    if (!tensors) return tensors.error();
    const std::string gamma = ".gamma";
    const std::string weight = ".weight";
    for (const auto& [name, tensor] : *tensors) {
        if (name.ends_with(gamma)) {
            gammas_[name.substr(0, name.size() - gamma.size())] = tensor.to(device_, wide()).flatten().contiguous();
        } else if (name.ends_with(weight)) {
            const std::string base = name.substr(0, name.size() - weight.size());
            VaeConv& conv = convs_[base];
            conv = make_conv(tensor, tensors->at(base + ".bias"), device_, compute_, side_by_side);
            if (replicate_) conv.padding = 0; // the borders are made before it
        }
    }
    return {};
}

std::int64_t CausalVaeNet::latents_per_part() const {
    // On a GPU one: at 704 x 1280 the widest activations of one are near half a gigabyte.
    return device_.is_cuda() ? 1 : std::numeric_limits<std::int64_t>::max();
}

at::Tensor CausalVaeNet::conv(const std::string& name, const at::Tensor& x, VaePast& past) const {
    const VaeConv& conv = convs_.at(name);
    const std::int64_t border = conv.weight.size(-1) / 2;
    if (!replicate_ || (border == 0 && conv.taps == 1)) return run_conv(conv, name, x, past);
    const at::Tensor bordered =
        at::replication_pad2d(x, {border, border, border, border}).contiguous(at::MemoryFormat::ChannelsLast);
    if (conv.taps > 1 && !past.contains(name)) past[name] = bordered.narrow(0, 0, 1).repeat({conv.taps - 1, 1, 1, 1});
    return run_conv(conv, name, bordered, past);
}

at::Tensor CausalVaeNet::norm(const std::string& name, const at::Tensor& x, bool silu) const {
    return norm_silu(x, gammas_.at(name), norm_, eps_, silu);
}

at::Tensor CausalVaeNet::residual(const ResidualNames& names, const at::Tensor& x, VaePast& past) const {
    at::Tensor h = conv(names.conv1, norm(names.norm1, x), past);
    h = conv(names.conv2, norm(names.norm2, h), past);
    return h.add_(names.shortcut.empty() ? x : conv(names.shortcut, x, past));
}

std::int64_t CausalDecodeStream::state_bytes() const {
    std::int64_t bytes = 0;
    for (const auto& [name, frames] : past_) bytes += static_cast<std::int64_t>(frames.nbytes());
    return bytes;
}

void CausalDecodeStream::reset() {
    past_.clear();
    started_ = false;
}

std::map<std::string, at::Tensor> CausalDecodeStream::save() const {
    std::map<std::string, at::Tensor> saved;
    for (const auto& [name, frames] : past_) saved.emplace(name, frames.clone());
    return saved;
}

bool CausalDecodeStream::restore(const std::map<std::string, at::Tensor>& saved) {
    const auto same = [](const auto& one, const auto& other) {
        return one.first == other.first && one.second.sizes() == other.second.sizes();
    };
    if (started_ && !saved.empty() && !std::ranges::equal(saved, past_, same)) return false;
    reset();
    for (const auto& [name, frames] : saved)
        past_.emplace(name, frames.to(net_->device(), net_->compute()).clone(at::MemoryFormat::ChannelsLast));
    started_ = !saved.empty();
    return true;
}

at::Tensor CausalDecodeStream::decode(const at::Tensor& latents) {
    const at::Tensor z = net_->to_decoder(latents);
    std::vector<at::Tensor> parts;
    const std::int64_t count = z.size(0);
    std::int64_t done = 0;
    const std::int64_t step = net_->latents_per_part();
    while (done < count) {
        const std::int64_t part = started_ ? std::min(step, count - done) : 1;
        parts.push_back(net_->decode_part(z.narrow(0, done, part), past_, !started_));
        started_ = true;
        done += part;
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

void CausalEncodeStream::reset() {
    past_.clear();
    started_ = false;
}

VaeMoments CausalEncodeStream::encode(const at::Tensor& frames) {
    const std::int64_t count = frames.size(0);
    if (count < 1 || (count - (started_ ? 0 : 1)) % 4 != 0)
        throw std::invalid_argument("CausalEncodeStream: a video has 1 + 4k frames");
    std::vector<at::Tensor> parts;
    std::int64_t done = 0;
    while (done < count) {
        const std::int64_t part = started_ ? 4 : 1;
        parts.push_back(net_->encode_part(frames.narrow(0, done, part).to(net_->device(), net_->compute()), past_));
        started_ = true;
        done += part;
    }
    const auto halves = at::cat(parts).to(net_->wide()).chunk(2, 1);
    return {halves[0], halves[1]};
}

} // namespace wander
