// What training data and the autoencoder's phases cost at their true sizes, with the shipped autoencoder and all
// themes: drawing, encoding, a step of either phase, and the norm kernel beside torch's own operations.
//
//     train_data_bench [walks a theme 8] [latents 120] [steps 10] [cuda|cpu]

#include "generator/device.hpp"
#include "generator/train/decoder_phase.hpp"
#include "generator/train/picture_norm.hpp"
#include "generator/train/random.hpp"
#include "generator/train/train_vae.hpp"
#include "generator/train/training_data.hpp"
#include "generator/train/vae_phase.hpp"
#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace wander;
using namespace wander::train;

// Waits for the device: reading one number does.
class Stopwatch {
public:
    explicit Stopwatch(at::Device device) : probe_(at::zeros({1}, at::TensorOptions(device))) {}
    double lap_s() {
        probe_.add_(1).item<float>();
        const auto now = std::chrono::steady_clock::now();
        const double seconds = std::chrono::duration<double>(now - last_).count();
        last_ = now;
        return seconds;
    }

private:
    at::Tensor probe_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

double median_ms(Stopwatch& watch, int times, const std::function<void()>& work) {
    constexpr int kWarmUp = 3;
    std::vector<double> laps;
    for (int i = 0; i < times + kWarmUp; ++i) {
        watch.lap_s();
        work();
        const double ms = watch.lap_s() * 1000;
        if (i >= kWarmUp) laps.push_back(ms);
    }
    std::sort(laps.begin(), laps.end());
    return laps[laps.size() / 2];
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

int fail(const Error& error) {
    fmt::print("{}\n", error.message);
    return 2;
}

void measure_norm(Stopwatch& watch, at::Device device, int steps) {
    constexpr std::int64_t kRows = 4'000'000;
    for (const std::int64_t channels : {48, 96}) {
        const at::Tensor x =
            at::randn({kRows, channels}, make_generator(device, 1), at::TensorOptions(device).dtype(at::kBFloat16))
                .set_requires_grad(true);
        const at::Tensor gamma = at::ones({channels}, at::TensorOptions(device)).set_requires_grad(true);
        const at::Tensor dy = at::ones_like(x).detach();
        const double fused = median_ms(watch, steps, [&] { norm_silu_rows(x, gamma, 1e-6).backward(dy); });
        const double plain = median_ms(watch, steps, [&] { plain::norm_silu_rows(x, gamma, 1e-6).backward(dy); });
        fmt::print("norm and SiLU of {} M rows of {}, forward and backward: {:.2f} ms, torch {:.2f} ms\n",
                   kRows / 1'000'000, channels, fused, plain);
    }
}

} // namespace

int main(int argc, char** argv) {
    const auto number = [&](int place, int preset) { return argc > place ? std::stoi(argv[place]) : preset; };
    WalkPlan plan;
    plan.walks_per_theme = number(1, 8);
    plan.latents = std::max(9, number(2, 120)); // a decoder clip has nine and more
    const int steps = number(3, 10);
    const auto picked = pick_device(argc > 4 ? argv[4] : "auto", "auto", 0);
    if (!picked) return fail(picked.error());
    const std::filesystem::path assets = WANDER_BENCH_ASSETS;
    const auto world = EmbeddedWorld::read(assets / "world");
    if (!world) return fail(world.error());
    const auto file = Safetensors::open(assets / "world/vae.safetensors");
    if (!file) return fail(file.error());
    const at::Device device = picked->device;
    auto parameters = Parameters::load(
        world->vae.tensor_shapes(true, true),
        [&](const std::string& name, const std::vector<std::int64_t>& shape) { return file->tensor(name, shape); },
        device, "autoencoder");
    if (!parameters) return fail(parameters.error());
    std::vector<Theme> themes;
    for (const char* name : {"village", "winter", "neon", "harbour", "mushrooms"}) {
        auto theme = Theme::read(assets / "themes" / (std::string(name) + ".json"));
        if (!theme) return fail(theme.error());
        themes.push_back(std::move(*theme));
    }
    TrainVae vae(world->vae, *parameters, picked->compute);
    fmt::print("{}, {}: {} themes x {} walks x {} latents\n", picked->name, picked->precision(), themes.size(),
               plan.walks_per_theme, 1 + plan.latents);

    Stopwatch watch(device);
    const DataSizes sizes;
    WalkPlan few = plan; // first calls choose algorithms
    few.walks_per_theme = 1;
    if (auto warm = make_training_data(themes, vae, few, sizes); !warm) return fail(warm.error());
    watch.lap_s();
    auto pool = make_frame_pool(themes, plan, sizes, device);
    if (!pool) return fail(pool.error());
    const double drawn = watch.lap_s();
    const TrainingData data = encode_pool(*pool, vae);
    const double encoded = watch.lap_s();
    if (auto made = make_training_data(themes, vae, plan, sizes); !made) return fail(made.error());
    const double both = watch.lap_s();
    const auto frames = static_cast<double>(pool->walks() * pool->frames.size(1));
    fmt::print("drawn {:.0f} frames/s, encoded {:.0f} frames/s, training data {:.0f} frames/s; peak {:.1f} GiB\n",
               frames / drawn, frames / encoded, frames / both, gib(peak_gpu_bytes(device)));

    parameters->require_gradients(true);
    VaePhase together(vae, *pool, {}, 1);
    const double first_ms = median_ms(watch, steps, [&] {
        together.loss(0).backward();
        parameters->clear_gradients();
    });
    fmt::print("autoencoder: {:.1f} ms a step without the optimiser, PSNR {:.1f} dB; peak {:.1f} GiB\n", first_ms,
               together.psnr().item<double>(), gib(peak_gpu_bytes(device)));
    DecoderPhaseConfig config;
    config.first_share = 0; // the larger clips
    DecoderPhase decoder(vae, *pool, data.latents, {}, config, 1);
    for (const double progress : {0.0, 0.5}) {
        const double ms = median_ms(watch, steps, [&] {
            decoder.loss(progress).backward();
            parameters->clear_gradients();
        });
        fmt::print(
            "decoder {} discriminator: {:.1f} ms a step without the optimiser, PSNR {:.1f} dB; peak {:.1f} GiB\n",
            progress > 0 ? "with" : "without", ms, decoder.psnr().item<double>(), gib(peak_gpu_bytes(device)));
    }
    if (picked->is_cuda()) measure_norm(watch, device, steps);
    return 0;
}
