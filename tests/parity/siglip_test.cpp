// SigLIP's picture tower and the pictures put to it, against the public implementations (Pillow 11.3, transformers).

#include "tests/support/hunyuan_encoder_cases.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace wander::testing {
namespace {

// bf16 products with a float32 stream against a float32 reference; measured 0.0104 at most.
constexpr double kBf16Tolerance = 0.02;

// [height, width, 3] bytes.
Picture picture_of(const at::Tensor& levels) {
    const at::Tensor bytes = levels.to(at::kByte).contiguous();
    const auto* first = bytes.const_data_ptr<std::uint8_t>();
    return {{static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0))}, {first, first + bytes.numel()}};
}
at::Tensor tensor_of(const Picture& picture) {
    at::Tensor bytes = at::empty({picture.size.height, picture.size.width, 3}, at::kByte);
    std::copy(picture.rgb.begin(), picture.rgb.end(), bytes.data_ptr<std::uint8_t>());
    return bytes;
}
// Every n-th row and column of [rows, columns, ...], as many as `like` has.
at::Tensor sampled(const at::Tensor& all, std::int64_t rows, std::int64_t columns, const std::string& name) {
    EXPECT_GT(all.size(0), 0) << name;
    return all.slice(0, 0, all.size(0), rows).slice(1, 0, all.size(1), columns);
}

PictureSize size_of(const nlohmann::json& pair) { return {pair.at(0), pair.at(1)}; } // width, height

TEST(ParityPictureScaling, CondAndSiglipPicturesLevelByLevel) {
    for (const auto& folder : golden_folders("hy-image")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        const PictureSize target = {c.at("target").at(1), c.at("target").at(0)};
        int crops = 0;
        for (const auto& [name, size] : c.at("images").items()) {
            const Picture picture = picture_of(at::floor(golden.tensor("image." + name) * 256));
            ASSERT_EQ(picture.size, size_of(size));
            EXPECT_TRUE(
                at::equal(tensor_of(cover_and_crop(picture, target)).permute({2, 0, 1}), golden.output("cond." + name)))
                << name;
            if (!golden.has_output("crop." + name)) continue;
            ++crops;
            const Picture bucket = cover_and_crop(picture, nearest_bucket(picture.size, picture_buckets()));
            EXPECT_TRUE(at::equal(sampled(tensor_of(bucket), 31, 37, name), golden.output("crop." + name))) << name;
            const auto apart = [&](const at::Tensor& got, const std::string& output) {
                const at::Tensor expected = golden.output(output);
                EXPECT_EQ(got.numel(), expected.numel()) << output;
                return (got.reshape(expected.sizes()) - expected).abs().max().item<double>();
            };
            EXPECT_LE(apart(siglip_pixels(picture, c.at("siglip")), "siglip." + name), 1e-6);
            const at::Tensor whole = siglip_pixels(picture, 384)[0].permute({1, 2, 0});
            EXPECT_LE(apart(sampled(whole, 13, 13, name).permute({2, 0, 1}), "siglip384." + name), 1e-6);
        }
        EXPECT_GE(crops, 2);
    }
}

TEST(ParityPictureScaling, BucketsAndTheirChoice) {
    for (const auto& folder : golden_folders("hy-image")) {
        const GoldenCase golden(folder);
        const auto& c = golden.config();
        const auto buckets = picture_buckets(c.at("bucket_base"), c.at("bucket_stride"), c.at("max_ratio"));
        const at::Tensor list = golden.output("bucket_list").to(at::kInt),
                         chosen = golden.output("buckets").to(at::kInt);
        ASSERT_EQ(list.size(0), std::ssize(buckets));
        for (std::int64_t i = 0; i < list.size(0); ++i) {
            const PictureSize bucket = buckets[static_cast<std::size_t>(i)];
            EXPECT_EQ(bucket.height, list[i][0].item<int>());
            EXPECT_EQ(bucket.width, list[i][1].item<int>());
        }
        for (std::int64_t i = 0; i < chosen.size(0); ++i) {
            const PictureSize picture = {chosen[i][0].item<int>(), chosen[i][1].item<int>()};
            const PictureSize bucket = nearest_bucket(picture, buckets);
            EXPECT_EQ(bucket.height, chosen[i][2].item<int>()) << picture.width << " x " << picture.height;
            EXPECT_EQ(bucket.width, chosen[i][3].item<int>()) << picture.width << " x " << picture.height;
        }
    }
}

