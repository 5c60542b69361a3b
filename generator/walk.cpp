#include "generator/walk.hpp"

#include "generator/camera/pose_json.hpp"
#include "generator/decode_thread.hpp"
#include "generator/errors.hpp"
#include "generator/gpu_streams.hpp"
#include "generator/saved_walk.hpp"
#include "generator/walk_model.hpp"
#include "generator/walk_run.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

namespace wander {

struct Walk::Impl {
    WalkModel model;
    WalkInfo info;
    WalkStart start; // of the next run
};

namespace {

WalkInfo describe(const WalkModel& model) {
    WalkInfo info;
    info.model = model.name;
    info.device = model.device.kind();
    info.device_name = model.device.name;
    info.device_uuid = model.device.uuid;
    info.precision = model.device.precision();
    info.threads = model.device.threads;
    info.width = model.width();
    info.height = model.height();
    info.fps = model.fps;
    info.chunk_frames = 4 * model.chunk_latents;
    info.camera_steering = model.camera_steering;
    info.takes_prompt = model.prompts != nullptr;
    info.prompt = model.prompt;
    info.window = model.window;
    info.decoder = model.decoder->name();
    info.decoders = model.decoders;
    info.starts = model.starts;
    info.keeps_walks = model.keeps_walks;
    info.context = model.context;
    info.published_context = model.published_context;
    info.contexts = model.contexts;
    info.takes_pictures = model.takes_pictures() && !model.world;
    info.seed = model.seed;
    info.formats = model.formats;
    info.cache_layers = model.network.layers;
    info.warnings = model.warnings;
    return info;
}

// A text model's walk goes on with its own window and chunks, whatever was asked for.
void go_on_as_walked(const SavedSettings& saved, WalkOptions& open, std::vector<std::string>& warnings) {
    if (!saved.window) return;
    const bool other = (open.window && *open.window != *saved.window) ||
                       (open.chunk_latents && *open.chunk_latents != saved.chunk_latents);
    if (other) {
        warnings.push_back(fmt::format("{} was walked with --window {} --chunk-latents {} and goes on so",
                                       open.resume.string(), window_text(*saved.window), saved.chunk_latents));
    }
    open.window = saved.window;
    open.chunk_latents = saved.chunk_latents;
}

} // namespace

Walk::Walk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Walk::~Walk() {
    std::optional<WalkStream> stream;
    try {
        stream.emplace(impl_->model.device.device);
    } catch (...) {
        stream.reset(); // the device has failed, and its memory's order with it
    }
    impl_.reset();
}

Result<std::unique_ptr<Walk>> Walk::open(const WalkOptions& options) {
    try {
        const c10::InferenceMode inference;
        auto device = pick_device(options.device, options.precision, options.threads);
        if (!device) return device.error();
        const WalkStream stream(device->device);
        set_own_thread_count(device->threads);
        WalkOptions open = options;
        std::vector<std::string> warnings;
        if (!options.resume.empty()) {
            auto saved = read_saved_walk(options.resume);
            if (!saved) return saved.error();
            if (open.prompt.empty()) open.prompt = saved->prompt;
            go_on_as_walked(saved->settings(), open, warnings);
        }
        auto model = load_walk_model(open, *device);
        if (!model) return model.error();
        auto impl = std::make_unique<Impl>();
        impl->model = std::move(*model);
        impl->model.keep_decoder_state = options.keep_decoder_state;
        warm_up_decoder(*impl->model.decoder, *device, impl->model.chunk_latents, impl->model.latent_rows,
                        impl->model.latent_cols);
        auto start = !options.resume.empty() ? resume_walk(impl->model, options.resume)
                                             : choose_start(impl->model, options.start, options.start_pose);
        if (!start) return start.error();
        if (!options.prompt.empty()) impl->model.prompt = options.prompt; // whatever a resumed walk was under
        impl->start = std::move(*start);
        impl->info = describe(impl->model);
        impl->info.place = place_of(impl->model, impl->start);
        impl->info.warnings.insert(impl->info.warnings.end(), warnings.begin(), warnings.end());
        return std::unique_ptr<Walk>(new Walk(std::move(impl)));
    } catch (...) {
        return current_exception_as_error("loading the model");
    }
}

const WalkInfo& Walk::info() const { return impl_->info; }

Result<void> Walk::run(const ControlSource& source, FrameSink& sink, const Report& report, std::stop_token stop) {
    try {
        const c10::InferenceMode inference;
        const WalkStream stream(impl_->model.device.device);
        return walk_run(impl_->model, impl_->start, source, sink, report, stop);
    } catch (...) {
        return current_exception_as_error("walking");
    }
}

Result<void> Walk::save(const std::filesystem::path& file) const {
    try {
        const c10::InferenceMode inference;
        const WalkStream stream(impl_->model.device.device);
        return save_walk(impl_->model, file);
    } catch (...) {
        return current_exception_as_error("saving the walk");
    }
}

Result<std::string> Walk::pose_json() const {
    try {
        const c10::InferenceMode inference;
        const WalkStream stream(impl_->model.device.device);
        const auto memory = impl_->model.loop->memory();
        if (!memory || memory->causal) {
            return Error{ErrorCode::wrong_use,
                         fmt::format("{} has no cameras of a walk to write down", impl_->model.name)};
        }
        return write_pose_json(memory->history.cameras);
    } catch (...) {
        return current_exception_as_error("writing the walk's cameras");
    }
}

Result<void> Walk::restart(const std::string& start, std::optional<std::uint64_t> seed) {
    try {
        const c10::InferenceMode inference;
        const WalkStream stream(impl_->model.device.device);
        if (!start.empty()) {
            auto chosen = choose_start(impl_->model, start, {});
            if (!chosen) return chosen.error();
            impl_->start = std::move(*chosen);
        }
        if (seed) *impl_->model.noise = keyed_noise(impl_->model.seed = *seed);
        return {};
    } catch (...) {
        return current_exception_as_error("starting again");
    }
}

Walk::Peaks Walk::peaks() const { return {peak_gpu_bytes(impl_->model.device.device), peak_host_bytes()}; }

} // namespace wander
