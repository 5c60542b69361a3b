#include "quant/cache/row_writer.hpp"

#if WANDER_CUDA
#include "quant/cuda/expand.hpp"

#include <c10/cuda/CUDAStream.h>

#include <optional>
#endif

#include <cstdint>

namespace wander::quant {
namespace {

#if WANDER_CUDA
// As the kernel reads and writes them.
bool values_lie_together(const at::Tensor& rows, const at::Tensor& like) {
    if (rows.device() != like.device() || rows.scalar_type() != like.scalar_type()) return false;
    const bool dense = rows.stride(2) == 1 && rows.stride(1) == rows.size(2);
    return dense && rows.stride(0) % 8 == 0 && reinterpret_cast<std::uintptr_t>(rows.const_data_ptr()) % 16 == 0;
}

// Expansion that turns nothing is a copy. (torch copies rows that lie apart value by value, at 1 TB/s on an H100.)
std::optional<cuda::ExpandJob> copy_job(const RowPair& from, const RowPair& to) {
    const at::ScalarType type = from.keys.scalar_type();
    if (!from.keys.is_cuda() || (type != at::kBFloat16 && type != at::kFloat)) return std::nullopt;
    for (const at::Tensor* rows : {&from.keys, &from.values, &to.keys, &to.values})
        if (!values_lie_together(*rows, from.keys)) return std::nullopt;
    if (!to.keys.is_contiguous() || !to.values.is_contiguous()) return std::nullopt;
    cuda::ExpandJob job;
    job.element = job.source_element = type == at::kFloat ? cuda::Element::float32 : cuda::Element::bfloat16;
    job.heads = job.head_count = static_cast<int>(from.keys.size(1));
    job.head_dim = static_cast<int>(from.keys.size(2));
    for (const at::Tensor* rows : {&from.keys, &from.values}) {
        cuda::ExpandRun& run = job.runs[job.run_count++];
        run.source = rows->const_data_ptr();
        run.rows = static_cast<int>(rows->size(0));
        run.source_row = rows->stride(0);
    }
    job.value_runs = 1;
    job.out = to.keys.data_ptr();
    job.out_of_values = to.values.data_ptr();
    return job;
}
#endif

} // namespace

void write_rows(const RowPair& from, const RowPair& to) {
#if WANDER_CUDA
    const auto job = copy_job(from, to);
    if (job && cuda::expand_plain(*job, c10::cuda::getCurrentCUDAStream(from.keys.get_device()).stream())) return;
#endif
    to.keys.copy_(from.keys);
    to.values.copy_(from.values);
}

} // namespace wander::quant
