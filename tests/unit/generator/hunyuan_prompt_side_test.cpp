// Prompt and picture put to HunyuanVideo 1.5's encoders, with small networks of random weights: what comes out is what
// the encoders give, from the cache the same, and what is missing is named.

#include "generator/hunyuan/hunyuan_prompt_side.hpp"

#include "generator/hunyuan/hunyuan_prompt_files.hpp"
#include "generator/plain/sha256.hpp"
#include "generator/text/byt5_encoder.hpp"
#include "generator/text/plain/glyph_text.hpp"
#include "generator/world/start_picture.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/small_byte_pair.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <algorithm>
#include <fstream>

namespace wander::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInstruction = "Say what is seen.";

Result<at::Tensor> small_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const bool norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    return synthetic_tensor(name, 5, {{"shape", shape}, {"scale", 0.3}, {"offset", norm ? 1.0 : 0.0}});
}

class HunyuanPromptSideTest : public ::testing::Test {
protected:
    HunyuanPromptSideTest() {
        const auto files = small_files({{"a", "b"}});
        fs::create_directories(folder_ / "llm");
        std::ofstream(folder_ / "llm/vocab.json") << files.vocab;
        std::ofstream(folder_ / "llm/merges.txt") << files.merges;
        std::ofstream(folder_ / "llm/tokenizer_config.json") << files.config;
        Sha256 sha;
        sha.update({reinterpret_cast<const std::uint8_t*>(kInstruction.data()), kInstruction.size()});
        sha_ = sha.hex();
        const auto tokenizer = unwrap(BytePairTokenizer::parse(files, "here"));
        options_.tokenizer = folder_ / "llm";
        options_.system_prompt = kInstruction;
        options_.mark = {sha_, kInstruction.size(), chat_tokens(tokenizer, kInstruction, "").crop};
        QwenTextConfig text;
        text.vocab = 9100;
        text.dim = 32;
        text.heads = 4;
        text.kv_heads = 2;
        text.head_dim = 8;
        text.layers = 2;
        text.file_layers = 4;
        text.ffn = 24;
        options_.text = {text, small_weight, "text 1"};
        Umt5Config glyph = byt5_small();
        glyph.vocab = 400;
        glyph.dim = 20;
        glyph.heads = 2;
        glyph.head_dim = 8;
        glyph.layers = 2;
        glyph.ffn = 12;
        options_.glyph = {glyph, small_weight, "glyph 1"};
        SiglipConfig vision;
        vision.image = 28;
        vision.dim = 16;
        vision.heads = 2;
        vision.layers = 2;
        vision.ffn = 24;
        options_.vision = {vision, small_weight, "vision 1"};
        HunyuanVaeConfig vae;
        vae.z = 2;
        vae.widths = {8, 8, 8};
        vae.temporal_levels = 1;
        options_.vae = unwrap(HunyuanVae::load(vae, small_weight, at::kCPU, at::kFloat, true, false));
        options_.cache_folder = folder_ / "cache";
        for (int i = 0; i < 40 * 30 * 3; ++i) picture_.rgb.push_back(static_cast<std::uint8_t>(i * i % 251));
    }
    HunyuanPromptSide open() const { return unwrap(HunyuanPromptSide::open(options_)); }

    test::TestFolder folder_;
    std::string sha_;
    HunyuanPromptSideOptions options_;
    Picture picture_{{40, 30}, {}};
};

TEST_F(HunyuanPromptSideTest, StatesOfThePromptAndItsTail) {
    auto side = open();
    const auto text = unwrap(side.encode_text("ab c"));
    // "ab" " c" end line start a s s i s t a n t line
    EXPECT_EQ(text.tokens, 1u + 2 + 1 + 1 + 1 + 9 + 1);
    EXPECT_EQ(text.states.sizes(), (at::IntArrayRef{16, 32}));
    EXPECT_EQ(text.glyph.sizes(), (at::IntArrayRef{0, 20}));
    EXPECT_FALSE(text.truncated || text.glyph_missing || text.from_cache);
    const auto chat = chat_tokens(unwrap(BytePairTokenizer::open(options_.tokenizer)), kInstruction, "ab c");
    const auto encoder = unwrap(
        QwenTextEncoder::load(options_.text.config, small_weight, at::kCPU, at::kFloat, TextPlacement::resident));
    EXPECT_TRUE(at::equal(text.states, encoder.encode(chat.ids, chat.crop).to(at::kBFloat16).to(at::kFloat)));
    // The instruction in front is read: without it the same tokens have other states.
    const std::vector<int> kept(chat.ids.begin() + static_cast<std::ptrdiff_t>(chat.crop), chat.ids.end());
    EXPECT_GT((encoder.encode(kept) - text.states).abs().max().item<double>(), 0.01);
}

