#include "app/ui_bridge.hpp"

#include "app/picture_file.hpp"
#include "app/world_card.hpp"

#include <filesystem>

namespace wander {

namespace {
constexpr double kRateSeconds = 2;
} // namespace

UiBridge::~UiBridge() { drop_textures(); }

void UiBridge::drop_textures() {
    for (std::uint64_t id : textures_) renderer_.remove_ui_texture(id);
    textures_.clear();
}

void UiBridge::model_opened(const WalkInfo& info, const std::filesystem::path& folder) {
    drop_textures();
    gui::SessionFacts& facts = model_.session;
    facts = {};
    facts.model = info.model == "embedded" ? info.model : std::filesystem::path(info.model).filename().string();
    facts.device = info.device;
    facts.device_name = info.device_name;
    facts.precision = info.precision;
    facts.display_device = renderer_.device_name();
    facts.threads = info.threads;
    facts.width = info.width;
    facts.height = info.height;
    facts.fps = info.fps;
    facts.camera_steering = info.camera_steering;
    facts.takes_prompt = info.takes_prompt;
    facts.keeps_walks = info.keeps_walks;
    facts.context_latents = info.context.latents;
    facts.published_context = info.published_context;
    facts.fast_context = info.context.fast;
    facts.contexts = info.contexts;
    facts.decoder = info.decoder;
    facts.decoders = info.decoders;
    if (!info.camera_steering) {
        facts.window = window_text(info.window);
        for (const WindowPreset& preset : window_presets())
            facts.windows.push_back({std::string(preset.name), std::string(preset.help)});
    }
    for (const StartPoint& start : info.starts) {
        gui::StartTile tile{.name = start.name, .place = start.world};
        if (auto picture = read_picture_file(start.picture)) {
            tile.aspect = static_cast<float>(picture->size.width) / static_cast<float>(picture->size.height);
            if (auto texture = renderer_.add_ui_texture({picture->size, picture->rgba.data()})) {
                tile.texture = *texture;
                textures_.push_back(*texture);
            }
        }
        facts.starts.push_back(std::move(tile));
    }
    for (const FormatInfo& format : info.formats)
        facts.formats.push_back({format.name, format.label, format.bits, format.ratio, format.refusal});
    facts.card = read_world_card(folder);
    if (facts.card) facts.card->name = facts.model;
    model_.history.clear();
    shown_at_.clear();
}

void UiBridge::update(const LiveWalk::Snapshot& walk, const std::deque<ChunkTelemetry>& chunks, double now_seconds) {
    model_.worker = walk.state;
    model_.failure = walk.state == WorkerState::failed ? walk.error : std::string();
    model_.loading = walk.state == WorkerState::loading ? walk.loading : std::string();
    model_.start = walk.resumed.empty() ? walk.start : walk.resumed;
    model_.place = walk.place;
    if (walk.info && walk.resumed.empty()) {
        for (const StartPoint& start : walk.info->starts) {
            if (start.name == walk.start) model_.place = start.world;
        }
    }
    model_.seed = walk.seed;
    model_.format = walk.format;
    model_.bias_correction = walk.rules.bias_correction;
    model_.prompt = walk.prompt;
    model_.camera_words = walk.camera_words;
    model_.idle = walk.idle;
    model_.paused = walk.state == WorkerState::paused;
    for (const ChunkTelemetry& chunk : chunks) {
        if (chunk.index == 0) model_.history.clear();
        model_.history.add(chunk);
    }
    while (!shown_at_.empty() && shown_at_.front() < now_seconds - kRateSeconds) shown_at_.pop_front();
    model_.presented_fps =
        shown_at_.size() > 1 ? static_cast<double>(shown_at_.size() - 1) / (shown_at_.back() - shown_at_.front()) : 0;
    model_.skipped_frames = renderer_.skipped_frames();
}

void UiBridge::frame_shown(const FrameTicket& ticket, double now_seconds) {
    shown_at_.push_back(now_seconds);
    model_.shown_chunk = ticket.chunk;
    model_.pose = ticket.pose;
    model_.input_age_ms = ticket.input_at_seconds > 0 ? (now_seconds - ticket.input_at_seconds) * 1000 : 0;
}

} // namespace wander
