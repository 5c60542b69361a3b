#pragma once
// Generators of random numbers that belong to somebody: the trainer never draws from a global one. Any thread.

#include <ATen/core/Generator.h>
#include <c10/core/Device.h>

#include <cstdint>

namespace wander::train {

// A new generator of the device. Its numbers depend on the kind of device, the seed and the order of the calls.
at::Generator make_generator(at::Device device, std::uint64_t seed);

} // namespace wander::train
