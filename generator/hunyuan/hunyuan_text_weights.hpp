#pragma once
// The weights of a HunyuanTextSide. Internal to generator/hunyuan.

#include "generator/hunyuan/hunyuan_text_side.hpp"
#include "generator/hunyuan/hunyuan_time.hpp"

namespace wander {

struct HunyuanNorm {
    at::Tensor weight, bias;                                      // wide
    at::Tensor operator()(const at::Tensor& x, double eps) const; // [n, width] wide
};

struct HunyuanRefinerBlock {
    HunyuanNorm norm1, norm2;
    nn::Linear qkv, out, mlp_in, mlp_out, gates;
};

struct HunyuanTextBlock {
    // Of the only timestep there is, 0: shift, scale, gate, shift, scale, gate with "1 +" in the scales, [6, 1, dim]
    // wide. The matrix behind it is not kept.
    at::Tensor factors;
    nn::Linear qkv, out, mlp_in, mlp_out; // the last block has q and what follows it too, as in the checkpoint
    at::Tensor norm_q, norm_k;            // [head_dim]
};

struct HunyuanTextSide::Weights {
    HunyuanConfig config;
    at::Device device = at::kCPU;
    at::ScalarType compute = at::kFloat;
    at::ScalarType wide = at::kFloat;

    nn::Linear text_in;
    HunyuanEmbedder refiner_time;
    nn::Linear refiner_text_1, refiner_text_2; // of the mean state
    std::vector<HunyuanRefinerBlock> refiner;
    HunyuanNorm glyph_norm;
    nn::Linear glyph_1, glyph_2, glyph_3;
    HunyuanNorm vision_norm_in, vision_norm_out;
    nn::Linear vision_1, vision_2;
    at::Tensor types; // [3, dim] wide: text, glyph, vision
    std::vector<HunyuanTextBlock> blocks;

    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const; // [n, dim] each
};

} // namespace wander
