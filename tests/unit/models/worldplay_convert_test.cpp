// The conversion of a HY-WorldPlay folder: what it writes, and what is taken when its originals are gone or newer.

#include "generator/models/convert.hpp"
#include "generator/weights/safetensors.hpp"
#include "tests/unit/models/worldplay_folder_case.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace wander::test {
namespace {

TEST_F(WorldPlayFolderTest, ConversionKeepsNamesAndRoundsMatrices) {
    const fs::path model = copy();
    const auto before = open(model);
    const auto plan = plan_conversion(before);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->parts.size(), 2U) << "the text encoder is bf16 already";
    ASSERT_TRUE(convert_model(before));
    const auto after = open(model);
    EXPECT_TRUE(after.ready()) << after.ready().error().message;
    EXPECT_TRUE(after.few_steps);
    EXPECT_EQ(after.dit.text_len, 32) << "the descriptions of the originals still count";
    EXPECT_TRUE(plan_conversion(after)->parts.empty());
    for (const PartKind kind : {PartKind::transformer, PartKind::vae}) {
        const ModelPart& part = *after.part(kind);
        EXPECT_TRUE(part.converted);
        EXPECT_EQ(part.original, before.part(kind)->path);
        const auto old = tensors_of(before, kind);
        const auto now = tensors_of(after, kind);
        ASSERT_EQ(old.size(), now.size());
        for (const auto& [name, from] : old) {
            const at::Tensor& to = now.at(name);
            const bool vector = from.numel() == from.size(0) || name.ends_with("modulation");
            EXPECT_EQ(to.scalar_type(), vector ? at::kFloat : at::kBFloat16) << name;
            EXPECT_TRUE(at::equal(from.to(to.scalar_type()), to)) << name;
        }
    }
    const at::Tensor bias = *before.part(PartKind::transformer)->source()("blocks.0.self_attn.o.bias", {256});
    EXPECT_TRUE(at::equal(*after.part(PartKind::transformer)->source()("blocks.0.self_attn.o.bias", {256}), bias));
    EXPECT_EQ(open(model / "wander").folder, model);
}

TEST_F(WorldPlayFolderTest, TheConversionOfDistilledWeightsOutlivesThem) {
    const fs::path model = copy();
    const auto tensors = tensors_of(open(model), PartKind::transformer);
    ASSERT_TRUE(convert_model(open(model)));
    fs::remove_all(model / "wan_distilled_model");
    const auto without = open(model);
    EXPECT_TRUE(without.ready()) << without.ready().error().message;
    EXPECT_TRUE(without.few_steps);
    EXPECT_TRUE(without.part(PartKind::transformer)->original.empty());
    EXPECT_TRUE(plan_conversion(without)->parts.empty());
    // Other weights that are still there do not take its place.
    std::map<std::string, at::Tensor> copies;
    for (const auto& [name, tensor] : tensors) copies[name] = tensor.clone();
    ASSERT_TRUE(write_safetensors(model / "wan_transformer/diffusion_pytorch_model.safetensors", copies));
    EXPECT_EQ(open(model).part(PartKind::transformer)->path.filename(), "worldplay_wan5b.safetensors");
    EXPECT_TRUE(open(model).few_steps);
    // New distilled weights do.
    WorldPlayRecipe other;
    other.small = true;
    other.seed = 2;
    ASSERT_TRUE(write_worldplay_folder(model, other));
    EXPECT_EQ(open(model).part(PartKind::transformer)->path.filename(), "model.pt");
}

} // namespace
} // namespace wander::test
