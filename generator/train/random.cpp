#include "generator/train/random.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

namespace wander::train {

at::Generator make_generator(at::Device device, std::uint64_t seed) {
    if (device.is_cpu()) return at::detail::createCPUGenerator(seed);
    const at::DeviceIndex index = device.has_index() ? device.index() : at::DeviceIndex{0};
    at::Generator generator = at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(index);
    generator.set_current_seed(seed);
    return generator;
}

} // namespace wander::train
