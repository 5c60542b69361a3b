#pragma once
// What the panels show and what the person asked for, as plain values.
//
// The app keeps one UiModel, brings it up to date before every frame and hands it to Gui::frame; the answer is a
// UiFrame whose commands the app executes. Main thread only. Nothing here is computed by the panels: they only format.

#include "generator/plain/control_state.hpp"
#include "generator/plain/telemetry.hpp"
#include "gui/plain/chunk_history.hpp"
#include "render/plain/draw_request.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wander::gui {

struct StartTile {               // one picture of the gallery
    std::string name;            // as --start takes it
    std::string place;           // "village"
    std::uint64_t texture = 0;   // ImTextureID from Renderer::add_ui_texture; 0: none, an empty tile is drawn
    float aspect = 16.0f / 9.0f; // width / height
};

struct FormatChoice {
    std::string name;    // registry name, as ChunkTelemetry::format
    std::string label;   // "INT2 four-level"
    double bits = 16;    // per value, codes only
    double ratio = 1;    // BF16 against the real bytes of this model's pages
    std::string refusal; // why this model cannot use it; empty: it can
};

struct NamedChoice {
    std::string name;
    std::string help;
};

struct CardRow {
    std::string label;
    std::vector<std::string> cells; // one for each of WorldCard::columns; may be fewer
};

// What is known of an open world: docs/formats.md, "World folder".
struct WorldCard {
    std::string name;
    std::string folder;
    std::vector<NamedChoice> places;  // name, title
    std::vector<NamedChoice> facts;   // label, value
    std::vector<std::string> columns; // seconds of walking
    std::vector<CardRow> figures;
};

// What stays the same while a model is open.
struct SessionFacts {
    std::string model;  // "embedded", or the folder's name
    std::string device; // "cpu" or "cuda"
    std::string device_name;
    std::string precision;      // "fp32", "bf16"
    std::string display_device; // Vulkan's
    int threads = 0;
    int width = 0;
    int height = 0;
    double fps = 0;                    // nominal
    bool camera_steering = true;       // false: a text model, the panel says what keys do
    bool takes_prompt = false;         // the prompt can change
    bool keeps_walks = false;          // they can be saved, resumed and rewound
    int context_latents = 0;           // earlier latents that a chunk of HY-WorldPlay reads; 0: another model
    int published_context = 0;         // as it was trained
    bool fast_context = false;         // keys and values of a chunk are made once
    std::vector<int> contexts;         // what context_latents could be, ascending
    std::string decoder;               // what makes the pictures, "full" or "tiny"
    std::vector<std::string> decoders; // what could; one or none: no choice
    std::string window;                // what a text model sees, as --window takes it
    std::vector<NamedChoice> windows;  // what it could see
    std::vector<StartTile> starts;
    std::vector<FormatChoice> formats;
    std::optional<WorldCard> card; // of a world; other models have none
};

struct RecordingState {
    bool active = false;
    double seconds = 0; // playing time so far
    std::int64_t frames = 0;
    std::int64_t dropped = 0; // frames that found the encoder's queue full
    std::string file;
    std::string encoder;     // "libx264"
    std::string unavailable; // why recording cannot work here; empty: it can
};

struct PromptChoice {
    std::string name;
    std::string text;
};

struct UiModel {
    SessionFacts session;
    WorkerState worker = WorkerState::empty;
    std::string loading; // what opening a model is at, while it does
    std::string failure; // of the worker, with what to do; shown as a dialog until retried; empty: none
    std::string start;   // name of the start point
    std::string place;   // its world
    std::uint64_t seed = 0;
    std::string format;           // wanted for new pages
    std::string packed_format;    // what the toggle key goes to from BF16
    bool bias_correction = false; // wanted
    std::string prompt;           // wanted, without the camera's words
    bool camera_words = true;     // held keys become words of the prompt
    bool paused = false;
    bool idle = false; // stands still because nothing is pressed

    ChunkHistory history; // clear() it when a walk begins

    std::int64_t shown_chunk = -1; // of the frame on screen; -1 = the start picture
    Pose pose;                     // of the frame on screen
    double input_age_ms = 0;       // age of the controls behind the frame on screen; 0 = none yet
    double presented_fps = 0;      // new frames a second, measured
    std::int64_t skipped_frames = 0;

    std::vector<PromptChoice> prompts;      // ready ones, for text models
    std::vector<std::string> recent_models; // folders, newest first
    std::string model_folder;               // of the open model, as model_folder of the commands; "embedded"

    std::vector<NamedChoice> saved_walks; // newest first: file, and what it is called

    RecordingState recording;
    render::UpscaleMode upscale = render::UpscaleMode::sharp;
    bool fullscreen = false;
};

// What the person wants to see; remembered between runs.
struct UiPreferences {
    bool show_memory = true;
    bool show_latency = true;
    bool show_world = true;
    bool show_session = true;
    bool show_timeline = true;
    bool show_hud = true;
    bool hold_while_idle = false;       // no key: the last picture stays
    float text_scale = 1.0f;            // on top of the monitor's scale
    float mouse_rad_per_unit = 0.0025f; // looking around with the mouse
    bool operator==(const UiPreferences&) const = default;
};

// Each field at most once a frame. "Cost" as the menus show it: at once, next chunk, new start, new model.
struct UiCommands {
    bool toggle_cache = false;           // next chunk: BF16 <-> the packed format chosen last
    std::optional<std::string> format;   // next chunk: a registry name
    std::optional<std::string> start;    // new start at this start point, same seed
    std::optional<bool> bias_correction; // next chunk
    std::optional<std::string> prompt;   // next chunk that its text is ready for
    std::optional<bool> camera_words;    // likewise
    std::optional<std::string> window;   // new model: the same with another window
    std::optional<int> context_latents;  // new model: the same with another context
    std::optional<bool> fast_context;    // likewise
    std::optional<std::string> decoder;  // new model: the same with another decoder
    bool restart = false;                // new start, same start point and seed
    bool restart_new_seed = false;
    int rewind = 0;                        // at once: chunks to forget
    bool save_walk = false;                // next chunk, or at once while paused
    std::optional<std::string> saved_walk; // likewise: go on from this file
    bool toggle_pause = false;
    bool step = false; // one chunk, then paused
    bool toggle_record = false;
    bool screenshot = false;
    bool show_recordings = false; // open the folder in the desktop's file manager
    bool toggle_fullscreen = false;
    std::optional<render::UpscaleMode> upscale;
    bool browse_models = false;              // the desktop's dialog
    std::optional<std::string> model_folder; // new model; "embedded" = the built-in world
    bool retry_after_failure = false;        // the dialog's button
    bool quit = false;
};

struct UiFrame {
    UiCommands commands;
    render::Rect world;          // where the picture belongs, for DrawRequest::picture_area
    ControlState controls;       // held actions, mouse travel since the previous frame
    bool capture_cursor = false; // the mouse looks around: hide it
    bool preferences_changed = false;
};

enum class ToastKind : std::uint8_t { info, warning, error };

} // namespace wander::gui
