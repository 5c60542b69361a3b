#pragma once
// The files of a published model in a folder: its parts, what is missing, what stands in the way. What all kinds of
// models share; text_video_folder.hpp and worldplay_folder.hpp say which model it is. Any thread.

#include "generator/models/part_tensors.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace wander {

struct ModelPart {
    PartKind kind = PartKind::transformer;
    std::filesystem::path path; // what is read: the converted file where there is one
    // What it was made from, when `path` is a converted file and that is still there.
    std::filesystem::path original;
    std::optional<PartTensors> tensors; // none for the tokenizer, or where it cannot be used
    std::optional<Error> problem;       // why it cannot be used
    bool converted = false;

    bool usable() const { return !problem; }
    // For WanDit::load and the like: native names.
    PartTensors::TensorSource source() const { return tensors->source(); }
    // The file as it was downloaded, if that is known.
    const std::filesystem::path& published() const { return original.empty() ? path : original; }
};

// A part that is not there, and where it comes from.
struct MissingPart {
    PartKind kind = PartKind::transformer;
    bool needed = false;         // nothing runs without it
    std::string site;            // "Hugging Face"
    std::string repository;      // there: "gdhe17/Self-Forcing"
    std::string file;            // in that repository
    std::uint64_t bytes = 0;     // 0: small
    std::filesystem::path place; // where to put it

    // "transformer: checkpoints/self_forcing_dmd.pt (5.68 GB) of Hugging Face gdhe17/Self-Forcing, to be put at ..."
    std::string text() const;
};

struct ModelFiles {
    std::filesystem::path folder;
    std::vector<ModelPart> parts; // in the order of PartKind
    std::vector<MissingPart> missing;
    std::vector<std::string> warnings;
    std::vector<std::string> obstacles; // what else stands in the way of a walk
    bool encodes_pictures = false;      // a walk begins with a picture: the VAE's encoder is needed as well

    // Null where it is absent or cannot be used.
    const ModelPart* part(PartKind kind) const;
    // What stands in the way of a walk, in one message: a problem of a part, or what is missing.
    Result<void> ready() const;
    // Bytes of a part's weights as they are kept for a walk: matrices in bf16, vectors in float32; of the VAEs the
    // decoder only; of the full one all where pictures are encoded. 0 where the part is absent.
    std::uint64_t weight_bytes(PartKind kind) const;
};

// Maps the part's file, or what it was converted to. What goes wrong becomes the part's problem.
void open_tensors(ModelPart& part, const std::filesystem::path& folder, ModelFamily family);

} // namespace wander
