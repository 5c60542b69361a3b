// Files of tensors on disk through one front: torch files, sharded safetensors, and errors that name file and tensor.

#include "generator/weights/tensor_file.hpp"

#include "generator/weights/safetensors.hpp"
#include "generator/weights/torch_archive.hpp"
#include "tests/support/torch_archive_writer.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

namespace wander {
namespace {

using test::Pickler;

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string archive(const std::string& pickle, const std::string& storage) {
    std::string file;
    test::ZipWriter zip(
        [&file](const void* data, std::size_t size) { file.append(static_cast<const char*>(data), size); });
    zip.entry("m/data.pkl", pickle);
    zip.entry("m/data/0", storage);
    zip.finish();
    return file;
}

std::string bytes_of(const at::Tensor& tensor) {
    return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void expect_message(const Error& error, std::initializer_list<const char*> parts) {
    EXPECT_EQ(error.code, ErrorCode::bad_input);
    for (const char* part : parts)
        EXPECT_NE(error.message.find(part), std::string::npos) << part << ": " << error.message;
}

TEST(TensorFile, ReadsViewsOfOneStorageOutOfATorchFile) {
    const test::TestFolder folder;
    const at::Tensor storage = at::arange(24, at::kFloat);
    Pickler pickle;
    pickle.dict().mark();
    pickle.text("whole").tensor("FloatStorage", "0", 24, 0, {4, 6}, {6, 1});
    pickle.text("turned").tensor("FloatStorage", "0", 24, 0, {6, 4}, {1, 6});
    pickle.text("part").tensor("FloatStorage", "0", 24, 7, {2, 2}, {6, 2});
    pickle.text("one").tensor("FloatStorage", "0", 24, 23, {}, {});
    pickle.text("none").tensor("FloatStorage", "0", 24, 24, {0}, {1});
    write_file(folder / "a.pt", archive(pickle.set_items().stop().bytes, bytes_of(storage)));
    at::Tensor whole;
    {
        const auto file = TensorFile::open(folder / "a.pt");
        ASSERT_TRUE(file) << file.error().message;
        EXPECT_EQ(file->tensors().size(), 5U);
        whole = *file->tensor("whole", {4, 6});
        EXPECT_TRUE(at::equal(*file->tensor("turned"), storage.reshape({4, 6}).t()));
        EXPECT_EQ(file->tensor("turned")->data_ptr(), whole.data_ptr()) << "a view, no copy";
        EXPECT_TRUE(at::equal(*file->tensor("part"), at::tensor({7.F, 9.F, 13.F, 15.F}).reshape({2, 2})));
        EXPECT_EQ(file->tensor("one")->item<float>(), 23.F);
        EXPECT_EQ(file->tensor("none")->numel(), 0);
        file->release("whole");
    }
    EXPECT_TRUE(at::equal(whole, storage.reshape({4, 6}))) << "the map outlives the file's handle and a release";
}

TEST(TensorFile, EveryTypeOfATorchFile) {
    const test::TestFolder folder;
    for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i64, Dtype::i32, Dtype::i16,
                              Dtype::i8, Dtype::u8, Dtype::boolean}) {
        std::string file;
        test::save_tensors(
            [&file](const void* data, std::size_t size) { file.append(static_cast<const char*>(data), size); }, "",
            {{"x", dtype, {3}}},
            [&](std::size_t, const test::Write& write) {
                const std::string zeros(3 * dtype_bytes(dtype), '\0');
                write(zeros.data(), zeros.size());
            });
        write_file(folder / "x.pth", file);
        const auto opened = TensorFile::open(folder / "x.pth");
        ASSERT_TRUE(opened) << opened.error().message;
        EXPECT_EQ(opened->tensors().at("x").dtype, dtype);
        const auto tensor = opened->tensor("x", {3});
        ASSERT_TRUE(tensor) << tensor.error().message;
        EXPECT_EQ(tensor->nbytes(), 3 * dtype_bytes(dtype));
        EXPECT_EQ(tensor->to(at::kFloat).abs().sum().item<float>(), 0.F);
    }
}

TEST(TensorFile, AnObjectInTheWayOfATensorIsNamed) {
    const test::TestFolder folder;
    Pickler pickle;
    pickle.dict().mark().text("model").global("my.code", "Network").raw(")R").set_items().stop();
    write_file(folder / "m.pt", archive(pickle.bytes, ""));
    const auto file = TensorFile::open(folder / "m.pt");
    ASSERT_TRUE(file) << file.error().message;
    const auto tensor = file->tensor("model/layer.weight");
    ASSERT_FALSE(tensor);
    expect_message(tensor.error(), {"m.pt", "model/layer.weight", "my.code.Network", "never run"});
    EXPECT_NE(file->tensor("other").error().message.find("is missing"), std::string::npos);
}

TEST(TensorFile, MissingDamagedAndForeignFiles) {
    const test::TestFolder folder;
    EXPECT_EQ(TensorFile::open(folder / "not_there.pt").error().code, ErrorCode::bad_input);
    EXPECT_FALSE(TensorFile::open(folder.path()));
    write_file(folder / "picture.png", "PNG");
    expect_message(TensorFile::open(folder / "picture.png").error(), {"picture.png", ".pth"});
    write_file(folder / "cut.pt", archive("\x80\x02}.", "").substr(0, 60));
    expect_message(TensorFile::open(folder / "cut.pt").error(), {"cut.pt", "cut off"});
    write_file(folder / "empty.pth", "");
    EXPECT_FALSE(TensorFile::open(folder / "empty.pth"));
}

class Sharded : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(write_safetensors(folder / "a-1.safetensors", {{"x", at::ones({2, 3})}, {"y", at::zeros({4})}}));
        ASSERT_TRUE(write_safetensors(folder / "a-2.safetensors", {{"z", at::full({5}, 3.0)}}));
    }
    Result<TensorFile> open(const std::string& map) {
        write_file(folder / "a.safetensors.index.json", R"({"metadata":{"total_size":60},"weight_map":)" + map + "}");
        return TensorFile::open(folder / "a.safetensors.index.json");
    }
    test::TestFolder folder;
};

