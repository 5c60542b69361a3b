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

// type, device, heads, head_dim, queries, keys, rows of q and out, scale, whether the log-sum-exp is wanted
using Key = std::tuple<SdpaType, int, int, int, std::int64_t, std::int64_t, std::int64_t, std::int64_t, double, bool>;

struct Plan {
    fe::graph::Graph graph;
    std::int64_t workspace = 0;
    std::string engine;
};

void check(fe::error_t error, const SdpaJob& job, const char* step) {
    TORCH_CHECK(error.is_good(), "cuDNN refused ", job.type == SdpaType::e4m3 ? "E4M3" : "BF16", " attention (",
                job.queries, " queries, ", job.keys, " keys, ", job.heads, " heads of ", job.head_dim, ") when ", step,
                ": ", error.get_message());
}

fe::DataType_t type_of(const SdpaJob& job) {
    return job.type == SdpaType::e4m3 ? fe::DataType_t::FP8_E4M3 : fe::DataType_t::BFLOAT16;
}

std::int64_t row_of(const SdpaJob& job, std::int64_t wanted) {
    return wanted > 0 ? wanted : static_cast<std::int64_t>(job.heads) * job.head_dim;
}

Tensor rows(fe::graph::Graph& graph, const SdpaJob& job, std::int64_t tokens, std::int64_t row, Id id) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_dim({1, job.heads, tokens, job.head_dim})
                            .set_stride({tokens * row, job.head_dim, row, 1})
                            .set_data_type(type_of(job))
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

    std::string engine(const SdpaJob& job) {
        const std::lock_guard lock(mutex_);
        return plan(job).engine;
    }

    void run(const SdpaJob& job, void* workspace, Stream stream) {
        const std::lock_guard lock(mutex_);
        Plan& found = plan(job);
        cudnnHandle_t handle = handle_of(job.device);
        TORCH_CHECK(fe::detail::set_stream(handle, stream) == CUDNN_STATUS_SUCCESS, "cuDNN does not take the stream");
        const auto input = [](const auto* pointer) { return const_cast<void*>(static_cast<const void*>(pointer)); };
        std::unordered_map<std::int64_t, void*> pointers = {
            {id_q, input(job.q)}, {id_k, input(job.k)}, {id_v, input(job.v)}, {id_out, job.out}};
        if (job.lse) pointers.emplace(id_lse, job.lse);
        if (job.type == SdpaType::e4m3) {
            E4m3Factors* const f = job.factors;
            pointers.insert({{id_descale_q, &f->descale[0]},
                             {id_descale_k, &f->descale[1]},
                             {id_descale_v, &f->descale[2]},
                             {id_descale_s, &f->descale_probability},
                             {id_scale_s, &f->scale_probability},
                             {id_scale_o, &f->inverse_scale[2]},
                             {id_largest_s, &f->largest[0]},
                             {id_largest_o, &f->largest[1]}});
        }
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
        const Key key{job.type,
                      job.device,
                      job.heads,
                      job.head_dim,
                      job.queries,
                      job.keys,
                      row_of(job, job.q_row),
                      row_of(job, job.out_row),
                      job.scale,
                      job.lse != nullptr};
        if (const auto found = plans_.find(key); found != plans_.end()) return *found->second;
        if (plans_.size() >= kMaxPlans) plans_.clear();
        return *plans_.emplace(key, build(job)).first->second;
    }

    std::unique_ptr<Plan> build(const SdpaJob& job) {
        auto plan = std::make_unique<Plan>();
        fe::graph::Graph& graph = plan->graph;
        graph.set_io_data_type(type_of(job))
            .set_intermediate_data_type(fe::DataType_t::FLOAT)
            .set_compute_data_type(fe::DataType_t::FLOAT);
        const std::int64_t dense = row_of(job, 0);
        const Tensor q = rows(graph, job, job.queries, row_of(job, job.q_row), id_q);
        const Tensor k = rows(graph, job, job.keys, dense, id_k);
        const Tensor v = rows(graph, job, job.keys, dense, id_v);
        if (job.type == SdpaType::e4m3) {
            add_e4m3(graph, job, q, k, v);
        } else {
            const auto options = fe::graph::SDPA_attributes()
                                     .set_name("slice")
                                     .set_generate_stats(job.lse != nullptr)
                                     .set_attn_scale(static_cast<float>(job.scale));
            const auto [out, lse] = graph.sdpa(q, k, v, options);
            name_results(job, out, lse);
        }
        check(graph.build(handle_of(job.device), {fe::HeurMode_t::A}), job, "planning");
        check(graph.get_workspace_size(plan->workspace), job, "asking for its workspace");
        check(graph.get_plan_name(plan->engine), job, "asking for its name");
        return plan;
    }

    static void name_results(const SdpaJob& job, const Tensor& out, const Tensor& lse) {
        const std::int64_t row = row_of(job, job.out_row);
        out->set_output(true)
            .set_dim({1, job.heads, job.queries, job.head_dim})
            .set_stride({job.queries * row, job.head_dim, row, 1})
            .set_uid(id_out);
        if (!job.lse) return;
        lse->set_output(true)
            .set_data_type(fe::DataType_t::FLOAT)
            .set_dim({1, job.heads, job.queries, 1})
            .set_stride({job.heads * job.queries, job.queries, 1, 1})
            .set_uid(id_lse);
    }

    static void add_e4m3(fe::graph::Graph& graph, const SdpaJob& job, const Tensor& q, const Tensor& k,
                         const Tensor& v) {
        const auto options = fe::graph::SDPA_fp8_attributes().set_name("slice").set_generate_stats(true).set_attn_scale(
            static_cast<float>(job.scale));
        const Tensor descale_q = scalar(graph, id_descale_q);
        const Tensor descale_k = scalar(graph, id_descale_k);
        const Tensor descale_v = scalar(graph, id_descale_v);
        const Tensor descale_s = scalar(graph, id_descale_s);
        const Tensor scale_s = scalar(graph, id_scale_s);
        const Tensor scale_o = scalar(graph, id_scale_o);
        const auto [out, lse, largest_s, largest_o] =
            graph.sdpa_fp8(q, k, v, descale_q, descale_k, descale_v, descale_s, scale_s, scale_o, options);
        name_results(job, out, lse);
        const auto one_float = [](const Tensor& tensor, Id id) {
            tensor->set_output(true)
                .set_dim({1, 1, 1, 1})
                .set_stride({1, 1, 1, 1})
                .set_data_type(fe::DataType_t::FLOAT)
                .set_uid(id);
        };
        one_float(largest_s, id_largest_s);
        one_float(largest_o, id_largest_o);
    }

    std::mutex mutex_;
    std::map<int, cudnnHandle_t> handles_;
    std::map<Key, std::unique_ptr<Plan>> plans_;
};

} // namespace

std::int64_t sdpa_workspace(const SdpaJob& job) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(job.device));
    return Plans::instance().workspace(job);
}

void run_sdpa(const SdpaJob& job, void* workspace, Stream stream) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(job.device));
    Plans::instance().run(job, workspace, stream);
}

std::string sdpa_engine(const SdpaJob& job) {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(job.device));
    return Plans::instance().engine(job);
}

} // namespace wander::quant::cuda
#endif
