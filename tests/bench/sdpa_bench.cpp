// One attention call over a slice or a whole history on an NVIDIA GPU: torch's flash attention, cuDNN in BF16 and cuDNN
// in E4M3 (quant/cuda/sdpa_cudnn.hpp), Hopper's own kernels in both (quant/cuda/hopper_attend.hpp), at the shape of
// one 1.3B layer (4680 queries, 12 heads x 128). Prints one JSON object a line: milliseconds of the first call (a plan
// is made) and the median of the others, relative error of the output against float32 on 192 queries.
//
//     sdpa_bench [KEYS...]      default: 2048 4096 8192 16384 65520 280800
#include "quant/cuda/hopper_attend.hpp"
#include "quant/cuda/sdpa_cudnn.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>

#if WANDER_CUDA
#include "tests/bench/figures.hpp"
#include "tests/bench/gpu_event.hpp"

#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using wander::bench::Event;
using wander::bench::median;
using wander::bench::ms_of;
using wander::bench::now_ms;
using wander::quant::cuda::SdpaJob;
using wander::quant::cuda::SdpaType;

constexpr std::int64_t kQueries = 4680;
constexpr std::int64_t kSlices[] = {1560, 4680, 7800, 14040}; // one latent, a page group, the most of E4M3 and BF16
constexpr int kHeads = 12;
constexpr int kHeadDim = 128;
constexpr double kScale = 0.08838834764831845; // 1 / sqrt(128)

struct Rows {
    at::Tensor values;  // bf16 [tokens, heads, head_dim]
    at::Tensor stored;  // E4M3
    at::Tensor descale; // float [1]
};

// Every head has a mean of its own, as keys have; `spread` widens the rest.
Rows make_rows(std::int64_t tokens, double spread, double mean) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(at::kCUDA);
    Rows rows;
    rows.values =
        (at::randn({tokens, kHeads, kHeadDim}, options).mul_(spread) + mean * at::randn({1, kHeads, kHeadDim}, options))
            .to(at::kBFloat16);
    rows.descale = rows.values.abs().amax().to(at::kFloat).div_(448.0).reshape({1});
    rows.stored = (rows.values.to(at::kFloat) / rows.descale).to(at::kFloat8_e4m3fn);
    return rows;
}

struct Result {
    at::Tensor out; // [queries, heads, head_dim]
    at::Tensor lse; // [heads, queries]
};

// float32, `queries` [n, heads, head_dim].
Result reference(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) {
    const auto heads = [](const at::Tensor& t) { return t.to(at::kFloat).transpose(0, 1).contiguous(); };
    const at::Tensor scores = at::matmul(heads(queries), heads(keys).transpose(1, 2)).mul_(kScale);
    const at::Tensor lse = at::logsumexp(scores, {2});
    return {at::matmul(at::exp(scores - lse.unsqueeze(2)), heads(values)).transpose(0, 1), lse};
}

struct Times {
    double first_ms = 0;
    double median_ms = 0;
};

Times measure(const std::function<Result()>& call, Result& result) {
    cudaDeviceSynchronize();
    Times times;
    const double begin = now_ms();
    result = call();
    cudaDeviceSynchronize();
    times.first_ms = now_ms() - begin;
    Event from, to;
    std::vector<double> all;
    double spent_ms = 0;
    while (all.size() < 5 || (all.size() < 40 && spent_ms < 400)) {
        all.push_back(ms_of(from, to, [&] { result = call(); }));
        spent_ms += all.back();
    }
    times.median_ms = median(all);
    return times;
}

Result by_flash(const Rows& q, const Rows& k, const Rows& v) {
    const auto heads = [](const at::Tensor& t) { return t.unsqueeze(0).transpose(1, 2); };
    const auto part = at::_scaled_dot_product_flash_attention(heads(q.values), heads(k.values), heads(v.values), 0.0,
                                                              false, false, kScale);
    return {std::get<0>(part)[0].transpose(0, 1), std::get<1>(part)[0]};
}

Result by_torch_cudnn(const Rows& q, const Rows& k, const Rows& v) {
    const auto heads = [](const at::Tensor& t) { return t.unsqueeze(0).transpose(1, 2); };
    const auto part = at::_scaled_dot_product_cudnn_attention(heads(q.values), heads(k.values), heads(v.values),
                                                              std::nullopt, true, 0.0, false, false, kScale);
    return {std::get<0>(part)[0].transpose(0, 1), std::get<1>(part).reshape({kHeads, kQueries})};
}

// On the device.
at::Tensor factors_of(const Rows& q, const Rows& k, const Rows& v) {
    const at::Tensor descale = at::cat({q.descale, k.descale, v.descale});
    const at::Tensor rest = at::tensor({1.0F / 256, 256.0F, 0.0F, 0.0F}, descale.options());
    return at::cat({1 / descale, descale, rest}); // the order of E4m3Factors
}

