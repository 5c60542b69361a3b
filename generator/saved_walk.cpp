#include "generator/saved_walk.hpp"

#include "generator/saved_chunks.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace wander {

namespace {

const char* const kVersion = "1";       // HY-WorldPlay
const char* const kCausalVersion = "2"; // a causal model
// A row of "cameras": camera to world, world to camera, focal lengths, label.
constexpr std::int64_t kMatrix = 16;
constexpr std::int64_t kCameraNumbers = 2 * kMatrix + 3;
constexpr auto kStateNumbers = static_cast<std::int64_t>(SteeredCamera::kStateNumbers);
constexpr int kLabels = 81;
constexpr std::uint64_t kMostContext = 1U << 20;
constexpr std::string_view kDecoder = "decoder/"; // before the names of the decoder's tensors

Error damaged(const std::filesystem::path& file, const std::string& what) {
    return {ErrorCode::bad_input,
            fmt::format("{}: {}; this is no walk that Wander saved, or it is damaged", file.string(), what)};
}

at::Tensor pack(const std::vector<LatentCamera>& cameras) {
    at::Tensor rows = at::empty({std::ssize(cameras), kCameraNumbers}, at::kDouble);
    auto* row = rows.mutable_data_ptr<double>();
    for (const LatentCamera& camera : cameras) {
        row = std::copy(camera.camera_to_world.begin(), camera.camera_to_world.end(), row);
        row = std::copy(camera.world_to_camera.begin(), camera.world_to_camera.end(), row);
        *row++ = camera.focal.x;
        *row++ = camera.focal.y;
        *row++ = camera.label;
    }
    return rows;
}

std::vector<LatentCamera> unpack(const at::Tensor& rows) {
    std::vector<LatentCamera> cameras(static_cast<std::size_t>(rows.size(0)));
    const auto* row = rows.const_data_ptr<double>();
    for (LatentCamera& camera : cameras) {
        std::copy_n(row, kMatrix, camera.camera_to_world.begin());
        std::copy_n(row + kMatrix, kMatrix, camera.world_to_camera.begin());
        camera.focal = {row[2 * kMatrix], row[2 * kMatrix + 1]};
        camera.label = static_cast<int>(row[2 * kMatrix + 2]);
        row += kCameraNumbers;
    }
    return cameras;
}

Result<std::uint64_t> number(const std::filesystem::path& file, const char* name, const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size())
        return damaged(file, fmt::format("its {} is no number", name));
    return value;
}

class Reader {
public:
    Reader(const std::filesystem::path& path, const Safetensors& file) : path_(path), file_(file) {}

    // Without what was walked.
    Result<SavedWalk> read_facts() const {
        SavedWalk walk;
        const auto& facts = file_.header().metadata;
        const auto fact = [&facts](const char* key) {
            const auto found = facts.find(key);
            return found == facts.end() ? std::string() : found->second;
        };
        const std::string version = fact("wander_walk");
        if (version != kVersion && version != kCausalVersion) {
            return damaged(path_, facts.contains("wander_walk")
                                      ? fmt::format("it has version {}, this program reads {} and {}", version,
                                                    kVersion, kCausalVersion)
                                      : "\"wander_walk\" is not among its facts");
        }
        walk.model = fact("model");
        walk.prompt = fact("prompt");
        auto seed = number(path_, "seed", fact("seed"));
        if (!seed) return seed.error();
        walk.seed = *seed;
        if (version == kCausalVersion) return read_causal_facts(std::move(walk));
        if (!facts.contains("context")) return walk; // saved before walks told
        auto context = number(path_, "context", fact("context"));
        if (!context) return context.error();
        if (*context < 1 || *context > kMostContext) return damaged(path_, "its context is no number of latents");
        walk.context = {static_cast<int>(*context), fact("fast_context") == "1"};
        return walk;
    }

    Result<SavedWalk> read() const {
        auto told = read_facts();
        if (!told) return told;
        SavedWalk& walk = *told;
        if (walk.chunk_latents > 0) return read_causal(std::move(walk));
        auto latents = tensor("latents", at::kFloat, 4);
        if (!latents) return latents.error();
        auto cameras = tensor("cameras", at::kDouble, 2);
        if (!cameras) return cameras.error();
        auto steering = tensor("steering", at::kDouble, 2);
        if (!steering) return steering.error();
        const std::int64_t count = latents->size(0);
        if (count < kLatentsPerChunk || count % kLatentsPerChunk != 0 ||
            cameras->sizes() != at::IntArrayRef({count, kCameraNumbers}) ||
            steering->sizes() != at::IntArrayRef({count / kLatentsPerChunk + 1, kStateNumbers}))
            return damaged(path_, "latents, cameras and steering do not belong together");
        const at::Tensor labels = cameras->select(1, kCameraNumbers - 1);
        if (!labels.ge(0).logical_and(labels.lt(kLabels)).all().item<bool>())
            return damaged(path_, fmt::format("a camera's label is not among 0 to {}", kLabels - 1));
        walk.memory.history.latents = *latents;
        walk.memory.history.cameras = unpack(*cameras);
        walk.memory.steering.resize(static_cast<std::size_t>(steering->size(0)));
        const auto* numbers = steering->const_data_ptr<double>();
        for (auto& state : walk.memory.steering) {
            std::copy_n(numbers, kStateNumbers, state.begin());
            numbers += kStateNumbers;
        }
        if (file_.contains("view")) {
            auto view = tensor("view", at::kFloat, 2);
            if (!view) return view.error();
            walk.memory.view = *view;
        }
        if (auto done = read_decoder(walk.memory); !done) return done.error();
        if (!file_.contains("picture")) return told;
        auto picture = tensor("picture", at::kFloat, 3);
        if (!picture) return picture.error();
        if (picture->sizes() != latents->sizes().slice(1)) return damaged(path_, "its picture has another size");
        walk.memory.history.picture = *picture;
        return told;
    }

private:
    Result<SavedWalk> read_causal_facts(SavedWalk walk) const {
        const auto& facts = file_.header().metadata;
        const auto chunk = facts.find("chunk_latents");
        auto latents = number(path_, "chunk_latents", chunk == facts.end() ? "" : chunk->second);
        if (!latents) return latents.error();
        if (*latents < 1 || *latents > kMostContext) return damaged(path_, "its chunk_latents is no number of latents");
        walk.chunk_latents = static_cast<int>(*latents);
        if (const auto place = facts.find("place"); place != facts.end()) walk.place = place->second;
        const auto told = facts.find("window");
        if (told == facts.end()) return walk;
        auto window = parse_window(told->second);
        if (!window) return damaged(path_, fmt::format("its window \"{}\" is none", told->second));
        walk.window = *window;
        return walk;
    }

