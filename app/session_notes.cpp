#include "app/session_notes.hpp"

#include "generator/plain/atomic_file.hpp"
#include "generator/world/plain/world_folder.hpp"

namespace wander {

void SessionNotes::chunk(const LiveWalk::Snapshot& walk, const WalkOptions& options, const ChunkTelemetry& chunk) {
    if (!walk.info) return;
    if (chunk.index == 0) {
        session_ = {};
        session_.model = walk.info->model;
        session_.model_folder = model_path(options.model, options.assets);
        session_.seed = walk.seed;
        session_.start = walk.start;
        session_.start_pose = options.start_pose;
        session_.device = walk.info->device;
        session_.precision = walk.info->precision;
        session_.attention = quant::attention_name(options.attention);
        session_.threads = walk.info->threads;
        session_.cache_format = format_ = chunk.format;
        session_.cache_rules = rules_ = chunk.rules;
        session_.prompt = text_ = chunk.prompt;
        session_.camera_words = chunk.prompt.empty(); // the texts below have the camera's words in them
        note_model(session_, *walk.info, options);
    }
    // What a chunk was really made under: a new text took effect when it was ready, not when a key went down.
    std::optional<std::string> text;
    if (chunk.prompt != text_) text = text_ = chunk.prompt;
    std::optional<std::string> change;
    if (chunk.format != format_) change = format_ = chunk.format;
    session_.note(chunk.index, {chunk.hold, chunk.mouse, chunk.sticks}, change, text,
                  quant::difference(rules_, chunk.rules), std::nullopt, chunk.rewound);
    rules_ = chunk.rules;
    session_.measured.push_back(chunk.ms);
}

Result<void> SessionNotes::write(const std::filesystem::path& file) const {
    return write_file_atomically(file, session_json(session_));
}

} // namespace wander
