#pragma once
// Four-level INT2 with centroids of the session (qvg.md 11.5): pages hold ids and residuals, a codebook of each layer's
// K and V outlives them. See quant/cache/codebook_store.hpp.

#include "quant/cache/codebook_store.hpp"
#include "quant/formats/qvg_format.hpp"

namespace wander::quant {

inline constexpr QvgKind kQvgStream{
    "qvg-stream", "INT2 four-level, session codebook", QvgGrid::four_level, {.session = true}};

class QvgStreamFormat final : public QvgFormat, public CodebookTrainer {
public:
    QvgStreamFormat() : QvgFormat(kQvgStream) {}

    bool uses_session_codebook() const override { return true; }
    int codebook_centroids(const PageShape& shape, const EncodeOptions& options) const override;
    void train(const std::vector<EncodeJob>& first_pages, const std::vector<Codebook*>& out) const override;
    void update(const EncodeJob& page, const Codebook& before, Codebook& out) const override;

protected:
    int default_centroids(const PageShape& shape) const override;
};

} // namespace wander::quant
