#include "generator/nn/rope_layout.hpp"
#include "generator/wan/dit_weights.hpp"

namespace wander {

void WanDit::fill_rope(quant::ReadView& view, int rows, int cols) const {
    const DitConfig& c = weights_->config;
    nn::fill_rope({c.rope_time_channels, c.rope_row_channels, c.rope_col_channels, c.rope_theta}, rows, cols, view);
}

} // namespace wander
