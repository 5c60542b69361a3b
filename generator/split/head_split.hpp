#pragma once
// A network's passes on several devices of one process: every device has all weights, runs the token-wise work of its
// own latents, and attends for its own heads, to all tokens. Around attention the devices exchange tokens for heads
// (Jacobs et al. 2023, "DeepSpeed Ulysses", is the idea): between the two exchanges a device has all tokens of
// heads / size heads, elsewhere all heads of its own tokens.
//
// One HeadSplit a device, each used by one thread; all of them make the same calls in the same order. What a device
// gives away stays where it is and the others copy what they need of it: on GPUs by a kernel that reads the other GPU's
// memory (GPUs that cannot are refused when the split is opened) behind an event, so nothing on a GPU spins while it
// waits, and a host thread waits for the others only as far as it runs ahead of them. On the CPU the same code copies
// between threads; it is the twin for tests.

#include "generator/plain/result.hpp"
#include "quant/cache/stage_timer.hpp"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

namespace wander {

// What the others throw when one of them has failed.
struct SplitBroken : std::runtime_error {
    SplitBroken() : std::runtime_error("a part of the network on another device has failed") {}
};

class HeadSplit {
public:
    // One for each device, in the order of ranks; a GPU once at most, the CPU as often as there are ranks. unavailable
    // where two GPUs cannot read each other's memory.
    static Result<std::vector<std::shared_ptr<HeadSplit>>> open(const std::vector<at::Device>& devices);
    ~HeadSplit();
    HeadSplit(const HeadSplit&) = delete;
    HeadSplit& operator=(const HeadSplit&) = delete;

    int rank() const { return rank_; }
    int size() const;

    // This rank's share of a pass's latents; never empty.
    struct Latents {
        std::int64_t first = 0, count = 0;
    };
    Latents own(std::int64_t latents) const;

    // Of tensors of all heads, along dimension `dim`: this rank's, a view.
    at::Tensor own_heads(const at::Tensor& all, std::int64_t dim) const;

    // Each [own tokens, heads, d] (rows may lie apart) -> [all tokens, own heads, d], dense. What is given here must
    // not be written to until the next exchange has begun.
    std::vector<at::Tensor> tokens_to_heads(const std::vector<at::Tensor>& rows);
    // [branches, all tokens, own heads, d] -> [own tokens, branches, heads, d], dense; own tokens: `count` behind the
    // first `first`. Of what is given the same holds.
    at::Tensor heads_to_tokens(const at::Tensor& attended, std::int64_t first, std::int64_t count);
    // [own tokens, c] -> [all tokens, c], likewise.
    at::Tensor gather(const at::Tensor& rows);

    // This rank makes no more calls: whoever waits for it, or comes later, throws SplitBroken. Any thread.
    void give_up();

    // Of all exchanges since the last call, waiting for the others included; waits for the device.
    double take_ms() { return timer_.take_ms(); }

private:
    struct Team;
    HeadSplit(std::shared_ptr<Team> team, int rank, at::Device device);

    // Shows tensors to the others and waits until they show theirs.
    void show(std::vector<at::Tensor> tensors);
    const std::vector<at::Tensor>& shown(int rank) const;
    void taken(); // what was to be copied is queued

    std::shared_ptr<Team> team_;
    int rank_;
    at::Device device_;
    std::int64_t turn_ = 0;
    quant::StageTimer timer_;
};

} // namespace wander
