#pragma once
// Milliseconds between marks: by the clock on the CPU, by events on the current stream of a GPU, so that marking never
// waits. One thread.

#include <c10/core/Device.h>

#include <memory>

namespace wander {

class StageClock {
public:
    explicit StageClock(c10::Device device);
    ~StageClock();

    // Marks are numbered from 0; marking one again moves it.
    static constexpr int kMarks = 4;
    void mark(int index);
    // Waits for mark `to` on a GPU. 0 if one of the marks was never set.
    double ms_between(int from, int to) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace wander
