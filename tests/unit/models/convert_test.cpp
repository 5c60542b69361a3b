// The one-time conversion: values and types, resuming, changed sources, stopping, and that nothing half-written is
// left.

#include "generator/models/convert.hpp"

#include "generator/models/converted_part.hpp"
#include "generator/models/text_video_folder.hpp"
#include "tests/support/model_folder_writer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

namespace wander {
namespace {

namespace fs = std::filesystem;

class Convert : public testing::Test {
protected:
    void SetUp() override {
        test::ModelFolderRecipe recipe;
        recipe.small = true;
        const auto written = test::write_model_folder(model, recipe);
        ASSERT_TRUE(written) << written.error().message;
    }
    TextVideoFolder open() const {
        auto opened = TextVideoFolder::open(model);
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? std::move(*opened) : TextVideoFolder{};
    }
    std::vector<std::string> left_over() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::recursive_directory_iterator(model)) {
            if (entry.path().extension() == ".part") names.push_back(entry.path().string());
        }
        return names;
    }

    test::TestFolder folder;
    fs::path model = folder / "model";
};

TEST_F(Convert, MatricesBecomeBf16AndVectorsStayExact) {
    const auto before = open();
    const auto plan = plan_conversion(before);
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_EQ(plan->parts.size(), 2U) << "transformer and VAE; the text encoder is bf16 already, the tiny VAE small";
    std::uint64_t last = 0;
    std::uint64_t total = 0;
    const auto done = convert_model(before, [&](const ConvertProgress& progress) {
        EXPECT_GE(progress.bytes_done, last);
        last = progress.bytes_done;
        total = progress.bytes_total;
        return true;
    });
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(last, total);
    EXPECT_EQ(total, plan->bytes());
    EXPECT_TRUE(left_over().empty());

    const auto after = open();
    EXPECT_TRUE(after.ready()) << after.ready().error().message;
    EXPECT_EQ(before.weight_bytes(PartKind::transformer), after.weight_bytes(PartKind::transformer));
    for (const PartKind kind : {PartKind::transformer, PartKind::vae}) {
        const ModelPart& part = *after.part(kind);
        EXPECT_TRUE(part.converted);
        EXPECT_EQ(part.path.parent_path(), model / "wander");
        EXPECT_EQ(part.original, before.part(kind)->path);
        const PartTensors& old = *before.part(kind)->tensors;
        ASSERT_EQ(part.tensors->shapes(), old.shapes());
        for (const auto& [name, shape] : old.shapes()) {
            const at::Tensor from = *old.tensor(name, shape);
            const at::Tensor to = *part.tensors->tensor(name, shape);
            const bool vector = from.numel() == from.size(0) || name.ends_with("modulation");
            EXPECT_EQ(to.scalar_type(), vector ? at::kFloat : at::kBFloat16) << name;
            EXPECT_TRUE(at::equal(from.to(to.scalar_type()), to)) << name;
        }
    }
    EXPECT_TRUE(plan_conversion(after)->parts.empty());
    EXPECT_TRUE(convert_model(after)->parts.empty()) << "a second time there is nothing to do";
    // The converted folder itself leads to the same model.
    EXPECT_EQ(TextVideoFolder::open(model / "wander")->folder, model);
}

TEST_F(Convert, GoesOnWithTheNextPartAfterAStop) {
    std::uint64_t calls = 0;
    const auto stopped = convert_model(open(), [&](const ConvertProgress& progress) {
        ++calls;
        return progress.kind == PartKind::transformer;
    });
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(left_over().empty());
    const auto half = open();
    EXPECT_TRUE(half.part(PartKind::transformer)->converted);
    EXPECT_FALSE(half.part(PartKind::vae)->converted);
    const auto rest = convert_model(half);
    ASSERT_TRUE(rest) << rest.error().message;
    ASSERT_EQ(rest->parts.size(), 1U);
    EXPECT_EQ(rest->parts[0].kind, PartKind::vae);
}

TEST_F(Convert, APartOfAKilledRunIsWrittenOver) {
    fs::create_directories(model / "wander");
    std::ofstream(model / "wander/dit.safetensors.part") << std::string(1 << 20, 'x');
    std::ofstream(model / "wander/vae.safetensors") << "damaged";
    ASSERT_TRUE(convert_model(open()));
    EXPECT_TRUE(left_over().empty());
    EXPECT_TRUE(open().part(PartKind::transformer)->converted);
    EXPECT_TRUE(open().part(PartKind::vae)->converted);
}

TEST_F(Convert, TwoProgramsDoNotWriteOneFile) {
    fs::create_directories(model / "wander");
    const int other = ::open((model / "wander/dit.safetensors.part").c_str(), O_WRONLY | O_CREAT, 0666);
    ASSERT_GE(other, 0);
    ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
    const auto refused = convert_model(open());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
    EXPECT_NE(refused.error().message.find("another program"), std::string::npos);
    EXPECT_TRUE(fs::exists(model / "wander/dit.safetensors.part")) << "the other's file stays";
    ::close(other);
    EXPECT_TRUE(convert_model(open()));
}

