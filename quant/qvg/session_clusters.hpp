#pragma once
// Session codebooks on the CPU: training on a first page, and the update that makes a new version. Deterministic: the
// same bytes on every instruction set and on a GPU (quant/cuda/qvg_session.cu). Any thread; own scratch.

#include "quant/qvg/book_view.hpp"
#include "quant/qvg/page_encoder.hpp"

namespace wander::quant::qvg {

// k-means of the rows about their mean, kSessionRounds rounds. layout: of the page with these rows.
void train_book(const PageRows& rows, const QvgPageLayout& layout, std::uint64_t seed, const BookView& book,
                cpu::SimdLevel level = cpu::best_simd());

// page: packed from `rows` with `before`. weight' = decay * weight + members, centroid' = centroid + (mean of the
// members - centroid) * members / weight'; without members a centroid stays.
void update_book(const PageRows& rows, const QvgPageLayout& layout, const std::uint8_t* page, const BookView& before,
                 const BookView& after, cpu::SimdLevel level = cpu::best_simd());

} // namespace wander::quant::qvg
