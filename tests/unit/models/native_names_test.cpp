// Names of published files: every row of the golden table, both directions, and the wrappers of training.

#include "generator/models/native_names.hpp"

#include "generator/models/part_places.hpp"
#include "generator/models/part_sizes.hpp"
#include "generator/wan/wan5b_names.hpp"
#include "tests/support/published_names.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>
#include <set>

namespace wander {
namespace {

nlohmann::json names() {
    const char* folder = std::getenv("WANDER_GOLDENS");
    const std::string base = folder && *folder ? folder : WANDER_TEST_DATA_DIR "/goldens";
    std::ifstream file(base + "/wan-bidir-diffusers/names.json");
    return nlohmann::json::parse(file);
}

std::string with_block(std::string name, int block) {
    const auto at = name.find("{N}");
    return at == std::string::npos ? name : name.replace(at, 3, std::to_string(block));
}

TEST(NativeNames, TransformerAsTheTableHasIt) {
    const auto table = names()["dit"];
    const auto shapes = self_forcing_dit().tensor_shapes();
    EXPECT_EQ(shapes.size(), 825U);
    std::set<std::string> seen;
    const auto check = [&](const nlohmann::json& row, int block) {
        const std::string native = with_block(row[0], block);
        const std::string theirs = with_block(row[1], block);
        EXPECT_EQ(native_dit_name(theirs), native) << theirs;
        EXPECT_EQ(test::diffusers_dit_name(native), theirs);
        EXPECT_TRUE(shapes.contains(native)) << native;
        seen.insert(native);
    };
    for (const auto& row : table["global"]) check(row, 0);
    for (int block = 0; block < 30; ++block) {
        for (const auto& row : table["block"]) check(row, block);
    }
    EXPECT_EQ(seen.size(), shapes.size());
}

TEST(NativeNames, TheAffineNormIsNorm3HereAndNorm2There) {
    EXPECT_EQ(native_dit_name("blocks.7.norm2.weight"), "blocks.7.norm3.weight");
    EXPECT_EQ(native_dit_name("blocks.7.norm3.weight"), std::nullopt);
    EXPECT_EQ(native_dit_name("blocks.7.norm1.weight"), std::nullopt);
}

TEST(NativeNames, VaeAsTheTableHasIt) {
    const auto shapes = wan21_vae().tensor_shapes(true, true);
    EXPECT_EQ(shapes.size(), 194U);
    std::set<std::string> seen;
    const auto table = names()["vae21"];
    for (const auto& row : table) {
        const std::string native = row[0];
        EXPECT_EQ(native_vae_name(row[1].get<std::string>()), native) << row[1];
        EXPECT_EQ(test::diffusers_vae_name(native), row[1].get<std::string>());
        EXPECT_TRUE(shapes.contains(native)) << native;
        seen.insert(native);
    }
    EXPECT_EQ(seen.size(), shapes.size());
}

TEST(NativeNames, NewerVaeAsTheTableHasIt) {
    const auto shapes = Vae22Config::published().tensor_shapes(true, true);
    EXPECT_EQ(shapes.size(), 196U);
    std::set<std::string> seen;
    const auto table = names()["vae22"];
    for (const auto& row : table) {
        const std::string native = row[0];
        EXPECT_EQ(native_vae22_name(row[1].get<std::string>()), native) << row[1];
        EXPECT_EQ(test::diffusers_vae22_name(native), row[1].get<std::string>());
        EXPECT_TRUE(shapes.contains(native)) << native;
        seen.insert(native);
    }
    EXPECT_EQ(seen.size(), shapes.size());
}

TEST(NativeNames, Wan5BBothWays) {
    for (const auto& [native, shape] : wan5b_shapes(wan5b_config())) {
        const auto theirs = wan5b_name(native);
        ASSERT_TRUE(theirs) << native;
        EXPECT_EQ(native_dit_name(*theirs), native);
        EXPECT_EQ(test::diffusers_dit_name(native), *theirs);
    }
}

TEST(NativeNames, TextEncoderBothWays) {
    const auto shapes = Umt5Config().tensor_shapes();
    EXPECT_EQ(shapes.size(), 242U);
    std::uint64_t parameters = 0;
    for (const auto& [native, shape] : shapes) {
        EXPECT_EQ(native_umt5_name(test::transformers_umt5_name(native)), native);
        parameters += TensorInfo{Dtype::bf16, shape}.elements();
    }
    EXPECT_EQ(parameters, 5'680'910'336U);
}

TEST(NativeNames, ForeignNamesHaveNone) {
    for (const char* name :
         {"", "blocks.", "blocks.0", "blocks.0.", "blocks.x.attn1.to_q.weight", "blocks.-1.norm2.bias",
          "blocks.0.attn1.to_q", "blocks.0.attn1.to_q.scale", "proj_out2.weight", "lora_A.weight"}) {
        const auto native = native_dit_name(name);
        EXPECT_TRUE(!native || *native == "blocks.0.self_attn.q") << name << " -> " << *native;
    }
    for (const char* name : {"decoder.up_blocks.0.resnets.3.norm1.gamma", "decoder.mid_block.resnets.2.norm1.gamma",
                             "decoder.down_blocks.0.norm1.gamma", "encoder.up_blocks.0.resnets.0.norm1.gamma"})
        EXPECT_EQ(native_vae_name(name), std::nullopt) << name;
    for (const char* name : {"decoder.up_blocks.0.resnets.3.norm1.gamma", "encoder.down_blocks.0.resnets.2.conv1.bias",
                             "decoder.up_blocks.0.upsamplers.0.resample.1.weight", "decoder.up_blocks.0.upsampler.2",
                             "encoder.up_blocks.0.resnets.0.norm1.gamma"})
        EXPECT_EQ(native_vae22_name(name), std::nullopt) << name;
    EXPECT_EQ(native_umt5_name("encoder.embed_tokens.weight"), std::nullopt);
}

TEST(NativeNames, WrappersOfTrainingAreTakenOutWhereverTheyStand) {
    EXPECT_EQ(bare_checkpoint_key("model.blocks.0.norm3.weight"), "blocks.0.norm3.weight");
    EXPECT_EQ(bare_checkpoint_key("net.blocks.0.norm3.weight"), "blocks.0.norm3.weight");
    EXPECT_EQ(bare_checkpoint_key("model._fsdp_wrapped_module.blocks.0._checkpoint_wrapped_module.norm3.weight"),
              "blocks.0.norm3.weight");
    EXPECT_EQ(bare_checkpoint_key("_orig_mod._fsdp_wrapped_module.model.blocks.0._fsdp_wrapped_module.ffn.0.bias"),
              "blocks.0.ffn.0.bias");
    EXPECT_EQ(bare_checkpoint_key("head.modulation"), "head.modulation");
}

TEST(PartSizes, PublishedCountsOfParameters) {
    const auto count = [](const ShapeTable& shapes) {
        std::uint64_t sum = 0;
        for (const auto& [name, shape] : shapes) sum += TensorInfo{Dtype::f32, shape}.elements();
        return sum;
    };
    EXPECT_EQ(count(self_forcing_dit().tensor_shapes()), 1'418'996'800U);
    EXPECT_EQ(count(wan21_vae().tensor_shapes(true, true)), 126'892'531U);
    // What a person is told about downloads: float32, the tiny VAE float16, the text encoder bf16.
    EXPECT_EQ(origin_of(PartKind::transformer).bytes, 4 * count(self_forcing_dit().tensor_shapes()));
    EXPECT_EQ(origin_of(PartKind::vae).bytes, 4 * count(wan21_vae().tensor_shapes(true, true)));
    EXPECT_EQ(origin_of(PartKind::tiny_vae).bytes, 2 * count(TaehvConfig().tensor_shapes(true, true)));
    EXPECT_EQ(origin_of(PartKind::text_encoder).bytes, 2 * count(Umt5Config().tensor_shapes()));
    EXPECT_EQ(TaehvConfig().tensor_shapes(true, true).size(), 128U);
    // self-forcing.md 1.1: 9.8 M and 1.5 M.
    EXPECT_NEAR(static_cast<double>(count(TaehvConfig().tensor_shapes(false, true))), 9.8e6, 0.05e6);
    EXPECT_NEAR(static_cast<double>(count(TaehvConfig().tensor_shapes(true, false))), 1.5e6, 0.05e6);
}

} // namespace
} // namespace wander
