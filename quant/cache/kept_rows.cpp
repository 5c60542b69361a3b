#include "quant/cache/kept_rows.hpp"

#if WANDER_CUDA
#include <ATen/Functions.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/util/Exception.h>
#include <cuda_runtime_api.h>
#endif

#include <algorithm>

namespace wander::quant {

int layers_with_room(int layers, int held, std::int64_t layer_bytes, const RoomForRows& room) {
    const std::int64_t left = room.driver_free + room.unused - room.leave;
    const std::int64_t of_driver = room.driver_free - room.leave / 4;
    const bool too_little = left < -room.leave / 2 || of_driver < -room.leave / 8;
    const std::int64_t spare = std::min(left, of_driver);
    // Rounded down: of what is lacking, whole layers give way.
    const std::int64_t more = spare >= 0 ? spare / layer_bytes : -((layer_bytes - 1 - spare) / layer_bytes);
    return static_cast<int>(std::clamp<std::int64_t>(more < 0 && !too_little ? held : held + more, 0, layers));
}

#if WANDER_CUDA
namespace {

RoomForRows room_on(at::Device device, std::int64_t leave) {
    const c10::cuda::CUDAGuard guard(device);
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) return {0, 0, leave};
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return {static_cast<std::int64_t>(free), stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current,
            leave};
}

} // namespace

KeptRows::~KeptRows() {
    if (memory_.empty()) return;
    memory_.clear();
    try {
        c10::cuda::CUDACachingAllocator::emptyCache(); // whoever comes next asks the driver what is free
    } catch (...) {
        // The device has failed, and whoever works with it next is told so.
    }
}

void KeptRows::leave(std::int64_t bytes) {
    leave_ = bytes;
    if (bytes >= 0 || memory_.empty()) return;
    give_way();
    c10::cuda::CUDACachingAllocator::emptyCache();
}

void KeptRows::give_way() {
    memory_.clear();
    layer_bytes_ = 0;
    forget();
}

void KeptRows::forget() {
    std::fill(filled_.begin(), filled_.end(), 0);
    as_before_ = false;
}

void KeptRows::begin_chunk(std::int64_t layer_bytes) {
    if (leave_ < 0) return;
    if (as_before_ && layer_bytes == layer_bytes_) return;
    forget();
    as_before_ = true;
    layer_bytes_ = layer_bytes; // 0: memory that is there waits for the next chunk
    if (layer_bytes > 0) make_room();
}

void KeptRows::make_room() {
    if (slot_bytes_ < layer_bytes_) {
        memory_.clear();
        slot_bytes_ = layer_bytes_;
    }
    const auto wanted = [&] {
        return layers_with_room(layers_, static_cast<int>(memory_.size()), slot_bytes_, room_on(device_, leave_));
    };
    int layers = wanted();
    if (layers < layers_ && !asked_allocator_) {
        asked_allocator_ = true;
        c10::cuda::CUDACachingAllocator::emptyCache(); // what an earlier walk left
        layers = wanted();
    }
    if (layers < std::ssize(memory_)) {
        memory_.resize(static_cast<std::size_t>(layers));
        c10::cuda::CUDACachingAllocator::emptyCache();
    }
    take(layers);
}

void KeptRows::take(int layers) {
    try {
        while (std::ssize(memory_) < layers)
            memory_.push_back(at::empty({slot_bytes_}, at::TensorOptions().dtype(at::kByte).device(device_)));
    } catch (const c10::OutOfMemoryError&) {
        // Another program was quicker. Of so few layers, then, and with room for others again.
        memory_.resize(memory_.size() / 2);
    }
}

void* KeptRows::rows(int layer) const {
    return layer_bytes_ > 0 && layer < std::ssize(memory_) ? memory_[static_cast<std::size_t>(layer)].data_ptr()
                                                           : nullptr;
}
#endif

} // namespace wander::quant
