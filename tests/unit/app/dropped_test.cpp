#include "app/dropped.hpp"

#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <iterator>

namespace wander {
namespace {

namespace fs = std::filesystem;

const fs::path kWorld = fs::path(WANDER_SOURCE_DIR) / "assets/world";

fs::path write(const fs::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
}

std::string first_bytes_of_a_picture(std::size_t bytes) {
    for (const auto& entry : fs::recursive_directory_iterator(kWorld)) {
        if (entry.path().extension() != ".png") continue;
        std::ifstream in(entry.path(), std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {}).substr(0, bytes);
    }
    return {};
}

// The message names the thing and has these words.
void expect_refused(const fs::path& path, ErrorCode code, const std::string& words) {
    const auto found = look_at_dropped(path);
    ASSERT_FALSE(found) << path;
    EXPECT_EQ(found.error().code, code) << found.error().message;
    EXPECT_NE(found.error().message.find(path.string()), std::string::npos) << found.error().message;
    EXPECT_NE(found.error().message.find(words), std::string::npos) << found.error().message;
}

TEST(Dropped, AWorldIsItsFolderWhicheverOfItsFilesWasDropped) {
    for (const fs::path& path : {kWorld, kWorld / "", kWorld / "world.json", kWorld / "dit.safetensors"}) {
        const auto found = look_at_dropped(path);
        ASSERT_TRUE(found) << path << ": " << found.error().message;
        EXPECT_EQ(found->kind, Dropped::Kind::model);
        EXPECT_EQ(found->path, kWorld);
    }
    // The folder around it, as a training writes one.
    const auto around = look_at_dropped(kWorld.parent_path());
    ASSERT_TRUE(around) << around.error().message;
    EXPECT_EQ(around->path, kWorld.parent_path());
}

TEST(Dropped, AWorldThatCannotBeWalkedInIsRefused) {
    const test::TestFolder folder;
    const fs::path world = folder / "world";
    fs::create_directory(world);
    for (const auto& entry : fs::directory_iterator(kWorld)) {
        if (entry.is_regular_file()) fs::copy_file(entry.path(), world / entry.path().filename());
    }
    ASSERT_TRUE(look_at_dropped(world));
    fs::remove(world / "starts.safetensors");
    expect_refused(world, ErrorCode::bad_input, "starts.safetensors");
    fs::copy_file(world / "vae.safetensors", world / "starts.safetensors");
    EXPECT_FALSE(look_at_dropped(world)); // a usable file of other tensors
    fs::remove(world / "dit.safetensors");
    expect_refused(world, ErrorCode::bad_input, "dit.safetensors");
    write(world / "world.json", "{");
    expect_refused(world, ErrorCode::bad_input, "world.json");
}

TEST(Dropped, PicturesAndWalksAreKnownAndWhatIsNeitherIsNamed) {
    const test::TestFolder folder;
    const auto picture = look_at_dropped(write(folder / "no name of a picture", first_bytes_of_a_picture(1 << 20)));
    ASSERT_TRUE(picture) << picture.error().message;
    EXPECT_EQ(picture->kind, Dropped::Kind::picture);
    expect_refused(write(folder / "torn.png", first_bytes_of_a_picture(200)), ErrorCode::bad_input, "damaged");
    const auto walk = look_at_dropped(write(folder / "a.walk", "not looked into"));
    ASSERT_TRUE(walk);
    EXPECT_EQ(walk->kind, Dropped::Kind::walk);
    expect_refused(write(folder / "notes.txt", "bread"), ErrorCode::wrong_use, "neither a picture");
    expect_refused(write(folder / "empty.png", ""), ErrorCode::wrong_use, "neither a picture");
}

TEST(Dropped, FoldersAndPlacesWithoutAnythingAreNamed) {
    const test::TestFolder folder;
    expect_refused(folder.path(), ErrorCode::wrong_use, "neither a world");
    expect_refused(folder / "gone", ErrorCode::wrong_use, "no longer there");
    expect_refused("https://example.org/picture.png", ErrorCode::wrong_use, "save it first");
    expect_refused("/dev/null", ErrorCode::wrong_use, "neither a file nor a folder");
    EXPECT_FALSE(look_at_dropped(write(folder / "model.safetensors", "no tensors")));
}

TEST(Dropped, TheNewestLookIsTheOneThatIsTaken) {
    const test::TestFolder folder;
    std::atomic<int> woken = 0;
    DroppedLook look([&] {
        ++woken;
        woken.notify_all();
    });
    EXPECT_FALSE(look.take());
    look.look(folder / "first.walk");
    look.look(write(folder / "second.walk", ""));
    // One or two finds, by how quick the thread is; the last of them is the second.
    std::optional<Result<Dropped>> last;
    int seen = 0;
    while (!last || !*last) {
        woken.wait(seen);
        seen = woken; // before the look is taken, so that one in between is not missed
        if (auto found = look.take()) last = std::move(found);
    }
    EXPECT_EQ((*last)->path, folder / "second.walk");
    EXPECT_FALSE(look.take());
}

TEST(Dropped, NobodyWaitsForALookThatWasNeverAskedFor) {
    const DroppedLook look([] {});
}

} // namespace
} // namespace wander
