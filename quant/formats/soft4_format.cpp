#include "quant/formats/soft4_format.hpp"

#include "quant/qvg/number_formats.hpp"
#include "quant/qvg/page_rules.hpp"

#include <ATen/Functions.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#if WANDER_CUDA
#include "quant/cuda/expand.hpp"
#include "quant/cuda/summary_rows.hpp"

#include <c10/cuda/CUDAStream.h>
#endif

namespace wander::quant {
namespace {

// At least one latent is kept, so that the INT4 page is not empty.
std::uint32_t kept_mask(const PageShape& shape, const EncodeOptions& options) {
    const int latents = shape.latents();
    const std::uint32_t all = latents >= 32 ? 0xffffffffU : (1U << latents) - 1U;
    const std::uint32_t kept = options.kept & all;
    return kept == 0 ? 1U : kept;
}

int kept_rows(const PageShape& shape, const EncodeOptions& options) {
    return std::popcount(kept_mask(shape, options)) * shape.latent_tokens();
}

PageShape kept_shape(const PageShape& shape, const EncodeOptions& options) {
    PageShape kept = shape;
    kept.tokens = kept_rows(shape, options);
    return kept;
}

int dropped_latents(const PageShape& shape, const EncodeOptions& options) {
    return shape.latents() - std::popcount(kept_mask(shape, options));
}

// The mean of `tokens` rows, in bfloat16: kMeanParts partial sums, every kMeanParts-th token each, added in order.
// Twin: quant/cuda/summary_rows.cu.
template <class Read>
void summarise(const Read& read, int tokens, int values, std::uint16_t* out) {
    std::vector<float> sums(static_cast<std::size_t>(qvg::kMeanParts) * static_cast<std::size_t>(values));
    for (int t = 0; t < tokens; ++t) {
        float* part = sums.data() + static_cast<std::ptrdiff_t>(t % qvg::kMeanParts) * values;
        for (int i = 0; i < values; ++i) {
            part[i] += read(static_cast<std::ptrdiff_t>(t) * values + i);
        }
    }
    for (int i = 0; i < values; ++i) {
        float sum = sums[static_cast<std::size_t>(i)];
        for (std::ptrdiff_t p = 1; p < qvg::kMeanParts; ++p) {
            sum += sums[static_cast<std::size_t>(p * values + i)];
        }
        out[i] = qvg::float_to_bf16(sum / static_cast<float>(tokens));
    }
}

void put_summary(const at::Tensor& rows, std::uint8_t* out) {
    const int tokens = static_cast<int>(rows.size(0));
    const int values = static_cast<int>(rows.numel() / rows.size(0));
    auto* summary = reinterpret_cast<std::uint16_t*>(out);
    if (rows.is_cuda()) {
#if WANDER_CUDA
        cuda::SummaryJob job;
        job.rows = rows.const_data_ptr();
        job.bf16 = rows.scalar_type() == at::kBFloat16;
        job.tokens = tokens;
        job.values = values;
        job.out = summary;
        const cudaError_t error =
            cuda::summarise_rows(job, c10::cuda::getCurrentCUDAStream(rows.device().index()).stream());
        TORCH_CHECK(error == cudaSuccess, "Soft4Format: the summary failed on the GPU: ", cudaGetErrorString(error));
#endif
        return;
    }
    if (rows.scalar_type() == at::kBFloat16) {
        const auto* from = static_cast<const std::uint16_t*>(rows.const_data_ptr());
        summarise([from](std::ptrdiff_t i) { return qvg::bf16_to_float(from[i]); }, tokens, values, summary);
    } else {
        const auto* from = rows.const_data_ptr<float>();
        summarise([from](std::ptrdiff_t i) { return from[i]; }, tokens, values, summary);
    }
}

} // namespace

Soft4Format::Soft4Format()
    : kept_("soft4", "INT4 soft-prune (lossy history)", [] {
          const scalar::ScalarRule rule{.code = scalar::ScalarCode::four_bit,
                                        .axis = scalar::GroupAxis::channel,
                                        .parameters = scalar::GroupParameters::e4m3_pair,
                                        .group = 64,
                                        .id = 32};
          return ScalarRules{rule, rule};
      }()) {}

Result<void> Soft4Format::supports(const PageShape& shape) const {
    if (shape.latents() > 32) {
        return Error{ErrorCode::wrong_use, "cache format \"soft4\" takes pages of up to 32 latents, this model has " +
                                               std::to_string(shape.latents()) + "; use int4"};
    }
    return kept_.supports(shape);
}

PageBytes Soft4Format::bytes(const PageShape& shape, const EncodeOptions& options) const {
    PageBytes bytes = kept_.bytes(kept_shape(shape, options), options);
    const std::int64_t kept = bytes.total();
    bytes.codebooks = static_cast<std::int64_t>(dropped_latents(shape, options)) * shape.heads * shape.head_dim * 2;
    bytes.headers += qvg_align(bytes.codebooks) - bytes.codebooks;
    TORCH_INTERNAL_ASSERT(kept % kQvgAlignment == 0);
    return bytes;
}

void Soft4Format::encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                         at::Tensor& page) const {
    TORCH_CHECK(source.is_contiguous() && source.numel() == shape.values(),
                "Soft4Format: source must be contiguous [tokens, heads, head_dim]");
    TORCH_CHECK(static_cast<std::int64_t>(page.nbytes()) == bytes(shape, options).total(),
                "Soft4Format: page of the wrong size");
    const std::uint32_t mask = kept_mask(shape, options);
    const int tokens = shape.latent_tokens();
    const PageShape inner = kept_shape(shape, options);
    const std::int64_t inner_bytes = kept_.bytes(inner, options).total();
    at::Tensor summaries = page.narrow(0, inner_bytes, page.size(0) - inner_bytes);
    summaries.zero_(); // padding
    std::vector<at::Tensor> kept;
    auto* summary = summaries.data_ptr<std::uint8_t>();
    for (int latent = 0; latent < shape.latents(); ++latent) {
        const at::Tensor rows = source.narrow(0, static_cast<std::int64_t>(latent) * tokens, tokens);
        if ((mask >> latent & 1U) != 0) {
            kept.push_back(rows);
            continue;
        }
        put_summary(rows, summary);
        summary += static_cast<std::ptrdiff_t>(shape.heads) * shape.head_dim * 2;
    }
    at::Tensor inner_page = page.narrow(0, 0, inner_bytes);
    kept_.encode(kept.size() == 1 ? kept.front() : at::cat(kept, 0), inner, options, inner_page);
}

