#include "generator/world/world_networks.hpp"

#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace wander {

namespace {

// The reader keeps the file mapped as long as a tensor of it lives.
WanDit::TensorSource tensors_of(const Safetensors& file) {
    return [file](const std::string& name, const std::vector<std::int64_t>& shape) { return file.tensor(name, shape); };
}

} // namespace

Result<std::shared_ptr<WanDit>> load_world_dit(const EmbeddedWorld& world, const ComputeDevice& device,
                                               nn::WeightType weights) {
    const auto path = world.folder / "dit.safetensors";
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    auto dit = WanDit::load(world.dit, tensors_of(*file), device.device, device.compute, weights);
    if (!dit) return Error{dit.error().code, fmt::format("{}: {}", path.string(), dit.error().message)};
    return std::make_shared<WanDit>(std::move(*dit));
}

Result<std::shared_ptr<const WanVae>> load_world_vae(const EmbeddedWorld& world, const ComputeDevice& device,
                                                     bool encoder, bool decoder) {
    const auto path = world.folder / "vae.safetensors";
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    auto vae = WanVae::load(world.vae, tensors_of(*file), device.device, device.compute, encoder, decoder);
    if (!vae) return Error{vae.error().code, fmt::format("{}: {}", path.string(), vae.error().message)};
    return std::shared_ptr<const WanVae>(std::make_shared<WanVae>(std::move(*vae)));
}

} // namespace wander