TEST_F(Sharded, ShardsAreOneFile) {
    const auto file = open(R"({"x":"a-1.safetensors","y":"a-1.safetensors","z":"a-2.safetensors"})");
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->files().size(), 3U);
    EXPECT_EQ(file->tensors().size(), 3U);
    EXPECT_EQ(file->tensor("x", {2, 3})->sum().item<float>(), 6.F);
    EXPECT_EQ(file->tensor("z")->sum().item<float>(), 15.F);
    EXPECT_NE(file->tensor("z", {4}).error().message.find("[5], expected [4]"), std::string::npos);
    EXPECT_EQ(file->tensor("w").error().code, ErrorCode::bad_input);
}

TEST_F(Sharded, WhatDoesNotAgreeIsRefused) {
    expect_message(open(R"({"x":"a-1.safetensors","y":"a-1.safetensors","z":"a-3.safetensors"})").error(),
                   {"index.json", "a-3.safetensors is missing"});
    expect_message(open(R"({"x":"a-1.safetensors","y":"a-1.safetensors","w":"a-2.safetensors"})").error(),
                   {"'w' is not in a-2.safetensors"});
    expect_message(open(R"({"x":"a-1.safetensors","z":"a-2.safetensors"})").error(), {"tensors that it does not list"});
    expect_message(open(R"({"x":"../a-1.safetensors"})").error(), {"no name of a file beside it"});
    expect_message(open(R"({"x":7})").error(), {"no name of a file beside it"});
    expect_message(open("{}").error(), {"weight_map"});
    expect_message(open("[]").error(), {"weight_map"});
    write_file(folder / "a.safetensors.index.json", "{ no json");
    expect_message(TensorFile::open(folder / "a.safetensors.index.json").error(), {"not valid JSON"});
}

TEST_F(Sharded, TheHashFollowsTheHeadsOfAllFiles) {
    const std::string map = R"({"x":"a-1.safetensors","y":"a-1.safetensors","z":"a-2.safetensors"})";
    const auto before = open(map)->head_hash();
    EXPECT_EQ(open(map)->head_hash(), before);
    ASSERT_TRUE(write_safetensors(folder / "a-2.safetensors", {{"z", at::full({6}, 3.0)}}));
    EXPECT_NE(open(map)->head_hash(), before);
}

} // namespace
} // namespace wander
