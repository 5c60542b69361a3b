#pragma once
// The packed 2-bit formats of the registry: one class, two grids. Page layout: qvg_page_layout.hpp.

#include "quant/format.hpp"
#include "quant/formats/qvg_page_layout.hpp"

#include <string_view>

namespace wander::quant {

class QvgFormat final : public PageFormat {
public:
    explicit QvgFormat(QvgGrid grid) : grid_(grid) {}

    std::string_view name() const override { return grid_ == QvgGrid::four_level ? "int2" : "qvg-int2"; }
    std::string_view label() const override {
        return grid_ == QvgGrid::four_level ? "INT2 four-level" : "INT2 QVG ternary";
    }
    double nominal_bits() const override { return 2; }
    bool packed() const override { return true; }
    bool lossless() const override { return false; }

    // wrong_use where 16 does not divide the head dimension, or the page would not be smaller than BF16.
    Result<void> supports(const PageShape& shape) const override;
    PageBytes bytes(const PageShape& shape, const EncodeOptions& options) const override;
    void encode(const at::Tensor& source, const PageShape& shape, const EncodeOptions& options,
                at::Tensor& page) const override;
    void encode_all(std::vector<EncodeJob>& jobs) const override;
    void decode_rows(const std::uint8_t* page, const PageShape& shape, const EncodeOptions& options, int head, int t0,
                     int t1, float* out) const override;
    bool expand(const cuda::ExpandJob& job, const PageShape& shape, const EncodeOptions& options,
                CUstream_st* stream) const override;

    static QvgPageLayout layout(const PageShape& shape, const EncodeOptions& options);

private:
    QvgGrid grid_;
};

} // namespace wander::quant
