#pragma once
// The packed 2-bit formats of the registry: one class, several kinds. Page layout: qvg_page_layout.hpp.

#include "quant/format.hpp"
#include "quant/formats/qvg_page_layout.hpp"

#include <string_view>
#include <vector>

namespace wander::quant {

struct QvgKind {
    std::string_view name;
    std::string_view label;
    QvgGrid grid;
    QvgStages stages;
};

inline constexpr QvgKind kQvgFourLevel{"int2", "INT2 four-level", QvgGrid::four_level, {}};
inline constexpr QvgKind kQvgTernary{"qvg-int2", "INT2 QVG ternary", QvgGrid::ternary, {}};
// Four stages, blocks of 16 channels, the published grid.
inline constexpr QvgKind kQvgPro{
    "qvg-pro", "QVG-Pro INT2 (4 stages, B16)", QvgGrid::ternary, {.stages = 4, .block = 16}};
// The mean, four directions of most variance and what they leave. The residual has the four-level grid: on the embedded
// world's keys and values it loses as little as an asymmetric range with a minimum, which takes an eighth of a bit
// more.
inline constexpr QvgKind kPca2{"pca2", "Mean + PCA INT2", QvgGrid::four_level, {.rank = 4}};

class QvgFormat : public PageFormat {
public:
    explicit QvgFormat(const QvgKind& kind) : kind_(kind) {}

    std::string_view name() const override { return kind_.name; }
    std::string_view label() const override { return kind_.label; }
    double nominal_bits() const override { return 2; }
    bool packed() const override { return true; }
    bool lossless() const override { return false; }
    bool keys_like_values() const override { return !kind_.stages.session; }
    bool takes_plain_runs() const override { return true; }

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

protected:
    virtual int default_centroids(const PageShape& shape) const { return qvg_default_centroids(shape.tokens); }
    QvgPageLayout layout(const PageShape& shape, const EncodeOptions& options) const;

private:
    QvgKind kind_;
};

} // namespace wander::quant
