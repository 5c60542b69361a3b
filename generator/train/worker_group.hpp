#pragma once
// The processes that train together, one a GPU: gradients are averaged, rank 0's clock counts for all.
//
// c10d of libtorch: a TCPStore on this machine for meeting and small values; gradients through NCCL on GPUs and, on the
// CPU, through the store itself (libtorch's package has no headers for its other transports). Processes are started by
// worker_processes.hpp, which hands rank and port over in the environment. One process alone: everything is a no-op.
// A group of one that was started as a group goes through all of it. One thread. Waiting for a process that has died
// ends with an error, since the processes' parent ends all of them.

#include "generator/plain/result.hpp"
#include "generator/train/named_tensors.hpp"

#include <c10/core/Device.h>

#include <memory>
#include <vector>

namespace wander::train {

class WorkerGroup {
public:
    // Alone, or the group that the environment names. device: where the gradients are. unavailable where NCCL lacks.
    static Result<WorkerGroup> join(at::Device device);

    WorkerGroup(WorkerGroup&&) noexcept;
    WorkerGroup& operator=(WorkerGroup&&) noexcept;
    ~WorkerGroup();

    int rank() const;
    int size() const;
    bool is_first() const { return rank() == 0; }

    // Every parameter's gradient becomes the mean over all processes, by one all-reduce of all of them side by side.
    // The result has the same bytes everywhere. A parameter without a gradient counts as having zeros.
    Result<void> average_gradients(const NamedTensors& parameters);
    // Rank 0's values, everywhere; everybody passes as many.
    Result<std::vector<double>> broadcast(const std::vector<double>& values);
    // Rank 0's tensors, everywhere, in place.
    Result<void> broadcast(const NamedTensors& tensors);
    // Everybody waits for everybody.
    Result<void> barrier();

private:
    struct State;
    explicit WorkerGroup(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace wander::train
