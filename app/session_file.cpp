#include "app/session_file.hpp"

#include "app/metrics.hpp"

#include <algorithm>
#include <numeric>
#include <system_error>

#include <nlohmann/json.hpp>

namespace wander {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kWeightsDepth = 3;

void add_rules(Json& json, const quant::CacheRulesChange& rules) {
    if (rules.keep_recent) json["keep_recent"] = *rules.keep_recent;
    if (rules.keep_sink) json["keep_sink"] = *rules.keep_sink;
    if (rules.layer_formats) json["cache_layers"] = quant::layer_formats_text(*rules.layer_formats);
    if (rules.bias_correction) json["bias_correction"] = *rules.bias_correction;
}

Json change_json(const SessionChange& change) {
    Json json = {{"chunk", change.chunk}};
    if (change.hold) json["hold"] = *change.hold;
    if (change.mouse.any()) json["mouse"] = mouse_numbers(change.mouse);
    if (change.sticks) json["sticks"] = stick_numbers(*change.sticks);
    if (change.cache) json["cache"] = *change.cache;
    add_rules(json, change.cache_rules);
    if (change.prompt) json["prompt"] = *change.prompt;
    if (change.camera_words) json["camera_words"] = *change.camera_words;
    if (change.rewind > 0) json["rewind"] = change.rewind;
    return json;
}

Json changes_json(const SessionFile& session) {
    Json changes = Json::array();
    for (const auto& change : session.changes) changes.push_back(change_json(change));
    return changes;
}

// The first chunk has no predecessor, so its period says nothing.
Json measured_json(const std::vector<StageMs>& chunks) {
    std::vector<double> totals;
    std::vector<double> periods;
    totals.reserve(chunks.size());
    periods.reserve(chunks.size());
    for (const StageMs& ms : chunks) {
        totals.push_back(ms.total);
        periods.push_back(ms.period);
    }
    periods.erase(periods.begin());
    if (periods.empty()) return {{"total_p50_ms", percentile(totals, 50)}};
    const double mean = std::accumulate(periods.begin(), periods.end(), 0.0) / static_cast<double>(periods.size());
    return {{"total_p50_ms", percentile(totals, 50)},
            {"total_p99_ms", percentile(totals, 99)},
            {"period_p50_ms", percentile(periods, 50)},
            {"period_p99_ms", percentile(periods, 99)},
            {"period_mean_ms", mean}};
}

bool holds_weights(const std::filesystem::path& file) {
    const auto extension = file.extension();
    return extension == ".safetensors" || extension == ".pt" || extension == ".pth";
}

// Names below the folder and sizes, in order. Parts of published models lie in folders of their own.
Json weights_json(const std::filesystem::path& folder) {
    std::vector<std::pair<std::string, std::uintmax_t>> files;
    std::error_code error;
    for (auto it = std::filesystem::recursive_directory_iterator(folder, error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
        std::error_code ignored;
        if (it.depth() >= kWeightsDepth) it.disable_recursion_pending();
        if (it->is_regular_file(ignored) && holds_weights(it->path()))
            files.emplace_back(it->path().lexically_relative(folder).generic_string(), it->file_size(ignored));
    }
    std::sort(files.begin(), files.end());
    Json json = Json::array();
    for (const auto& [name, bytes] : files) json.push_back({{"file", name}, {"bytes", bytes}});
    return json;
}

} // namespace

std::array<float, 2> mouse_numbers(const MouseTravel& mouse) { return {mouse.yaw_rad, mouse.pitch_rad}; }

std::array<float, 4> stick_numbers(const StickPosition& sticks) {
    return {sticks.forward, sticks.right, sticks.yaw, sticks.pitch};
}

void SessionFile::note(std::int64_t chunk, const SessionInput& input, const std::optional<std::string>& cache,
                       const std::optional<std::string>& new_prompt, const quant::CacheRulesChange& new_rules,
                       const std::optional<bool>& new_words, int rewind) {
    SessionChange change{chunk,      std::nullopt, input.mouse, std::nullopt, cache,
                         new_prompt, new_rules,    new_words,   rewind};
    if (input.hold != held_) change.hold = held_ = input.hold;
    if (input.sticks != sticks_) change.sticks = sticks_ = input.sticks;
    if (change.hold || change.sticks || input.mouse.any() || change.cache || change.prompt || new_words ||
        !new_rules.empty() || rewind > 0)
        changes.push_back(change);
    chunks = chunk + 1;
}

void note_model(SessionFile& session, const WalkInfo& info, const WalkOptions& options) {
    session.weight_type = options.fp8_weights ? "fp8" : "bf16";
    if (info.published_context > 0 || !info.camera_steering) session.decoder = info.decoder; // others have one only
    session.resumed = options.resume;
    if (info.published_context > 0) { // HY-WorldPlay
        session.size = std::to_string(info.width) + "x" + std::to_string(info.height);
        session.context_latents = info.context.latents;
        session.fast_context = info.context.fast;
        session.gpus = options.gpus;
        session.path = options.path;
    }
    if (info.camera_steering) return;
    session.window = window_text(info.window);
    session.chunk_latents = info.chunk_frames / 4;
    session.rebuild_history = options.rebuild_on_prompt;
    session.camera_phrases = options.camera_phrases;
}

std::string session_json(const SessionFile& session) {
    Json json = {{"kind", "wander-session"},
                 {"version", 1},
                 {"program", WANDER_VERSION},
                 {"model", session.model},
                 {"weights", weights_json(session.model_folder)},
                 {"seed", session.seed},
                 {"start", session.start},
                 {"prompt", session.prompt},
                 {"camera_words", session.camera_words},
                 {"device", session.device},
                 {"precision", session.precision},
                 {"attention", session.attention},
                 {"weight_type", session.weight_type},
                 {"threads", session.threads},
                 {"cache_format", session.cache_format},
                 {"chunks", session.chunks},
                 {"controls", changes_json(session)}};
    const quant::CacheRules& rules = session.cache_rules;
    add_rules(json, {rules.layer_formats, rules.keep_recent, rules.keep_sink, rules.bias_correction});
    if (!session.window.empty()) { // a text model
        json["window"] = session.window;
        json["chunk_latents"] = session.chunk_latents;
        json["rebuild_history"] = session.rebuild_history;
        if (!session.camera_phrases.empty()) json["camera_phrases"] = session.camera_phrases.string();
    }
    if (!session.decoder.empty()) json["decoder"] = session.decoder;
    if (!session.size.empty()) { // HY-WorldPlay
        json["size"] = session.size;
        if (session.context_latents > 0) json["context"] = session.context_latents;
        json["fast_context"] = session.fast_context;
        if (session.gpus > 1) json["gpus"] = session.gpus;
        if (!session.path.empty()) json["path"] = session.path;
    }
    if (!session.resumed.empty()) json["resume"] = session.resumed.string();
    if (session.start_pose) {
        const auto& [world, pose] = *session.start_pose;
        json["start_pose"] = {{"world", world}, {"x", pose.x}, {"z", pose.z}, {"yaw", pose.yaw}, {"pitch", pose.pitch}};
    }
    if (!session.measured.empty()) json["measured"] = measured_json(session.measured);
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string controls_json(const SessionFile& session) {
    return changes_json(session).dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace wander
