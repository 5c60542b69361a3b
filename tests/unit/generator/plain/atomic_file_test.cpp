#include "generator/plain/atomic_file.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace wander {
namespace {

TEST(AtomicFile, ReplacesAFileAsAWhole) {
    const test::TestFolder folder;
    ASSERT_TRUE(write_file_atomically(folder / "f", "a long first text"));
    ASSERT_TRUE(write_file_atomically(folder / "f", "short"));
    std::ifstream in(folder / "f");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "short");
    EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFile, FailureLeavesTheOldFileAndNoPart) {
    const test::TestFolder folder;
    std::filesystem::create_directories(folder / "f/inside"); // a folder cannot be replaced by a file
    EXPECT_FALSE(write_file_atomically(folder / "f", "x"));
    EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFile, WritableCheckLeavesNothingBehind) {
    const test::TestFolder folder;
    EXPECT_TRUE(check_writable(folder / "new"));
    EXPECT_EQ(folder.files(), 0u);
    const auto missing = check_writable(folder / "no/new");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::bad_input);
    EXPECT_NE(missing.error().message.find("create the folder"), std::string::npos);
    EXPECT_FALSE(check_writable(folder.path()));
}

} // namespace
} // namespace wander
