#pragma once
// Time spent in one kind of work: the clock on the CPU, pairs of events on a GPU, which are read only in take_ms().
// Worker thread only.

#include <c10/core/Device.h>

#include <memory>

namespace wander::quant {

class StageTimer {
public:
    explicit StageTimer(at::Device device);
    ~StageTimer();
    StageTimer(const StageTimer&) = delete;
    StageTimer& operator=(const StageTimer&) = delete;

    void begin();
    void end();
    double take_ms(); // since the last call; waits for the device's last event

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace wander::quant