TEST(ParityPictureScaling, CropAndSquareOfTheVisionCase) {
    int compared = 0;
    for (const auto& folder : golden_folders("siglip")) {
        const GoldenCase golden(folder);
        if (!golden.has_output("cropped")) continue;
        ++compared;
        const auto& bucket = golden.config().at("bucket");
        const Picture cropped = cover_and_crop(picture_of(golden.output("image")), {bucket.at(1), bucket.at(0)});
        EXPECT_TRUE(at::equal(tensor_of(cropped), golden.output("cropped")));
        const int side = golden.config().at("image_size");
        const at::Tensor square = tensor_of(scale_picture(cropped, {side, side}, PictureFilter::bicubic));
        const at::Tensor pixels = (square.permute({2, 0, 1}).to(at::kFloat) / 255 - 0.5) / 0.5;
        EXPECT_LE(golden_difference(pixels, golden.output("pixels")), golden.tolerance_of("pixels"));
    }
    EXPECT_GT(compared, 0);
}

TEST(ParitySiglip, Outputs) {
    for (const SiglipCase& it : SiglipCase::all()) {
        for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
            EXPECT_LE(it.worst(it.load(placement)), it.tolerance) << it.golden.folder();
        }
        EXPECT_LE(it.worst(it.load(TextPlacement::resident, at::kCPU, at::kDouble)), it.tolerance);
        const double bf16 = it.worst(it.load(TextPlacement::resident, at::kCPU, at::kBFloat16));
        EXPECT_LE(bf16, kBf16Tolerance) << it.golden.folder();
        EXPECT_GT(bf16, it.tolerance) << "this cannot have been bf16";
    }
}

TEST(ParitySiglip, EveryLayer) {
    const c10::InferenceMode inference;
    int compared = 0;
    for (const SiglipCase& it : SiglipCase::all()) {
        const auto vision = it.load(TextPlacement::streamed);
        WeightFeed::Pass pass(*vision.weights().feed);
        at::Tensor x = vision.weights().embed(it.pixels);
        const auto compare = [&](const std::string& name) {
            if (!it.golden.has_output(name)) return;
            it.golden.expect(name, x, it.tolerance);
            ++compared;
        };
        compare("hidden.0");
        compare("embeddings");
        for (int layer = 0; layer < it.config.layers; ++layer) {
            vision.weights().run_layer(layer, x, pass);
            compare("hidden." + std::to_string(layer + 1));
            compare("layer" + std::to_string(layer));
        }
    }
    EXPECT_GE(compared, 5);
}

TEST(ParitySiglip, PlacementChangesNoBit) {
    for (const SiglipCase& it : SiglipCase::all()) {
        for (const auto type : {at::kFloat, at::kBFloat16}) {
            EXPECT_TRUE(at::equal(it.load(TextPlacement::resident, at::kCPU, type).encode(it.pixels),
                                  it.load(TextPlacement::streamed, at::kCPU, type).encode(it.pixels)));
        }
    }
}

TEST(SiglipConfig, PublishedSizesAndNames) {
    const SiglipConfig config;
    EXPECT_EQ(config.patches(), 729);
    const auto shapes = config.tensor_shapes();
    EXPECT_EQ(shapes.size(), 3u + 27 * 16 + 2);
    EXPECT_EQ(shapes.at("vision_model.embeddings.patch_embedding.weight"),
              (std::vector<std::int64_t>{1152, 3, 14, 14}));
    EXPECT_EQ(shapes.at("vision_model.encoder.layers.26.mlp.fc1.weight"), (std::vector<std::int64_t>{4304, 1152}));
    std::int64_t values = 0;
    for (const auto& [name, shape] : shapes) {
        std::int64_t numel = 1;
        for (const auto size : shape) numel *= size;
        values += numel;
    }
    EXPECT_NEAR(static_cast<double>(values) * 2, 0.82e9, 0.01e9);
}

} // namespace
} // namespace wander::testing
