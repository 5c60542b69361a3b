#pragma once
// Sizes of HY-WorldPlay's 8B transformer and the tensors that its checkpoint holds (hy-worldplay.md 2.1 and 2.2). Plain
// data; names are the published ones.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wander {

struct HunyuanConfig {
    int dim = 2048;
    int layers = 54;
    int heads = 16;
    int head_dim = 128;
    int mlp = 8192;
    int channels = 32; // of a latent; the patch layer takes 2 * channels + 1: latent, picture, mask
    int freq_dim = 256;
    double eps = 1e-6; // of every norm but the three that the text side names
    double rope_theta = 256;
    int rope_time_channels = 16; // of head_dim; even
    int rope_row_channels = 56;
    int rope_col_channels = 56;
    int text_dim = 3584; // Qwen's states
    int vision_dim = 1152;
    int glyph_dim = 1472; // byT5's states; 0: no glyph mapper
    int glyph_hidden = 2048;
    int refiner_blocks = 2;

    using Shapes = std::map<std::string, std::vector<std::int64_t>>;
    // What each side loads. They share time_in alone: the checkpoint holds it once.
    Shapes image_shapes() const;
    Shapes text_shapes() const;
    Shapes tensor_shapes() const; // the whole checkpoint
    // Empty, or why these sizes cannot be.
    std::string problem() const;
};

} // namespace wander
