#include "generator/train/worker_group.hpp"

#include "generator/errors.hpp"
#include "generator/train/nccl/nccl_backend.hpp"
#include "generator/train/worker_processes.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace wander::train {

namespace {

// One process may write a checkpoint or evaluate while the others wait for it.
constexpr std::chrono::minutes kPatience{30};
// The store refuses values of more than 8 MiB; larger ones go round in pieces.
constexpr std::size_t kPieceBytes = 4 << 20;
constexpr const char* kAllLeft = "left/all";
constexpr std::chrono::seconds kFarewell{20};

Result<c10::intrusive_ptr<c10d::Backend>> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size) {
    std::error_code failed;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
    const auto file = program.parent_path() / kNcclLibrary;
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    const char* why = library ? nullptr : dlerror();
    void* found = library ? dlsym(library, kMakeNcclName) : nullptr;
    if (!found)
        return Error{ErrorCode::unavailable,
                     fmt::format("several GPUs need {}, which is built where nccl.h is found ({}); use --gpus 1",
                                 file.string(), why ? why : "not usable")};
    const auto make = reinterpret_cast<MakeNccl>(found);
    c10::intrusive_ptr<c10d::Backend> made;
    make(store, rank, size, made);
    return made;
}

std::vector<std::uint8_t> bytes_of(const void* data, std::size_t bytes) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    return {begin, begin + bytes};
}

} // namespace

struct WorkerGroup::State {
    WorkerPlace place;
    at::Device device = at::kCPU;
    c10::intrusive_ptr<c10d::Store> store;
    c10::intrusive_ptr<c10d::Backend> nccl; // null on the CPU
    std::int64_t values = 0;                // that were handed round so far
    std::int64_t sums = 0;
    std::size_t summed_bytes = 0; // of the sum before
    std::int64_t barriers = 0;

    ~State() {
        if (!store) return;
        try {
            if (nccl) nccl->shutdown(); // else its destructor warns that nobody did
        } catch (const std::exception&) {
            // Another process has died.
        }
        nccl.reset();
        // The store lives in rank 0, which leaves last.
        try {
            if (place.size == 1) {
                // Nobody to wait for.
            } else if (place.rank == 0) {
                store->wait({kAllLeft}, kFarewell);
            } else if (store->add("left", 1) == place.size - 1) {
                store->set(kAllLeft, bytes_of("1", 1));
            }
        } catch (const std::exception&) {
            // One of them has died; the processes' parent tells.
        }
    }

    static std::string piece_key(const std::string& key, std::size_t piece) { return fmt::format("{}/{}", key, piece); }

    void put(const std::string& key, const void* data, std::size_t bytes) const {
        const auto* begin = static_cast<const std::uint8_t*>(data);
        for (std::size_t at = 0, piece = 0; at < bytes; at += kPieceBytes, ++piece)
            store->set(piece_key(key, piece), bytes_of(begin + at, std::min(kPieceBytes, bytes - at)));
    }
    // Waits for it. Throws where it has another size.
    void get(const std::string& key, void* data, std::size_t bytes) const {
        auto* begin = static_cast<std::uint8_t*>(data);
        for (std::size_t at = 0, piece = 0; at < bytes; at += kPieceBytes, ++piece) {
            const auto got = store->get(piece_key(key, piece));
            TORCH_CHECK(got.size() == std::min(kPieceBytes, bytes - at), key, " has another size elsewhere");
            std::memcpy(begin + at, got.data(), got.size());
        }
    }
    void drop(const std::string& key, std::size_t bytes) const {
        for (std::size_t at = 0, piece = 0; at < bytes; at += kPieceBytes, ++piece)
            store->deleteKey(piece_key(key, piece));
    }

    // Rank 0's bytes, everywhere. The last to have them takes them away, so that rank 0 need not wait.
    void hand_round(void* data, std::size_t bytes) {
        const std::string key = fmt::format("value/{}", values++);
        if (place.rank == 0) return put(key, data, bytes);
        get(key, data, bytes);
        const std::string readers = key + "/readers";
        if (store->add(readers, 1) < place.size - 1) return;
        drop(key, bytes);
        store->deleteKey(readers);
    }

