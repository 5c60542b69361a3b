#pragma once
// Expanded rows of the history that stay from one pass of a chunk to the next, on an NVIDIA GPU with room: a chunk's
// passes read the same history in the same places, so its rows need to be turned only once. They take the uncompressed
// history's size once more for each branch, so they are for uncompressed caches, and for as many layers, from the first
// on, as leave the GPU the memory that others need. Rows and results are the same bits with and without.
//
// The memory is the driver's, not torch's allocator's, which would keep what a growing context or another text has
// outgrown: what is held is what bytes() says, and what is given back is free for everybody at once.

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace wander::quant {

// What a device has for kept rows, in bytes.
struct RoomForRows {
    std::int64_t driver_free = 0; // for every program and library
    std::int64_t unused = 0;      // the allocator holds it, for nobody
    std::int64_t leave = 0;       // what others need
};

// Of how many layers rows are kept from now on, if those of `held` are, each in `layer_bytes` of memory. They take what
// is there beyond `leave`, a quarter of which stays with the driver, for who does not ask torch's allocator. They give
// way when clearly less is left (half, of the driver's an eighth), so that memory does not change hands at every chunk.
int layers_with_room(int layers, int held, std::int64_t layer_bytes, const RoomForRows& room);

// Memory of one layer when `bytes` are needed and it has `held` (0: none yet): whole 2 MiB, as the driver hands it out.
// What is too small is taken anew an eighth larger at least, so that it does not change at every chunk of a context
// that has no bound.
std::int64_t memory_of_layer(std::int64_t held, std::int64_t bytes);

#if WANDER_CUDA
// Worker thread; everything is on the device's current stream.
class KeptRows {
public:
    KeptRows(c10::Device device, int layers) : device_(device), layers_(layers) {}
    ~KeptRows() = default;
    KeptRows(const KeptRows&) = delete;
    KeptRows& operator=(const KeptRows&) = delete;

    // Bytes for others from the next begin_chunk() on. Less than 0: nothing is kept, and the memory goes back at once.
    // At first so.
    void leave(std::int64_t bytes);
    // layer_bytes: all expanded rows of a layer, the chunk's own included; 0: nothing is worth keeping in this chunk.
    // most_bytes: what that will reach as the context grows, which is taken at once; less than layer_bytes: not known.
    void begin_chunk(std::int64_t layer_bytes, std::int64_t most_bytes);
    void forget();
    // For who needs much memory between two chunks: the driver has it all until the next begin_chunk().
    void give_way();

    // Where the layer's rows are kept; null: nowhere.
    void* rows(int layer) const;
    // Whether all but the chunk's own are there, laid out for launches of so many heads.
    bool filled(int layer, int heads) const { return filled_[static_cast<std::size_t>(layer)] == heads; }
    void set_filled(int layer, int heads) { filled_[static_cast<std::size_t>(layer)] = heads; }
    std::int64_t bytes() const { return std::ssize(memory_) * slot_bytes_; }

private:
    struct GiveBack {
        void operator()(void* memory) const; // waits for the device
    };

    void make_room(std::int64_t slot_bytes);
    void take(int layers);

    c10::Device device_;
    int layers_;
    std::int64_t leave_ = -1;
    std::int64_t layer_bytes_ = 0;
    std::int64_t slot_bytes_ = 0; // of each of memory_
    // On the device, one a layer.
    std::vector<std::unique_ptr<void, GiveBack>> memory_;
    // By layer: heads, 0: not.
    std::vector<int> filled_ = std::vector<int>(static_cast<std::size_t>(layers_));
    bool as_before_ = false;       // nothing was forgotten since the last begin_chunk()
    bool asked_allocator_ = false; // what it held for nobody went to the driver
};
#endif

} // namespace wander::quant