TEST_F(HunyuanPromptSideTest, QuotedTextsGoThroughTheGlyphEncoder) {
    auto side = open();
    const auto text = unwrap(side.encode_text("a sign \"AB\" and “C”"));
    EXPECT_EQ(text.quoted, (std::vector<std::string>{"AB", "C"}));
    const auto tokens = byt5_tokens("Text \"AB\". Text \"C\". ");
    const auto encoder =
        unwrap(Umt5Encoder::load(options_.glyph->config, small_weight, at::kCPU, at::kFloat, TextPlacement::resident));
    EXPECT_TRUE(at::equal(text.glyph, encoder.encode(tokens.ids).to(at::kBFloat16).to(at::kFloat)));
    options_.glyph.reset();
    auto without = open();
    const auto plain = unwrap(without.encode_text("a sign \"AB\""));
    EXPECT_TRUE(plain.glyph_missing);
    EXPECT_EQ(plain.glyph.sizes(), (at::IntArrayRef{0, 1472}));
    EXPECT_FALSE(unwrap(without.encode_text("a sign")).glyph_missing);
}

TEST_F(HunyuanPromptSideTest, APictureGivesItsViewAndItsLatent) {
    auto side = open();
    const auto got = unwrap(side.encode_picture(picture_, {32, 16}));
    EXPECT_EQ(got.vision.sizes(), (at::IntArrayRef{4, 16}));
    EXPECT_EQ(got.cond.sizes(), (at::IntArrayRef{1, 2, 4, 8}));
    EXPECT_EQ(got.cropped.rgb, cover_and_crop(picture_, {32, 16}).rgb);
    const at::Tensor levels = at::empty({16, 32, 3}, at::kByte);
    std::copy(got.cropped.rgb.begin(), got.cropped.rgb.end(), levels.data_ptr<std::uint8_t>());
    auto stream = options_.vae->encode_stream();
    const at::Tensor pixels = (levels.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat) / 127.5 - 1).contiguous();
    EXPECT_TRUE(at::equal(got.cond, options_.vae->scaled(stream.encode(pixels).mean)));
    const auto vision =
        unwrap(SiglipVision::load(options_.vision.config, small_weight, at::kCPU, at::kFloat, TextPlacement::resident));
    EXPECT_TRUE(at::equal(got.vision, vision.encode(siglip_pixels(picture_, 28)).to(at::kBFloat16).to(at::kFloat)));
    const auto wrong = side.encode_picture(picture_, {30, 16});
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message.find("multiples of 4"), std::string::npos) << wrong.error().message;
    EXPECT_FALSE(side.encode_picture({}, {32, 16}));
}

TEST_F(HunyuanPromptSideTest, TheCacheGivesTheSameWithoutAnyWeights) {
    const std::string prompt = "a sign \"AB\"";
    auto first = open();
    const auto text = unwrap(first.encode_text(prompt));
    const auto picture = unwrap(first.encode_picture(picture_, {32, 16}));
    options_.text.source = {};
    options_.glyph->source = {};
    options_.vision.source = {};
    auto second = open();
    const auto again = unwrap(second.encode_text(prompt));
    EXPECT_TRUE(again.from_cache);
    EXPECT_TRUE(at::equal(again.states, text.states) && at::equal(again.glyph, text.glyph));
    const auto seen = unwrap(second.encode_picture(picture_, {16, 16}));
    EXPECT_TRUE(seen.from_cache) << "the view does not depend on the video's size";
    EXPECT_TRUE(at::equal(seen.vision, picture.vision));
    const auto refused = second.encode_text("another");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    EXPECT_NE(refused.error().message.find("Qwen2.5-VL"), std::string::npos);
    Picture other = picture_;
    other.rgb[0] ^= 0xFF;
    for (std::size_t i = 0; i < other.rgb.size(); i += 7) other.rgb[i] ^= 0x80;
    EXPECT_FALSE(second.encode_picture(other, {32, 16}));
    // Other weights, other entries.
    for (auto* key : {&options_.text.weights_key, &options_.glyph->weights_key}) {
        const std::string kept = *key;
        *key += " other";
        auto third = open();
        EXPECT_FALSE(third.encode_text(prompt));
        *key = kept;
    }
}

