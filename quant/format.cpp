#include "quant/format.hpp"

#include "quant/formats/fp8_format.hpp"
#include "quant/formats/int4_format.hpp"
#include "quant/formats/int8_format.hpp"
#include "quant/formats/kivi_format.hpp"
#include "quant/formats/prq_format.hpp"
#include "quant/formats/quarot_format.hpp"
#include "quant/formats/qvg_format.hpp"
#include "quant/formats/qvg_stream_format.hpp"
#include "quant/formats/soft4_format.hpp"

#include <ATen/core/Tensor.h>

#include <cassert>
#include <cstring>

#if WANDER_CUDA
#include "quant/cuda/expand.hpp"
#endif

namespace wander::quant {
namespace {

// Uncompressed pages: the cache writes and reads them directly, so only the sizes matter.
class RawFormat final : public PageFormat {
public:
    std::string_view name() const override { return "bf16"; }
    std::string_view label() const override { return "BF16"; }
    double nominal_bits() const override { return 16; }
    bool packed() const override { return false; }
    bool lossless() const override { return true; }
    Result<void> supports(const PageShape&) const override { return {}; }
    PageBytes bytes(const PageShape& shape, const EncodeOptions&) const override {
        PageBytes bytes;
        bytes.raw = static_cast<std::int64_t>(shape.tokens) * shape.heads * shape.head_dim *
                    static_cast<std::int64_t>(c10::elementSize(shape.compute));
        return bytes;
    }
    void encode(const at::Tensor& source, const PageShape&, const EncodeOptions&, at::Tensor& page) const override {
        assert(source.is_contiguous() && source.nbytes() == page.nbytes());
        page.copy_(source.view({-1}).view(at::kByte));
    }
    void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions&, int head, int t0, int t1,
                     float* out) const override {
        assert(shape.compute == at::kFloat);
        const std::size_t row = static_cast<std::size_t>(shape.head_dim) * sizeof(float);
        for (int t = t0; t < t1; ++t) {
            std::memcpy(out + static_cast<std::ptrdiff_t>(t - t0) * shape.head_dim,
                        page + static_cast<std::size_t>(t * shape.heads + head) * row, row);
        }
    }
    bool expand([[maybe_unused]] const cuda::ExpandJob& job, const PageShape&, const EncodeOptions&,
                [[maybe_unused]] CUstream_st* stream) const override {
#if WANDER_CUDA
        return cuda::expand_plain(job, stream);
#else
        return false;
#endif
    }
};

} // namespace

FormatRegistry::FormatRegistry() {
    formats_.push_back(std::make_unique<RawFormat>());
    formats_.push_back(make_fp8_format());
    formats_.push_back(make_int8_format());
    formats_.push_back(make_int4_format());
    formats_.push_back(make_int4_g16_format());
    formats_.push_back(make_kivi4_format());
    formats_.push_back(make_kivi2_format());
    formats_.push_back(make_k4v2_format());
    formats_.push_back(make_quarot4_format());
    formats_.push_back(make_quarot2_format());
    formats_.push_back(std::make_unique<QvgFormat>(kQvgTernary));
    formats_.push_back(std::make_unique<QvgFormat>(kQvgFourLevel));
    formats_.push_back(std::make_unique<QvgStreamFormat>());
    formats_.push_back(std::make_unique<QvgFormat>(kQvgPro));
    formats_.push_back(std::make_unique<QvgFormat>(kPca2));
    formats_.push_back(std::make_unique<Soft4Format>());
    formats_.push_back(make_prq4_format());
}

const FormatRegistry& FormatRegistry::instance() {
    static const FormatRegistry registry;
    return registry;
}

const PageFormat* FormatRegistry::find(std::string_view name) const {
    if (name == "qvg-int2-4l") {
        name = "int2";
    }
    for (const auto& format : formats_) {
        if (format->name() == name) {
            return format.get();
        }
    }
    return nullptr;
}

std::vector<const PageFormat*> FormatRegistry::formats() const {
    std::vector<const PageFormat*> formats;
    formats.reserve(formats_.size());
    for (const auto& format : formats_) {
        formats.push_back(format.get());
    }
    return formats;
}

Result<void> smaller_than_bf16(std::string_view name, const PageShape& shape, std::int64_t bytes) {
    const std::int64_t bf16 = shape.values() * 2;
    if (bytes < bf16) {
        return {};
    }
    return Error{ErrorCode::wrong_use, "cache format \"" + std::string(name) +
                                           "\" would not be smaller than BF16 for pages of " +
                                           std::to_string(shape.tokens) + " tokens x " + std::to_string(shape.heads) +
                                           " heads x " + std::to_string(shape.head_dim) + " (" + std::to_string(bytes) +
                                           " of " + std::to_string(bf16) + " bytes); use bf16"};
}

std::string FormatRegistry::names() const {
    std::string names;
    for (const auto& format : formats_) {
        names += (names.empty() ? "" : ", ") + std::string(format->name());
    }
    return names;
}

} // namespace wander::quant
