#include "generator/world/walks/true_walk.hpp"

#include "generator/camera/actions.hpp"
#include "generator/json_fields.hpp"

#include <numbers>

namespace wander {

namespace {

constexpr const char* kKind = "wander-true-walk";
constexpr double kMinMove = 1e-3; // units; shorter steps count as none in the label
constexpr std::size_t kMaxPoses = 1 << 20;

} // namespace

WalkerLimits walk_limits() {
    constexpr double kDegree = std::numbers::pi / 180;
    WalkerLimits limits;
    limits.move_per_latent = 0.22;
    limits.yaw_per_latent = 7.5 * kDegree;
    limits.pitch_per_latent = 5.25 * kDegree;
    limits.max_yaw_per_latent = 9 * kDegree;
    limits.max_pitch_per_latent = limits.pitch_per_latent * limits.max_yaw_per_latent / limits.yaw_per_latent;
    limits.pitch_limit = 0.35;
    limits.min_move = kMinMove;
    return limits;
}

std::vector<Pose> frame_poses(const TrueWalk& walk) {
    std::vector<Pose> frames;
    if (walk.poses.empty()) return frames;
    frames.push_back(walk.poses.front());
    for (std::size_t k = 1; k < walk.poses.size(); ++k) {
        const Pose& from = walk.poses[k - 1];
        const Pose& to = walk.poses[k];
        const float turn =
            static_cast<float>(std::remainder(static_cast<double>(to.yaw) - from.yaw, 2 * std::numbers::pi));
        for (int i = 1; i < kFramesPerLatent; ++i) {
            const float share = static_cast<float>(i) / kFramesPerLatent;
            frames.push_back({from.x + (to.x - from.x) * share, from.z + (to.z - from.z) * share,
                              from.yaw + turn * share, from.pitch + (to.pitch - from.pitch) * share});
        }
        frames.push_back(to);
    }
    return frames;
}

std::string true_walk_json(const TrueWalk& walk, const std::string& theme) {
    std::string text =
        fmt::format("{{\"kind\": \"{}\", \"version\": 1, \"theme\": {},\n\"poses\": [\n", kKind,
                    nlohmann::json(theme).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    for (std::size_t i = 0; i < walk.poses.size(); ++i) {
        const Pose& p = walk.poses[i];
        text += fmt::format("[{:.9g}, {:.9g}, {:.9g}, {:.9g}]{}\n", p.x, p.z, p.yaw, p.pitch,
                            i + 1 < walk.poses.size() ? "," : "");
    }
    text += "],\n\"labels\": [";
    for (std::size_t i = 0; i < walk.labels.size(); ++i) text += fmt::format("{}{}", i ? ", " : "", walk.labels[i]);
    return text + "]}\n";
}

Result<TrueWalk> read_true_walk(const std::filesystem::path& file) {
    auto json = read_json_file(file, 64 << 20);
    if (!json) return json.error();
    JsonFields fields(*json, file.string());
    if (fields.text("kind") != kKind) fields.complain("kind", fmt::format("is not \"{}\"", kKind));
    fields.integer("version", 1, 1);
    TrueWalk walk;
    for (const auto& numbers : fields.list<std::vector<float>>("poses", 1, kMaxPoses)) {
        if (numbers.size() != 4) {
            fields.complain("poses",
                            fmt::format("holds an entry of {} numbers instead of [X, Z, YAW, PITCH]", numbers.size()));
            break;
        }
        const Pose pose{numbers[0], numbers[1], numbers[2], numbers[3]};
        if (!may_stand(nullptr, {.pitch_limit = std::numbers::pi / 2}, pose)) {
            fields.complain("poses",
                            "holds a pose that is not finite, or looks up or down by more than a quarter turn");
            break;
        }
        walk.poses.push_back(pose);
    }
    if (fields.has("labels")) {
        walk.labels = fields.list<int>("labels", walk.poses.size(), walk.poses.size());
        for (const int label : walk.labels) {
            if (label < 0 || label > 80) fields.complain("labels", "holds a number that is not 0 to 80");
        }
    } else if (!walk.poses.empty()) {
        walk.labels.push_back(0);
        for (std::size_t i = 1; i < walk.poses.size(); ++i)
            walk.labels.push_back(action_label(walk.poses[i - 1], walk.poses[i], kMinMove));
    }
    if (fields.error()) return *fields.error();
    return walk;
}

} // namespace wander