    // Everybody adds everybody's in the order of ranks, so that the sums have the same bytes.
    void sum_through_store(const at::Tensor& flat) {
        const auto key = [](std::int64_t sum, int rank) { return fmt::format("sum/{}/{}", sum, rank); };
        put(key(sums, place.rank), flat.const_data_ptr<float>(), flat.nbytes());
        at::Tensor sum = at::zeros_like(flat);
        at::Tensor theirs = at::empty_like(flat);
        for (int rank = 0; rank < place.size; ++rank) {
            get(key(sums, rank), theirs.mutable_data_ptr<float>(), theirs.nbytes());
            sum.add_(theirs);
        }
        flat.copy_(sum);
        // Whoever is here has everybody's part of this sum, so everybody is done with the one before.
        if (sums > 0) drop(key(sums - 1, place.rank), summed_bytes);
        summed_bytes = flat.nbytes();
        ++sums;
    }

    void sum(const at::Tensor& flat) {
        if (!nccl) return sum_through_store(flat);
        std::vector<at::Tensor> tensors{flat};
        nccl->allreduce(tensors, {})->wait();
    }
};

WorkerGroup::WorkerGroup(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkerGroup::WorkerGroup(WorkerGroup&&) noexcept = default;
WorkerGroup& WorkerGroup::operator=(WorkerGroup&&) noexcept = default;
WorkerGroup::~WorkerGroup() = default;

Result<WorkerGroup> WorkerGroup::join(at::Device device) {
    auto state = std::make_unique<State>();
    state->place = worker_place();
    state->device = device;
    if (!state->place.started) return WorkerGroup(std::move(state));
    try {
        c10d::TCPStoreOptions options;
        options.port = static_cast<std::uint16_t>(state->place.port);
        options.isServer = state->place.rank == 0;
        options.numWorkers = static_cast<std::size_t>(state->place.size);
        options.waitWorkers = false;
        options.timeout = kPatience;
        if (options.isServer && state->place.listening >= 0) options.masterListenFd = state->place.listening;
        state->store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
        if (device.is_cuda()) {
            const auto place = state->place;
            auto nccl = open_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", state->store), place.rank, place.size);
            if (!nccl) return nccl.error();
            state->nccl = *nccl;
        }
    } catch (...) {
        return current_exception_as_error("meeting the other processes");
    }
    return WorkerGroup(std::move(state));
}

int WorkerGroup::rank() const { return state_->place.rank; }
int WorkerGroup::size() const { return state_->place.size; }

Result<void> WorkerGroup::average_gradients(const NamedTensors& parameters) {
    if (!state_->store) return {};
    const c10::NoGradGuard no_grad;
    try {
        std::vector<at::Tensor> parts;
        parts.reserve(parameters.size());
        for (const auto& [name, weight] : parameters) {
            if (!weight.grad().defined()) weight.mutable_grad() = at::zeros_like(weight);
            parts.push_back(weight.grad().reshape({-1}));
        }
        const at::Tensor flat = at::cat(parts);
        state_->sum(flat);
        flat.div_(size());
        std::int64_t begin = 0;
        for (const auto& [name, weight] : parameters) {
            weight.mutable_grad().copy_(flat.narrow(0, begin, weight.numel()).view(weight.sizes()));
            begin += weight.numel();
        }
    } catch (...) {
        return current_exception_as_error("averaging gradients");
    }
    return {};
}

Result<std::vector<double>> WorkerGroup::broadcast(const std::vector<double>& values) {
    if (!state_->store) return values;
    try {
        std::vector<double> theirs = values;
        state_->hand_round(theirs.data(), theirs.size() * sizeof(double));
        return theirs;
    } catch (...) {
        return current_exception_as_error("waiting for the first process");
    }
}

Result<void> WorkerGroup::broadcast(const NamedTensors& tensors) {
    if (!state_->store) return {};
    const c10::NoGradGuard no_grad;
    try {
        for (const auto& [name, tensor] : tensors) {
            const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
            state_->hand_round(host.mutable_data_ptr(), host.nbytes());
            if (!is_first()) tensor.copy_(host);
        }
    } catch (...) {
        return current_exception_as_error("waiting for the first process");
    }
    return barrier();
}

Result<void> WorkerGroup::barrier() {
    if (!state_->store) return {};
    try {
        const std::string key = fmt::format("barrier/{}", state_->barriers++);
        if (state_->store->add(key, 1) == size()) state_->store->set(key + "/open", bytes_of("1", 1));
        state_->store->wait({key + "/open"});
    } catch (...) {
        return current_exception_as_error("waiting for the other processes");
    }
    return {};
}

} // namespace wander::train
