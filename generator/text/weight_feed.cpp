#include "generator/text/weight_feed.hpp"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <optional>

namespace wander {
namespace {

constexpr std::int64_t kChunkBytes = 32 << 20; // of page-locked memory, and of a copy
constexpr std::size_t kChunks = 4;

c10::Stream current_stream(at::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

// Copies to the device through a ring of page-locked chunks on the current stream; on the CPU it just copies.
class StagedCopy {
public:
    StagedCopy(at::Device device, at::ScalarType type) : device_(device) {
        if (!device.is_cuda()) return;
        chunk_numel_ = kChunkBytes / static_cast<std::int64_t>(c10::elementSize(type));
        for (Chunk& chunk : chunks_) {
            chunk.pinned = at::empty({chunk_numel_}, at::TensorOptions(type).pinned_memory(true));
        }
    }

    // target: flat, on the device; source: on the CPU, any type.
    void copy(const at::Tensor& target, const at::Tensor& source) {
        if (!device_.is_cuda()) {
            target.view(source.sizes()).copy_(source);
            return;
        }
        const at::Tensor flat = source.contiguous().view(-1);
        for (std::int64_t begin = 0; begin < flat.numel(); begin += chunk_numel_) {
            const std::int64_t count = std::min(chunk_numel_, flat.numel() - begin);
            Chunk& chunk = chunks_[next_++ % kChunks];
            if (chunk.free) chunk.free->synchronize();
            chunk.pinned.narrow(0, 0, count).copy_(flat.narrow(0, begin, count)); // also converts
            target.narrow(0, begin, count).copy_(chunk.pinned.narrow(0, 0, count), true);
            if (!chunk.free) chunk.free.emplace(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
            chunk.free->record(current_stream(device_));
        }
    }

    void wait() {
        for (Chunk& chunk : chunks_) {
            if (chunk.free) chunk.free->synchronize();
        }
    }

private:
    struct Chunk {
        at::Tensor pinned;
        std::optional<c10::Event> free; // the copy out of it is done
    };
    at::Device device_;
    std::int64_t chunk_numel_ = 0;
    std::array<Chunk, kChunks> chunks_;
    std::size_t next_ = 0;
};

void copy_unit(StagedCopy& staged, const WeightFeed::Unit& unit, const at::Tensor& flat) {
    std::int64_t at = 0;
    for (const auto& stack : unit) {
        for (const at::Tensor& part : stack) {
            staged.copy(flat.narrow(0, at, part.numel()), part);
            at += part.numel();
        }
    }
}

} // namespace

WeightFeed::WeightFeed(std::vector<Unit> units, at::Device device, at::ScalarType compute, bool resident,
                       const std::function<void(double)>& progress)
    : units_(std::move(units)), device_(device), compute_(compute) {
    if (!resident) return;
    StagedCopy staged(device, compute);
    for (Unit& unit : units_) {
        resident_.push_back(at::empty({numel(unit)}, at::TensorOptions(device).dtype(compute)));
        copy_unit(staged, unit, resident_.back());
        // Shapes are still needed, data and the file map no more.
        for (Stack& stack : unit) {
            for (at::Tensor& part : stack) part = at::empty(part.sizes(), part.options().device(at::kMeta));
        }
        if (progress) progress(static_cast<double>(resident_.size()) / static_cast<double>(units_.size()));
    }
    staged.wait();
}

std::int64_t WeightFeed::numel(const Unit& unit) const {
    std::int64_t sum = 0;
    for (const Stack& stack : unit) {
        for (const at::Tensor& part : stack) sum += part.numel();
    }
    return sum;
}

std::vector<at::Tensor> WeightFeed::views(const Unit& unit, const at::Tensor& flat) const {
    std::vector<at::Tensor> matrices;
    std::int64_t at = 0;
    for (const Stack& stack : unit) {
        std::int64_t rows = 0;
        for (const at::Tensor& part : stack) rows += part.size(0);
        const std::int64_t columns = stack.front().size(1);
        matrices.push_back(flat.narrow(0, at, rows * columns).view({rows, columns}));
        at += rows * columns;
    }
    return matrices;
}

std::int64_t WeightFeed::pass_bytes() const {
    if (!resident_.empty()) return 0;
    std::int64_t largest = 0;
    for (const Unit& unit : units_) largest = std::max(largest, numel(unit));
    return largest * static_cast<std::int64_t>(c10::elementSize(compute_)) * (device_.is_cuda() ? 2 : 1);
}

// Two slots in turn. Slot u % 2 is filled again when the computing stream is through with unit u.
struct WeightFeed::Pass::Copier {
    explicit Copier(const WeightFeed& feed) : staged(feed.device_, feed.compute_) {
        std::int64_t largest = 0;
        for (const Unit& unit : feed.units_) largest = std::max(largest, feed.numel(unit));
        slots.resize(feed.device_.is_cuda() ? 2 : 1);
        for (Slot& slot : slots) slot.flat = at::empty({largest}, at::TensorOptions(feed.device_).dtype(feed.compute_));
        if (!feed.device_.is_cuda()) return;
        side = c10::impl::VirtualGuardImpl(feed.device_.type()).getStreamFromGlobalPool(feed.device_);
        for (Slot& slot : slots) {
            slot.copied.emplace(feed.device_.type(), c10::EventFlag::BACKEND_DEFAULT);
            slot.read.emplace(feed.device_.type(), c10::EventFlag::BACKEND_DEFAULT);
            // The memory may have been somebody else's on this stream a moment ago.
            slot.read->record(current_stream(feed.device_));
        }
    }

    void fill(const WeightFeed& feed, std::size_t unit) {
        if (unit >= feed.units_.size()) return;
        Slot& slot = slots[unit % slots.size()];
        std::optional<c10::StreamGuard> guard;
        if (side) {
            guard.emplace(*side);
            slot.read->block(*side);
        }
        copy_unit(staged, feed.units_[unit], slot.flat);
        if (side) slot.copied->record(*side);
    }

    struct Slot {
        at::Tensor flat;
        std::optional<c10::Event> copied; // CUDA: by the side stream
        std::optional<c10::Event> read;   // CUDA: by the computing stream
    };
    StagedCopy staged;
    std::vector<Slot> slots;
    std::optional<c10::Stream> side;
};

WeightFeed::Pass::Pass(const WeightFeed& feed) : feed_(feed) {
    if (!feed.resident_.empty()) return;
    copier_ = std::make_unique<Copier>(feed);
    if (copier_->side) copier_->fill(feed, 0);
}

WeightFeed::Pass::~Pass() {
    // Neither buffers nor page-locked memory may go while a copy is under way.
    if (copier_ && copier_->side) copier_->side->synchronize();
}

std::vector<at::Tensor> WeightFeed::Pass::next() {
    const std::size_t unit = at_++;
    TORCH_CHECK(unit < feed_.units_.size(), "WeightFeed: more units asked for than there are");
    if (!copier_) return feed_.views(feed_.units_[unit], feed_.resident_[unit]);
    Copier& copier = *copier_;
    Copier::Slot& slot = copier.slots[unit % copier.slots.size()];
    if (!copier.side) {
        copier.fill(feed_, unit);
    } else {
        const c10::Stream computing = current_stream(feed_.device_);
        if (unit > 0) copier.slots[(unit - 1) % 2].read->record(computing);
        copier.fill(feed_, unit + 1);
        slot.copied->block(computing);
    }
    return feed_.views(feed_.units_[unit], slot.flat);
}

} // namespace wander
