// Plain memory as a source of the expansion: uncompressed pages, the chunk's own rows, queries.
#include "quant/cuda/expand_rows.cuh"

namespace wander::quant::cuda {
namespace {

template <class T>
struct PlainRows {
    const T* page;
    long long row_values;
    int head_dim;
    __device__ void begin(const ExpandRun& run) {
        page = static_cast<const T*>(run.source);
        row_values = run.source_row > 0 ? run.source_row : row_values;
    }
    __device__ Eight load(int row, int head, int channel) const {
        return load_eight(page + row * row_values + head * head_dim + channel);
    }
};

} // namespace

bool expand_plain(const ExpandJob& job, Stream stream) {
    const long long row = job.source_row > 0 ? job.source_row : static_cast<long long>(job.heads) * job.head_dim;
    switch (job.source_element) {
        case Element::float32: return expand_source(PlainRows<float>{nullptr, row, job.head_dim}, job, stream);
        case Element::bfloat16: return expand_source(PlainRows<__nv_bfloat16>{nullptr, row, job.head_dim}, job, stream);
        case Element::e4m3: return false;
    }
    return false;
}

} // namespace wander::quant::cuda
