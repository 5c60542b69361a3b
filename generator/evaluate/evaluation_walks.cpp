#include "generator/evaluate/evaluation_walks.hpp"

#include "generator/weights/safetensors.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numbers>

namespace wander::evaluate {

namespace {

constexpr std::uint64_t kWalkSeed = 900001; // apart from those of training
constexpr double kTurn = 7.5 * std::numbers::pi / 180;
constexpr double kStep = 0.22;

// Known walks slide along things, as close as these allow: at such a border the cells of a map may say no, and so may
// the last digits of a float.
bool on_free_ground(const Theme& theme, const TrueWalk& walk) {
    constexpr double kSlack = 1e-3; // units
    return std::ranges::all_of(walk.poses, [&](const Pose& pose) {
        for (const double dx : {0.0, -kSlack, kSlack}) {
            for (const double dz : {0.0, -kSlack, kSlack}) {
                if (is_free(theme.scene, pose.x + dx, pose.z + dz)) return true;
            }
        }
        return false;
    });
}

// Empty: the file does not know the place.
Result<std::vector<TrueWalk>> read_known_walks(const std::filesystem::path& path, const std::string& place) {
    auto file = Safetensors::open(path);
    if (!file) return file.error();
    std::vector<TrueWalk> walks;
    if (!file->contains(place + ".poses")) return walks;
    auto poses = file->tensor(place + ".poses");
    if (!poses) return poses.error();
    if (poses->dim() != 3 || poses->size(2) != 4 || poses->scalar_type() != at::kFloat)
        return Error{ErrorCode::bad_input,
                     fmt::format("{}: {}.poses is not F32 [walks, latents, 4]", path.string(), place)};
    auto labels = file->tensor(place + ".labels", {poses->size(0), poses->size(1)});
    if (!labels) return labels.error();
    const at::Tensor p = poses->contiguous();
    const at::Tensor l = labels->to(at::kInt).contiguous();
    const float* pose = p.const_data_ptr<float>();
    const int* label = l.const_data_ptr<int>();
    for (std::int64_t i = 0; i < p.size(0); ++i) {
        TrueWalk walk;
        for (std::int64_t k = 0; k < p.size(1); ++k, pose += 4) {
            walk.poses.push_back({pose[0], pose[1], pose[2], pose[3]});
            walk.labels.push_back(*label++);
        }
        walks.push_back(std::move(walk));
    }
    return walks;
}

// The first `latents` of each; empty unless there are enough of them, long enough, on free ground.
std::vector<TrueWalk> usable_walks(std::vector<TrueWalk> walks, const Theme& theme, int per_place, int latents) {
    const auto entries = static_cast<std::size_t>(latents) + 1;
    std::erase_if(walks, [&](const TrueWalk& w) { return w.poses.size() < entries || !on_free_ground(theme, w); });
    if (walks.size() < static_cast<std::size_t>(per_place)) return {};
    walks.resize(static_cast<std::size_t>(per_place));
    for (TrueWalk& walk : walks) {
        walk.poses.resize(entries);
        walk.labels.resize(entries);
    }
    return walks;
}

} // namespace

Result<std::vector<EvaluationWalk>> evaluation_walks(const EvaluatedWorld& world, int per_place, int latents) {
    std::vector<EvaluationWalk> walks;
    for (std::size_t place = 0; place < world.themes.size(); ++place) {
        const Theme& theme = world.themes[place];
        auto known = read_known_walks(world.assets / "walks/known_walks.safetensors", theme.name);
        if (!known) return known.error();
        const std::vector<TrueWalk> usable = usable_walks(std::move(*known), theme, per_place, latents);
        for (int i = 0; i < per_place; ++i) {
            EvaluationWalk walk;
            walk.place = static_cast<int>(place);
            walk.known = !usable.empty();
            if (walk.known) {
                walk.walk = usable[static_cast<std::size_t>(i)];
            } else {
                const auto start = i % 2 == 0 ? std::optional<Pose>(theme.starts.front().pose) : std::nullopt;
                walk.walk = random_walk(theme.map, start, kWalkSeed, static_cast<std::uint64_t>(i), latents);
            }
            walks.push_back(std::move(walk));
        }
    }
    return walks;
}

std::vector<RevisitScript> revisit_scripts() {
    using Moves = std::vector<Walker::Move>;
    const auto times = [](int count, const Walker::Move& move) { return Moves(static_cast<std::size_t>(count), move); };
    const auto join = [](std::initializer_list<Moves> parts) {
        Moves all;
        for (const Moves& part : parts) all.insert(all.end(), part.begin(), part.end());
        return all;
    };
    const Walker::Move turn{.yaw = kTurn};
    const Walker::Move turn_back{.yaw = -kTurn};
    const Walker::Move ahead{.forward = kStep};
    const Walker::Move back{.forward = -kStep};
    return {{"full turn", times(48, turn)},
            {"look 90 degrees away and back", join({times(12, turn), times(12, turn_back)})},
            {"12 back, 12 forward", join({times(12, back), times(12, ahead)})},
            {"turn, walk, turn, walk", join({times(24, turn), times(16, ahead), times(24, turn), times(16, ahead)})}};
}

TrueWalk script_walk(const EvaluatedWorld& world, int place, const RevisitScript& script) {
    const Theme& theme = world.themes[static_cast<std::size_t>(place)];
    const Pose start = theme.starts.front().pose;
    Walker walker(&theme.map, world.world.limits, start);
    TrueWalk walk{{start}, {0}};
    for (const Walker::Move& move : script.moves) {
        const Walker::Step step = walker.move(move);
        walk.poses.push_back(step.pose);
        walk.labels.push_back(step.label);
    }
    return walk;
}

} // namespace wander::evaluate
