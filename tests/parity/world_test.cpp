// The embedded world against roll-outs of another implementation: tests/data/world, or the folder WANDER_WORLD_GOLDENS
// with cases of the same form (a folder each, case.json and out.safetensors). Everything in float32 on the CPU.

#include "generator/weights/safetensors.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/start_picture.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>

namespace wander {
namespace {

constexpr double kLatentTolerance = 1e-4; // largest difference over largest value
// Behind it: roundings grow as a walk goes on by itself. After 34 chunks the second implementation is 6.5e-5 from its
// own results in 64 bits, this one 1.7e-4 from the second's.
constexpr std::int64_t kLatentToleranceChunks = 24;
constexpr double kLateLatentTolerance = 3e-4;
constexpr double kFrameTolerance = 2e-3;   // largest difference of [0, 1] values
constexpr double kEncoderTolerance = 1e-3; // the start latents are stored as fp16

double relative_difference(const at::Tensor& got, const at::Tensor& expected) {
    EXPECT_EQ(got.sizes(), expected.sizes());
    if (got.sizes() != expected.sizes()) return 1e9;
    return ((got.to(at::kDouble) - expected.to(at::kDouble)).abs().max() / expected.to(at::kDouble).abs().max())
        .item<double>();
}

template <typename T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

auto tensors_of(const Safetensors& file) {
    return [file](const std::string& name, const std::vector<std::int64_t>& shape) { return file.tensor(name, shape); };
}

struct World {
    EmbeddedWorld world = value_of(EmbeddedWorld::read(WANDER_SOURCE_DIR "/assets/world"));
    std::shared_ptr<const WanDit> dit = std::make_shared<WanDit>(value_of(WanDit::load(
        world.dit, tensors_of(value_of(Safetensors::open(world.folder / "dit.safetensors"))), at::kCPU, at::kFloat)));
    WanVae vae =
        value_of(WanVae::load(world.vae, tensors_of(value_of(Safetensors::open(world.folder / "vae.safetensors"))),
                              at::kCPU, at::kFloat, true, true));
};

const World& shared_world() {
    static const World world;
    return world;
}

std::filesystem::path goldens_folder() {
    const char* folder = std::getenv("WANDER_WORLD_GOLDENS");
    return folder && *folder ? std::filesystem::path(folder) : std::filesystem::path(WANDER_TEST_DATA_DIR "/world");
}

std::vector<std::string> case_names() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(goldens_folder(), ignored)) {
        if (std::filesystem::exists(entry.path() / "case.json") &&
            std::filesystem::exists(entry.path() / "out.safetensors")) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

Pose pose_of(const nlohmann::json& json) { return {json[0], json[1], json[2], json[3]}; }

at::Tensor as_pictures(const at::Tensor& frames) { return (frames * 0.5 + 0.5).clamp(0, 1).permute({0, 2, 3, 1}); }

class ParityWorldCase : public ::testing::TestWithParam<std::string> {
protected:
    ParityWorldCase()
        : folder_(goldens_folder() / GetParam()),
          case_(nlohmann::json::parse(std::ifstream(folder_ / "case.json"))),
          out_(value_of(Safetensors::open(folder_ / "out.safetensors"))) {}

    at::Tensor expected(const std::string& name) const { return value_of(out_.tensor(name)); }
    const nlohmann::json& config() const { return case_.at("config"); }

    std::filesystem::path folder_;
    nlohmann::json case_;
    Safetensors out_;
    c10::InferenceMode inference_;
};

TEST_P(ParityWorldCase, RollsOutTheSameLatentsAndFrames) {
    const World& shared = shared_world();
    const EmbeddedWorld& world = shared.world;
    const auto start = world.find_start(config().at("start"));
    ASSERT_TRUE(start);
    const int number = *world.world_number(world.starts[*start].world);
    const int rows = world.latent_rows();
    const int cols = world.latent_cols();

    quant::CacheShape shape;
    shape.layers = world.dit.layers;
    shape.heads = world.dit.heads;
    shape.head_dim = world.dit.head_dim;
    shape.tokens_per_latent = rows / 2 * (cols / 2);
    shape.page_latents = world.page_latents;
    shape.sink_latents = config().at("sink_latents");
    shape.window_latents = config().at("window_latents");
    Rollout::Config rollout_config;
    rollout_config.sampler = world.sampler;
    if (config().contains("timesteps")) {
        rollout_config.sampler.timesteps = config().at("timesteps").get<std::vector<double>>();
        rollout_config.sampler.sigmas.clear();
        for (double t : rollout_config.sampler.timesteps) rollout_config.sampler.sigmas.push_back(t / 1000);
    }
    if (config().contains("context_timestep"))
        rollout_config.sampler.context_timestep = config().at("context_timestep");
    rollout_config.rows = rows;
    rollout_config.cols = cols;
    rollout_config.slot_positions = true;
    rollout_config.period = world.camera.period;
    rollout_config.translation_scale = world.camera.translation_scale;
    rollout_config.focal_x = world.camera.focal_x;
    rollout_config.focal_y = world.camera.focal_y;
    const auto seed = case_.at("seed").get<std::uint64_t>();
    // Latent 0 is the start picture; chunk k draws noise.k.
    const auto noise = [seed](std::int64_t latent, int, const std::vector<std::int64_t>& size) {
        return gaussian_tensor(fnv1a64("noise." + std::to_string(latent - 1)) ^ seed, size);
    };
    Rollout rollout(shared.dit, value_of(quant::KvCache::create(shape, quant::CachePolicy{}, at::kCPU, at::kFloat)),
                    rollout_config, noise);

    const auto input_of = [&](std::size_t row) {
        const Pose p = pose_of(case_.at("poses").at(row));
        ChunkInput input;
        input.labels = {case_.at("labels").at(row).get<int>()};
        input.poses = {p};
        input.token_bias = shared.dit->pose_tokens(p.x, p.z, p.yaw, p.pitch, number, rows / 2, cols / 2);
        return input;
    };
    const at::Tensor first = value_of(world.start_latent(*start)).unsqueeze(0);
    const ChunkInput begin = input_of(0);
    if (out_.contains("debug.pose_embedding.start")) {
        EXPECT_LE(relative_difference(begin.token_bias, expected("debug.pose_embedding.start")), kLatentTolerance);
    }
    rollout.prefill(first, begin);
    if (out_.contains("debug.key_block0.start")) {
        const auto flat = [](const at::Tensor& t) { return t.flatten(1); };
        EXPECT_LE(relative_difference(flat(rollout.cache().read_keys(0, 0, 1)), expected("debug.key_block0.start")),
                  kLatentTolerance);
        EXPECT_LE(relative_difference(flat(rollout.cache().read_values(5, 0, 1)), expected("debug.value_block5.start")),
                  kLatentTolerance);
    }

    CausalDecodeStream decoder = shared.vae.decode_stream();
    at::Tensor frames = as_pictures(decoder.decode(first));
    if (out_.contains("frame.0")) {
        EXPECT_LE((frames[0] - expected("frame.0")).abs().max().item<double>(), kFrameTolerance);
    }
    const at::Tensor latents = expected("latents");
    ASSERT_EQ(latents.size(0), config().at("chunks").get<std::int64_t>());
    double worst = 0;
    for (std::int64_t k = 0; k < latents.size(0); ++k) {
        const at::Tensor chunk = rollout.generate(input_of(static_cast<std::size_t>(k) + 1));
        const double difference = relative_difference(chunk[0], latents[k]);
        EXPECT_LE(difference, k < kLatentToleranceChunks ? kLatentTolerance : kLateLatentTolerance) << "chunk " << k;
        worst = std::max(worst, difference);
        frames = as_pictures(decoder.decode(chunk));
    }
    EXPECT_LE((frames - expected("frames.last_chunk")).abs().max().item<double>(), kFrameTolerance);
    RecordProperty("worst_latent_difference", fmt::format("{:.2e}", worst));
    fmt::print("{}: {} chunks, worst latent difference {:.2e}\n", GetParam(), latents.size(0), worst);
}

INSTANTIATE_TEST_SUITE_P(Goldens, ParityWorldCase, ::testing::ValuesIn(case_names()), [](const auto& parameter) {
    std::string name = parameter.param;
    for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return name;
});

TEST(ParityWorld, EncoderGivesTheStartLatents) {
    const c10::InferenceMode inference;
    const World& shared = shared_world();
    for (std::size_t i = 0; i < shared.world.starts.size(); ++i) {
        const at::Tensor picture =
            value_of(read_picture(shared.world.starts[i].picture, shared.world.width, shared.world.height));
        const at::Tensor latent = shared.vae.encode(picture);
        EXPECT_LE(relative_difference(latent[0], value_of(shared.world.start_latent(i))), kEncoderTolerance)
            << shared.world.starts[i].name;
    }
}

TEST(ParityWorld, CameraMatricesAreTheGoldenOnes) {
    const EmbeddedWorld& world = shared_world().world;
    const auto folder = std::filesystem::path(WANDER_TEST_DATA_DIR "/world/golden");
    const auto json = nlohmann::json::parse(std::ifstream(folder / "case.json"));
    const auto out = value_of(Safetensors::open(folder / "out.safetensors"));
    const Pose anchor = pose_of(json.at("poses").at(1));
    for (std::int64_t i = 0; i < 2; ++i) {
        const Pose pose = pose_of(json.at("poses").at(static_cast<std::size_t>(i)));
        Matrix4 p = prope_projection(pose, anchor, world.camera);
        Matrix4 inverse = prope_inverse(pose, anchor, world.camera);
        const auto as_tensor = [](Matrix4& m) { return at::from_blob(m.data(), {4, 4}, at::kDouble); };
        EXPECT_LE(relative_difference(as_tensor(p), value_of(out.tensor("debug.prope_P.start_and_chunk0"))[i]), 1e-6);
        EXPECT_LE(relative_difference(as_tensor(inverse), value_of(out.tensor("debug.prope_Pinv.start_and_chunk0"))[i]),
                  1e-6);
    }
}

} // namespace
} // namespace wander
