#include "generator/world/theme_starts.hpp"

#include "generator/world/scene/render_cpu.hpp"
#include "generator/world/theme/theme.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace wander {

namespace {

std::vector<Theme> read_themes(const std::filesystem::path& assets) {
    std::vector<std::filesystem::path> files;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(assets / "themes", ignored)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    std::vector<Theme> themes;
    for (const auto& file : files) {
        if (auto theme = Theme::read(file)) themes.push_back(std::move(*theme));
    }
    return themes;
}

} // namespace

std::vector<StartPoint> theme_starts(const std::filesystem::path& assets) {
    std::vector<StartPoint> starts;
    for (const Theme& theme : read_themes(assets)) {
        for (const ThemeStart& start : theme.starts) {
            const std::filesystem::path picture = assets / "world/starts" / (start.name + ".png");
            std::error_code ignored;
            const bool there = std::filesystem::exists(picture, ignored);
            starts.push_back({start.name, theme.name, there ? picture : std::filesystem::path(), start.pose});
        }
    }
    std::ranges::stable_partition(starts, [](const StartPoint& start) { return !start.picture.empty(); });
    return starts;
}

Result<at::Tensor> draw_theme_start(const std::filesystem::path& assets, const std::string& name, int width, int height,
                                    int threads) {
    std::string names;
    for (const Theme& theme : read_themes(assets)) {
        for (const ThemeStart& start : theme.starts) names += (names.empty() ? "" : ", ") + start.name;
        const ThemeStart* start = theme.find_start(name);
        if (!start) continue;
        scene::PictureFormat format;
        format.width = width;
        format.height = height;
        const at::Tensor rgb = at::empty({height, width, 3}, at::kByte);
        scene::draw_pictures(theme.scene.view(), {&start->pose, 1}, format, threads, rgb.data_ptr<std::uint8_t>());
        return rgb.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).div_(127.5).sub_(1).contiguous();
    }
    return Error{
        ErrorCode::wrong_use,
        fmt::format("--start: {} is neither a picture file nor a start point; start points are {}", name, names)};
}

} // namespace wander
