// Which latents are read again: overlaps and choices of the public code on scripted paths, exact ties included.

#include "generator/memory/context_choice.hpp"
#include "tests/support/golden.hpp"

#include <algorithm>
#include <cmath>

namespace wander::testing {
namespace {

ViewOverlap overlap_of(const GoldenCase& golden, const std::string& angle) {
    const ViewCone cone{golden.config().at("radius"),
                        golden.config().at(golden.config().contains("fov") ? "fov" : "fov_deg")[0],
                        golden.config().at(golden.config().contains("fov") ? "fov" : "fov_deg")[1]};
    const at::Tensor a = golden.tensor("points.r"), b = golden.tensor(angle), c = golden.tensor("points.u");
    std::vector<BallPoint> ball;
    for (std::int64_t i = 0; i < a.numel(); ++i) {
        ball.push_back(ball_point(a.const_data_ptr<float>()[i], b.const_data_ptr<float>()[i],
                                  c.const_data_ptr<float>()[i], cone.radius));
    }
    return ViewOverlap(ball, cone);
}

std::vector<LatentCamera> cameras_of(const at::Tensor& world_to_camera) {
    const at::Tensor wide = world_to_camera.to(at::kDouble).contiguous();
    std::vector<LatentCamera> cameras(static_cast<std::size_t>(wide.size(0)));
    for (std::size_t i = 0; i < cameras.size(); ++i) {
        std::copy_n(wide.const_data_ptr<double>() + 16 * i, 16, cameras[i].world_to_camera.begin());
        cameras[i].camera_to_world = rigid_inverse(cameras[i].world_to_camera);
    }
    return cameras;
}

std::vector<std::int64_t> indices(const at::Tensor& list) {
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < list.numel(); ++i) {
        if (list[i].item<int>() >= 0) out.push_back(list[i].item<int>());
    }
    return out;
}

TEST(ParityContextChoice, OverlapsAndChoicesOfThe8B) {
    for (const auto& folder : golden_folders("hy-retrieval")) {
        const GoldenCase golden(folder);
        const auto& config = golden.config();
        const ViewOverlap overlap = overlap_of(golden, "points.p");
        const at::Tensor first_points = golden.output("points.first");
        ContextRules rules = ContextRules::worldplay_8b();
        EXPECT_EQ(rules.latents, config.at("memory").get<int>());
        EXPECT_EQ(rules.recent, config.at("temporal").get<int>());
        EXPECT_EQ(rules.clip, config.at("prediction").get<int>());
        const double tolerance = 5e-4; // a point on a border may fall on the other side in the reference's arithmetic
        double worst = 0;
        for (const auto& path_name : config.at("paths")) {
            const std::string path = path_name;
            const auto cameras = cameras_of(golden.output("in." + path + ".w2c"));
            const at::Tensor selected = golden.output(path + ".selected");
            for (std::int64_t chunk = 1; chunk < selected.size(0); ++chunk) {
                const std::int64_t first = chunk * rules.clip;
                const ContextChoice choice = choose_context(rules, first, cameras, overlap);
                EXPECT_EQ(choice.latents, indices(selected[chunk])) << path << ", chunk " << chunk;
                const std::string name = path + ".overlap." + std::to_string(chunk);
                if (!golden.has_output(name)) {
                    EXPECT_FALSE(choice.clip) << name;
                    continue;
                }
                const at::Tensor wanted = golden.output(name);
                ASSERT_EQ(choice.distances.size(), static_cast<std::size_t>(wanted.size(0)));
                for (std::int64_t clip = 0; clip < wanted.size(0); ++clip) {
                    for (std::int64_t pose = 0; pose < wanted.size(1); ++pose) {
                        for (std::int64_t i = 0; i < wanted.size(2); ++i) {
                            const auto old = static_cast<std::size_t>(rules.anchor + clip * rules.clip + 2 * i);
                            const double got =
                                overlap.overlap(cameras[static_cast<std::size_t>(first + pose)].world_to_camera,
                                                cameras[old].camera_to_world);
                            worst = std::max(worst, std::abs(got - wanted[clip][pose][i].item<double>()));
                        }
                    }
                    EXPECT_NEAR(choice.distances[static_cast<std::size_t>(clip)],
                                1 - wanted[clip].mean().item<double>(), tolerance);
                }
            }
        }
        EXPECT_LE(worst, tolerance);
        const BallPoint point =
            ball_point(golden.tensor("points.r")[0].item<float>(), golden.tensor("points.p")[0].item<float>(),
                       golden.tensor("points.u")[0].item<float>(), config.at("radius"));
        EXPECT_NEAR(point.x, first_points[0][0].item<float>(), 1e-5);
        EXPECT_NEAR(point.y, first_points[0][1].item<float>(), 1e-5);
        EXPECT_NEAR(point.z, first_points[0][2].item<float>(), 1e-5);
    }
}

TEST(ParityContextChoice, ChoicesOfAWholeRollOut) {
    for (const auto& folder : golden_folders("hy-rollout")) {
        const GoldenCase golden(folder);
        const ViewOverlap overlap = overlap_of(golden, "points.p");
        const auto cameras = cameras_of(golden.output("in.w2c"));
        const at::Tensor selected = golden.output("selected");
        ASSERT_GE(selected.size(0), 7);
        for (std::int64_t chunk = 0; chunk < selected.size(0); ++chunk) {
            EXPECT_EQ(choose_context(ContextRules::worldplay_8b(), 4 * chunk, cameras, overlap).latents,
                      indices(selected[chunk]))
                << "chunk " << chunk;
        }
    }
}

TEST(ParityContextChoice, ChoicesOfWan5B) {
    int chosen = 0;
    for (const char* name : {"wan5b-select", "wan5b-rollout"}) {
        for (const auto& folder : golden_folders(name)) {
            const GoldenCase golden(folder);
            const auto& config = golden.config();
            const ContextRules rules{config.at("memory"), config.at("temporal"), 0,
                                     config.at("memory").get<int>() - config.at("temporal").get<int>()};
            ASSERT_TRUE(rules.valid());
            const ViewOverlap overlap = overlap_of(golden, "points.phi");
            const auto cameras = cameras_of(golden.output("in.viewmats"));
            for (std::int64_t first = rules.clip; first < std::ssize(cameras); first += rules.clip) {
                const std::string chunk = std::to_string(first);
                if (!golden.has_output("selected." + chunk)) continue;
                const ContextChoice choice = choose_context(rules, first, cameras, overlap);
                EXPECT_EQ(choice.latents, indices(golden.output("selected." + chunk))) << name << " " << chunk;
                ++chosen;
                if (choice.distances.empty()) continue; // the reference measures where there is no choice as well
                const at::Tensor distances = golden.output("distance." + chunk);
                ASSERT_EQ(std::ssize(choice.distances), distances.numel());
                for (std::int64_t i = 0; i < distances.numel(); ++i) {
                    EXPECT_NEAR(choice.distances[static_cast<std::size_t>(i)], distances[i].item<float>(), 2e-3)
                        << name << " " << chunk << " clip " << i;
                }
            }
        }
    }
    EXPECT_EQ(chosen, 12);
}

} // namespace
} // namespace wander::testing
