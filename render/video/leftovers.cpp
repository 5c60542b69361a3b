#include "render/video/recorder.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>

#if WANDER_WITH_RECORDING
#include "render/video/part_writer.hpp"
#include "render/video/remux.hpp"
#endif

namespace wander::render {

namespace {
constexpr std::string_view kPartSuffix = ".mkv.part";
[[maybe_unused]] constexpr std::uintmax_t kHeaderBytes =
    8192; // a smaller file cannot hold a picture besides its header
} // namespace

std::filesystem::path part_path(const std::filesystem::path& file) {
    std::filesystem::path part = file;
    part.replace_extension();
    part += kPartSuffix;
    return part;
}

#if WANDER_WITH_RECORDING

namespace {

bool is_part(const std::filesystem::path& path) {
    const std::string name = path.filename().string();
    return name.size() > kPartSuffix.size() && name.ends_with(kPartSuffix);
}

// A finished file of the same name is somebody's recording: never replaced.
std::filesystem::path free_target(const std::filesystem::path& part) {
    const std::string text = part.string();
    const std::string stem = text.substr(0, text.size() - kPartSuffix.size());
    std::filesystem::path target = stem + ".mp4";
    for (int i = 2; std::filesystem::exists(target); ++i) target = stem + " (" + std::to_string(i) + ").mp4";
    return target;
}

Leftover finish_one(const std::filesystem::path& part) {
    std::error_code ignored;
    const std::filesystem::path target = free_target(part);
    auto done = remux_to_mp4(part, target, {});
    if (done) {
        std::filesystem::remove(part, ignored);
        return {part, target, "Finished the recording of an interrupted run: " + target.string()};
    }
    if (done.error().code == ErrorCode::bad_input && std::filesystem::file_size(part, ignored) < kHeaderBytes) {
        std::filesystem::remove(part, ignored);
        return {part, {}, "Removed " + part.string() + ": an interrupted run left it without a picture"};
    }
    return {part, {}, done.error().message + " (" + part.string() + " is kept)"};
}

} // namespace

std::vector<Leftover> finish_leftovers(const std::filesystem::path& folder) {
    av_log_set_level(AV_LOG_QUIET);
    std::vector<std::filesystem::path> parts;
    std::error_code error;
    for (auto it = std::filesystem::directory_iterator(folder, error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
        if (is_part(it->path())) parts.push_back(it->path());
    }
    std::sort(parts.begin(), parts.end());
    std::vector<Leftover> leftovers;
    for (const auto& part : parts) {
        FileLock lock;
        if (lock.take(part)) leftovers.push_back(finish_one(part));
    }
    return leftovers;
}

#else // without libav

namespace {
const char* const kMissing =
    "recording is not part of this build: build with WANDER_WITH_RECORDING=ON, which needs libav";
} // namespace

struct Recorder::Impl {};
Result<std::unique_ptr<Recorder> > Recorder::create(RecorderOptions) { return Error{ErrorCode::unavailable, kMissing}; }
Recorder::Recorder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recorder::~Recorder() = default;
bool Recorder::push(const PixelView&) { return false; }
void Recorder::set_fact(const std::string&, const std::string&) {}
RecorderStatus Recorder::status() const {
    RecorderStatus status;
    status.error = kMissing;
    return status;
}
Result<std::filesystem::path> Recorder::finish() { return Error{ErrorCode::unavailable, kMissing}; }
std::vector<Leftover> finish_leftovers(const std::filesystem::path&) { return {}; }

#endif

} // namespace wander::render
