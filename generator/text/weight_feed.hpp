#pragma once
// The large matrices of a network that reads each of them once a pass, in order: held on the device, or passed through
// it while the one before computes. Room-internal.
//
// A unit is what is copied at once. Streamed, a pass owns two buffers of the largest unit; on a GPU the next unit's
// bytes go from the source (usually a mapped file) into page-locked memory and from there by a stream of their own, so
// disk or memory, bus and arithmetic work side by side. On the CPU one buffer is filled when its turn comes.
//
// The feed is immutable and may be shared; a Pass belongs to one thread, one pass at a time on a device.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace wander {

class WeightFeed {
public:
    // Matrices [rows, columns] of the same width, one below the other, read as one.
    using Stack = std::vector<at::Tensor>;
    using Unit = std::vector<Stack>;

    // resident: everything is copied to the device in the compute type now; progress goes from 0 to 1.
    // Otherwise the tensors are kept, wherever they are and in whatever type.
    WeightFeed(std::vector<Unit> units, at::Device device, at::ScalarType compute, bool resident,
               const std::function<void(double)>& progress);

    // Bytes that a pass holds on the device beside what is resident.
    std::int64_t pass_bytes() const;

    class Pass {
    public:
        // Call under the stream that will compute.
        explicit Pass(const WeightFeed& feed);
        ~Pass();
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;
        // The next unit, one dense matrix for each stack. They may be read by what the calling thread's stream is given
        // before the next call.
        std::vector<at::Tensor> next();

    private:
        struct Copier;
        const WeightFeed& feed_;
        std::size_t at_ = 0;
        std::unique_ptr<Copier> copier_; // streamed only
    };

private:
    std::int64_t numel(const Unit& unit) const;
    std::vector<at::Tensor> views(const Unit& unit, const at::Tensor& flat) const;

    std::vector<Unit> units_;
    at::Device device_;
    at::ScalarType compute_;
    std::vector<at::Tensor> resident_; // flat, one for each unit; empty when streamed
};

} // namespace wander
