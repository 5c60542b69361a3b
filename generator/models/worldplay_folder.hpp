#pragma once
// What a folder with a HY-WorldPlay model holds (hy-worldplay.md 11): several downloads, found by their content in the
// folder and below, or named in its wander-model.json. docs/models.md.
//
// Opening maps the files and checks every name and shape; weights stay in their files. Use it like TextVideoFolder:
// ready(), convert_model(), open again, then
//     WanDit::load(model.dit, model.part(PartKind::transformer)->source(), ...)       the second branch's bias is in
//     Wan22Vae::load(model.vae, model.part(PartKind::vae)->source(), ..., true, true)
//     Taehv::load(model.tiny_vae, model.part(PartKind::tiny_vae)->source(), ...)     where that part is there
//     model.text with part(PartKind::text_encoder)->source(), part(PartKind::tokenizer)->path
// The same holds for small networks: every size is read from the files. The 8B:
//     HunyuanDit::load, HunyuanTextSide::load(model.hunyuan_dit, model.part(PartKind::transformer)->source(), ...)
//     HunyuanVae::load(model.hunyuan_vae, model.part(PartKind::vae)->source(), ...)
//     open_hunyuan_prompt_files(hunyuan_prompt_places(model), model.instruction)
// Any thread.

#include "generator/hunyuan/hunyuan_config.hpp"
#include "generator/hunyuan/hunyuan_vae.hpp"
#include "generator/models/model_files.hpp"
#include "generator/rollout/worldplay_schedule.hpp"
#include "generator/text/plain/system_prompt.hpp"
#include "generator/wan/vae22_config.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace wander {

struct LatentSize {
    int rows = 0;
    int cols = 0;
    bool operator==(const LatentSize&) const = default;
};

struct WorldPlayFolder : ModelFiles {
    enum class Model { wan_5b, hunyuan_8b };

    Model model = Model::wan_5b;
    std::string name; // for a person: "HY-WorldPlay WAN-5B", or as wander.json says
    DitConfig dit;
    Vae22Config vae;
    Umt5Config text;
    HunyuanConfig hunyuan_dit; // of the 8B, as the next ones
    HunyuanVaeConfig hunyuan_vae;
    TaehvConfig tiny_vae;         // of either model, where the file is there
    SystemPromptMark instruction; // of its text encoder; wander.json may name another one
    WorldPlaySchedule schedule;
    LatentSize size;               // of a walk, unless a person wants another one
    std::vector<LatentSize> sizes; // that the model is meant for, the one it was trained at first
    bool few_steps = false;        // the transformer's weights are the distilled ones

    // wrong_use: no such folder. bad_input: nothing of such a model is in it, or a file that describes it is damaged. A
    // damaged part is no error here but that part's problem.
    static Result<WorldPlayFolder> open(const std::filesystem::path& folder);
    // Is a transformer or a VAE of such a model in it, or a wander-model.json? Looks into the heads of files. Not where
    // Self-Forcing's few-step weights lie in the folder itself: then that is what the folder was made for.
    static bool looks_like_one(const std::filesystem::path& folder);

    int pixels_per_latent() const;
    int patch() const { return model == Model::wan_5b ? 2 : 1; } // latents a side of a token
    const char* model_name() const;
};

} // namespace wander
