#pragma once
// A config.json that lies beside published weights: what it says is compared with what the tensors say. Any thread.

#include "generator/plain/result.hpp"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <vector>

namespace wander {

struct Description {
    struct Expected {
        const char* key;
        int value;
    };

    std::filesystem::path path;
    nlohmann::json values; // an object

    // Nothing where there is no such file; bad_input where it is no JSON object.
    static Result<std::optional<Description>> read(const std::filesystem::path& path);
    // The first of the files that is there and has one of the keys; nothing where none does.
    static Result<std::optional<Description>> find(const std::vector<std::filesystem::path>& paths,
                                                   std::initializer_list<const char*> keys);

    // A whole number of it; nothing where the key is absent.
    std::optional<int> whole(const char* key) const;
    // Keys that it has must have these values; bad_input names the file that says otherwise.
    Result<void> compare(std::initializer_list<Expected> sizes, const std::filesystem::path& weights) const;
    // As many numbers as `target` holds, else false and unchanged.
    bool take_list(const char* key, std::vector<double>& target) const;
};

} // namespace wander