    Result<SavedWalk> read_causal(SavedWalk walk) const {
        std::optional<Error> unread; // names the file already
        const ReadTensor read = [&](const char* name, at::ScalarType type, std::int64_t dims) {
            auto found = tensor(name, type, dims);
            if (!found) unread = found.error();
            return found;
        };
        auto memory = unpack_chunks(read, !walk.place.empty());
        if (!memory) return unread ? *unread : damaged(path_, memory.error().message);
        walk.memory.causal = std::move(*memory);
        if (auto done = read_decoder(walk.memory); !done) return done.error();
        return walk;
    }

    // What names and sizes the decoder wants is known to the decoder alone.
    Result<void> read_decoder(WalkMemory& memory) const {
        for (const auto& [name, entry] : file_.header().tensors) {
            if (!name.starts_with(kDecoder)) continue;
            auto view = file_.tensor(name);
            if (!view) return view.error();
            if (!view->is_floating_point() || view->dim() != 4)
                return damaged(path_, fmt::format("\"{}\" has another type or form than expected", name));
            memory.decoder.emplace(name.substr(kDecoder.size()), view->clone(at::MemoryFormat::Contiguous));
        }
        return {};
    }

    // A copy: the file may be written over later.
    Result<at::Tensor> tensor(const char* name, at::ScalarType type, std::int64_t dims) const {
        auto view = file_.tensor(name);
        if (!view) return view.error();
        if (view->scalar_type() != type || view->dim() != dims)
            return damaged(path_, fmt::format("\"{}\" has another type or form than expected", name));
        if (!view->isfinite().all().item<bool>())
            return damaged(path_, fmt::format("\"{}\" holds numbers that are not finite", name));
        return view->clone(at::MemoryFormat::Contiguous);
    }

    const std::filesystem::path& path_;
    const Safetensors& file_;
};

} // namespace

Result<void> write_saved_walk(const std::filesystem::path& file, const SavedWalk& walk) {
    const WalkMemory& memory = walk.memory;
    std::map<std::string, std::string> facts = {{"wander_walk", memory.causal ? kCausalVersion : kVersion},
                                                {"model", walk.model},
                                                {"prompt", walk.prompt},
                                                {"seed", std::to_string(walk.seed)}};
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, frames] : memory.decoder) tensors.emplace(std::string(kDecoder) + name, frames);
    if (memory.causal) {
        facts.emplace("chunk_latents", std::to_string(walk.chunk_latents));
        if (!walk.place.empty()) facts.emplace("place", walk.place);
        if (walk.window) facts.emplace("window", window_text(*walk.window));
        tensors.merge(pack_chunks(*memory.causal));
        return write_safetensors(file, tensors, facts);
    }
    at::Tensor steering = at::empty({std::ssize(memory.steering), kStateNumbers}, at::kDouble);
    auto* numbers = steering.mutable_data_ptr<double>();
    for (const auto& state : memory.steering) numbers = std::copy(state.begin(), state.end(), numbers);
    tensors.emplace("latents", memory.history.latents.to(at::kFloat));
    tensors.emplace("cameras", pack(memory.history.cameras));
    tensors.emplace("steering", steering);
    if (memory.history.picture.defined()) tensors.emplace("picture", memory.history.picture.to(at::kFloat));
    if (memory.view.defined()) tensors.emplace("view", memory.view.to(at::kFloat));
    if (walk.context.latents > 0) {
        facts.emplace("context", std::to_string(walk.context.latents));
        facts.emplace("fast_context", walk.context.fast ? "1" : "0");
    }
    return write_safetensors(file, tensors, facts);
}

Result<SavedWalk> read_saved_walk(const std::filesystem::path& file) {
    auto opened = Safetensors::open(file);
    if (!opened) return opened.error();
    return Reader(file, *opened).read();
}

Result<SavedSettings> saved_walk_settings(const std::filesystem::path& file) {
    auto opened = Safetensors::open(file);
    if (!opened) return opened.error();
    auto facts = Reader(file, *opened).read_facts();
    if (!facts) return facts.error();
    return facts->settings();
}

std::string context_text(const ContextSettings& context) {
    return fmt::format("--context {}{}", context.latents, context.fast ? " --fast-context" : "");
}

} // namespace wander
