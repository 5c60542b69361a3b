// Reading a theme file: strict, so that a misspelt key is told instead of ignored.

#include "generator/world/theme/theme_sections.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

namespace wander {

namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kMaxFileBytes = 4 << 20;
constexpr double kMaxPitch = 0.35; // of a start: the walker's limit, walk_limits()
constexpr std::size_t kMaxName = 64;

// Names of themes and starts become names of files, and words of the command line.
std::string read_name(ThemeFields& fields) {
    const std::string name = fields.text("name");
    const bool plain = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!plain || name.empty() || name.size() > kMaxName || name.front() == '-')
        fields.complain("name", fmt::format("is \"{}\"; it must be 1 to {} letters (a to z, A to Z), digits, _ or -, "
                                            "and not begin with -",
                                            name, kMaxName));
    if (name == "none")
        fields.complain("name", "is \"none\", which means no start on the command line; choose another");
    return name;
}

void read_starts(ThemeFields& top, ThemeDescription& theme) {
    for (const Json& json : top.items("starts", 64)) {
        ThemeFields fields(json, theme.where + ": starts", {"name", "pose"});
        ThemeStart start;
        start.name = read_name(fields);
        const bool twice =
            std::ranges::any_of(theme.starts, [&](const ThemeStart& other) { return other.name == start.name; });
        if (twice) fields.complain("name", fmt::format("is \"{}\" twice; every start point needs its own", start.name));
        const auto pose = fields.list<double>("pose", 4, 4);
        if (!(std::abs(pose[0]) <= kThemeHalfPeriod && std::abs(pose[1]) <= kThemeHalfPeriod &&
              std::abs(pose[2]) <= kThemeTurn && std::abs(pose[3]) <= kMaxPitch))
            fields.complain("pose",
                            "is not [X, Z, YAW, PITCH] with x and z of -8 to 8, a yaw of -7 to 7 and a pitch of "
                            "-0.35 to 0.35 radians");
        start.pose = {static_cast<float>(pose[0]), static_cast<float>(pose[1]), static_cast<float>(pose[2]),
                      static_cast<float>(pose[3])};
        theme.starts.push_back(start);
        top.adopt(fields);
    }
    if (theme.starts.empty()) top.complain("starts", "is missing or empty: a walk needs a place to begin");
}

Result<ThemeDescription> read_theme(const Json& json, const std::string& where) {
    ThemeDescription theme;
    theme.where = where;
    ThemeFields top(json, where,
                    {"kind", "version", "name", "title", "seed", "starts", "sun", "ambient", "sky", "fog", "ground",
                     "ponds", "materials", "objects", "place"});
    if (top.error()) return *top.error();
    if (top.text("kind") != "wander-theme") top.complain("kind", "is not \"wander-theme\": this is no theme file");
    top.integer("version", 1, 1);
    theme.name = read_name(top);
    theme.title = top.has("title") ? top.text("title") : theme.name;
    scene::SceneView& rest = theme.sky_and_ground;
    rest.seed = static_cast<std::uint32_t>(top.integer("seed", 0, 1 << 30));
    if (top.error()) return *top.error();
    read_starts(top, theme);
    read_surroundings(top, theme);
    if (!top.error()) read_things(top, theme);
    if (top.error()) return *top.error();
    return theme;
}

} // namespace

Result<ThemeDescription> read_theme_text(const std::string& text, const std::string& where) {
    try {
        return read_theme(Json::parse(text, nullptr, true, true), where);
    } catch (const Json::exception& problem) {
        // "[json.exception.parse_error.101] parse error at line 3, column 5: ..."
        std::string what = problem.what();
        if (const auto end = what.find("] "); end != std::string::npos) what = what.substr(end + 2);
        std::replace(what.begin(), what.end(), '\n', ' ');
        return Error{ErrorCode::bad_input, where + ": is not valid JSON: " + what};
    }
}

Result<ThemeDescription> read_theme_file(const std::filesystem::path& file) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(file, failed);
    if (failed) {
        return Error{ErrorCode::bad_input, fmt::format("{}: cannot be read ({}); wander world list names the themes",
                                                       file.string(), failed.message())};
    }
    if (bytes > kMaxFileBytes)
        return Error{ErrorCode::bad_input, file.string() + ": larger than 4 MiB, not a theme file"};
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in || text.size() != bytes) return Error{ErrorCode::bad_input, file.string() + ": cannot be read"};
    return read_theme_text(text, file.string());
}

} // namespace wander
