#include "generator/wan/vae22_ops.hpp"

#include <ATen/ATen.h>

namespace wander {

at::Tensor average_down(const at::Tensor& x, std::int64_t out_channels, int time, int space) {
    const std::int64_t c = x.size(1), h = x.size(2) / space, w = x.size(3) / space;
    at::Tensor frames = x;
    if (x.size(0) % time != 0) frames = at::cat({at::zeros_like(x.narrow(0, 0, 1)), x});
    const std::int64_t n = frames.size(0) / time;
    const at::Tensor cells = frames.reshape({n, time, c, h, space, w, space})
                                 .permute({0, 2, 1, 4, 6, 3, 5})
                                 .reshape({n, out_channels, -1, h, w});
    return cells.mean(2).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor repeat_up(const at::Tensor& x, std::int64_t out_channels, int time, int space, bool first) {
    const std::int64_t n = x.size(0), h = x.size(2), w = x.size(3);
    const std::int64_t repeats = out_channels * time * space * space / x.size(1);
    at::Tensor frames = x.repeat_interleave(repeats, 1)
                            .reshape({n, out_channels, time, space, space, h, w})
                            .permute({0, 2, 1, 5, 3, 6, 4})
                            .reshape({n * time, out_channels, h * space, w * space});
    if (first) frames = frames.narrow(0, time - 1, n * time - (time - 1));
    return frames.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor halve_time_streamed(const VaeConv& conv, const std::string& name, const at::Tensor& x, VaePast& past) {
    at::Tensor& last = past[name];
    // With the kept frame in front a later call looks like a first one, whose first result has been given before.
    at::Tensor out = last.defined() ? halve_time(conv, at::cat({last, x})).slice(0, 1) : halve_time(conv, x);
    last = x.narrow(0, x.size(0) - 1, 1).clone(at::MemoryFormat::ChannelsLast);
    return out;
}

at::Tensor to_column_patches(const at::Tensor& pictures, int patch) {
    const std::int64_t n = pictures.size(0), c = pictures.size(1), h = pictures.size(2) / patch,
                       w = pictures.size(3) / patch;
    return pictures.reshape({n, c, h, patch, w, patch})
        .permute({0, 1, 5, 3, 2, 4})
        .reshape({n, c * patch * patch, h, w})
        .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor from_column_patches(const at::Tensor& x, int patch) {
    const std::int64_t n = x.size(0), c = x.size(1) / (patch * patch), h = x.size(2), w = x.size(3);
    return x.reshape({n, c, patch, patch, h, w}).permute({0, 1, 4, 3, 5, 2}).reshape({n, c, h * patch, w * patch});
}

} // namespace wander
