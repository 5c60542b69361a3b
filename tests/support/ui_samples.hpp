#pragma once
// Made-up models for tests and previews of the panels: a walk of the embedded world's sizes.

#include "gui/plain/ui_model.hpp"

#include <cmath>

namespace wander::samples {

inline MemoryLedger sample_ledger(int latents, bool packed) {
    constexpr std::int64_t kLatentBytes = 6 * 84 * 320 * 2; // of K or V as BF16, all layers
    MemoryLedger ledger;
    ledger.bf16_equivalent_bytes = 2 * kLatentBytes * latents;
    const int open_latents = packed ? std::min(latents, 5) : latents;
    const std::int64_t packed_side = kLatentBytes * (latents - open_latents);
    for (KindBytes* side : {&ledger.keys, &ledger.values}) {
        side->codes = packed_side / 8;
        side->scales = packed_side / 64;
        side->codebooks = packed_side / 112;
        side->headers = packed_side / 2000;
        side->open = kLatentBytes * open_latents;
        ledger.packed_bytes += side->codes + side->scales + side->codebooks + side->headers;
    }
    ledger.packed_bf16_bytes = 2 * packed_side;
    ledger.scratch_bytes = 1'310'720;
    ledger.peak_bytes = ledger.bytes() + ledger.scratch_bytes + 320'000;
    return ledger;
}

inline std::vector<PageCell> sample_pages(std::int64_t newest_latent, bool packed) {
    std::vector<PageCell> pages;
    pages.push_back({0, 1, 1, "bf16", true, false, 645'120});
    const std::int64_t oldest = std::max<std::int64_t>(1, newest_latent - 23);
    for (std::int64_t first = (oldest - 1) / 4 * 4 + 1; first <= newest_latent; first += 4) {
        const int latents = static_cast<int>(std::min<std::int64_t>(4, newest_latent - first + 1));
        const int visible = static_cast<int>(first + latents - std::max(first, oldest));
        const bool open = first + 4 > newest_latent;
        pages.push_back({first, latents, visible,
                         open     ? "open"
                         : packed ? "qvg-four"
                                  : "bf16",
                         false, false, open || !packed ? 645'120 * latents : 390'000});
    }
    return pages;
}

inline ChunkTelemetry sample_chunk(std::int64_t index, bool packed) {
    ChunkTelemetry chunk;
    const double wave = std::sin(static_cast<double>(index) * 0.7) + std::sin(static_cast<double>(index) * 2.3) * 0.5;
    chunk.index = index;
    chunk.frames = 4;
    chunk.format = packed ? "qvg-four" : "bf16";
    chunk.ms.denoise = 71 + wave * 4;
    chunk.ms.context = 34 + wave * 2;
    chunk.ms.encode = packed && index % 4 == 0 ? 11 : 0.2;
    chunk.ms.expand = packed ? 17 + wave : 3;
    chunk.ms.decode = 58 + wave * 5 + (index % 29 == 0 ? 40 : 0);
    chunk.ms.total = chunk.ms.denoise + chunk.ms.context + chunk.ms.encode + chunk.ms.decode;
    chunk.ms.period = index == 0 ? 0 : 128 + wave * 6;
    chunk.ledger = sample_ledger(static_cast<int>(std::min<std::int64_t>(index + 2, 27)), packed);
    chunk.cache_bytes = chunk.ledger.bytes();
    chunk.bf16_equivalent_bytes = chunk.ledger.bf16_equivalent_bytes;
    chunk.input_age_ms = 40;
    chunk.pages = sample_pages(index + 1, packed);
    return chunk;
}

// A walk of `chunks` chunks; the cache is packed from chunk `packed_from` on.
inline gui::UiModel sample_model(std::int64_t chunks, std::int64_t packed_from = 0) {
    gui::UiModel model;
    gui::SessionFacts& facts = model.session;
    facts.model = "embedded";
    facts.device = "cpu";
    facts.device_name = "Some processor";
    facts.precision = "bf16";
    facts.display_device = "llvmpipe";
    facts.threads = 2;
    facts.width = 192;
    facts.height = 112;
    facts.fps = 16;
    for (const char* name :
         {"village_fountain", "village_meadow", "winter_lamps", "winter_cabin", "neon_pyramid", "neon_avenue"}) {
        const std::string full = name;
        model.session.starts.push_back({full, full.substr(0, full.find('_')), 0, 192.0f / 112.0f});
    }
    model.session.card = gui::WorldCard{"embedded",
                                        "/usr/share/wander/world",
                                        {{"village", "A village"}, {"winter", "Winter"}, {"neon", "Neon city"}},
                                        {{"transformer", "10.1 M"}, {"trained", "80 min"}, {"full turn", "26.7 dB"}},
                                        {"1", "3", "5", "10", "20", "60"},
                                        {{"PSNR, dB", {"27.6", "26.5", "27.0", "24.4", "23.9", "24.2"}},
                                         {"sharpness", {"0.88", "0.85", "0.84", "0.77", "0.80", "0.79"}}}};
    model.model_folder = "embedded";
    model.session.formats = {{"bf16", "BF16", 16, 1, ""},
                             {"int8", "INT8", 8, 1.9, ""},
                             {"kivi2", "KIVI INT2", 2, 5.3, ""},
                             {"qvg-four", "INT2 four-level", 2, 6.8, ""},
                             {"qvg-int2", "INT2 QVG", 2, 7, ""},
                             {"nvfp4", "NVFP4", 4, 0, "cache format \"nvfp4\" does not fit heads of 320"}};
    model.packed_format = "qvg-four";
    model.worker = WorkerState::generating;
    model.start = "village_fountain";
    model.place = "village";
    model.seed = 7;
    model.format = chunks > packed_from ? "qvg-four" : "bf16";
    for (std::int64_t i = 0; i < chunks; ++i) {
        model.history.add(sample_chunk(i, i >= packed_from));
    }
    model.shown_chunk = chunks - 1;
    model.pose = {3.21f, -7.48f, 0.6f, -0.05f};
    model.input_age_ms = 93;
    model.presented_fps = 15.9;
    model.recording.encoder = "libx264";
    return model;
}

// The same walk as HY-WorldPlay's.
inline gui::UiModel sample_worldplay_model(std::int64_t chunks) {
    gui::UiModel model = sample_model(chunks);
    model.session.model = "wan-5b";
    model.session.card.reset();
    model.session.takes_prompt = true;
    model.session.keeps_walks = true;
    model.session.context_latents = 16;
    model.session.published_context = 16;
    model.session.contexts = {16, 32, 48, 56};
    model.session.decoder = "full";
    model.session.decoders = {"full", "tiny"};
    model.prompt = "A quiet street.";
    return model;
}

// The same walk as a text model's.
inline gui::UiModel sample_text_model(std::int64_t chunks) {
    gui::UiModel model = sample_model(chunks);
    model.session.model = "self-forcing";
    model.session.device = "cuda";
    model.session.starts.clear();
    model.session.card.reset();
    model.session.camera_steering = false;
    model.session.takes_prompt = true;
    model.session.window = "anchored";
    model.session.windows = {{"anchored", "21 latents, the first chunk stays"}, {"rolling", "21 latents"}};
    model.start.clear();
    model.place.clear();
    model.prompt = "A quiet village street in the snow at dusk, warm light in the windows.";
    if (chunks > 0) {
        ChunkTelemetry newest = model.history.newest();
        newest.prompt = model.prompt + " The camera moves steadily forward.";
        newest.prompt_pending = true;
        newest.forecast.cache_bytes = 4'000'000'000;
        newest.forecast.device_bytes = 13'600'000'000;
        newest.forecast.device_total = 85'900'000'000;
        newest.forecast.most_latents = 900;
        newest.index = chunks;
        model.history.add(newest);
    }
    return model;
}

} // namespace wander::samples
