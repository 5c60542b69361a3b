// The glyph branch's text side: quoted texts and ids, and byT5's encoder, against the public implementations.

#include "generator/text/plain/glyph_text.hpp"
#include "tests/support/hunyuan_encoder_cases.hpp"

#include <c10/core/InferenceMode.h>

#include <fstream>

namespace wander::testing {
namespace {

// bf16 products with a float32 stream against a float32 reference; measured 0.022 at most.
constexpr double kBf16Tolerance = 0.035;

nlohmann::json read_json(const std::filesystem::path& file) {
    nlohmann::json json;
    std::ifstream(file) >> json;
    return json;
}

TEST(ParityGlyphText, TextsLineAndIdsOfEveryPrompt) {
    for (const auto& folder : golden_folders("hy-glyph-text")) {
        const GoldenCase golden(folder);
        const auto prompts = read_json(folder / std::string(golden.config().at("data")));
        EXPECT_EQ(std::ssize(prompts), golden.output("count").item<int>());
        for (const auto& prompt : prompts) {
            const auto texts = quoted_texts(prompt.at("prompt").get<std::string>());
            EXPECT_EQ(texts, prompt.at("texts").get<std::vector<std::string>>()) << prompt;
            if (prompt.at("formatted").is_null()) continue;
            const std::string line = glyph_line(texts);
            EXPECT_EQ(line, prompt.at("formatted").get<std::string>());
            EXPECT_EQ(byt5_tokens(line, golden.config().at("max_length")).ids,
                      prompt.at("ids").get<std::vector<int>>());
        }
    }
}

TEST(ParityGlyphText, IdsOfEveryString) {
    for (const auto& folder : golden_folders("tok-byt5")) {
        const GoldenCase golden(folder);
        const auto data = read_json(folder / "strings.json");
        const auto strings = data.at("strings").get<std::vector<std::string>>();
        const at::Tensor ids = golden.output("ids").to(at::kInt), offsets = golden.output("offsets").to(at::kInt);
        ASSERT_EQ(offsets.numel(), std::ssize(strings) + 1);
        for (std::size_t i = 0; i < strings.size(); ++i) {
            const int begin = offsets.const_data_ptr<int>()[i], end = offsets.const_data_ptr<int>()[i + 1];
            const std::vector<int> expected(ids.const_data_ptr<int>() + begin, ids.const_data_ptr<int>() + end);
            EXPECT_EQ(byt5_tokens(strings[i], 100'000).ids, expected) << strings[i];
        }

        // Prompts, and the last string, cut: rows padded with 0.
        const auto most = golden.config().at("max_length").get<std::size_t>();
        std::vector<std::vector<int>> rows;
        const auto& prompts = data.at("prompts");
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            const std::string line = glyph_line(quoted_texts(prompts[i].get<std::string>()));
            const auto& expected = data.at("glyph")[i];
            EXPECT_EQ(line, expected.is_null() ? std::string() : expected.get<std::string>()) << prompts[i];
            if (!line.empty()) rows.push_back(byt5_tokens(line, most).ids);
        }
        const ByT5Tokens cut = byt5_tokens(strings.back(), most);
        EXPECT_TRUE(cut.truncated);
        rows.push_back(cut.ids);
        const at::Tensor expected = golden.output("glyph.ids").to(at::kInt), mask = golden.output("glyph.mask");
        ASSERT_EQ(std::ssize(rows), expected.size(0));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto n = static_cast<std::int64_t>(i);
            EXPECT_EQ(mask[n].sum().item<std::int64_t>(), std::ssize(rows[i]));
            rows[i].resize(most, 0);
            EXPECT_TRUE(at::equal(expected[n], at::tensor(rows[i], at::kInt))) << i;
        }
    }
}

TEST(ParityByT5, Outputs) {
    for (const ByT5Case& it : ByT5Case::all()) {
        for (const auto placement : {TextPlacement::resident, TextPlacement::streamed}) {
            EXPECT_LE(it.worst(it.load(placement)), it.tolerance) << it.golden.folder();
        }
        EXPECT_LE(it.worst(it.load(TextPlacement::resident, at::kCPU, at::kDouble)), it.tolerance);
        const double bf16 = it.worst(it.load(TextPlacement::resident, at::kCPU, at::kBFloat16));
        EXPECT_LE(bf16, kBf16Tolerance) << it.golden.folder();
        EXPECT_GT(bf16, it.tolerance) << "this cannot have been bf16";
    }
}

TEST(ParityByT5, EveryBlock) {
    const c10::InferenceMode inference;
    int compared = 0;
    for (const ByT5Case& it : ByT5Case::all()) {
        const auto encoder = it.load(TextPlacement::streamed);
        WeightFeed::Pass pass(*encoder.weights().feed);
        at::Tensor x = encoder.weights().embed(it.ids);
        for (int block = 0; block < it.config.layers; ++block) {
            encoder.weights().run_layer(block, x, pass);
            for (const std::string name : {"block.", "block"}) {
                if (!it.golden.has_output(name + std::to_string(block))) continue;
                it.golden.expect(name + std::to_string(block), x, it.tolerance);
                ++compared;
            }
        }
    }
    EXPECT_GE(compared, 4);
}

TEST(ParityByT5, PlacementChangesNoBit) {
    for (const ByT5Case& it : ByT5Case::all()) {
        for (const auto type : {at::kFloat, at::kBFloat16}) {
            EXPECT_TRUE(at::equal(it.load(TextPlacement::resident, at::kCPU, type).encode(it.ids),
                                  it.load(TextPlacement::streamed, at::kCPU, type).encode(it.ids)));
        }
    }
}

// A table of its own for every layer, as umT5 has it, is asked for and not there.
TEST(ByT5, OneBiasTableForAllLayers) {
    const ByT5Case it(golden_folders("byt5").front());
    EXPECT_EQ(std::ssize(it.config.tensor_shapes()), std::ssize(it.golden.weights()));
    Umt5Config own_tables = it.config;
    own_tables.shared_bias = false;
    const auto loaded = Umt5Encoder::load(own_tables, it.source(), at::kCPU, at::kFloat, TextPlacement::resident);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("blocks.1.pos_embedding"), std::string::npos) << loaded.error().message;
}

} // namespace
} // namespace wander::testing
