// Safetensors files on disk: what is written is read back, views are views, and errors name file and tensor.

#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

std::filesystem::path temporary(const std::string& name) { return std::filesystem::path(testing::TempDir()) / name; }

TEST(Safetensors, WritesAndReadsEveryDtype) {
    const auto path = temporary("every_dtype.safetensors");
    std::map<std::string, at::Tensor> tensors;
    const at::Tensor base = at::arange(-3, 3, at::kFloat).reshape({2, 3});
    for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn, at::kFloat8_e5m2,
                            at::kLong, at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
        tensors[at::toString(type)] = base.abs().to(type);
    }
    tensors["scalar"] = at::scalar_tensor(2.5);
    tensors["empty"] = at::empty({0, 4});
    ASSERT_TRUE(write_safetensors(path, tensors, {{"made_by", "test \"quoted\""}}));
    const auto file = Safetensors::open(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->header().metadata.at("made_by"), "test \"quoted\"");
    ASSERT_EQ(file->header().tensors.size(), tensors.size());
    for (const auto& [name, tensor] : tensors) {
        const auto read = file->tensor(name, tensor.sizes().vec());
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->scalar_type(), tensor.scalar_type()) << name;
        EXPECT_TRUE(at::equal(read->to(at::kDouble), tensor.to(at::kDouble))) << name;
    }
    EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
}

TEST(Safetensors, TensorsOutliveTheReaderAndAreNoCopies) {
    const auto path = temporary("outlive.safetensors");
    ASSERT_TRUE(write_safetensors(path, {{"x", at::arange(1000, at::kFloat)}}));
    at::Tensor first, second;
    {
        auto file = Safetensors::open(path);
        ASSERT_TRUE(file);
        first = *file->tensor("x");
        second = *file->tensor("x");
    }
    EXPECT_EQ(first.data_ptr(), second.data_ptr());
    EXPECT_EQ(first.sum().item<float>(), 499500.0f);
}

TEST(Safetensors, ErrorsNameFileTensorAndShapes) {
    const auto path = temporary("names.safetensors");
    ASSERT_TRUE(write_safetensors(path, {{"x", at::zeros({2, 3})}}));
    const auto file = Safetensors::open(path);
    ASSERT_TRUE(file);
    const auto missing = file->tensor("y");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("names.safetensors: tensor 'y'"), std::string::npos);
    const auto shape = file->tensor("x", {3, 2});
    ASSERT_FALSE(shape);
    EXPECT_NE(shape.error().message.find("[2, 3], expected [3, 2]"), std::string::npos);
}

TEST(Safetensors, RefusesMissingDamagedAndForeignFiles) {
    EXPECT_EQ(Safetensors::open(temporary("not_there.safetensors")).error().code, ErrorCode::bad_input);
    EXPECT_FALSE(Safetensors::open(testing::TempDir()));
    const auto path = temporary("damaged.safetensors");
    ASSERT_TRUE(write_safetensors(path, {{"x", at::zeros({64})}}));
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    const auto cut = Safetensors::open(path);
    ASSERT_FALSE(cut);
    EXPECT_NE(cut.error().message.find("damaged.safetensors"), std::string::npos);
    std::ofstream(path, std::ios::trunc) << "PNG or anything else";
    EXPECT_FALSE(Safetensors::open(path));
}

TEST(Safetensors, WritingWhereNothingCanBeWrittenLeavesNothing) {
    const auto written = write_safetensors("/proc/no_such_folder/x.safetensors", {{"x", at::zeros({1})}});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::io);
}

} // namespace
} // namespace wander
