// A training step of the transformer at its true sizes, without data: forward, backward, and a refresh of own
// roll-outs. Random weights and latents.
//
//     train_step_bench [batch 12] [latents 24] [walks 128] [steps 20] [cuda|cpu]

#include "generator/device.hpp"
#include "generator/train/dit_phase.hpp"
#include "generator/train/random.hpp"
#include "generator/world/embedded_world.hpp"
#include "tests/bench/figures.hpp"

#include <ATen/ATen.h>
#include <fmt/core.h>

#include <string>
#include <vector>

namespace {

using namespace wander;
using namespace wander::train;
using bench::median;
using bench::now_ms;

// Waits for the device: reading one number does.
class Stopwatch {
public:
    explicit Stopwatch(at::Device device) : probe_(at::zeros({1}, at::TensorOptions(device))) {}
    double lap_ms() {
        probe_.add_(1).item<float>();
        const double now = now_ms();
        const double ms = now - last_;
        last_ = now;
        return ms;
    }

private:
    at::Tensor probe_;
    double last_ = now_ms();
};

TrainingData made_up_data(const EmbeddedWorld& world, at::Device device) {
    at::Generator random = make_generator(at::kCPU, 3);
    constexpr std::int64_t kWalks = 256, kLatents = 121;
    TrainingData data;
    data.latents =
        at::empty({kWalks, kLatents, world.dit.channels, world.latent_rows(), world.latent_cols()}, at::kFloat)
            .normal_(0, 1, random)
            .to(device, at::kHalf);
    data.poses = (at::empty({kWalks, kLatents, 4}, at::kFloat).normal_(0, 1, random) * 0.1).cumsum(1).to(device);
    data.labels = at::empty({kWalks, kLatents}, at::kFloat).random_(0, 81, random).to(device);
    data.worlds = at::empty({kWalks}, at::kLong).random_(0, world.dit.pose_worlds, random).to(device);
    return data;
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

} // namespace

int main(int argc, char** argv) {
    const auto number = [&](int place, int preset) { return argc > place ? std::stoi(argv[place]) : preset; };
    DitPhaseConfig config;
    config.batch = number(1, 12);
    config.latents = number(2, 24);
    config.own.walks = number(3, 128);
    const int steps = number(4, 20);
    const auto picked = pick_device(argc > 5 ? argv[5] : "auto", "auto", 0);
    if (!picked) {
        fmt::print("{}\n", picked.error().message);
        return 2;
    }
    const auto world = EmbeddedWorld::read(WANDER_BENCH_ASSETS "/world");
    if (!world) {
        fmt::print("{}\n", world.error().message);
        return 2;
    }
    const at::Device device = picked->device;
    const LatentGeometry geometry{world->latent_rows(), world->latent_cols(), world->camera,
                                  world->sampler.context_timestep};
    Parameters parameters = random_dit(world->dit.tensor_shapes(), device, make_generator(at::kCPU, 7));
    const Parameters average = parameters.deep_copy();
    parameters.require_gradients(true);
    TrainDit dit(world->dit, geometry, parameters, picked->compute);
    const TrainingData data = made_up_data(*world, device);
    fmt::print("{}, {}: batch {}, {} latents, {} walks\n", picked->name, picked->precision(), config.batch,
               config.latents, config.own.walks);

    config.own_share = 0;
    DitPhase phase(dit, average, data, config, 1);
    std::vector<double> batches, forwards, backwards;
    Stopwatch watch(device);
    constexpr int kWarmUp = 3;
    for (int step = 0; step < steps + kWarmUp; ++step) {
        watch.lap_ms();
        const DitPhase::Batch batch = phase.next_batch(0);
        const double batch_ms = watch.lap_ms();
        const at::Tensor loss = (dit.velocity(batch.clip) - batch.target).square().mean();
        const double forward_ms = watch.lap_ms();
        loss.backward();
        const double backward_ms = watch.lap_ms();
        parameters.clear_gradients();
        if (step < kWarmUp) continue;
        batches.push_back(batch_ms);
        forwards.push_back(forward_ms);
        backwards.push_back(backward_ms);
    }
    const double step_ms = median(batches) + median(forwards) + median(backwards);
    fmt::print("batch {:.1f} ms, forward {:.1f} ms, backward {:.1f} ms: {:.0f} targets/s without the optimiser\n",
               median(batches), median(forwards), median(backwards), 1000.0 * config.batch * config.latents / step_ms);
    fmt::print("peak {:.1f} GiB\n", gib(peak_gpu_bytes(device)));

    config.own.clip_latents = config.latents;
    OwnRollouts own(world->dit, geometry, config.own, data, picked->compute);
    at::Generator host = make_generator(at::kCPU, 8), on_device = make_generator(device, 9);
    for (int i = 0; i < 3; ++i) {
        watch.lap_ms();
        own.refresh(average, host, on_device);
        fmt::print("refresh {}: {:.0f} ms\n", i, watch.lap_ms());
    }
    fmt::print("peak with roll-outs {:.1f} GiB\n", gib(peak_gpu_bytes(device)));
    return 0;
}
