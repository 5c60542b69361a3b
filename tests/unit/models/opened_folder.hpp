#pragma once
// What tests of model folders share: small folders that are written once, copies of them, and what opening one says.

#include "generator/models/model_files.hpp"
#include "tests/unit/render_video/test_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>

namespace wander::test {

// One folder of each layout for all tests of the program; who changes something copies it. write(folder, recipe).
template <auto write, class Recipe>
const std::filesystem::path& shared_folder(const Recipe& recipe) {
    static const TestFolder around;
    static std::map<typename Recipe::Layout, std::filesystem::path> written;
    const auto [entry, fresh] = written.try_emplace(recipe.layout, around / std::to_string(written.size()));
    if (fresh) {
        const auto done = write(entry->second, recipe);
        EXPECT_TRUE(done) << done.error().message;
    }
    return entry->second;
}

class CopiedFolder : public testing::Test {
protected:
    std::filesystem::path copy_of(const std::filesystem::path& made) const {
        std::filesystem::copy(made, folder / "model", std::filesystem::copy_options::recursive);
        return folder / "model";
    }
    TestFolder folder;
};

// A Folder that opens; the test fails where it does not.
template <class Folder>
Folder opened(const std::filesystem::path& path) {
    auto model = Folder::open(path);
    if (!model) {
        ADD_FAILURE() << model.error().message;
        return {};
    }
    return std::move(*model);
}

inline std::string problem_of(const ModelFiles& model, PartKind kind) {
    for (const ModelPart& part : model.parts) {
        if (part.kind == kind) return part.problem ? part.problem->message : "";
    }
    return "no such part";
}

inline void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

} // namespace wander::test
