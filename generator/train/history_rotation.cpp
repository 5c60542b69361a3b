#include "generator/train/history_rotation.hpp"

#include <ATen/ATen.h>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::train {
namespace {

constexpr std::int64_t kHeadChannels = 64;

at::Tensor turned_pairs(const at::Tensor& x, const HistoryRotation& history) {
    const at::Tensor pairs = x.unflatten(-1, {kHeadChannels / 2, 2}); // [R, S, T, H, 32, 2]
    const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
    const at::Tensor cos = history.cos.unsqueeze(2), sin = history.sin.unsqueeze(2);
    return at::stack({a * cos - b * sin, a * sin + b * cos}, -1).flatten(-2);
}

at::Tensor seen_by_camera(const at::Tensor& x, const at::Tensor& camera_inverse) {
    const at::Tensor vectors = x.unflatten(-1, {kHeadChannels / 4, 4}).unsqueeze(-2); // [R, S, T, H, 16, 1, 4]
    return (vectors * camera_inverse.unsqueeze(2).unsqueeze(2).unsqueeze(2)).sum(-1).flatten(-2);
}

} // namespace

void rotate_history_plain(const HistoryRotation& history, at::Tensor& keys, at::Tensor& values) {
    const auto walks = history.keys.size(0), slots = history.keys.size(1), tokens = history.keys.size(2);
    const auto heads = history.keys.size(3) / kHeadChannels;
    const at::Tensor k = history.keys.to(history.cos.scalar_type()).unflatten(3, {heads, kHeadChannels});
    const at::Tensor v = history.values.to(history.cos.scalar_type()).unflatten(3, {heads, kHeadChannels});
    const auto form = [&](at::Tensor& out, std::int64_t number) {
        return out.narrow(1, 0, slots * tokens).narrow(2, number * heads, heads).unflatten(1, {slots, tokens});
    };
    TORCH_CHECK(keys.size(0) == walks && keys.size(2) == 2 * heads, "rotate_history: result of another shape");
    form(keys, 0).copy_(turned_pairs(k, history));
    form(keys, 1).copy_(seen_by_camera(k, history.camera_inverse));
    form(values, 0).copy_(v);
    form(values, 1).copy_(seen_by_camera(v, history.camera_inverse));
}

void rotate_history(const HistoryRotation& history, at::Tensor& keys, at::Tensor& values) {
#if WANDER_CUDA
    if (history.keys.is_cuda() && history.keys.scalar_type() == at::kBFloat16) {
        const at::Tensor cos = history.cos.contiguous(), sin = history.sin.contiguous();
        const at::Tensor inverse = history.camera_inverse.contiguous();
        const auto packed_walks = [](const at::Tensor& x) {
            return x.stride(3) == 1 && x.stride(2) == x.size(3) && x.stride(1) == x.size(2) * x.size(3);
        };
        TORCH_CHECK(packed_walks(history.keys) && history.keys.strides() == history.values.strides() &&
                        keys.is_contiguous() && values.is_contiguous(),
                    "rotate_history: rows of a walk must lie together");
        cuda::RotateHistoryJob job;
        job.keys = history.keys.const_data_ptr();
        job.values = history.values.const_data_ptr();
        job.walk_stride = history.keys.stride(0);
        job.cos = cos.const_data_ptr<float>();
        job.sin = sin.const_data_ptr<float>();
        job.camera_inverse = inverse.const_data_ptr<float>();
        job.rotated_keys = keys.mutable_data_ptr();
        job.rotated_values = values.mutable_data_ptr();
        job.rotated_walk_stride = keys.stride(0);
        job.walks = static_cast<int>(history.keys.size(0));
        job.slots = static_cast<int>(history.keys.size(1));
        job.tokens = static_cast<int>(history.keys.size(2));
        job.dim = static_cast<int>(history.keys.size(3));
        cuda::launch_rotate_history(job, c10::cuda::getCurrentCUDAStream(keys.device().index()).stream());
        return;
    }
#endif
    rotate_history_plain(history, keys, values);
}

} // namespace wander::train
