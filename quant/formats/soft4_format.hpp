#pragma once
// Soft pruning: the latents of EncodeOptions::kept as INT4, every other one as a single row, the mean of its tokens.
//
//     INT4 page of the kept latents, in order    quant/scalar/page_layout.hpp, groups of 64 channels, scale and minimum
//     summaries  [dropped][heads][head_dim]      bfloat16, means of the dropped latents, in order
//
// n equal keys are one key whose logit is larger by ln n, so a dropped latent costs attention one key. Keys are stored
// un-rotated, so their phases do not cancel in the mean. What was dropped does not come back: the history is lossy.

#include "quant/format.hpp"
#include "quant/formats/scalar_format.hpp"

#include <cstdint>
#include <string_view>

namespace wander::quant {

class Soft4Format final : public PageFormat {
public:
    Soft4Format();

    std::string_view name() const override { return "soft4"; }
    std::string_view label() const override { return "INT4 soft-prune (lossy history)"; }
    double nominal_bits() const override { return 4; }
    bool prunes() const override { return true; }

    // wrong_use where INT4 is, and for pages of more than 32 latents.
    Result<void> supports(const PageShape& shape) const override;
    PageBytes bytes(const PageShape& shape, const EncodeOptions& options) const override;
    void encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                at::Tensor& page) const override;
    StoredLatent stored(const PageShape& shape, const EncodeOptions& options, int latent) const override;
    void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head, int t0,
                     int t1, float* out) const override;
    bool expand(const cuda::ExpandJob& job, const PageShape& shape, const EncodeOptions& options,
                CUstream_st* stream) const override;

private:
    ScalarFormat kept_; // how kept latents are stored
};

} // namespace wander::quant
