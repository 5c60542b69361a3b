#include "generator/world/plain/world_folder.hpp"

namespace wander {

namespace fs = std::filesystem;

namespace {

constexpr const char* kWorldFile = "world.json";
constexpr const char* kEmbedded = "embedded"; // the shipped world's name, and of worlds that were given none

} // namespace

std::optional<fs::path> find_world_folder(const fs::path& given) {
    std::error_code ignored;
    if (given.filename() == kWorldFile && fs::is_regular_file(given, ignored)) {
        const fs::path folder = given.parent_path();
        return folder.empty() ? fs::path(".") : folder;
    }
    for (const fs::path& folder : {given, given / "world"}) {
        if (fs::is_regular_file(folder / kWorldFile, ignored)) return folder;
    }
    return std::nullopt;
}

fs::path model_path(const std::string& model, const fs::path& assets) {
    if (model == kEmbedded) return assets / "world";
    return find_world_folder(model).value_or(model);
}

std::string shown_world_name(const std::string& name, const fs::path& folder) {
    if (!name.empty() && name != kEmbedded) return name;
    std::error_code ignored;
    fs::path whole = fs::weakly_canonical(folder, ignored);
    if (whole.filename() == "world" && whole.has_parent_path()) whole = whole.parent_path(); // of a training
    return whole.filename().string();
}

} // namespace wander
