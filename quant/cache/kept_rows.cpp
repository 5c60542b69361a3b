#include "quant/cache/kept_rows.hpp"

#if WANDER_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
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

std::int64_t memory_of_layer(std::int64_t held, std::int64_t bytes) {
    if (bytes <= held) return held;
    constexpr std::int64_t kWhole = std::int64_t{2} << 20;
    return (std::max(bytes, held + held / 8) + kWhole - 1) / kWhole * kWhole;
}

#if WANDER_CUDA
namespace {

RoomForRows room_on(c10::Device device, std::int64_t leave) {
    const c10::cuda::CUDAGuard guard(device);
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) return {0, 0, leave};
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return {static_cast<std::int64_t>(free), stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current,
            leave};
}

} // namespace

void KeptRows::GiveBack::operator()(void* memory) const {
    // A device that has failed tells whoever works with it next.
    if (cudaFree(memory) != cudaSuccess) (void)cudaGetLastError();
}

void KeptRows::leave(std::int64_t bytes) {
    leave_ = bytes;
    if (bytes < 0) give_way();
}

void KeptRows::give_way() {
    memory_.clear();
    slot_bytes_ = 0;
    layer_bytes_ = 0;
    asked_allocator_ = false; // what others take by then may stay with it
    forget();
}

void KeptRows::forget() {
    std::fill(filled_.begin(), filled_.end(), 0);
    as_before_ = false;
}

void KeptRows::begin_chunk(std::int64_t layer_bytes, std::int64_t most_bytes) {
    if (leave_ < 0) return;
    if (as_before_ && layer_bytes == layer_bytes_) return;
    forget();
    as_before_ = true;
    layer_bytes_ = layer_bytes; // 0: memory that is there waits for the next chunk
    if (layer_bytes > 0) make_room(memory_of_layer(slot_bytes_, std::max(layer_bytes, most_bytes)));
}

void KeptRows::make_room(std::int64_t slot_bytes) {
    if (slot_bytes != slot_bytes_) {
        memory_.clear(); // first, for both need not be there at once
        slot_bytes_ = slot_bytes;
    }
    const auto wanted = [&] {
        return layers_with_room(layers_, static_cast<int>(memory_.size()), slot_bytes_, room_on(device_, leave_));
    };
    int layers = wanted();
    if (layers < layers_ && !asked_allocator_) {
        asked_allocator_ = true;
        c10::cuda::CUDACachingAllocator::emptyCache(); // what an earlier walk or another text's maker left
        layers = wanted();
    }
    if (layers < std::ssize(memory_)) memory_.resize(static_cast<std::size_t>(layers));
    take(layers);
}

void KeptRows::take(int layers) {
    const c10::cuda::CUDAGuard guard(device_);
    while (std::ssize(memory_) < layers) {
        void* memory = nullptr;
        if (cudaMalloc(&memory, static_cast<std::size_t>(slot_bytes_)) != cudaSuccess) {
            // Another program was quicker. Of so few layers, then, and with room for others again.
            (void)cudaGetLastError();
            memory_.resize(memory_.size() / 2);
            return;
        }
        memory_.emplace_back(memory);
    }
}

void* KeptRows::rows(int layer) const {
    return layer_bytes_ > 0 && layer < std::ssize(memory_) ? memory_[static_cast<std::size_t>(layer)].get() : nullptr;
}
#endif

} // namespace wander::quant
