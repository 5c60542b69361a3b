#include "generator/train/training_base.hpp"

#include "generator/train/portable_checkpoint.hpp"
#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace wander::train {

namespace {

namespace fs = std::filesystem;

constexpr int kHeadDim = 64; // what the operations of the blocks are made for
constexpr int kFfnOverDim = 4;
constexpr int kPixelsPerToken = 16;         // along a side
constexpr std::uint64_t kWeightsStream = 7; // the first values do not depend on what else the seed is used for

Result<TensorSource> file_source(const fs::path& path) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    return TensorSource([file = *file](const std::string& name, const std::vector<std::int64_t>& shape) {
        return file.tensor(name, shape);
    });
}

TensorSource map_source(std::map<std::string, at::Tensor> tensors, std::string where) {
    return [tensors = std::move(tensors), where = std::move(where)](
               const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        const auto found = tensors.find(name);
        if (found == tensors.end() || found->second.sizes() != at::IntArrayRef(shape))
            return Error{
                ErrorCode::bad_input,
                fmt::format("{}: {} {}", where, name, found == tensors.end() ? "is missing" : "has another shape")};
        return found->second;
    };
}

Result<TrainingBase> open_world(const fs::path& folder, std::string told) {
    auto world = EmbeddedWorld::read(folder);
    if (!world) return world.error();
    auto dit = file_source(folder / "dit.safetensors");
    if (!dit) return dit.error();
    auto vae = file_source(folder / "vae.safetensors");
    if (!vae) return vae.error();
    return TrainingBase{std::move(*world), *dit, *vae, nullptr, std::move(told)};
}

Result<TrainingBase> open_portable(const fs::path& folder) {
    auto checkpoint = PortableCheckpoint::read(folder);
    if (!checkpoint) return checkpoint.error();
    auto world = EmbeddedWorld::read(folder);
    if (!world) return world.error();
    return TrainingBase{std::move(*world), map_source(std::move(checkpoint->dit), folder.string()),
                        map_source(std::move(checkpoint->vae), folder.string()), std::move(checkpoint->facts),
                        folder.string()};
}

} // namespace

Result<TrainingBase> TrainingBase::open(const std::string& from, const fs::path& assets) {
    if (from == "embedded") return open_world(assets / "world", "the embedded world");
    if (from == "none") {
        auto base = open_world(assets / "world", "nothing; pictures as the embedded world's autoencoder has them");
        if (base) base->dit = nullptr;
        return base;
    }
    const fs::path folder = from;
    if (PortableCheckpoint::looks_like_one(folder)) return open_portable(folder);
    if (PortableCheckpoint::looks_like_one(folder / "portable")) return open_portable(folder / "portable");
    std::error_code failed;
    if (fs::exists(folder / "world.json", failed)) return open_world(folder, folder.string());
    return Error{ErrorCode::wrong_use,
                 fmt::format("--from {}: is neither a world's folder (world.json) nor one of a training; use embedded, "
                             "none, or such a folder",
                             from)};
}

Result<DitConfig> dit_to_train(const TrainingBase& base, const TrainOptions& options, int places) {
    DitConfig dit = base.world.dit;
    dit.pose_worlds = places;
    if (options.map_cells > 0) dit.map_fine_cells = options.map_cells;
    const int dim = options.dim > 0 ? options.dim : dit.dim;
    const int layers = options.layers > 0 ? options.layers : dit.layers;
    if (dim % kHeadDim != 0 || dit.head_dim != kHeadDim)
        return Error{ErrorCode::wrong_use, fmt::format("--dim {}: use a multiple of {}", dim, kHeadDim)};
    if (dim == dit.dim && layers == dit.layers) return dit;
    if (base.dit)
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--dim {} --layers {}: {} has {} and {}; leave them out, or begin anew with --from none", dim,
                        layers, base.told, dit.dim, dit.layers)};
    dit.pose_hidden = std::max(kHeadDim, dit.pose_hidden * dim / dit.dim / 8 * 8);
    dit.dim = dim;
    dit.layers = layers;
    dit.heads = dim / kHeadDim;
    dit.ffn = kFfnOverDim * dim;
    return dit;
}

Result<void> resize(TrainingBase& base, int width, int height) {
    if (width == base.world.width && height == base.world.height) return {};
    if (base.dit)
        return Error{
            ErrorCode::wrong_use,
            fmt::format("--size {}x{}: {} makes pictures of {}x{}; leave it out, or begin anew with --from none", width,
                        height, base.told, base.world.width, base.world.height)};
    if (width < kPixelsPerToken || height < kPixelsPerToken || width % kPixelsPerToken != 0 ||
        height % kPixelsPerToken != 0)
        return Error{ErrorCode::wrong_use,
                     fmt::format("--size {}x{}: use multiples of {}", width, height, kPixelsPerToken)};
    base.world.width = width;
    base.world.height = height;
    base.world.camera.focal_y = base.world.camera.focal_x * width / height;
    return {};
}

Result<Parameters> first_dit(const TrainingBase& base, const DitConfig& config, const std::vector<Theme>& themes,
                             at::Device device, std::uint64_t seed) {
    at::Generator random = at::detail::createCPUGenerator(seed * 1000 + kWeightsStream);
    if (!base.dit) return random_dit(config.tensor_shapes(), device, random);
    std::vector<int> from_place;
    from_place.reserve(themes.size());
    for (const Theme& theme : themes) from_place.push_back(base.world.world_number(theme.name).value_or(-1));
    return load_dit_for_places(config.tensor_shapes(), base.dit, base.world.dit.tensor_shapes(), from_place, device,
                               random);
}

Result<Parameters> first_vae(const TrainingBase& base, at::Device device) {
    return Parameters::load(base.world.vae.tensor_shapes(true, true), base.vae, device, "autoencoder");
}

} // namespace wander::train
