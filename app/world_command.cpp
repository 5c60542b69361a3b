#include "app/world_command.hpp"

#include "app/controls_script.hpp"
#include "app/exit_code.hpp"
#include "app/parse_command.hpp"
#include "app/paths.hpp"
#include "generator/device.hpp"
#include "generator/plain/atomic_file.hpp"
#include "generator/world/device_scenes.hpp"
#include "generator/world/scene/render_cpu.hpp"
#include "generator/world/theme/theme.hpp"
#include "generator/world/walks/true_walk.hpp"
#include "render/screenshot.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

namespace wander {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxSide = 4096;
constexpr int kDefaultRandomLatents = 120;
constexpr std::size_t kPicturesAtOnce = 64;

const char* const kRenderFooter =
    "--walk takes a controls file, a pose string (\"w-8,right-4\") or a true walk (walk.json of an earlier run); "
    "without\n"
    "--walk and --random every start point is drawn once. DIR gets %06d.png, four pictures a latent, and walk.json.\n"
    "Formats: docs/formats.md. How to write a theme: docs/themes.md.";

struct RenderOptions {
    std::string theme;
    std::string walk;
    std::optional<std::uint64_t> random;
    std::string start;
    int latents = 0; // 0: as many as the walk has
    fs::path out;
    scene::PictureFormat format;
    std::string device = "cpu";
    int threads = 0;
};

Error wrong_use(const std::string& message) { return {ErrorCode::wrong_use, message}; }

fs::path themes_folder() { return assets_folder() / "themes"; }

std::vector<fs::path> theme_files() {
    std::vector<fs::path> files;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(themes_folder(), failed)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

// A file, or the name of a theme that the program came with.
fs::path theme_path(const std::string& argument) {
    std::error_code ignored;
    if (fs::exists(argument, ignored)) return argument;
    const fs::path known = themes_folder() / (argument + ".json");
    return fs::exists(known, ignored) ? known : fs::path(argument);
}

int list_themes() {
    int code = kExitDone;
    for (const fs::path& file : theme_files()) {
        const auto theme = Theme::read(file);
        if (!theme) {
            code = fail_with(theme.error());
            continue;
        }
        std::string starts;
        for (const ThemeStart& start : theme->starts) starts += " " + start.name;
        fmt::print("{:<12} {} ({}); starts:{}\n", theme->name, theme->title, theme->size_text(), starts);
    }
    return code;
}

bool read_size(const std::string& text, scene::PictureFormat& format) {
    const char* end = text.data() + text.size();
    const auto width = std::from_chars(text.data(), end, format.width);
    if (width.ec != std::errc{} || width.ptr == end || *width.ptr != 'x') return false;
    const auto height = std::from_chars(width.ptr + 1, end, format.height);
    return height.ec == std::errc{} && height.ptr == end && format.width >= 1 && format.height >= 1 &&
           format.width <= kMaxSide && format.height <= kMaxSide;
}

// A start point's name, or X,Z,YAW,PITCH. Empty: the first start.
Result<Pose> start_pose(const Theme& theme, const std::string& text) {
    if (text.empty()) return theme.starts.front().pose;
    if (const ThemeStart* start = theme.find_start(text)) return start->pose;
    std::vector<float> numbers;
    const char* at = text.data();
    const char* end = text.data() + text.size();
    while (at < end) {
        float value = 0;
        const auto [next, code] = std::from_chars(at, end, value);
        if (code != std::errc{} || (next != end && *next != ',')) break;
        numbers.push_back(value);
        at = next == end ? end : next + 1;
    }
    if (numbers.size() != 4 || at != end) {
        std::string names;
        for (const ThemeStart& start : theme.starts) names += " " + start.name;
        return wrong_use(
            fmt::format("--start {}: is neither a start point of {} ({} ) nor X,Z,YAW,PITCH", text, theme.name, names));
    }
    const Pose pose{numbers[0], numbers[1], numbers[2], numbers[3]};
    if (!may_stand(&theme.map, walk_limits(), pose))
        return wrong_use("--start " + text + ": is not on free ground, or looks up or down by more than 0.35");
    return pose;
}

TrueWalk controlled_walk(const Theme& theme, const ControlsScript& script, const Pose& start, std::int64_t latents) {
    Walker walker(&theme.map, walk_limits(), start);
    TrueWalk walk{{start}, {0}};
    for (std::int64_t i = 0; i < latents; ++i) {
        const ControlsEntry entry = script.at(i, 1);
        ControlState state;
        state.held = entry.held.value_or(0);
        state.mouse_yaw_rad = entry.mouse.yaw_rad;
        state.mouse_pitch_rad = entry.mouse.pitch_rad;
        state.sticks = entry.sticks.value_or(StickPosition{});
        const Walker::Step step = walker.step(state);
        walk.poses.push_back(step.pose);
        walk.labels.push_back(step.label);
    }
    return walk;
}

bool is_true_walk(const std::string& argument) {
    std::error_code ignored;
    return fs::path(argument).extension() == ".json" && fs::exists(argument, ignored);
}

Result<TrueWalk> make_walk(const Theme& theme, const RenderOptions& options) {
    if (is_true_walk(options.walk)) {
        if (!options.start.empty()) return wrong_use("--start: a true walk has its own start; leave the option out");
        auto walk = read_true_walk(options.walk);
        if (!walk || options.latents == 0) return walk;
        const auto kept = std::min(walk->poses.size(), static_cast<std::size_t>(options.latents) + 1);
        walk->poses.resize(kept);
        walk->labels.resize(kept);
        return walk;
    }
    auto start = start_pose(theme, options.start);
    if (!start) return start.error();
    if (options.random) {
        const auto from = options.start.empty() ? std::nullopt : std::optional<Pose>(*start);
        return random_walk(theme.map, from, *options.random, 0,
                           options.latents > 0 ? options.latents : kDefaultRandomLatents);
    }
    auto script = ControlsScript::load(options.walk);
    if (!script) return script.error();
    return controlled_walk(theme, *script, *start, options.latents > 0 ? options.latents : script->chunks(1));
}

// Draws the poses in order and hands every picture's RGB bytes to `keep`.
class Painter {
public:
    static Result<Painter> create(const Theme& theme, const RenderOptions& options) {
        Painter painter(theme, options);
        if (options.device == "cpu") return painter;
        auto device = pick_device(options.device, "auto", options.threads);
        if (!device) return device.error();
        if (!device->is_cuda()) return painter;
        const scene::Scene* scenes[] = {&theme.scene};
        auto uploaded = DeviceScenes::upload(scenes, device->device);
        if (!uploaded) return uploaded.error();
        painter.on_device_ = std::move(*uploaded);
        return painter;
    }

    template <typename Keep>
    Result<void> draw(const std::vector<Pose>& poses, Keep keep) {
        const auto bytes =
            static_cast<std::size_t>(options_.format.width) * static_cast<std::size_t>(options_.format.height) * 3;
        std::vector<std::uint8_t> rgb;
        for (std::size_t first = 0; first < poses.size(); first += kPicturesAtOnce) {
            const std::span<const Pose> now(poses.data() + first, std::min(kPicturesAtOnce, poses.size() - first));
            rgb.resize(bytes * now.size());
            const auto began = std::chrono::steady_clock::now();
            if (auto drawn = draw_some(now, rgb); !drawn) return drawn;
            seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            for (std::size_t i = 0; i < now.size(); ++i) {
                if (auto kept = keep(first + i, rgb.data() + i * bytes); !kept) return kept;
            }
        }
        return {};
    }

    double seconds() const { return seconds_; }

private:
    Painter(const Theme& theme, const RenderOptions& options) : theme_(theme), options_(options) {}

    Result<void> draw_some(std::span<const Pose> poses, std::vector<std::uint8_t>& rgb) {
        if (!on_device_) {
            scene::draw_pictures(theme_.scene.view(), poses, options_.format, options_.threads, rgb.data());
            return {};
        }
        const std::vector<std::int32_t> scene_of(poses.size(), 0);
        auto pictures = on_device_->draw(scene_of, poses, options_.format);
        if (!pictures) return pictures.error();
        const at::Tensor host = pictures->to(at::kCPU);
        std::copy_n(host.const_data_ptr<std::uint8_t>(), rgb.size(), rgb.data());
        return {};
    }

    const Theme& theme_;
    const RenderOptions& options_;
    std::optional<DeviceScenes> on_device_;
    double seconds_ = 0;
};

Result<void> write_picture(const fs::path& file, const scene::PictureFormat& format, const std::uint8_t* rgb,
                           const std::string& theme) {
    const render::PixelSize size{format.width, format.height};
    std::vector<std::uint8_t> rgba(size.bytes(), 255);
    for (std::size_t i = 0; i < rgba.size() / 4; ++i) std::copy_n(rgb + 3 * i, 3, rgba.data() + 4 * i);
    return render::write_png(file, {size, rgba.data()}, {{"theme", theme}});
}

Result<void> render_theme(const RenderOptions& options) {
    const auto theme = Theme::read(theme_path(options.theme));
    if (!theme) return theme.error();
    fmt::print("{}: {}\n", theme->name, theme->size_text());
    if (theme->free_percent() < kEnoughFreePercent)
        fmt::print(stderr,
                   "wander: {}: only {} % of the ground is free; walks have more to see from {} % on: place less, or a "
                   "smaller \"keep_away\"\n",
                   theme->name, theme->free_percent(), kEnoughFreePercent);
    std::error_code failed;
    fs::create_directories(options.out, failed);
    if (failed) return Error{ErrorCode::bad_input, "cannot write to " + options.out.string() + ": " + failed.message()};

    std::optional<TrueWalk> walk;
    std::vector<Pose> poses;
    std::vector<std::string> names;
    if (options.walk.empty() && !options.random) {
        for (const ThemeStart& start : theme->starts) {
            if (!options.start.empty() && options.start != start.name) continue;
            poses.push_back(start.pose);
            names.push_back(start.name + ".png");
        }
        if (poses.empty()) {
            auto pose = start_pose(*theme, options.start);
            if (!pose) return pose.error();
            poses.push_back(*pose);
            names.emplace_back("000000.png");
        }
    } else {
        auto made = make_walk(*theme, options);
        if (!made) return made.error();
        walk = std::move(*made);
        poses = frame_poses(*walk);
        for (std::size_t i = 0; i < poses.size(); ++i) names.push_back(fmt::format("{:06}.png", i));
    }

    auto painter = Painter::create(*theme, options);
    if (!painter) return painter.error();
    auto drawn = painter->draw(poses, [&](std::size_t i, const std::uint8_t* rgb) {
        return write_picture(options.out / names[i], options.format, rgb, theme->name);
    });
    if (!drawn) return drawn;
    if (walk) {
        const auto written = write_file_atomically(options.out / "walk.json", true_walk_json(*walk, theme->name));
        if (!written) return written;
    }
    fmt::print("{}: {} pictures of {}x{} in {}, {:.1f} ms each\n", theme->name, poses.size(), options.format.width,
               options.format.height, options.out.string(),
               painter->seconds() * 1e3 / static_cast<double>(poses.size()));
    return {};
}

void add_render_options(CLI::App& render, RenderOptions& options) {
    render.footer(kRenderFooter);
    render.add_option("--theme", options.theme, "Theme: a file, or a name that `wander world list` shows")
        ->required()
        ->type_name("FILE|NAME");
    auto* walk = render.add_option("--walk", options.walk, "The walk to draw")->type_name("FILE|POSES");
    render.add_option("--random", options.random, "A random walk as for training, by its seed")
        ->type_name("SEED")
        ->excludes(walk);
    render.add_option("--start", options.start, "Where the walk begins; default: the theme's first start")
        ->type_name("NAME|X,Z,YAW,PITCH");
    render.add_option("--chunks", options.latents, "How many latents; default: as many as the walk has")
        ->type_name("N")
        ->check(CLI::Range(1, 100000));
    render
        .add_option_function<std::string>(
            "--out", [&options](const std::string& text) { options.out = text; }, "Folder of the pictures")
        ->required()
        ->type_name("DIR");
    render
        .add_option_function<std::string>(
            "--size",
            [&options](const std::string& text) {
                if (!read_size(text, options.format))
                    throw CLI::ValidationError("--size", text + " is not WIDTHxHEIGHT, like 192x112");
            },
            "Size of the pictures; default: 192x112")
        ->type_name("WxH");
    render.add_option("--samples", options.format.samples, "Samples along each side of a pixel; default: 2")
        ->type_name("N")
        ->check(CLI::Range(1, 16));
    render.add_option("--device", options.device, "Where the pictures are drawn; default: cpu")
        ->type_name("auto|cpu|cuda")
        ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
    render.add_option("--threads", options.threads, "CPU threads; 0: all cores")
        ->type_name("N")
        ->check(CLI::Range(0, 1024));
}

} // namespace

int run_world_command(int argc, const char* const* argv) {
    RenderOptions options;
    CLI::App app("Draws the procedural worlds that world models are trained on.", "wander world");
    app.set_help_flag("-h,--help", "Print this and exit");
    app.require_subcommand(1);
    auto* list = app.add_subcommand("list", "Names the themes in the assets, their size and start points");
    auto* render = app.add_subcommand("render", "Draws the start points, or a walk and its poses, into a folder");
    add_render_options(*render, options);
    return parse_and_run(app, argc, argv, [&] {
        if (list->parsed()) return list_themes();
        const auto done = render_theme(options);
        return done ? kExitDone : fail_with(done.error());
    });
}

} // namespace wander
