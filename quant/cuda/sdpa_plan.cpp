// This file alone sees cudnn-frontend. It finds cuDNN's functions at run time in the library that libtorch_cuda opened,
// so that the program starts on machines without it.
#if WANDER_CUDNN_FP8
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cuda_runtime_api.h>
#include <cudnn_frontend.h>

#include "quant/cuda/sdpa_plan.hpp"

#include <c10/cuda/CUDAGuard.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <unordered_map>

void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace wander::quant::cuda {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Id : std::int64_t {
    id_q = 1,
    id_k,
    id_v,
    id_descale_q,
    id_descale_k,
    id_descale_v,
    id_descale_s,
    id_scale_s,
    id_scale_o,
    id_out,
    id_lse,
    id_largest_s,
    id_largest_o
};

// device, heads, head_dim, queries, keys, scale
using Key = std::tuple<int, int, int, std::int64_t, std::int64_t, double>;

struct Plan {
    fe::graph::Graph graph;
    std::int64_t workspace = 0;
};

void check(fe::error_t error, const SdpaJob& job, const char* step) {
    TORCH_CHECK(error.is_good(), "cuDNN refused E4M3 attention (", job.queries, " queries, ", job.keys, " keys, ",
                job.heads, " heads of ", job.head_dim, ") when ", step, ": ", error.get_message());
}

Tensor rows(fe::graph::Graph& graph, const SdpaJob& job, std::int64_t tokens, Id id) {
    const std::int64_t row = static_cast<std::int64_t>(job.heads) * job.head_dim;
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_dim({1, job.heads, tokens, job.head_dim})
                            .set_stride({tokens * row, job.head_dim, row, 1})
                            .set_data_type(fe::DataType_t::FP8_E4M3)
                            .set_uid(id));
}

Tensor scalar(fe::graph::Graph& graph, Id id) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_dim({1, 1, 1, 1})
                            .set_stride({1, 1, 1, 1})
                            .set_data_type(fe::DataType_t::FLOAT)
                            .set_uid(id));
}

class Plans {
public:
    static Plans& instance() {
        // Never destroyed: at the end of the program cuDNN may be gone before statics are.
        static Plans& plans = *new Plans;
        return plans;
    }

    std::int64_t workspace(const SdpaJob& job) {
        const std::lock_guard lock(mutex_);
        return plan(job).workspace;
    }

    void run(const SdpaJob& job, const SdpaE4m3Call& call, void* workspace) {
        const std::lock_guard lock(mutex_);
        Plan& found = plan(job);
        cudnnHandle_t handle = handle_of(job.device);
        TORCH_CHECK(fe::detail::set_stream(handle, call.stream) == CUDNN_STATUS_SUCCESS,
                    "cuDNN does not take the stream");
        const auto input = [](const auto* pointer) { return const_cast<void*>(static_cast<const void*>(pointer)); };
        std::unordered_map<std::int64_t, void*> pointers = {
            {id_q, input(job.q)},
            {id_k, input(job.k)},
            {id_v, input(job.v)},
            {id_descale_q, input(job.descale_q)},
            {id_descale_k, input(job.descale_k)},
            {id_descale_v, input(job.descale_v)},
            {id_descale_s, &call.factors->descale_probability},
            {id_scale_s, &call.factors->scale_probability},
            {id_scale_o, &call.factors->scale_output},
            {id_out, call.stored_out},
            {id_lse, job.lse},
            {id_largest_s, &call.factors->largest[0]},
            {id_largest_o, &call.factors->largest[1]},
        };
        check(found.graph.execute(handle, pointers, workspace), job, "running");
    }

private:
    static constexpr std::size_t kMaxPlans = 64;

    Plans() {
        fe::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW);
        const char* why = fe::cudnn_dlhandle ? nullptr : dlerror();
        TORCH_CHECK(fe::cudnn_dlhandle, "cuDNN cannot be loaded: ", why ? why : "no reason given");
    }

    cudnnHandle_t handle_of(int device) {
        cudnnHandle_t& handle = handles_[device];
        if (!handle) {
            TORCH_CHECK(fe::detail::create_handle(&handle) == CUDNN_STATUS_SUCCESS, "cuDNN does not start");
        }
        return handle;
    }

    Plan& plan(const SdpaJob& job) {
        const Key key{job.device, job.heads, job.head_dim, job.queries, job.keys, job.scale};
        if (const auto found = plans_.find(key); found != plans_.end()) return *found->second;
        if (plans_.size() >= kMaxPlans) plans_.clear();
        return *plans_.emplace(key, build(job)).first->second;
    }

    std::unique_ptr<Plan> build(const SdpaJob& job) {
        auto plan = std::make_unique<Plan>();
        fe::graph::Graph& graph = plan->graph;
        graph.set_io_data_type(fe::DataType_t::FP8_E4M3)
            .set_intermediate_data_type(fe::DataType_t::FLOAT)
            .set_compute_data_type(fe::DataType_t::FLOAT);
        const auto options = fe::graph::SDPA_fp8_attributes().set_name("slice").set_generate_stats(true).set_attn_scale(
            static_cast<float>(job.scale));
        const Tensor q = rows(graph, job, job.queries, id_q);
        const Tensor k = rows(graph, job, job.keys, id_k);
        const Tensor v = rows(graph, job, job.keys, id_v);
        const Tensor descale_q = scalar(graph, id_descale_q);
        const Tensor descale_k = scalar(graph, id_descale_k);
        const Tensor descale_v = scalar(graph, id_descale_v);
        const Tensor descale_s = scalar(graph, id_descale_s);
        const Tensor scale_s = scalar(graph, id_scale_s);
        const Tensor scale_o = scalar(graph, id_scale_o);
        const auto [out, lse, largest_s, largest_o] =
            graph.sdpa_fp8(q, k, v, descale_q, descale_k, descale_v, descale_s, scale_s, scale_o, options);
        const std::int64_t row = static_cast<std::int64_t>(job.heads) * job.head_dim;
        out->set_output(true)
            .set_dim({1, job.heads, job.queries, job.head_dim})
            .set_stride({job.queries * row, job.head_dim, row, 1})
            .set_uid(id_out);
        lse->set_output(true)
            .set_data_type(fe::DataType_t::FLOAT)
            .set_dim({1, job.heads, job.queries, 1})
            .set_stride({job.heads * job.queries, job.queries, 1, 1})
            .set_uid(id_lse);
        const auto one_float = [](const Tensor& tensor, Id id) {
            tensor->set_output(true)
                .set_dim({1, 1, 1, 1})
                .set_stride({1, 1, 1, 1})
                .set_data_type(fe::DataType_t::FLOAT)
                .set_uid(id);
        };
        one_float(largest_s, id_largest_s);
        one_float(largest_o, id_largest_o);
        check(graph.build(handle_of(job.device), {fe::HeurMode_t::A}), job, "planning");
        check(graph.get_workspace_size(plan->workspace), job, "asking for its workspace");
        return plan;
    }

    std::mutex mutex_;
    std::map<int, cudnnHandle_t> handles_;
    std::map<Key, std::unique_ptr<Plan>> plans_;
};

} // namespace

std::int64_t sdpa_e4m3_workspace(const SdpaJob& job) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(job.device));
    return Plans::instance().workspace(job);
}

void run_sdpa_e4m3(const SdpaJob& job, const SdpaE4m3Call& call, void* workspace) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(job.device));
    Plans::instance().run(job, call, workspace);
}

} // namespace wander::quant::cuda
#endif
