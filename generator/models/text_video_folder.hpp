#pragma once
// What a folder with a text-to-video model holds: files as downloaded, the diffusers layout, or our own.
// docs/models.md.
//
// Opening maps the files and checks every name and shape; weights stay in their files. What is missing is listed with
// where to get it. Any thread.

#include "generator/model_folder.hpp"
#include "generator/models/model_files.hpp"

#include <filesystem>

namespace wander {

struct TextVideoFolder : ModelFiles {
    enum class Layout { downloaded, diffusers, wander };

    Layout layout = Layout::downloaded;
    ModelFolder settings; // name, schedule, window; sizes of the transformer and the VAE as they are in the files
    TaehvConfig tiny_vae;
    Umt5Config text;

    // wrong_use: no such folder. bad_input: nothing of a model is in it, or its config.json is damaged. A damaged part
    // is no error here but that part's problem.
    static Result<TextVideoFolder> open(const std::filesystem::path& folder);
    // Is there something of a text-to-video model in it? Looks at file names only.
    static bool looks_like_one(const std::filesystem::path& folder);

    // The prompt's ready embedding, [L, text_dim]; bad_input where there is none.
    Result<at::Tensor> text_embedding() const;

    const char* layout_name() const;
};

} // namespace wander
