#include "render/video/recorder.hpp"

#if WANDER_WITH_RECORDING

#include "render/video/encoder.hpp"
#include "render/video/frame_queue.hpp"
#include "render/video/part_writer.hpp"
#include "render/video/remux.hpp"

#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>

namespace wander::render {

namespace {

constexpr int kMaxFpsDenominator = 1001; // 30000/1001 and whole numbers

// libav writes to the terminal by itself; every failure reaches the person through a Result instead.
void silence_libav() { av_log_set_level(AV_LOG_QUIET); }

} // namespace

struct Recorder::Impl {
    Impl(RecorderOptions given, Encoder opened)
        : options(std::move(given)),
          part(part_path(options.file)),
          encoder(std::move(opened)),
          queue(options.size, options.queue_frames, options.when_full),
          facts(options.facts) {}

    void work() {
        FrameQueue::Item item;
        const auto write = [this](AVPacket& packet) { return writer.write(packet); };
        while (queue.take(item)) {
            if (auto done = encoder.encode({options.size, item.rgba.data()}, item.index, write); !done)
                return fail(done.error());
            frames.fetch_add(1, std::memory_order_relaxed);
        }
        if (auto done = encoder.flush(write); !done) return fail(done.error());
        if (auto done = writer.close(); !done) fail(done.error());
    }

    void fail(const Error& error) {
        {
            std::lock_guard lock(mutex);
            failure = error;
        }
        queue.close(true);
        (void)writer.close(); // gives up the file and the lock; the failure is known already
    }

    std::optional<Error> failed() const {
        std::lock_guard lock(mutex);
        return failure;
    }

    const RecorderOptions options;
    const std::filesystem::path part;
    Encoder encoder;
    PartWriter writer;
    FrameQueue queue;
    std::atomic<std::int64_t> frames = 0;
    mutable std::mutex mutex;
    std::optional<Error> failure;             // guarded by mutex
    std::map<std::string, std::string> facts; // guarded by mutex
    bool finished = false;
    std::jthread thread; // last: uses everything above
};

Result<std::unique_ptr<Recorder>> Recorder::create(RecorderOptions options) {
    silence_libav();
    if (options.size.empty() || !(options.fps > 0))
        return Error{ErrorCode::wrong_use, "recording: picture size and rate must be positive"};
    if (const auto folder = options.file.parent_path(); !folder.empty()) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error) return Error{ErrorCode::bad_input, "cannot record to " + folder.string() + ": " + error.message()};
    }
    auto encoder = Encoder::open(options.size, av_d2q(options.fps, kMaxFpsDenominator));
    if (!encoder) return encoder.error();
    auto impl = std::make_unique<Impl>(std::move(options), std::move(*encoder));
    if (auto opened = impl->writer.open(impl->part, impl->encoder.context(), impl->facts); !opened)
        return opened.error();
    impl->thread = std::jthread([it = impl.get()] { it->work(); });
    return std::unique_ptr<Recorder>(new Recorder(std::move(impl)));
}

Recorder::Recorder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Recorder::~Recorder() {
    if (!impl_->finished) (void)finish();
}

bool Recorder::push(const PixelView& picture) {
    return picture.size == impl_->options.size && impl_->queue.push(picture);
}

void Recorder::set_fact(const std::string& key, const std::string& value) {
    std::lock_guard lock(impl_->mutex);
    impl_->facts[key] = value;
}

RecorderStatus Recorder::status() const {
    RecorderStatus status;
    status.encoder = impl_->encoder.name();
    status.frames = impl_->frames.load(std::memory_order_relaxed);
    status.dropped = impl_->queue.dropped();
    status.seconds = static_cast<double>(impl_->queue.pushed()) / impl_->options.fps;
    if (const auto failure = impl_->failed()) status.error = failure->message;
    return status;
}

Result<std::filesystem::path> Recorder::finish() {
    impl_->finished = true;
    impl_->queue.close(false);
    if (impl_->thread.joinable()) impl_->thread.join();
    const std::int64_t frames = impl_->frames;
    std::error_code ignored;
    if (frames == 0) std::filesystem::remove(impl_->part, ignored);
    if (const auto failure = impl_->failed()) return *failure;
    if (frames == 0) return Error{ErrorCode::wrong_use, "nothing was recorded: no frame came between start and stop"};
    std::map<std::string, std::string> facts;
    {
        std::lock_guard lock(impl_->mutex);
        facts = impl_->facts;
    }
    if (auto copied = remux_to_mp4(impl_->part, impl_->options.file, facts); !copied) return copied.error();
    std::filesystem::remove(impl_->part, ignored);
    return impl_->options.file;
}

} // namespace wander::render

#endif // WANDER_WITH_RECORDING
