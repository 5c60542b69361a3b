#pragma once
// A cache format: how one page (one layer, K or V, one block of latents) is stored. Registry entry.
//
// A page is one allocation of page_bytes() bytes on the cache's device. Its source is [tokens, heads, head_dim] in the
// compute type, un-rotated. An uncompressed page holds exactly that: [tokens, heads, head_dim], no header (the cache
// writes and reads it directly). Formats are stateless; encode and decode are deterministic (no floating-point atomics,
// no global generator). A new format is one pair of files plus its line in the registry.

#include "generator/plain/result.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wander::quant {

struct PageShape {
    int tokens = 0; // of a full page
    int heads = 0;
    int head_dim = 0;
    bool is_key = true;
    at::ScalarType compute = at::kFloat; // element type of uncompressed pages
};

struct PageBytes { // sums to page_bytes()
    std::int64_t codes = 0;
    std::int64_t scales = 0;
    std::int64_t codebooks = 0; // centroids and ids
    std::int64_t headers = 0;   // header and alignment padding
    std::int64_t raw = 0;       // uncompressed values
    std::int64_t total() const { return codes + scales + codebooks + headers + raw; }
};

struct EncodeOptions {
    int centroids = 0;      // per head; 0: the format's default for this shape
    std::uint64_t seed = 0; // already mixed with layer, page and K/V by the caller
};

class PageFormat {
public:
    virtual ~PageFormat() = default;
    virtual std::string_view name() const = 0;  // command line: "bf16", "int2", "qvg-int2", ...
    virtual std::string_view label() const = 0; // menu: "INT2 four-level", ...
    virtual double nominal_bits() const = 0;    // per value, codes only
    virtual bool packed() const = 0;            // false: raw compute type
    virtual bool lossless() const = 0;

    virtual Result<void> supports(const PageShape& shape) const = 0;
    virtual PageBytes bytes(const PageShape& shape, const EncodeOptions& options) const = 0;

    // source: [tokens, heads, head_dim], contiguous, on page's device. page: uint8 [bytes().total()].
    virtual void encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                        at::Tensor& page) const = 0;

    // CPU: un-rotated values of tokens [t0, t1) of one head, row-major [t1 - t0][head_dim], float32.
    virtual void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head,
                             int t0, int t1, float* out) const = 0;

    // CUDA: which device-side decoder expands this page (quant/cuda/page_decode.cuh); < 0: no CUDA path.
    virtual int cuda_decoder() const = 0;
};

class FormatRegistry {
public:
    static const FormatRegistry& instance();
    const PageFormat* find(std::string_view name) const; // aliases included ("int2" -> four-level QVG)
    std::vector<const PageFormat*> formats() const;      // menu order
    std::string names() const;                           // "bf16, int2, ..." for error messages
private:
    FormatRegistry();
    std::vector<std::unique_ptr<PageFormat>> formats_;
};

} // namespace wander::quant
