#pragma once
// Expanded rows of the history that stay from one pass of a chunk to the next, on an NVIDIA GPU with room: a chunk's
// passes read the same history in the same places, so its rows need to be turned only once. They take the uncompressed
// history's size once more for each branch, so they are for uncompressed caches, and for as many layers, from the first
// on, as leave the GPU the memory that others need. Rows and results are the same bits with and without.

#include <ATen/core/Tensor.h>

#include <cstdint>
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

#if WANDER_CUDA
// Worker thread; everything is on the device's current stream.
class KeptRows {
public:
    KeptRows(at::Device device, int layers) : device_(device), layers_(layers) {}
    ~KeptRows();
    KeptRows(const KeptRows&) = delete;
    KeptRows& operator=(const KeptRows&) = delete;

    // Bytes for others from the next begin_chunk() on. Less than 0: nothing is kept, and the driver gets the memory
    // back at once. At first so.
    void leave(std::int64_t bytes);
    // layer_bytes: all expanded rows of a layer, the chunk's own included; 0: nothing is worth keeping in this chunk.
    void begin_chunk(std::int64_t layer_bytes);
    void forget();
    // For who needs much memory between two chunks: the allocator has it all until the next begin_chunk().
    void give_way();

    // Where the layer's rows are kept; null: nowhere.
    void* rows(int layer) const;
    // Whether all but the chunk's own are there, laid out for launches of so many heads.
    bool filled(int layer, int heads) const { return filled_[static_cast<std::size_t>(layer)] == heads; }
    void set_filled(int layer, int heads) { filled_[static_cast<std::size_t>(layer)] = heads; }
    std::int64_t bytes() const { return std::ssize(memory_) * slot_bytes_; }

private:
    void make_room();
    void take(int layers);

    at::Device device_;
    int layers_;
    std::int64_t leave_ = -1;
    std::int64_t layer_bytes_ = 0;
    std::int64_t slot_bytes_ = 0;    // of one tensor of memory_, at least layer_bytes_ of some chunk
    std::vector<at::Tensor> memory_; // uint8, one a layer
    std::vector<int> filled_ = std::vector<int>(static_cast<std::size_t>(layers_)); // by layer: heads, 0: not
    bool as_before_ = false;       // nothing was forgotten since the last begin_chunk()
    bool asked_allocator_ = false; // what it held for nobody went to the driver
};
#endif

} // namespace wander::quant
