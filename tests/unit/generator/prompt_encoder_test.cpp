// Cache on disk and PromptEncoder, with a small network of random weights.

#include "generator/text/prompt_encoder.hpp"
#include "generator/text/prompt_cache.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/small_tokenizer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <fstream>
#include <thread>

namespace wander::testing {
namespace {

namespace fs = std::filesystem;
using test::TestFolder;

Umt5Config small_config() {
    Umt5Config config;
    config.vocab = 16;
    config.dim = 24;
    config.heads = 2;
    config.head_dim = 8;
    config.layers = 2;
    config.ffn = 20;
    return config;
}

Result<at::Tensor> small_weight(const std::string& name, const std::vector<std::int64_t>& shape) {
    const bool norm = name.find("norm") != std::string::npos;
    return synthetic_tensor(name, 3, {{"shape", shape}, {"scale", 0.3}, {"offset", norm ? 1.0 : 0.0}});
}

class PromptEncoderTest : public ::testing::Test {
protected:
    PromptEncoderTest() {
        std::ofstream(folder_ / "tokenizer.json") << small_tokenizer();
        options_.tokenizer = folder_ / "tokenizer.json";
        options_.config = small_config();
        options_.source = small_weight;
        options_.weights_key = "weights 1";
        options_.cache_folder = folder_ / "cache";
    }
    std::vector<fs::path> entries() const {
        std::vector<fs::path> files;
        if (!fs::exists(folder_ / "cache")) return files;
        for (const auto& entry : fs::directory_iterator(folder_ / "cache")) files.push_back(entry.path());
        return files;
    }
    TextEmbedding encode(std::string_view prompt) {
        return unwrap(unwrap(PromptEncoder::open(options_)).encode(prompt));
    }

    TestFolder folder_;
    PromptEncoderOptions options_;
};

TEST_F(PromptEncoderTest, SecondTimeComesFromTheCacheAndIsTheSame) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
        options_.compute = type;
        const TextEmbedding first = encode("  a&amp;b ");
        const TextEmbedding second = encode("a&b");
        EXPECT_FALSE(first.from_cache);
        EXPECT_TRUE(second.from_cache);
        EXPECT_EQ(first.cache_warning, "");
        EXPECT_EQ(first.ids, (std::vector<int>{6, 3, 8, 1}));
        EXPECT_EQ(first.tensor.scalar_type(), type);
        EXPECT_EQ(first.tensor.sizes(), (at::IntArrayRef{4, 24}));
        EXPECT_TRUE(at::equal(first.tensor, second.tensor));
        EXPECT_TRUE(at::equal(first.tensor, first.tensor.to(at::kBFloat16).to(type))) << "bf16 values everywhere";
        EXPECT_TRUE(at::equal(first.on_current_stream(), first.tensor));
    }
    EXPECT_EQ(entries().size(), 2u) << "one for each way to compute";
}

TEST_F(PromptEncoderTest, OtherWeightsOtherEntry) {
    encode("a");
    options_.weights_key = "weights 2";
    EXPECT_FALSE(encode("a").from_cache);
    EXPECT_NE(PromptCache::key("a", "b", {1}), PromptCache::key("ab", "", {1}));
    EXPECT_NE(PromptCache::key("a", "b", {1, 2}), PromptCache::key("a", "b", {2, 1}));
    EXPECT_EQ(PromptCache::key("a", "b", {1}).size(), 64u);
}

TEST_F(PromptEncoderTest, WithoutWeightsOnlyKnownPrompts) {
    const TextEmbedding known = encode("a");
    options_.source = {};
    auto encoder = unwrap(PromptEncoder::open(options_));
    const auto again = encoder.encode("a");
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->from_cache);
    EXPECT_TRUE(at::equal(again->tensor, known.tensor));
    const auto other = encoder.encode("b");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::unavailable);
}

TEST_F(PromptEncoderTest, EmptyAndTooLongPrompts) {
    options_.max_tokens = 4;
    const TextEmbedding empty = encode(" \n");
    EXPECT_EQ(empty.ids, (std::vector<int>{1}));
    EXPECT_FALSE(empty.truncated);
    const TextEmbedding cut = encode("a a a a a");
    EXPECT_EQ(cut.ids, (std::vector<int>{6, 6, 6, 1}));
    EXPECT_TRUE(cut.truncated);
    EXPECT_EQ(cut.all_tokens, 6u);
    EXPECT_EQ(unwrap(PromptEncoder::open(options_)).describe("a").tokens[0].text, "\u2581a");
}

