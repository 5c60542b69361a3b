#pragma once
// The decode thread of one run: latents in, frames out to the sink, beside the worker's next chunk.
//
// One job may wait while another is decoded; the worker waits for that place before it samples controls, so
// back-pressure from the sink (acquire blocks) reaches the worker early and no control grows old in a queue. On CUDA it
// has a stream of its own (generator/gpu_streams.hpp). A failure is kept and handed to the worker. The destructor drops
// what is left and joins.

#include "generator/chunk_reports.hpp"
#include "generator/device.hpp"
#include "generator/plain/frame_sink.hpp"
#include "generator/plain/memory_turn.hpp"
#include "generator/wan/video_decoder.hpp"

#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace wander {

struct DecodeJob {
    at::Tensor latents;      // [T, z, rows, cols], normalised, on the device
    std::int64_t chunk = -1; // -1: the start picture
    std::vector<Pose> poses; // one per latent
    double sampled_at_seconds = 0;
    std::shared_ptr<c10::Event> ready; // CUDA: the worker's stream has made the latents
    // The video begins anew with these latents; of the first `hidden` no picture is shown. They only bring the decoder
    // near the state that it would have, had it decoded everything before.
    bool restart = false;
    std::int64_t hidden = 0;
    // What the decoder's state is to be behind these latents, where that was kept; empty: as they leave it.
    std::map<std::string, at::Tensor> state_after;
};

class DecodeThread {
public:
    struct Settings {
        ComputeDevice device;
        int threads = 1; // of the CPU, for this thread's work
        double fps = 16;
        MemoryTurn* turn = nullptr; // held while a latent's work is handed to the GPU
    };
    DecodeThread(const VideoDecoder& decoder, Settings settings, FrameSink& sink, ChunkReports& reports,
                 std::stop_token stop);
    ~DecodeThread();
    DecodeThread(const DecodeThread&) = delete;
    DecodeThread& operator=(const DecodeThread&) = delete;

    // Waits until the place in the queue is free. False when stopped or failed.
    bool wait_for_room();
    void submit(DecodeJob job);
    // Waits until the first latent of every job was handed to the GPU (or the thread stopped or failed).
    void wait_for_first_latent();
    // Behind it, on CUDA: the first latent of the newest job is decoded when this has happened; null for none.
    std::shared_ptr<c10::Event> first_latent_decoded();
    // Waits until every job is done (or the thread stopped or failed).
    Result<void> finish();
    // The decoder's state on the CPU. Behind finish(), with nothing submitted since.
    std::map<std::string, at::Tensor> state() const;

private:
    void work(const std::stop_token& stop);
    void decode(DecodeJob job, const std::stop_token& stop);
    at::Tensor decode_latents(const at::Tensor& latents);
    void emit(const at::Tensor& frame, const FrameTicket& ticket, const std::stop_token& stop, double& waited_seconds);

    const VideoDecoder& decoder_; // outlives this
    std::unique_ptr<VideoDecodeStream> stream_;
    Settings settings_;
    FrameSink& sink_;
    ChunkReports& reports_;
    std::optional<c10::Stream> cuda_stream_;
    bool first_latent_ = true; // of the video: it makes one frame, the others four
    std::int64_t next_frame_ = 0;
    Pose last_pose_;

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::optional<DecodeJob> waiting_;
    bool busy_ = false;
    std::uint64_t submitted_ = 0;               // jobs
    std::uint64_t begun_ = 0;                   // jobs whose first latent was handed over
    std::shared_ptr<c10::Event> first_decoded_; // of the newest of those
    std::optional<Error> error_;
    std::optional<std::stop_callback<std::function<void()>>> outer_stop_;
    std::jthread thread_;
};

// Makes a decoder's first real call as quick as the later ones: libraries load, plans are made, memory is there. On
// CUDA on the decode threads' stream, under a second; nothing elsewhere. Before the first run, no decode thread alive.
void warm_up_decoder(const VideoDecoder& decoder, const ComputeDevice& device, int chunk_latents, int latent_rows,
                     int latent_cols);

// Between two latents the camera moves evenly, turning the shorter way.
Pose between(const Pose& from, const Pose& to, double share);

} // namespace wander
