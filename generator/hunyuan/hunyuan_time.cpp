#include "generator/hunyuan/hunyuan_time.hpp"

#include <ATen/ATen.h>

#include <cmath>

namespace wander {

at::Tensor hunyuan_waves(const std::vector<double>& values, int width, at::ScalarType wide) {
    const int half = width / 2;
    const at::Tensor frequencies =
        (at::arange(half, at::TensorOptions().dtype(wide)) * (-std::log(10000.0)) / half).exp();
    const at::Tensor angles = at::tensor(values, at::kDouble).to(wide).unsqueeze(1) * frequencies.unsqueeze(0);
    return at::cat({angles.cos(), angles.sin()}, 1);
}

HunyuanEmbedder HunyuanEmbedder::load(HunyuanLoader& loader, const std::string& name) {
    HunyuanEmbedder embedder;
    embedder.first = loader.wide_linear(name + ".mlp.0");
    embedder.second = loader.wide_linear(name + ".mlp.2");
    embedder.width = static_cast<int>(embedder.first.in());
    return embedder;
}

at::Tensor HunyuanEmbedder::operator()(const std::vector<double>& values, at::Device device,
                                       at::ScalarType wide) const {
    return second(at::silu(first(hunyuan_waves(values, width, wide).to(device))));
}

} // namespace wander
