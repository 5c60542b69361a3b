#pragma once
// A decoder beside a walk. Needs CUDA.

#include "generator/wan/video_decoder.hpp"
#include "tests/bench/worldplay/gpu_meter.hpp"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace wander::bench {

// On its own stream, a latent a call, as decode_thread.hpp does it; the caller's thread hands the work over.
class Decoding {
public:
    explicit Decoding(const VideoDecoder& vae)
        : vae_(vae), stream_(vae.open_stream()), cuda_stream_(c10::cuda::getStreamFromPool(false, 0)) {}
    void chunk(const at::Tensor& latents) {
        if (busy_) ms_.push_back(end_.ms_since(begin_)); // one chunk at a time
        Event ready;
        ready.record();
        const c10::cuda::CUDAStreamGuard guard(cuda_stream_);
        ready.block(cuda_stream_);
        begin_.record();
        for (std::int64_t i = 0; i < latents.size(0); i += vae_.latents_per_call())
            frames_ = stream_->decode(latents.narrow(0, i, vae_.latents_per_call()));
        end_.record();
        kept_ = latents;
        busy_ = true;
    }
    double median_ms() {
        if (busy_) ms_.push_back(end_.ms_since(begin_));
        busy_ = false;
        if (!ms_.empty()) ms_.erase(ms_.begin());
        return median(ms_);
    }
    bool finite() const { return frames_.isfinite().all().item<bool>(); }
    double state_mib() const { return mib(stream_->state_bytes()); }

private:
    const VideoDecoder& vae_;
    std::unique_ptr<VideoDecodeStream> stream_;
    c10::cuda::CUDAStream cuda_stream_;
    Event begin_, end_;
    at::Tensor kept_, frames_;
    bool busy_ = false;
    std::vector<double> ms_;
};

} // namespace wander::bench
