#pragma once
// Room for packed pages on a GPU, many to a block of the allocator.
//
// A packed page that goes into the hole of an uncompressed one leaves the rest of the hole, which no other page fits
// into: with INT2, 6.69 times smaller, six pages a hole and a tenth of their size for nobody; with FP8 nearly as much
// as the pages themselves. So the holes stay for uncompressed pages, of which a walk always holds about the same
// number, and packed ones fill slabs of their own. A slab has slots of one size; it goes back when its last page does.
// Pages leave in the order in which they came, so slabs empty one after the other.
//
// Memory belongs to the stream that was current when its slab was made, and only that stream's pages share it: a slot
// is free again for whatever that stream does next, as a block of torch's allocator would be. One thread.

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <list>
#include <vector>

namespace wander::quant {

class PageSlabs {
public:
    static constexpr std::int64_t kSlabBytes = std::int64_t{32} << 20; // about, of large pages
    static constexpr std::int64_t kFewestPages = 4;                    // of a slab, and the most:
    static constexpr std::int64_t kMostPages = 64;

    explicit PageSlabs(at::Device device) : device_(device) {}

    at::Tensor take(std::int64_t bytes); // uint8 [bytes], contents undefined
    // The caller holds the last reference, which is dropped. False: the page is not of any slab.
    bool give_back(at::Tensor& page);

    std::int64_t slack_bytes() const { return slack_bytes_; } // allocated and in no page
    std::size_t slabs() const { return slabs_.size(); }

private:
    struct Slab {
        at::Tensor memory;
        c10::Stream stream;
        std::int64_t slot_bytes = 0;
        std::vector<std::int64_t> free; // slots, the next one last
        std::int64_t slots = 0;
    };
    Slab& with_room(std::int64_t slot_bytes);

    at::Device device_;
    std::list<Slab> slabs_; // oldest first
    std::int64_t slack_bytes_ = 0;
};

} // namespace wander::quant
