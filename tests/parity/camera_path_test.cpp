// HY-WorldPlay's camera paths and projective position encoding against the public code: pose strings, compound moves,
// pose files, labels, refused strings, lengths; P and P^-1 in both arithmetics; attention through the cache.

#include "generator/camera/latent_camera.hpp"
#include "generator/camera/pose_json.hpp"
#include "generator/camera/pose_string.hpp"
#include "quant/kv_cache.hpp"
#include "tests/support/golden.hpp"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>

namespace wander::testing {
namespace {

std::vector<CameraMove> moves_of(const nlohmann::json& list) {
    std::vector<CameraMove> moves;
    for (const auto& item : list) {
        moves.push_back({item.value("forward", 0.0), item.value("right", 0.0), item.value("yaw", 0.0),
                         item.value("pitch", 0.0), item.value("third_yaw", 0.0)});
    }
    return moves;
}

std::vector<LatentCamera> cameras_of(const nlohmann::json& item, const std::filesystem::path& folder) {
    const std::string kind = item.at("kind");
    const bool third_person = item.at("tps");
    if (kind == "string")
        return unwrap(cameras_from_pose_string(std::string(item.at("pose")), kDefaultFocal, third_person));
    if (kind == "json") return unwrap(read_pose_json(folder / std::string(item.at("file")), third_person));
    return cameras_from_moves(moves_of(item.at("moves")), kDefaultFocal, third_person);
}

struct CameraTensors {
    at::Tensor camera_to_world, world_to_camera, k, labels;
};

CameraTensors tensors_of(const std::vector<LatentCamera>& cameras) {
    const auto count = static_cast<std::int64_t>(cameras.size());
    CameraTensors out{at::empty({count, 4, 4}, at::kDouble), at::empty({count, 4, 4}, at::kDouble),
                      at::zeros({count, 3, 3}, at::kDouble), at::empty({count}, at::kInt)};
    for (std::int64_t i = 0; i < count; ++i) {
        const LatentCamera& camera = cameras[static_cast<std::size_t>(i)];
        std::copy(camera.camera_to_world.begin(), camera.camera_to_world.end(),
                  out.camera_to_world.mutable_data_ptr<double>() + 16 * i);
        std::copy(camera.world_to_camera.begin(), camera.world_to_camera.end(),
                  out.world_to_camera.mutable_data_ptr<double>() + 16 * i);
        const double k[] = {camera.focal.x, 0, 0.5, 0, camera.focal.y, 0.5, 0, 0, 1};
        std::copy(std::begin(k), std::end(k), out.k.mutable_data_ptr<double>() + 9 * i);
        out.labels[i] = camera.label;
    }
    return out;
}

TEST(ParityCameraPath, StringsMovesAndFilesGiveTheirMatricesAndLabels) {
    for (const auto& folder : golden_folders("hy-pose")) {
        const GoldenCase golden(folder);
        nlohmann::json poses;
        std::ifstream(folder / std::string(golden.config().at("data"))) >> poses;
        for (const auto& item : poses.at("cases")) {
            const std::string name = item.at("name");
            const auto cameras = cameras_of(item, folder);
            ASSERT_EQ(cameras.size(), item.at("latents").get<std::size_t>()) << name;
            const CameraTensors got = tensors_of(cameras);
            golden.expect(name + ".c2w", got.camera_to_world, 1e-12);
            golden.expect(name + ".w2c", got.world_to_camera, 1e-11);
            golden.expect(name + ".K", got.k, 1e-14);
            EXPECT_TRUE(at::equal(got.labels, golden.output(name + ".label").to(at::kInt))) << name << got.labels;
        }
        for (const auto& text : poses.at("rejected")) {
            const auto refused = cameras_from_pose_string(std::string(text));
            ASSERT_FALSE(refused) << text;
            EXPECT_NE(refused.error().message.find("pose string"), std::string::npos);
        }
        for (const auto& item : poses.at("lengths")) {
            const int frames = item.at("video_frames");
            EXPECT_EQ(latents_of_frames(frames), item.at("latents").get<int>()) << item;
            const auto cameras = cameras_from_pose_string(std::string(item.at("pose")));
            const bool accepted = cameras && check_path_length(cameras->size(), frames);
            EXPECT_EQ(accepted, item.at("accepted").get<bool>()) << item;
        }
    }
}

Matrix4 matrix_of(const at::Tensor& rows) {
    Matrix4 matrix;
    const at::Tensor wide = rows.to(at::kDouble).contiguous();
    std::copy_n(wide.const_data_ptr<double>(), 16, matrix.begin());
    return matrix;
}

at::Tensor tensor_of(const Matrix4& matrix) {
    at::Tensor rows = at::empty({4, 4}, at::kDouble);
    std::copy(matrix.begin(), matrix.end(), rows.mutable_data_ptr<double>());
    return rows;
}

struct PropeTensors {
    at::Tensor projection, inverse; // float64 [frames, 4, 4]
};

template <typename Make>
PropeTensors prope_of(const GoldenCase& golden, Make make) {
    const at::Tensor cameras = golden.output("in.w2c");
    const at::Tensor k = golden.output("in.K");
    std::vector<at::Tensor> projection, inverse;
    for (std::int64_t i = 0; i < cameras.size(0); ++i) {
        const PropeMatrices matrices =
            make(matrix_of(cameras[i]), Focal{k[i][0][0].template item<float>(), k[i][1][1].template item<float>()});
        projection.push_back(tensor_of(matrices.projection));
        inverse.push_back(tensor_of(matrices.inverse));
    }
    return {at::stack(projection), at::stack(inverse)};
}

// Steps between neighbouring bfloat16 numbers; both signs count on through zero.
std::int64_t bf16_steps(float a, float b) {
    const auto order = [](float value) {
        const auto bits = static_cast<std::int64_t>(std::bit_cast<std::uint32_t>(value) >> 16);
        return (bits & 0x8000) != 0 ? -(bits & 0x7fff) : bits;
    };
    return std::abs(order(a) - order(b));
}

void expect_within_one_step(const at::Tensor& got, const at::Tensor& want, const std::string& name) {
    const at::Tensor a = got.to(at::kFloat).flatten(), b = want.to(at::kFloat).flatten();
    ASSERT_EQ(a.numel(), b.numel());
    for (std::int64_t i = 0; i < a.numel(); ++i) {
        const float x = a[i].item<float>(), y = b[i].item<float>();
        // Where terms cancel, what is left of them (1e-17) has no meaning.
        if (std::abs(x) < 1e-12F && std::abs(y) < 1e-12F) continue;
        EXPECT_LE(bf16_steps(x, y), 1) << name << " " << i << ": " << x << " instead of " << y;
    }
}

TEST(ParityPrope, MatricesInBothArithmetics) {
    for (const auto& folder : golden_folders("hy-prope")) {
        const GoldenCase golden(folder);
        const PropeTensors precise = prope_of(golden, [](auto&&... in) { return prope_matrices(in...); });
        golden.expect("P", precise.projection);
        golden.expect("P_inv", precise.inverse);
        const PropeTensors rounded = prope_of(golden, [](auto&&... in) { return prope_matrices_bf16(in...); });
        EXPECT_TRUE(at::equal(rounded.projection, rounded.projection.to(at::kBFloat16).to(at::kDouble)));
        EXPECT_TRUE(at::equal(rounded.inverse, rounded.inverse.to(at::kBFloat16).to(at::kDouble)));
        expect_within_one_step(rounded.projection, golden.output("bf16.P"), "bf16.P");
        expect_within_one_step(rounded.inverse, golden.output("bf16.P_inv"), "bf16.P_inv");
    }
}

// x: [1, heads, frames * per_frame, head]; matrices: [frames, 4, 4], each applied to every group of four channels.
at::Tensor turned(const at::Tensor& x, const at::Tensor& matrices) {
    const std::int64_t frames = matrices.size(0), per_frame = x.size(2) / frames;
    const at::Tensor groups = x.to(at::kDouble).reshape({x.size(1), frames, per_frame, x.size(3) / 4, 4});
    return at::einsum("fij,hftgj->hftgi", {matrices, groups}).reshape(x.sizes());
}

TEST(ParityPrope, TransformsAndAttentionWithText) {
    for (const auto& folder : golden_folders("hy-prope")) {
        const GoldenCase golden(folder);
        const PropeTensors prope = prope_of(golden, [](auto&&... in) { return prope_matrices(in...); });
        for (const auto& [layout, sizes] : golden.config().at("layouts").items()) {
            const at::Tensor q = turned(golden.tensor(fmt::format("q.{}", layout)), prope.projection.transpose(1, 2));
            const at::Tensor k = turned(golden.tensor(fmt::format("k.{}", layout)), prope.inverse);
            const at::Tensor v = turned(golden.tensor(fmt::format("v.{}", layout)), prope.inverse);
            golden.expect(fmt::format("q.{}", layout), q);
            golden.expect(fmt::format("k.{}", layout), k);
            golden.expect(fmt::format("v.{}", layout), v);
            const at::Tensor attended = at::scaled_dot_product_attention(q, k, v);
            golden.expect(fmt::format("attn.{}", layout), attended);
            golden.expect(fmt::format("out.{}", layout), turned(attended, prope.projection));
            // Keys and values of the text are not turned.
            const at::Tensor keys = at::cat({golden.tensor(fmt::format("kt.{}", layout)).to(at::kDouble), k}, 2);
            const at::Tensor values = at::cat({golden.tensor(fmt::format("vt.{}", layout)).to(at::kDouble), v}, 2);
            golden.expect(fmt::format("out_text.{}", layout),
                          turned(at::scaled_dot_product_attention(q, keys, values), prope.projection));
        }
    }
}

// The same attention as the networks do it: K and V as they are, turned by the cache while it reads. The first frames
// are history, the last ones the chunk.
TEST(ParityPrope, TheCachesSecondBranch) {
    const c10::InferenceMode inference;
    for (const auto& folder : golden_folders("hy-prope")) {
        const GoldenCase golden(folder);
        const PropeTensors prope = prope_of(golden, [](auto&&... in) { return prope_matrices(in...); });
        const int frames = golden.config().at("frames"), per_frame = golden.config().at("per_frame");
        for (const auto& [layout, sizes] : golden.config().at("layouts").items()) {
            const int heads = sizes.at("heads"), width = sizes.at("head");
            if (width % 8 != 0) continue; // the cache's kernels take eight channels at a time
            for (int history = 0; history < frames; ++history) {
                quant::CacheShape shape;
                shape.layers = 1;
                shape.heads = heads;
                shape.head_dim = width;
                shape.tokens_per_latent = per_frame;
                shape.page_latents = frames;
                const auto cache = unwrap(quant::KvCache::create(shape, {}, at::kCPU, at::kFloat));
                const auto rows = [&](const char* name, int first, int count) {
                    return golden.tensor(fmt::format("{}.{}", name, layout))[0]
                        .transpose(0, 1)
                        .narrow(0, std::int64_t{first} * per_frame, std::int64_t{count} * per_frame)
                        .contiguous();
                };
                quant::ReadView view;
                view.time_frequencies = at::zeros({1}, at::kDouble);
                view.space_angles = at::zeros({per_frame, width / 2 - 1}, at::kDouble);
                view.prope = true;
                const auto begin = [&](int first, int count) {
                    view.first_latent = first;
                    view.latents = count;
                    view.history_positions.assign(static_cast<std::size_t>(first), 0);
                    view.new_positions.assign(static_cast<std::size_t>(count), 0);
                    view.history_inverse = prope.inverse.narrow(0, 0, first).to(at::kFloat).contiguous();
                    view.new_projection = prope.projection.narrow(0, first, count).to(at::kFloat).contiguous();
                    view.new_inverse = prope.inverse.narrow(0, first, count).to(at::kFloat).contiguous();
                    cache->begin_chunk(view);
                };
                if (history > 0) {
                    begin(0, history);
                    cache->write(0, rows("k", 0, history), rows("v", 0, history));
                    cache->commit();
                }
                const int rest = frames - history;
                begin(history, rest);
                const at::Tensor out =
                    cache->attend(0, rows("q", history, rest), rows("k", history, rest), rows("v", history, rest))[1];
                const at::Tensor want = golden.output(fmt::format("out.{}", layout))[0].transpose(0, 1).narrow(
                    0, std::int64_t{history} * per_frame, std::int64_t{rest} * per_frame);
                const double worst = (out - want).abs().max().item<double>() / want.abs().max().item<double>();
                EXPECT_LE(worst, golden.tolerance()) << layout << ", " << history << " latents of history";
            }
        }
    }
}

} // namespace
} // namespace wander::testing
