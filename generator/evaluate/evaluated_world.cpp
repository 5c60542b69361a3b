// A world's folder made ready to be measured.

#include "generator/evaluate/evaluate_world.hpp"
#include "generator/world/world_networks.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

namespace wander::evaluate {

namespace {

Result<Theme> theme_of(const std::string& place, const std::filesystem::path& folder,
                       const std::filesystem::path& assets) {
    const std::string name = place + ".json";
    for (const std::filesystem::path& file : {folder / "themes" / name, assets / "themes" / name}) {
        std::error_code ignored;
        if (!std::filesystem::exists(file, ignored)) continue;
        auto theme = Theme::read(file);
        if (theme && theme->name != place)
            return Error{ErrorCode::bad_input, fmt::format("{}: its name is {}, but the world calls this place {}",
                                                           file.string(), theme->name, place)};
        return theme;
    }
    return Error{ErrorCode::bad_input,
                 fmt::format("{}: there is no theme of the place {}, which its true pictures would be drawn from; put "
                             "themes/{} into the folder",
                             folder.string(), place, name)};
}

} // namespace

Result<EvaluatedWorld> open_evaluated_world(const std::filesystem::path& folder, const std::filesystem::path& assets,
                                            const ComputeDevice& device) {
    const c10::InferenceMode inference;
    auto read = EmbeddedWorld::read(folder);
    if (!read) return read.error();
    EvaluatedWorld world{std::move(*read), {}, {}, {}, {}, device, assets};
    for (const std::string& place : world.world.worlds) {
        auto theme = theme_of(place, folder, assets);
        if (!theme) return theme.error();
        world.themes.push_back(std::move(*theme));
    }
    auto dit = load_world_dit(world.world, device);
    if (!dit) return dit.error();
    world.dit = *dit;
    auto vae = load_world_vae(world.world, device, true, true);
    if (!vae) return vae.error();
    world.vae = *vae;
    return world;
}

Result<void> load_fp8_network(EvaluatedWorld& world) {
    if (world.device.compute != at::kBFloat16)
        return Error{ErrorCode::wrong_use, "--fp8: FP8 is compared with bf16; take --precision bf16"};
    const c10::InferenceMode inference;
    auto dit = load_world_dit(world.world, world.device,
                              world.device.is_cuda() ? nn::WeightType::e4m3 : nn::WeightType::e4m3_emulated);
    if (!dit) return dit.error();
    world.fp8_dit = *dit;
    return {};
}

} // namespace wander::evaluate