// A picture's file gives its levels as they are; at its own size the other reader gives the same.
TEST(PictureLevels, OfAFile) {
    const fs::path file = fs::path(WANDER_SOURCE_DIR) / "assets/world/starts/village_fountain.png";
    const Picture picture = unwrap(read_picture_levels(file));
    ASSERT_EQ(picture.rgb.size(),
              static_cast<std::size_t>(picture.size.width) * static_cast<std::size_t>(picture.size.height) * 3);
    const at::Tensor pixels = unwrap(read_picture(file, picture.size.width, picture.size.height));
    const at::Tensor levels = ((pixels + 1) * 127.5).round().to(at::kByte)[0].permute({1, 2, 0}).contiguous();
    EXPECT_TRUE(std::equal(picture.rgb.begin(), picture.rgb.end(), levels.const_data_ptr<std::uint8_t>()));
    EXPECT_FALSE(read_picture_levels("/nonexistent.png"));
}

TEST_F(HunyuanPromptSideTest, PlacementAndTypeChangeNoShape) {
    options_.cache_folder.clear();
    for (const auto type : {at::kBFloat16, at::kHalf, at::kFloat}) {
        options_.compute = type;
        options_.placement = TextPlacement::streamed;
        auto streamed = open();
        options_.placement = TextPlacement::resident;
        auto resident = open();
        const auto a = unwrap(streamed.encode_text("ab \"c\"")), b = unwrap(resident.encode_text("ab \"c\""));
        EXPECT_TRUE(at::equal(a.states, b.states) && at::equal(a.glyph, b.glyph));
        EXPECT_EQ(a.states.scalar_type(), type);
    }
}

TEST_F(HunyuanPromptSideTest, APartMayComputeInATypeOfItsOwn) {
    options_.compute = at::kBFloat16;
    auto all_bf16 = open();
    const auto coarse = unwrap(all_bf16.encode_text("ab"));
    options_.text.compute = at::kFloat;
    auto fine_text = open();
    const auto fine = unwrap(fine_text.encode_text("ab"));
    EXPECT_FALSE(fine.from_cache) << "another type, another entry";
    EXPECT_EQ(fine.states.scalar_type(), at::kBFloat16);
    EXPECT_FALSE(at::equal(fine.states, coarse.states));
    const auto encoder = unwrap(
        QwenTextEncoder::load(options_.text.config, small_weight, at::kCPU, at::kFloat, TextPlacement::resident));
    const auto chat = chat_tokens(unwrap(BytePairTokenizer::open(options_.tokenizer)), kInstruction, "ab");
    EXPECT_TRUE(at::equal(fine.states, encoder.encode(chat.ids, chat.crop).to(at::kBFloat16)));
}

TEST_F(HunyuanPromptSideTest, WhatIsMissingOrOfAnotherModelIsNamed) {
    const auto refused = [&](const HunyuanPromptSideOptions& options, const std::string& words) {
        const auto side = HunyuanPromptSide::open(options);
        ASSERT_FALSE(side) << words;
        EXPECT_NE(side.error().message.find(words), std::string::npos) << side.error().message;
    };
    auto options = options_;
    options.system_prompt.clear();
    refused(options, "--system-prompt-from");
    options = options_;
    options.system_prompt = "Other.";
    refused(options, "not the one that this model was trained with");
    options = options_;
    ++options.mark.crop;
    refused(options, "is not that of Qwen2.5-VL");
    options = options_;
    options.tokenizer = folder_ / "nowhere";
    refused(options, "vocab.json");
    options = options_;
    options.text.config.vocab = 9001;
    refused(options, "do not belong together");
    options = options_;
    options.text.config.layers = 3;
    options.text.source = [&](const std::string& name, const std::vector<std::int64_t>& shape) -> Result<at::Tensor> {
        if (name.starts_with("model.layers.2.")) return Error{ErrorCode::bad_input, "no tensor " + name};
        return small_weight(name, shape);
    };
    refused(options, "model.layers.2.");
}

