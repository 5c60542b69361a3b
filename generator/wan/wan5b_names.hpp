#pragma once
// HY-WorldPlay WAN-5B's checkpoint as a WanDit: tensor names, and the one tensor that our network has not. Any thread.
//
// Its second attention branch has a projection with a bias. Both branches are added to the stream without anything in
// between, so that bias is added to the first branch's: self_attn.o.bias = to_out.0.bias + to_out_prope.0.bias.

#include "generator/wan/dit.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace wander {

// The published sizes: 5.29 billion parameters, 880 tokens a latent at 704 x 1280.
DitConfig wan5b_config();

// Native name -> the checkpoint's (hy-worldplay.md 7.1); nothing for a name that WAN-5B has not.
std::optional<std::string> wan5b_name(std::string_view native);

// `published` gives tensors by the checkpoint's names, the result by native ones.
WanDit::TensorSource wan5b_source(WanDit::TensorSource published);

// `native` has native names already, and the second branch's bias as blocks.N.self_attn.prope_proj.bias.
WanDit::TensorSource with_second_bias(WanDit::TensorSource native);

} // namespace wander
