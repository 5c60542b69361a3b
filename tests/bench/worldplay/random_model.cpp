#include "tests/bench/worldplay/random_model.hpp"

#include "generator/plain/hash.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/bench/worldplay/gpu_meter.hpp"

#include <cmath>

namespace wander::bench {

at::Tensor random_values(const std::string& name, const std::vector<std::int64_t>& shape, at::Device device) {
    at::Generator generator = at::globalContext().defaultGenerator(device);
    generator.set_current_seed(fnv1a64(name));
    return at::randn(shape, at::TensorOptions().dtype(at::kFloat).device(device));
}

namespace {

Result<at::Tensor> random_weight_on(at::Device device, const std::string& name,
                                    const std::vector<std::int64_t>& shape) {
    const at::Tensor r = random_values(name, shape, device);
    if (name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight")))
        return at::Tensor(r * 0.1 + 1);
    if (name.ends_with("bias")) return at::Tensor(r * 0.05);
    if (name.find("mod") != std::string::npos) return at::Tensor(r * 0.01);
    return at::Tensor(r / std::sqrt(static_cast<double>(r.numel()) / static_cast<double>(shape[0])));
}

std::shared_ptr<const HunyuanDit> load_8b(nn::WeightType weights, at::Device device) {
    const auto source = [device](const std::string& name, const std::vector<std::int64_t>& shape) {
        return random_weight_on(device, name, shape);
    };
    return std::make_shared<HunyuanDit>(unwrap(HunyuanDit::load({}, source, device, at::kBFloat16, weights)));
}

} // namespace

Result<at::Tensor> random_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    return random_weight_on(gpu(0), name, shape);
}

Model open_8b(nn::WeightType weights, int gpus) {
    Model model;
    const auto before = allocated().current;
    model.dit = load_8b(weights, gpu(0));
    model.weights_mib = mib(allocated().current - before);
    model.net = model.dit;
    const HunyuanConfig& c = model.dit->config();
    model.layers = c.layers;
    model.heads = c.heads;
    model.head_dim = c.head_dim;
    model.schedule = WorldPlaySchedule::worldplay_8b();
    for (int layer = 0; layer < c.layers; ++layer) {
        const auto rows = [&](const char* what) {
            return random_values(what + std::to_string(layer), {kText, c.heads, c.head_dim}).to(at::kBFloat16);
        };
        model.text.push_back({rows("keys"), rows("values")});
    }
    if (gpus == 1) return model;
    std::vector<at::Device> devices;
    for (int i = 0; i < gpus; ++i) devices.push_back(gpu(i));
    model.splits = unwrap(HeadSplit::open(devices));
    for (int i = 0; i < gpus; ++i) {
        const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(i));
        const auto whole = i == 0 ? model.dit : load_8b(weights, gpu(i));
        model.split_nets.push_back(
            std::make_shared<HunyuanDit>(whole->as_rank(model.splits[static_cast<std::size_t>(i)])));
    }
    return model;
}

Model open_wan_5b(nn::WeightType weights, bool small) {
    Model model;
    const DitConfig c = wan5b_config();
    const auto before = allocated().current;
    auto dit = std::make_shared<WanDit>(
        unwrap(WanDit::load(c, random_weight, at::Device(at::kCUDA, 0), at::kBFloat16, weights)));
    dit->set_text(random_values("text", {120, c.text_dim}));
    model.weights_mib = mib(allocated().current - before);
    model.net = worldplay_net(std::move(dit));
    model.layers = c.layers;
    model.heads = c.heads;
    model.head_dim = c.head_dim;
    model.patch = 2;
    if (!small) {
        model.rows = 44;
        model.cols = 80;
    }
    model.schedule = WorldPlaySchedule::wan_5b();
    return model;
}

} // namespace wander::bench
