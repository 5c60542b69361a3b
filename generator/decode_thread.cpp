#include "generator/decode_thread.hpp"

#include "generator/errors.hpp"
#include "generator/frame_pixels.hpp"
#include "generator/gpu_streams.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#if WANDER_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

namespace wander {

namespace {

void* native_stream([[maybe_unused]] const std::optional<c10::Stream>& stream) {
#if WANDER_CUDA
    if (stream) return c10::cuda::CUDAStream(*stream).stream();
#endif
    return nullptr;
}

} // namespace

void warm_up_decoder(const VideoDecoder& decoder, const ComputeDevice& device, int chunk_latents, int latent_rows,
                     int latent_cols) {
    if (!device.is_cuda()) return;
    const c10::InferenceMode inference;
    const c10::Stream cuda_stream = decode_stream(device.device);
    c10::Event loaded(at::kCUDA); // the weights are there in the caller's stream
    loaded.record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device.device));
    loaded.block(cuda_stream);
    const c10::StreamGuard guard(cuda_stream);
    const auto stream = decoder.open_stream();
    const auto options = at::TensorOptions().device(device.device).dtype(at::kFloat);
    // What a video's calls look like: its first latent alone, the rest of its chunk, then as many as a call takes.
    const int most = decoder.latents_per_call();
    for (const int latents : {1, std::clamp(chunk_latents - 1, 1, most), most}) {
        const at::Tensor frames =
            stream->decode(at::zeros({latents, decoder.latent_channels(), latent_rows, latent_cols}, options));
        const at::Tensor pixels = at::empty({frames.size(2), frames.size(3), 4}, options.dtype(at::kByte));
        frame_to_device(frames[0], decoder.range(), pixels.mutable_data_ptr());
    }
    cuda_stream.synchronize();
}

Pose between(const Pose& from, const Pose& to, double share) {
    const auto mix = [share](float a, double difference) { return static_cast<float>(a + share * difference); };
    const double turn = std::remainder(static_cast<double>(to.yaw) - from.yaw, 2 * std::numbers::pi);
    return {mix(from.x, to.x - from.x), mix(from.z, to.z - from.z), mix(from.yaw, turn),
            mix(from.pitch, to.pitch - from.pitch)};
}

DecodeThread::DecodeThread(const VideoDecoder& decoder, Settings settings, FrameSink& sink, ChunkReports& reports,
                           std::stop_token stop)
    : decoder_(decoder),
      stream_(decoder.open_stream()),
      settings_(std::move(settings)),
      sink_(sink),
      reports_(reports) {
    if (settings_.device.is_cuda()) cuda_stream_ = decode_stream(settings_.device.device);
    thread_ = std::jthread([this](std::stop_token own) { work(own); });
    outer_stop_.emplace(std::move(stop), [this] { thread_.request_stop(); });
}

DecodeThread::~DecodeThread() {
    outer_stop_.reset();
    thread_.request_stop();
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool DecodeThread::wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, thread_.get_stop_token(), [this] { return !waiting_ || error_; });
    return !waiting_ && !error_ && !thread_.get_stop_token().stop_requested();
}

void DecodeThread::submit(DecodeJob job) {
    {
        std::lock_guard lock(mutex_);
        if (error_) return;
        TORCH_CHECK(!waiting_, "DecodeThread: submit without room");
        waiting_ = std::move(job);
        ++submitted_;
    }
    changed_.notify_all();
}

void DecodeThread::wait_for_first_latent() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, thread_.get_stop_token(), [this] { return begun_ == submitted_ || error_; });
}

std::shared_ptr<c10::Event> DecodeThread::first_latent_decoded() {
    const std::lock_guard lock(mutex_);
    return first_decoded_;
}

Result<void> DecodeThread::finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, thread_.get_stop_token(), [this] { return (!waiting_ && !busy_) || error_; });
    if (error_) return *error_;
    return {};
}

std::map<std::string, at::Tensor> DecodeThread::state() const {
    const c10::InferenceMode inference;
    std::map<std::string, at::Tensor> state = stream_->save();
    for (auto& [name, frames] : state) frames = frames.to(at::kCPU).contiguous();
    return state;
}