TEST_F(Convert, AChangedSourceIsConvertedAgain) {
    ASSERT_TRUE(convert_model(open()));
    test::ModelFolderRecipe other;
    other.small = true;
    other.seed = 2;
    ASSERT_TRUE(test::write_model_folder(model, other)) << "the same shapes, other values";
    fs::last_write_time(model / "self_forcing_dmd.pt",
                        fs::last_write_time(model / "Wan2.1_VAE.pth") + std::chrono::seconds(1));
    const auto changed = open();
    EXPECT_FALSE(changed.part(PartKind::transformer)->converted);
    const at::Tensor wanted =
        changed.part(PartKind::transformer)->tensors->tensor("head.head.weight", {64, 256})->clone();
    ASSERT_TRUE(convert_model(changed));
    const auto again = open();
    EXPECT_TRUE(again.part(PartKind::transformer)->converted);
    EXPECT_TRUE(at::equal(*again.part(PartKind::transformer)->tensors->tensor("head.head.weight", {64, 256}),
                          wanted.to(at::kBFloat16)));
}

TEST_F(Convert, TheSourceMayBeDeletedAfterwards) {
    ASSERT_TRUE(convert_model(open()));
    fs::remove(model / "self_forcing_dmd.pt");
    const auto opened = open();
    EXPECT_TRUE(opened.ready()) << opened.ready().error().message;
    EXPECT_TRUE(opened.part(PartKind::transformer)->converted);
    EXPECT_TRUE(opened.part(PartKind::transformer)->original.empty());
    EXPECT_TRUE(plan_conversion(opened)->parts.empty());
}

TEST_F(Convert, AFolderThatCannotBeWrittenToUsesTheCache) {
    if (::geteuid() == 0) {
        // Root may write anywhere, so a file stands where the folder should be.
        std::ofstream(model / "wander") << "in the way";
    } else {
        fs::permissions(model, fs::perms::owner_read | fs::perms::owner_exec);
    }
    ASSERT_EQ(::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1), 0);
    const auto done = convert_model(open());
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_TRUE(done->parts.at(0).target.string().starts_with((folder / "cache").string()));
    EXPECT_TRUE(open().part(PartKind::transformer)->converted);
    ::unsetenv("XDG_CACHE_HOME");
    fs::permissions(model, fs::perms::owner_all);
}

TEST_F(Convert, ADamagedPartIsRefusedBeforeAnythingIsWritten) {
    fs::resize_file(model / "Wan2.1_VAE.pth", 1000);
    const auto refused = convert_model(open());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::bad_input);
    EXPECT_NE(refused.error().message.find("Wan2.1_VAE.pth"), std::string::npos);
    EXPECT_FALSE(fs::exists(model / "wander"));
}

TEST(ConvertShards, AWideTextEncoderIsConvertedToo) {
    const test::TestFolder folder;
    test::ModelFolderRecipe recipe;
    recipe.small = true;
    recipe.layout = test::ModelFolderRecipe::Layout::diffusers;
    recipe.wide_text = true;
    ASSERT_TRUE(test::write_model_folder(folder / "model", recipe));
    const auto before = TextVideoFolder::open(folder / "model");
    ASSERT_TRUE(before) << before.error().message;
    const auto done = convert_model(*before);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->parts.size(), 3U);
    const auto after = TextVideoFolder::open(folder / "model");
    const ModelPart& text = *after->part(PartKind::text_encoder);
    EXPECT_EQ(text.path.filename(), "text_encoder.safetensors");
    EXPECT_FALSE(text.tensors->translated());
    const PartTensors& old = *before->part(PartKind::text_encoder)->tensors;
    for (const auto& [name, shape] : old.shapes()) {
        const at::Tensor to = *text.tensors->tensor(name, shape);
        EXPECT_TRUE(at::equal(old.tensor(name, shape)->to(to.scalar_type()), to)) << name;
    }
}

TEST(ConvertedDtype, VectorsWideMatricesNarrow) {
    EXPECT_EQ(converted_dtype("a.weight", {Dtype::f32, {3, 4}}), Dtype::bf16);
    EXPECT_EQ(converted_dtype("a.weight", {Dtype::f16, {3, 4}}), Dtype::bf16);
    EXPECT_EQ(converted_dtype("a.bias", {Dtype::f32, {3}}), Dtype::f32);
    EXPECT_EQ(converted_dtype("a.gamma", {Dtype::f32, {3, 1, 1, 1}}), Dtype::f32);
    EXPECT_EQ(converted_dtype("head.modulation", {Dtype::f32, {1, 2, 8}}), Dtype::f32);
    EXPECT_EQ(converted_dtype("a.weight", {Dtype::bf16, {3, 4}}), Dtype::bf16);
    EXPECT_EQ(converted_dtype("step", {Dtype::i64, {}}), Dtype::i64);
}

} // namespace
} // namespace wander