TEST_F(PromptEncoderTest, DamagedEntriesAreAMissAndGo) {
    const at::Tensor right = encode("ab").tensor;
    ASSERT_EQ(entries().size(), 1u);
    const fs::path entry = entries()[0];
    const auto size = fs::file_size(entry);
    const auto damage = [&](const std::string& how) {
        if (how == "cut") fs::resize_file(entry, size - 1);
        if (how == "empty") fs::resize_file(entry, 0);
        if (how == "bit") {
            std::fstream file(entry, std::ios::in | std::ios::out | std::ios::binary);
            file.seekp(static_cast<std::streamoff>(size) - 3);
            file.put('\x55');
        }
        if (how == "shape") {
            ASSERT_TRUE(
                write_safetensors(entry, {{"embedding", at::zeros({1, 24}, at::kBFloat16)}}, {{"sha256", "x"}}));
        }
    };
    for (const char* how : {"cut", "empty", "bit", "shape"}) {
        damage(how);
        const TextEmbedding again = encode("ab");
        EXPECT_FALSE(again.from_cache) << how;
        EXPECT_TRUE(at::equal(again.tensor, right));
        EXPECT_TRUE(encode("ab").from_cache) << how << ": it was stored anew";
    }
}

TEST_F(PromptEncoderTest, TheOldestEntriesMakeRoom) {
    encode("a");
    const auto bytes = static_cast<std::int64_t>(fs::file_size(entries().at(0)));
    options_.cache_bytes = bytes * 5 / 2; // two of about this size
    const fs::path first = entries().at(0);
    encode("b");
    const auto now = fs::file_time_type::clock::now();
    for (const fs::path& entry : entries()) {
        fs::last_write_time(entry, now - std::chrono::minutes(entry == first ? 20 : 10));
    }
    EXPECT_TRUE(encode("a").from_cache); // used just now, so "b" is the oldest
    encode("c");
    EXPECT_EQ(entries().size(), 2u);
    EXPECT_TRUE(encode("a").from_cache);
    EXPECT_FALSE(encode("b").from_cache);
}

TEST_F(PromptEncoderTest, LeftoversOfEndedProgramsGo) {
    fs::create_directories(folder_ / "cache");
    const fs::path old = folder_ / "cache/x.1.0.new", fresh = folder_ / "cache/y.1.0.new";
    for (const fs::path& path : {old, fresh}) std::ofstream(path) << "half";
    fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
    encode("a");
    EXPECT_FALSE(fs::exists(old));
    EXPECT_TRUE(fs::exists(fresh));
}

TEST_F(PromptEncoderTest, AFolderThatCannotBeWrittenIsOnlyAWarning) {
    std::ofstream(folder_ / "file") << "x";
    options_.cache_folder = folder_ / "file/cache";
    EXPECT_NE(encode("a").cache_warning, "");
    options_.cache_folder.clear();
    EXPECT_EQ(encode("a").cache_warning, "");
}

TEST_F(PromptEncoderTest, SeveralThreadsGetTheSame) {
    const at::Tensor right = encode("ab").tensor;
    options_.cache_folder.clear();
    auto encoder = unwrap(PromptEncoder::open(options_));
    std::vector<at::Tensor> got(4);
    {
        std::vector<std::jthread> threads;
        for (at::Tensor& tensor : got) threads.emplace_back([&] { tensor = unwrap(encoder.encode("ab")).tensor; });
    }
    for (const at::Tensor& tensor : got) EXPECT_TRUE(at::equal(tensor, right));
}

TEST_F(PromptEncoderTest, FilesThatDoNotBelongTogether) {
    options_.config.vocab = 8;
    const auto opened = PromptEncoder::open(options_);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("12 pieces"), std::string::npos) << opened.error().message;
    options_.config.vocab = 12; // no row for the added token 12
    auto encoder = unwrap(PromptEncoder::open(options_));
    EXPECT_TRUE(encoder.encode("a"));
    EXPECT_FALSE(encoder.encode("<x_1>"));
}

TEST_F(PromptEncoderTest, ResidentWeightsReportTheirProgress) {
    options_.placement = TextPlacement::resident;
    std::vector<double> seen;
    options_.progress = [&](double share) { seen.push_back(share); };
    auto encoder = unwrap(PromptEncoder::open(options_));
    ASSERT_EQ(seen.size(), 6u);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.back(), 1);
    const at::Tensor resident = unwrap(encoder.encode("ab")).tensor;
    options_.placement = TextPlacement::streamed;
    options_.cache_folder.clear();
    EXPECT_TRUE(at::equal(encode("ab").tensor, resident));
}

} // namespace
} // namespace wander::testing