SdpaJob job_of(SdpaType type, const Rows& q, const Rows& k, const Rows& v) {
    const bool e4m3 = type == SdpaType::e4m3;
    const auto data = [e4m3](const Rows& rows) { return (e4m3 ? rows.stored : rows.values).const_data_ptr(); };
    SdpaJob job;
    job.type = type;
    job.heads = kHeads;
    job.head_dim = kHeadDim;
    job.queries = kQueries;
    job.keys = k.values.size(0);
    job.scale = kScale;
    job.q = data(q);
    job.k = data(k);
    job.v = data(v);
    return job;
}

Result new_result(at::ScalarType type) {
    const auto options = at::TensorOptions().device(at::kCUDA);
    return {at::empty({kQueries, kHeads, kHeadDim}, options.dtype(type)),
            at::empty({kHeads, kQueries}, options.dtype(at::kFloat))};
}

// As the cache does it: slice by slice, merged by log-sum-exp.
Result by_slices(SdpaType type, std::int64_t slice, const Rows& q, const Rows& k, const Rows& v) {
    using namespace wander::quant::cuda;
    const bool e4m3 = type == SdpaType::e4m3;
    std::vector<Result> held;
    Result total = new_result(at::kFloat);
    total.lse = at::empty({2, kHeads, kQueries}, total.lse.options());
    Result result = new_result(at::kBFloat16);
    const at::Tensor factors = factors_of(q, k, v);
    SdpaJob job = job_of(type, q, k, v);
    job.factors = reinterpret_cast<E4m3Factors*>(factors.data_ptr());
    const std::int64_t all = job.keys;
    const std::int64_t row_bytes = kHeads * kHeadDim * static_cast<std::int64_t>(e4m3 ? 1 : sizeof(std::uint16_t));
    MergeJob merge;
    merge.queries = kQueries;
    merge.head_count = kHeads;
    merge.heads = kHeads;
    merge.head_dim = kHeadDim;
    merge.element = e4m3 ? Element::e4m3 : Element::bfloat16;
    merge.part_descale = e4m3 ? factors.const_data_ptr<float>() + 5 : nullptr;
    merge.result_element = Element::bfloat16;
    merge.total = total.out.data_ptr<float>();
    int newest = 0;
    for (std::int64_t done = 0; done < all; done += job.keys) {
        job.keys = std::min(slice, all - done);
        job.k = static_cast<const std::uint8_t*>(job_of(type, q, k, v).k) + done * row_bytes;
        job.v = static_cast<const std::uint8_t*>(job_of(type, q, k, v).v) + done * row_bytes;
        held.push_back(new_result(e4m3 ? at::kFloat8_e4m3fn : at::kBFloat16));
        job.out = held.back().out.data_ptr();
        job.lse = held.back().lse.data_ptr<float>();
        attend(job);
        merge.parts[merge.part_count++] = {job.out, job.lse, kHeadDim, kHeads * kHeadDim, kQueries, 1, 0, nullptr};
        const bool last = done + job.keys == all;
        if (last || merge.part_count == kMaxMergeParts) {
            merge.lse_of_total = total.lse[newest].const_data_ptr<float>();
            newest = 1 - newest;
            merge.new_lse = total.lse[newest].data_ptr<float>();
            merge.result = last ? result.out.data_ptr() : nullptr;
            launch_merge(merge, c10::cuda::getCurrentCUDAStream().stream());
            merge.part_count = 0;
            merge.with_total = true;
            held.clear();
        }
    }
    return result;
}

// All keys in one launch; values in E4M3 are column by column already.
class ByHopper {
public:
    ByHopper(SdpaType type, const Rows& q, const Rows& k, const Rows& v) : result_(new_result(at::kBFloat16)) {
        using namespace wander::quant::cuda;
        const auto bytes = at::TensorOptions().dtype(at::kByte).device(at::kCUDA);
        const auto rows = static_cast<int>(k.values.size(0));
        const SdpaJob plain = job_of(type, q, k, v);
        job_.heads = kHeads;
        job_.queries = kQueries;
        job_.scale = kScale;
        job_.q = plain.q;
        job_.k = plain.k;
        job_.segments[0] = {plain.v, kHeads * kHeadDim, rows};
        job_.segment_count = 1;
        if (type == SdpaType::e4m3) {
            factors_ = factors_of(q, k, v);
            auto* const factors = reinterpret_cast<E4m3Factors*>(factors_.data_ptr());
            job_.factors = factors;
            const std::int64_t columns = (rows + 15) / 16 * 16;
            columns_ = at::empty({kHeads * kHeadDim * columns}, bytes);
            ExpandJob expand;
            expand.source_element = Element::bfloat16;
            expand.heads = expand.head_count = kHeads;
            expand.head_dim = kHeadDim;
            expand.element = Element::e4m3;
            expand.inverse_scale = &factors->inverse_scale[2];
            expand.out_columns = columns;
            expand.out_rows = rows;
            expand.out = columns_.data_ptr();
            expand.runs[0].source = v.values.const_data_ptr();
            expand.runs[0].rows = rows;
            expand.run_count = 1;
            TORCH_CHECK(expand_plain(expand, stream()), "values cannot be expanded");
            job_.segments[0] = {columns_.const_data_ptr(), columns, rows};
        }
        places_ = at::empty({hopper_place_bytes(job_) + 1}, bytes);
        counts_ = at::zeros({kHopperCounts}, bytes.dtype(at::kInt));
        job_.out = result_.out.data_ptr();
        job_.lse = result_.lse.data_ptr<float>();
        job_.places = places_.data_ptr();
        job_.counts = static_cast<unsigned*>(counts_.data_ptr());
    }
    Result operator()() const {
        const char* const refused = wander::quant::cuda::hopper_attend(job_, stream());
        TORCH_CHECK(!refused, refused ? refused : "");
        return result_;
    }

private:
    static wander::quant::cuda::Stream stream() { return c10::cuda::getCurrentCUDAStream().stream(); }
    Result result_;
    at::Tensor factors_, columns_, places_, counts_;
    wander::quant::cuda::HopperJob job_;
};

