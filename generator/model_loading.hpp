#pragma once
// Steps that every published model takes on its way from a folder to a walk: conversion, text encoder. Room-internal;
// the thread that opens the model.

#include "generator/models/convert.hpp"
#include "generator/models/model_files.hpp"
#include "generator/text/text_placement.hpp"
#include "generator/walk_model.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

namespace wander {

inline void say_progress(const WalkOptions& options, const std::string& doing, double share = -1,
                         double seconds_left = -1) {
    if (options.progress) options.progress({doing, share, seconds_left});
}

// Converts what is not converted yet, with progress. True: something was written, so the folder has to be opened again.
// A conversion that cannot be made is a warning: the model walks without it, only slower to start.
bool convert_once(const ModelFiles& files, const WalkOptions& options, WalkModel& model);

// options.model, converted where that is due. Folder: TextVideoFolder or WorldPlayFolder.
template <typename Folder>
Result<Folder> open_converted(const WalkOptions& options, WalkModel& model) {
    say_progress(options, "reading the folder");
    auto folder = Folder::open(options.model);
    if (!folder) return folder.error();
    if (auto ready = folder->ready(); !ready) return ready.error();
    if (!convert_once(*folder, options, model)) return folder;
    auto again = Folder::open(options.model);
    if (!again) return again.error();
    if (auto ready = again->ready(); !ready) return ready.error();
    return again;
}

// An error of a file's contents, with the file in front.
Error at_file(const std::filesystem::path& path, const Error& error);

bool has_text_encoder(const ModelFiles& files);
// The transformer in the weights that the options ask for.
Result<void> load_transformer(WalkModel& model, const ModelFiles& files, const DitConfig& config,
                              const WalkOptions& options);
// What --decoder may ask for.
std::vector<std::string> decoders_of(const ModelFiles& files);
// --decoder asks for a part that the folder does not have: what it is and where it comes from.
Error no_decoder(const ModelFiles& files, PartKind kind, const WalkOptions& options);
// model.decoder: the tiny one. wrong_use where the folder has none.
Result<void> load_tiny_decoder(WalkModel& model, const ModelFiles& files, const TaehvConfig& config,
                               const WalkOptions& options);
// Where an encoder of so many bytes goes: as the options say, else onto the GPU where that leaves `spare_bytes` free.
Result<TextPlacement> text_placement(std::int64_t bytes, std::int64_t spare_bytes, const WalkOptions& options,
                                     at::Device device);
// model.prompt: the person's, else the first of assets/prompts.
Result<void> choose_prompt(WalkModel& model, const WalkOptions& options);
// model.prompt and model.prompts: choose_prompt(), and the encoder behind a desk.
Result<void> load_text_encoder(WalkModel& model, const ModelFiles& files, const Umt5Config& config, int max_tokens,
                               const WalkOptions& options);

} // namespace wander
