#pragma once
// A cache format: how one page (one layer, K or V, one block of latents) is stored. Registry entry.
//
// A page is one allocation of bytes().total() bytes on the cache's device. Its source is [tokens, heads, head_dim] in
// the compute type, un-rotated. An uncompressed page holds exactly that: [tokens, heads, head_dim], no header (the
// cache writes and reads it directly). Formats are stateless; encode and decode are deterministic (no floating-point
// atomics, no global generator), and a page has the same bytes whether the CPU or a GPU packed it. A new format is one
// pair of files in quant/formats (plus a .cu) and its line in the registry.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct CUstream_st;

namespace wander::quant {

namespace cuda {
struct ExpandJob; // quant/cuda/expand.hpp
}
struct Codebook; // quant/cache/codebook_store.hpp

struct PageShape {
    int tokens = 0; // of a full page
    int heads = 0;
    int head_dim = 0;
    bool is_key = true;
    at::ScalarType compute = at::kFloat; // element type of uncompressed pages
    int tokens_per_latent = 0;           // divides tokens; 0: not known, the whole page is one latent

    int latents() const { return tokens_per_latent > 0 ? tokens / tokens_per_latent : 1; }
    int latent_tokens() const { return tokens_per_latent > 0 ? tokens_per_latent : tokens; }
    std::int64_t values() const { return static_cast<std::int64_t>(tokens) * heads * head_dim; }
};

struct PageBytes { // sums to the page's allocation
    std::int64_t codes = 0;
    std::int64_t scales = 0;    // scales and minima
    std::int64_t codebooks = 0; // centroids, ids, means, bases
    std::int64_t headers = 0;   // header and alignment padding
    std::int64_t raw = 0;       // uncompressed values
    std::int64_t total() const { return codes + scales + codebooks + headers + raw; }
};

struct EncodeOptions {
    int centroids = 0;                  // per head; 0: the format's default for this shape
    std::uint64_t seed = 0;             // already mixed with layer, page and K/V by the caller
    std::uint32_t kept = 0xffffffffU;   // bit n: a pruning format stores latent n of the page whole
    const Codebook* codebook = nullptr; // session codebook, where uses_session_codebook()
};

// How a page stores one of its latents: `rows` consecutive rows from `row` on. Where a single row stands for all n
// tokens of the latent, log_weight is ln n: n equal keys are one key whose logit is larger by that.
struct StoredLatent {
    int row = 0;
    int rows = 0;
    float log_weight = 0;
};

struct EncodeJob {
    at::Tensor source; // [tokens, heads, head_dim], contiguous
    at::Tensor page;   // uint8 [bytes().total()]
    PageShape shape;
    EncodeOptions options;
};

class PageFormat {
public:
    virtual ~PageFormat() = default;
    virtual std::string_view name() const = 0;   // command line: "bf16", "int2", "kivi2", ...
    virtual std::string_view label() const = 0;  // menu: "INT2 four-level", ...
    virtual double nominal_bits() const = 0;     // per value, codes only
    virtual bool packed() const { return true; } // false: raw compute type
    virtual bool lossless() const { return false; }
    virtual bool prunes() const { return false; }                // stores some latents as one row: EncodeOptions::kept
    virtual bool uses_session_codebook() const { return false; } // EncodeOptions::codebook is needed
    // Pages of keys and of values of one shape are laid out alike, so that one expand() may read both.
    virtual bool keys_like_values() const { return false; }
    // expand() takes runs of plain memory (ExpandRun::plain) among those of pages.
    virtual bool takes_plain_runs() const { return false; }

    // wrong_use with the reason where this shape cannot be stored or would not be smaller than BF16.
    virtual Result<void> supports(const PageShape& shape) const = 0;
    virtual PageBytes bytes(const PageShape& shape, const EncodeOptions& options) const = 0;

    // source: [tokens, heads, head_dim], contiguous, float or bfloat16, on page's device. page: uint8
    // [bytes().total()].
    virtual void encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                        at::Tensor& page) const = 0;
    // Several pages in one set of launches where the format can; the same bytes as one by one.
    virtual void encode_all(std::vector<EncodeJob>& jobs) const {
        for (EncodeJob& job : jobs) encode(job.source, job.shape, job.options, job.page);
    }

    virtual StoredLatent stored(const PageShape& shape, const EncodeOptions& options, int latent) const {
        (void)options;
        return {latent * shape.latent_tokens(), shape.latent_tokens(), 0.0F};
    }

    // CPU: un-rotated values of stored rows [t0, t1) of one head, row-major [t1 - t0][head_dim], float32.
    virtual void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head,
                             int t0, int t1, float* out) const = 0;

    // CUDA: queues the expansion of job.runs (pages of this shape in device memory) on the stream, see
    // quant/cuda/expand_rows.cuh. Of the options what the reader needs (codebook, kept) is the same for all runs.
    // False: this format has no CUDA kernel.
    virtual bool expand(const cuda::ExpandJob& job, const PageShape& shape, const EncodeOptions& options,
                        CUstream_st* stream) const = 0;
};

class FormatRegistry {
public:
    static const FormatRegistry& instance();
    const PageFormat* find(std::string_view name) const; // aliases included ("qvg-int2-4l" -> "int2")
    std::vector<const PageFormat*> formats() const;      // menu order
    std::string names() const;                           // "bf16, int2, ..." for error messages
private:
    FormatRegistry();
    std::vector<std::unique_ptr<PageFormat>> formats_;
};

// For supports(): wrong_use unless `bytes` is less than the page would take as BF16.
Result<void> smaller_than_bf16(std::string_view name, const PageShape& shape, std::int64_t bytes);

} // namespace wander::quant