void DecodeThread::work(const std::stop_token& stop) {
    const c10::InferenceMode inference;
    set_own_thread_count(settings_.threads);
    std::optional<c10::StreamGuard> guard;
    if (cuda_stream_) guard.emplace(*cuda_stream_);
    while (true) {
        DecodeJob job;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop, [this] { return waiting_.has_value(); });
            if (stop.stop_requested() || !waiting_) return;
            job = std::move(*waiting_);
            waiting_.reset();
            busy_ = true;
        }
        changed_.notify_all();
        std::optional<Error> error;
        const std::int64_t chunk = job.chunk;
        try {
            decode(std::move(job), stop);
        } catch (...) {
            error = current_exception_as_error(chunk < 0 ? "decoding the start picture"
                                                         : fmt::format("decoding chunk {}", chunk));
        }
        {
            std::lock_guard lock(mutex_);
            busy_ = false;
            error_ = error;
        }
        changed_.notify_all();
        if (error) return;
    }
}

at::Tensor DecodeThread::decode_latents(const at::Tensor& latents) {
    const MemoryTurnGuard turn(settings_.turn);
    return stream_->decode(latents);
}

void DecodeThread::decode(DecodeJob job, const std::stop_token& stop) {
    if (job.ready && cuda_stream_) job.ready->block(*cuda_stream_);
    const double begin = steady_seconds();
    double waited_seconds = 0; // for the sink: not the decoder's time
    if (job.restart) {
        stream_->reset();
        first_latent_ = true;
    }
    FrameTicket ticket;
    ticket.chunk = job.chunk;
    const std::int64_t shown = job.latents.size(0) - job.hidden;
    ticket.frames_in_chunk = decoder_.frames_of(shown, first_latent_ && job.hidden == 0);
    ticket.chunk_period_hint_ms = ticket.frames_in_chunk / settings_.fps * 1000;
    ticket.input_at_seconds = job.sampled_at_seconds;
    std::int64_t next = 0; // latent
    while (next < job.latents.size(0)) {
        if (stop.stop_requested()) return;
        // The first picture of a video does not wait for what follows it.
        const std::int64_t count =
            first_latent_ ? 1 : std::min<std::int64_t>(decoder_.latents_per_call(), job.latents.size(0) - next);
        const at::Tensor frames = decode_latents(job.latents.narrow(0, next, count));
        if (next == 0) {
            std::shared_ptr<c10::Event> decoded;
            if (cuda_stream_) {
                decoded = std::make_shared<c10::Event>(at::kCUDA);
                decoded->record(*cuda_stream_);
            }
            const std::lock_guard lock(mutex_);
            ++begun_;
            first_decoded_ = std::move(decoded);
            changed_.notify_all();
        }
        std::int64_t begin_frame = 0;
        for (std::int64_t latent = next; latent < next + count; ++latent) {
            const std::int64_t frame_count = decoder_.frames_of(1, first_latent_);
            const Pose pose = job.poses.empty() ? Pose{} : job.poses[static_cast<std::size_t>(latent)];
            if (first_latent_) last_pose_ = pose;
            for (std::int64_t i = 0; i < frame_count && latent >= job.hidden; ++i) {
                ticket.pose = between(last_pose_, pose, static_cast<double>(i + 1) / static_cast<double>(frame_count));
                ticket.frame_index = next_frame_++;
                emit(frames[begin_frame + i], ticket, stop, waited_seconds);
                ++ticket.index_in_chunk;
            }
            begin_frame += frame_count;
            first_latent_ = false;
            last_pose_ = pose;
        }
        next += count;
    }
    if (!job.state_after.empty() && !stream_->restore(job.state_after))
        throw std::runtime_error(
            "the saved walk holds the state of another decoder; take the --decoder, or the model, "
            "that it was walked with");
    if (cuda_stream_) {
        c10::Event done(at::kCUDA);
        done.record(*cuda_stream_);
        done.synchronize();
    }
    const double end = steady_seconds();
    if (job.chunk >= 0) reports_.decoded(job.chunk, (end - begin - waited_seconds) * 1000, end);
}

void DecodeThread::emit(const at::Tensor& frame, const FrameTicket& ticket, const std::stop_token& stop,
                        double& waited_seconds) {
    const double begin = steady_seconds();
    const FrameSlot slot = sink_.acquire(stop);
    waited_seconds += steady_seconds() - begin;
    if (slot.slot < 0) return;
    FrameTicket published = ticket;
    published.slot = slot.slot;
    if (slot.device) {
        frame_to_device(frame, decoder_.range(), slot.device);
        sink_.publish(published, native_stream(cuda_stream_));
    } else {
        frame_to_host(frame, decoder_.range(), slot.host);
        sink_.publish(published, nullptr);
    }
}

} // namespace wander
