#include "generator/model_check.hpp"

#include "generator/errors.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/weights/tensor_file.hpp"
#include "generator/world/embedded_world.hpp"
#include "generator/world/plain/world_folder.hpp"
#include "generator/world/start_picture.hpp"

#include <fmt/format.h>

#include <optional>

namespace wander {

namespace fs = std::filesystem;

namespace {

Result<void> check_world(const fs::path& folder) {
    const auto world = EmbeddedWorld::read(folder);
    if (!world) return world.error();
    if (auto done = world->check_weights(); !done) return done;
    for (std::size_t start = 0; start < world->starts.size(); ++start) {
        if (const auto latent = world->start_latent(start); !latent) return latent.error();
    }
    return {};
}

// The folder that was opened: given a file, the one around it.
template <typename Folder>
Result<fs::path> check_files(const fs::path& given) {
    const auto model = Folder::open(given);
    if (!model) return model.error();
    if (auto ready = model->ready(); !ready) return ready.error();
    return model->folder;
}

Result<fs::path> check(const fs::path& given) {
    std::error_code ignored;
    const bool file = fs::is_regular_file(given, ignored);
    const fs::path around = file ? fs::absolute(given).parent_path() : given;
    if (const auto world = find_world_folder(around)) {
        if (auto done = check_world(*world); !done) return done.error();
        return around;
    }
    if (WorldPlayFolder::looks_like_one(given)) return check_files<WorldPlayFolder>(given);
    if (file || TextVideoFolder::looks_like_one(given) || fs::exists(given / "config.json", ignored) ||
        given.filename() == "wander") {
        return check_files<TextVideoFolder>(given);
    }
    return Error{ErrorCode::wrong_use,
                 fmt::format("{}: holds neither a world (world.json) nor the files of a model (docs/models.md)",
                             given.string())};
}

} // namespace

Result<fs::path> check_model(const fs::path& given) {
    try {
        return check(given);
    } catch (...) {
        return current_exception_as_error("looking at the model");
    }
}

Result<void> check_start_picture(const fs::path& file) {
    try {
        const auto picture = read_picture_levels(file);
        return picture ? Result<void>() : picture.error();
    } catch (...) {
        return current_exception_as_error("looking at the picture");
    }
}

} // namespace wander