double relative(const at::Tensor& a, const at::Tensor& b) { return ((a - b).norm() / b.norm()).item().toDouble(); }

void run(std::int64_t keys) {
    const Rows q = make_rows(kQueries, 2.0, 1.0);
    const Rows k = make_rows(keys, 1.0, 1.0);
    const Rows v = make_rows(keys, 1.0, 0.5);
    const at::Tensor picked =
        at::arange(0, kQueries, kQueries / 192, at::TensorOptions().dtype(at::kLong).device(at::kCUDA))
            .narrow(0, 0, 192);
    const Result exact = reference(q.values.index_select(0, picked), k.values, v.values);
    const auto widened = [](const Rows& rows) { return rows.stored.to(at::kFloat) * rows.descale; };
    const Result exact_stored = reference(widened(q).index_select(0, picked), widened(k), widened(v));

    const double flops = 4.0 * static_cast<double>(kQueries) * static_cast<double>(keys) * kHeads * kHeadDim;
    double flash_ms = 0;
    const auto show = [&](const char* name, const std::function<Result()>& call) {
        Result result;
        Times times;
        try {
            times = measure(call, result);
        } catch (const std::exception& error) {
            std::string text = error.what();
            std::replace(text.begin(), text.end(), '\n', ' ');
            std::printf("{\"keys\": %lld, \"by\": \"%s\", \"refused\": \"%.600s\"}\n", static_cast<long long>(keys),
                        name, text.c_str());
            return;
        }
        if (flash_ms == 0) flash_ms = times.median_ms;
        const at::Tensor out = result.out.to(at::kFloat).index_select(0, picked);
        std::printf(
            "{\"keys\": %lld, \"by\": \"%s\", \"first_ms\": %.2f, \"ms\": %.3f, \"tflops\": %.0f, "
            "\"of_flash\": %.3f, \"error\": %.2e, \"error_of_stored\": %.2e}\n",
            static_cast<long long>(keys), name, times.first_ms, times.median_ms, flops / times.median_ms / 1e9,
            times.median_ms / flash_ms, relative(out, exact.out), relative(out, exact_stored.out));
        std::fflush(stdout);
    };
    show("torch flash", [&] { return by_flash(q, k, v); });
    show("torch cudnn bf16", [&] { return by_torch_cudnn(q, k, v); });
    show("bf16 whole", [&] { return by_slices(SdpaType::bfloat16, keys, q, k, v); });
    show("e4m3 whole", [&] { return by_slices(SdpaType::e4m3, keys, q, k, v); });
    if (wander::quant::cuda::hopper_supports(0)) {
        show("hopper bf16", ByHopper(SdpaType::bfloat16, q, k, v));
        show("hopper e4m3", ByHopper(SdpaType::e4m3, q, k, v));
    }
    for (const std::int64_t slice : kSlices) {
        if (slice >= keys) continue;
        show(("bf16 slices of " + std::to_string(slice)).c_str(),
             [&] { return by_slices(SdpaType::bfloat16, slice, q, k, v); });
        show(("e4m3 slices of " + std::to_string(slice)).c_str(),
             [&] { return by_slices(SdpaType::e4m3, slice, q, k, v); });
    }
}

} // namespace

int main(int argc, char** argv) {
    Dl_info info{};
    dladdr(reinterpret_cast<const void*>(&at::globalContext), &info);
    std::string library = info.dli_fname ? info.dli_fname : "";
    library = library.substr(0, library.rfind('/') + 1) + "libtorch_cuda.so";
    if (!dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
        std::fprintf(stderr, "sdpa_bench: %s\n", dlerror());
        return 1;
    }
    const c10::InferenceMode inference;
    at::globalContext().lazyInitDevice(at::kCUDA);
    std::vector<std::int64_t> lengths;
    for (int i = 1; i < argc; ++i) lengths.push_back(std::strtoll(argv[i], nullptr, 10));
    if (lengths.empty()) lengths = {2048, 4096, 8192, 16384, 65520, 280800};
    for (const std::int64_t keys : lengths) run(keys);
    return 0;
}
#else
int main() {
    std::puts("sdpa_bench: built without CUDA");
    return 0;
}
#endif
