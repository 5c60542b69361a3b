#pragma once
// Attention of one chunk over its visible history and itself, page by page. One implementation for each device.

#include "quant/cache/page_table.hpp"
#include "quant/kv_cache.hpp"

#include <ATen/ops/empty.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wander::quant {

// What attend() fills: [branches, rows, heads, head_dim], of which the branches of a row lie side by side.
inline at::Tensor empty_result(int branches, const at::Tensor& q) {
    return at::empty({q.size(0), branches, q.size(1), q.size(2)}, q.options()).transpose(0, 1);
}

class Attention {
public:
    virtual ~Attention() = default;
    virtual void begin_chunk(const ReadView& view, int history_latents) = 0;
    // Rows that stay from pass to pass, where there are such (quant/cache/kept_rows.hpp). leave: memory that they leave
    // to others from the next begin_chunk() on; less than 0: none stay, and their memory goes back at once.
    virtual void keep_rows(std::int64_t leave) { (void)leave; }
    virtual void forget_rows() {} // history, its text or how it is read are not those of before
    virtual std::int64_t kept_row_bytes() const { return 0; } // part of scratch_bytes()
    // segments: of the visible history, valid during the call. Shapes as KvCache::attend; q may be written over.
    virtual at::Tensor attend(int layer, const std::vector<HistorySegment>& segments, const at::Tensor& q,
                              const at::Tensor& k, const at::Tensor& v) = 0;
    virtual void set_bias_correction(bool on) = 0; // between chunks
    // Between chunks. Rows of every layer that are read first and never turned, see KvCache::set_text; on the CPU
    // possibly those of each branch (quant/cache/branch_rows.hpp).
    virtual void set_text(std::vector<TextRows> layers) = 0;
    virtual std::int64_t scratch_bytes() const = 0;
    virtual double take_expand_ms() = 0;    // since the last call
    virtual std::string engine() const = 0; // of the last kernels' library; empty before the first call
};

// As the policy says, on this device; and whether it can be had: wrong_use with what would do.
std::unique_ptr<Attention> make_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                          at::ScalarType compute);
Result<void> check_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                             at::ScalarType compute);

std::unique_ptr<Attention> make_cpu_attention(const CacheShape& shape, const CachePolicy& policy,
                                              at::ScalarType compute);
// AttentionType::fp8_emulated. Text and the logit correction are not for it.
std::unique_ptr<Attention> make_plain_e4m3_attention(const CacheShape& shape, const CachePolicy& policy,
                                                     at::Device device, at::ScalarType compute);
#if WANDER_CUDA
bool cuda_attention_has_fp8(const CacheShape& shape, at::Device device, at::ScalarType compute);
std::unique_ptr<Attention> make_cuda_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device,
                                               at::ScalarType compute);
// Where cuda::hopper_supports(), for BF16 caches, heads of 128 channels and pictures that are not small:
// make_cuda_attention() takes it.
std::unique_ptr<Attention> make_hopper_attention(const CacheShape& shape, const CachePolicy& policy, at::Device device);
#endif

} // namespace wander::quant
