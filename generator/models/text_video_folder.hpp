#pragma once
// What a folder with a text-to-video model holds: files as downloaded, the diffusers layout, or our own.
// docs/models.md.
//
// Opening maps the files and checks every name and shape; weights stay in their files. What is missing is listed with
// where to get it. Any thread.

#include "generator/model_folder.hpp"
#include "generator/models/part_tensors.hpp"

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
    PartTensors::TensorSource source() const { return tensors->source(); }
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

struct TextVideoFolder {
    enum class Layout { downloaded, diffusers, wander };

    std::filesystem::path folder;
    Layout layout = Layout::downloaded;
    ModelFolder settings; // name, schedule, window; sizes of the transformer and the VAE as they are in the files
    TaehvConfig tiny_vae;
    Umt5Config text;
    std::vector<ModelPart> parts; // in the order of PartKind
    std::vector<MissingPart> missing;
    std::vector<std::string> warnings;

    // wrong_use: no such folder. bad_input: nothing of a model is in it, or its config.json is damaged. A damaged part
    // is no error here but that part's problem.
    static Result<TextVideoFolder> open(const std::filesystem::path& folder);
    // Is there something of a text-to-video model in it? Looks at file names only.
    static bool looks_like_one(const std::filesystem::path& folder);

    // Null where it is absent or cannot be used.
    const ModelPart* part(PartKind kind) const;
    // What stands in the way of a walk, in one message: a problem of a part, or what is missing.
    Result<void> ready() const;
    // The prompt's ready embedding, [L, text_dim]; bad_input where there is none.
    Result<at::Tensor> text_embedding() const;

    const char* layout_name() const;
    // Bytes of a part's weights as they are kept for a walk: matrices in bf16, vectors in float32; of the VAEs the
    // decoder only. 0 where the part is absent.
    std::uint64_t weight_bytes(PartKind kind) const;
};

} // namespace wander
