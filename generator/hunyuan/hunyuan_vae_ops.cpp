#include "generator/hunyuan/hunyuan_vae_ops.hpp"

#include <ATen/ATen.h>

namespace wander {

at::Tensor enlarged_shortcut(const at::Tensor& x, std::int64_t out_channels, int time, bool first) {
    if (time == 1) return channels_to_space(x.repeat_interleave(4 * out_channels / x.size(1), 1), 1);
    const at::Tensor space = channels_to_space(x, first ? 1 : time);
    return space.repeat_interleave(out_channels / space.size(1), 1);
}

at::Tensor enlarged(const at::Tensor& x, int time, bool first) {
    if (time == 1 || !first) return channels_to_space(x, time);
    const at::Tensor both = channels_to_space(x, 1);
    return both.narrow(1, 0, both.size(1) / time);
}

at::Tensor shrunk_shortcut(const at::Tensor& x, std::int64_t out_channels, int time) {
    const at::Tensor packed = space_to_channels(x, x.size(0) == 1 ? 1 : time);
    const std::int64_t n = packed.size(0), h = packed.size(2), w = packed.size(3);
    return packed.reshape({n, out_channels, -1, h, w}).mean(2).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor shrunk(const at::Tensor& x, int time) {
    if (time == 1 || x.size(0) > 1) return space_to_channels(x, time);
    return space_to_channels(x, 1).repeat({1, time, 1, 1}).contiguous(at::MemoryFormat::ChannelsLast);
}

} // namespace wander