StoredLatent Soft4Format::stored(const PageShape& shape, const EncodeOptions& options, int latent) const {
    const std::uint32_t mask = kept_mask(shape, options);
    const int kept_before = std::popcount(mask & ((1U << latent) - 1U));
    const int tokens = shape.latent_tokens();
    if ((mask >> latent & 1U) != 0) {
        return {kept_before * tokens, tokens, 0.0F};
    }
    return {kept_rows(shape, options) + latent - kept_before, 1,
            static_cast<float>(std::log(static_cast<double>(tokens)))};
}

void Soft4Format::decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head,
                              int t0, int t1, float* out) const {
    const PageShape inner = kept_shape(shape, options);
    const int kept_end = std::min(t1, inner.tokens);
    if (t0 < kept_end) {
        kept_.decode_rows(page, inner, options, head, t0, kept_end, out);
    }
    const std::uint8_t* summaries = page + kept_.bytes(inner, options).total();
    for (int t = std::max(t0, inner.tokens); t < t1; ++t) {
        const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(t - inner.tokens) * shape.heads + head;
        float* to = out + static_cast<std::ptrdiff_t>(t - t0) * shape.head_dim;
        for (int c = 0; c < shape.head_dim; ++c) {
            std::uint16_t bits = 0;
            std::memcpy(&bits, summaries + (row * shape.head_dim + c) * 2, sizeof bits);
            to[c] = qvg::bf16_to_float(bits);
        }
    }
}

// Summaries are plain memory; runs that reach from kept rows into them are cut.
bool Soft4Format::expand([[maybe_unused]] const cuda::ExpandJob& job, [[maybe_unused]] const PageShape& shape,
                         [[maybe_unused]] const EncodeOptions& options, [[maybe_unused]] CUstream_st* stream) const {
#if WANDER_CUDA
    const PageShape inner = kept_shape(shape, options);
    const std::int64_t inner_bytes = kept_.bytes(inner, options).total();
    cuda::ExpandJob kept = job;
    cuda::ExpandJob summaries = job;
    kept.run_count = 0;
    summaries.run_count = 0;
    summaries.source_element = cuda::Element::bfloat16;
    for (int i = 0; i < job.run_count; ++i) {
        const cuda::ExpandRun& run = job.runs[i];
        const int whole = std::clamp(inner.tokens - run.first_row, 0, run.rows);
        if (whole > 0) {
            cuda::ExpandRun& part = kept.runs[kept.run_count++];
            part = run;
            part.rows = whole;
        }
        if (whole < run.rows) {
            cuda::ExpandRun& part = summaries.runs[summaries.run_count++];
            part = run;
            part.source = static_cast<const std::uint8_t*>(run.source) + inner_bytes;
            part.first_row = run.first_row + whole - inner.tokens;
            part.first_token = run.first_token + whole;
            part.out_row = run.out_row + whole;
            part.rows = run.rows - whole;
        }
    }
    return (kept.run_count == 0 || kept_.expand(kept, inner, options, stream)) &&
           (summaries.run_count == 0 || cuda::expand_plain(summaries, stream));
#else
    return false;
#endif
}

} // namespace wander::quant