// Everything out of files that lie as the downloads put them.
class HunyuanPromptFilesTest : public HunyuanPromptSideTest {
protected:
    HunyuanPromptFilesTest() {
        for (const char* part : {"text_encoder/Glyph-SDXL-v2/checkpoints", "vision_encoder/siglip/image_encoder"}) {
            fs::create_directories(folder_ / part);
        }
        fs::rename(folder_ / "llm", folder_ / "text_encoder/llm");
        std::ofstream(folder_ / "system_prompt.txt") << kInstruction;
        write_weights("text_encoder/llm/model.safetensors", options_.text.config.tensor_shapes(), "lm_head.weight");
        write_weights("vision_encoder/siglip/image_encoder/model.safetensors", options_.vision.config.tensor_shapes(),
                      "vision_model.head.probe");
        const auto& t = options_.text.config;
        write_json("text_encoder/llm/config.json", {{"model_type", "qwen2_5_vl"},
                                                    {"vocab_size", t.vocab},
                                                    {"hidden_size", t.dim},
                                                    {"num_attention_heads", t.heads},
                                                    {"num_key_value_heads", t.kv_heads},
                                                    {"num_hidden_layers", t.file_layers},
                                                    {"intermediate_size", t.ffn},
                                                    {"rms_norm_eps", t.eps},
                                                    {"hidden_act", "silu"},
                                                    {"rope_theta", t.rope_theta}});
        const auto& v = options_.vision.config;
        write_json("vision_encoder/siglip/image_encoder/config.json", {{"model_type", "siglip_vision_model"},
                                                                       {"image_size", v.image},
                                                                       {"patch_size", v.patch},
                                                                       {"hidden_size", v.dim},
                                                                       {"num_attention_heads", v.heads},
                                                                       {"num_hidden_layers", v.layers},
                                                                       {"intermediate_size", v.ffn}});
    }
    void write_weights(const char* file, const CheckpointPart::Shapes& shapes, const char* extra) const {
        std::map<std::string, at::Tensor> tensors{{extra, at::zeros({1})}};
        for (const auto& [name, shape] : shapes) tensors[name] = unwrap(small_weight(name, shape));
        const auto written = write_safetensors(folder_ / file, tensors);
        ASSERT_TRUE(written) << written.error().message;
    }
    void write_json(const char* file, const nlohmann::json& json) const {
        std::ofstream(folder_ / file) << json.dump();
    }
};

TEST_F(HunyuanPromptFilesTest, AFolderGivesWhatItsWeightsGive) {
    options_.tokenizer = folder_ / "text_encoder/llm";
    options_.glyph.reset(); // there is no file of it
    options_.cache_folder.clear();
    auto expected = open();
    auto files = unwrap(open_hunyuan_prompt_files(HunyuanPromptPlaces::in(folder_.path()), options_.mark));
    ASSERT_EQ(files.notes.size(), 2u);
    EXPECT_NE(files.notes[0].find("not read: 1 of lm_head"), std::string::npos) << files.notes[0];
    EXPECT_FALSE(files.options.glyph);
    EXPECT_NE(files.options.text.weights_key, files.options.vision.weights_key);
    files.options.vae = options_.vae;
    auto side = unwrap(HunyuanPromptSide::open(files.options));
    EXPECT_TRUE(
        at::equal(unwrap(side.encode_text("ab \"c\"")).states, unwrap(expected.encode_text("ab \"c\"")).states));
    EXPECT_TRUE(at::equal(unwrap(side.encode_picture(picture_, {32, 16})).vision,
                          unwrap(expected.encode_picture(picture_, {32, 16})).vision));
}

TEST_F(HunyuanPromptFilesTest, WhatIsMissingIsNamed) {
    const auto refused = [&](const std::string& words) {
        const auto files = open_hunyuan_prompt_files(HunyuanPromptPlaces::in(folder_.path()), options_.mark);
        ASSERT_FALSE(files) << words;
        EXPECT_NE(files.error().message.find(words), std::string::npos) << files.error().message;
    };
    std::ofstream(folder_ / "text_encoder/Glyph-SDXL-v2/checkpoints/byt5_model.pt") << "no zip";
    refused("byt5_model.pt");
    fs::remove(folder_ / "vision_encoder/siglip/image_encoder/model.safetensors");
    refused("image_encoder/model.safetensors");
    fs::remove(folder_ / "text_encoder/llm/config.json");
    refused("llm/config.json");
    fs::remove(folder_ / "system_prompt.txt");
    refused("--system-prompt-from");
}

TEST_F(HunyuanPromptSideTest, LongPromptsAreCutAndSaySo) {
    options_.max_tokens = 20;
    options_.max_glyph_tokens = 10;
    auto side = open();
    const auto text = unwrap(side.encode_text("x y z \"long enough\" and more of it, until it ends"));
    EXPECT_TRUE(text.truncated && text.quoted_truncated);
    EXPECT_EQ(text.tokens, 20u);
    EXPECT_EQ(text.states.size(0), 20);
    EXPECT_EQ(text.glyph.size(0), 10);
}

} // namespace
} // namespace wander::testing
