// Places a theme's objects on the tile. Every draw is keyed by the theme's seed, the rule, the instance and what it is
// for, so that adding a rule at the end moves nothing else.

#include "generator/plain/keyed_random.hpp"
#include "generator/world/scene/ground.hpp"
#include "generator/world/theme/expression.hpp"
#include "generator/world/theme/theme.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace wander {

namespace {

using scene::Primitive;
using scene::Vec3;

constexpr int kTries = 4000;           // of places for one instance
constexpr double kStartClearing = 0.9; // units round a start point that rules leave free
constexpr double kMinSize = 1e-3;
constexpr double kMaxTop = 12;
constexpr std::size_t kMaxPrimitives = 4096;
constexpr std::size_t kMaxLights = 32;

// Counters of the draws for one instance.
enum Draw : std::uint64_t { kObject = 1, kTurn, kSizes = 100, kChance = 1000, kSeed = 2000, kPlace = 10000 };

struct Spot {
    double x = 0;
    double z = 0;
    double turn = 0;
};

struct Circle {
    double x = 0;
    double z = 0;
    double radius = 0;
};

double tile_distance(double dx, double dz) {
    return std::hypot(std::remainder(dx, scene::kPeriod), std::remainder(dz, scene::kPeriod));
}

float varied(float value, double whole, double own) { return static_cast<float>(value * whole * own); }

// Brightness within +-amount, hue within a third of it.
Vec3 varied_color(Vec3 color, double amount, const KeyedRandom& random) {
    if (amount <= 0) return color;
    const double whole = random.between(0, 1 - amount, 1 + amount);
    const double hue = 0.3 * amount;
    return {varied(color.x, whole, random.between(1, 1 - hue, 1 + hue)),
            varied(color.y, whole, random.between(2, 1 - hue, 1 + hue)),
            varied(color.z, whole, random.between(3, 1 - hue, 1 + hue))};
}

class SceneBuilder {
public:
    explicit SceneBuilder(const ThemeDescription& theme) : theme_(theme), random_(theme.sky_and_ground.seed) {}

    Result<scene::Scene> build() {
        scene_.rest = theme_.sky_and_ground;
        scene_.layers = theme_.layers;
        scene_.ponds = theme_.ponds;
        for (const scene::Pond& pond : theme_.ponds) taken_.push_back({pond.x, pond.z, pond.radius});
        for (std::size_t i = 0; i < theme_.rules.size(); ++i) {
            if (auto placed = place_rule(theme_.rules[i], random_.child(i)); !placed) return placed.error();
        }
        if (scene_.primitives.size() > kMaxPrimitives || scene_.lights.size() > kMaxLights) {
            return Error{
                ErrorCode::bad_input,
                fmt::format("{}: place: makes {} parts and {} lights, at most {} and {} are drawn; place less",
                            theme_.where, scene_.primitives.size(), scene_.lights.size(), kMaxPrimitives, kMaxLights)};
        }
        scene::build_cells(scene_);
        return std::move(scene_);
    }

private:
    Result<void> place_rule(const ThemeRule& rule, const KeyedRandom& random) {
        for (int i = 0; i < rule.count; ++i) {
            const KeyedRandom own = random.child(static_cast<std::uint64_t>(i));
            const auto choice = static_cast<std::size_t>(own.below(kObject, static_cast<int>(rule.objects.size())));
            const ThemeObject& object = theme_.objects.at(rule.objects[choice]);
            auto parts = make_parts(rule, object, own);
            if (!parts) return parts.error();
            double radius = 0;
            for (const Primitive& p : *parts) {
                if (p.keep_away > 0) radius = std::max(radius, reach(p));
            }
            Spot spot;
            bool found = false;
            const int tries = rule.spacing || rule.off_paths ? kTries : 1;
            for (int k = 0; k < tries && !found; ++k) {
                spot = candidate(rule, i, own, k);
                found = fits(rule, spot, radius);
            }
            if (!found) {
                return Error{ErrorCode::bad_input,
                             fmt::format("{}: only {} of {} \"{}\" find room; lower \"count\", \"spacing\" or "
                                         "\"off_paths\", or widen \"radius\"",
                                         rule.where, i, rule.count, rule.objects[choice])};
            }
            put(*parts, spot);
            taken_.push_back({spot.x, spot.z, radius});
        }
        return {};
    }

    static double reach(const Primitive& p) {
        const bool corners =
            p.shape == scene::Shape::box || p.shape == scene::Shape::gable || p.shape == scene::Shape::pyramid;
        return std::hypot(p.x, p.z) + (corners ? std::hypot(p.size_x, p.size_z) : p.size_x);
    }

    // The k-th place to try for instance i.
    static Spot candidate(const ThemeRule& rule, int i, const KeyedRandom& random, int k) {
        const auto draw = kPlace + 4 * static_cast<std::uint64_t>(k);
        Spot spot{rule.from[0], rule.from[1], rule.turn_rad};
        if (rule.kind == ThemeRule::Kind::ring) {
            const double angle =
                rule.first + 2 * std::numbers::pi * i / rule.count + random.between(draw, -rule.jitter, rule.jitter);
            const double radius = random.between(draw + 1, rule.distance.low, rule.distance.high);
            spot.x = radius * std::sin(angle);
            spot.z = radius * std::cos(angle);
        } else if (rule.kind == ThemeRule::Kind::scatter) {
            spot.x = random.between(draw, -scene::kPeriod / 2.0, scene::kPeriod / 2.0);
            spot.z = random.between(draw + 1, -scene::kPeriod / 2.0, scene::kPeriod / 2.0);
        } else if (rule.kind == ThemeRule::Kind::line) {
            const double share = rule.count > 1 ? static_cast<double>(i) / (rule.count - 1) : 0.5;
            spot.x += (rule.to[0] - rule.from[0]) * share;
            spot.z += (rule.to[1] - rule.from[1]) * share;
        }
        if (rule.turn == ThemeRule::Turn::random)
            spot.turn = random.between(kTurn, -std::numbers::pi, std::numbers::pi);
        // The front (z forward) looks to the middle, or away from it.
        if (rule.turn == ThemeRule::Turn::inward) spot.turn = std::atan2(-spot.x, -spot.z);
        if (rule.turn == ThemeRule::Turn::outward) spot.turn = std::atan2(spot.x, spot.z);
        return spot;
    }

    bool fits(const ThemeRule& rule, const Spot& spot, double radius) const {
        if (rule.kind == ThemeRule::Kind::scatter) {
            const double from_middle = std::hypot(spot.x, spot.z);
            if (from_middle < rule.distance.low || from_middle > rule.distance.high) return false;
        }
        if (rule.spacing) {
            for (const Circle& c : taken_) {
                if (tile_distance(spot.x - c.x, spot.z - c.z) < radius + c.radius + *rule.spacing) return false;
            }
            for (const ThemeStart& start : theme_.starts) {
                if (tile_distance(spot.x - start.pose.x, spot.z - start.pose.z) < radius + kStartClearing) return false;
            }
        }
        if (rule.off_paths) {
            for (const scene::GroundLayer& layer : theme_.layers) {
                if (layer.place != scene::GroundPlace::paths) continue;
                const float away = scene::path_distance(layer, static_cast<float>(spot.x), static_cast<float>(spot.z),
                                                        static_cast<float>(theme_.sky_and_ground.seed));
                if (away < radius + *rule.off_paths) return false;
            }
        }
        return true;
    }

    // The object's primitives in its own axes.
    Result<std::vector<Primitive>> make_parts(const ThemeRule& rule, const ThemeObject& object,
                                              const KeyedRandom& random) {
        std::map<std::string, double> names;
        for (const auto& [name, range] : object.sizes) {
            const auto given = rule.set.find(name);
            names[name] =
                given != rule.set.end() ? given->second : random.child(name).between(kSizes, range.low, range.high);
        }
        std::vector<Primitive> made;
        lights_.clear();
        for (std::size_t i = 0; i < object.parts.size(); ++i) {
            const ThemePart& part = object.parts[i];
            if (part.chance < 1 && random.unit(kChance + i) >= part.chance) continue;
            auto primitive = make_primitive(part, rule, names, random);
            if (!primitive) return primitive.error();
            const auto radius = evaluate(part.ring_radius, names);
            if (!radius) return Error{ErrorCode::bad_input, part.where + ": \"ring\" holds " + radius.error().message};
            const int copies = std::max(part.ring_count, 1);
            for (int c = 0; c < copies; ++c) {
                Primitive copy = *primitive;
                if (part.ring_count > 0) turn_about_axis(copy, 2 * std::numbers::pi * c / copies, *radius);
                copy.seed = made.size() < rule.seeds.size()
                                ? rule.seeds[made.size()]
                                : static_cast<std::uint32_t>(random.bits(kSeed + made.size()));
                if (part.light) lights_.push_back({copy.x, copy.y, copy.z, *part.light});
                made.push_back(copy);
            }
        }
        return made;
    }

    // The copy stands `radius` further out in its own z direction, then everything turns.
    static void turn_about_axis(Primitive& p, double angle, double radius) {
        const double x = p.x;
        const double z = p.z + radius;
        const double own = std::atan2(p.sin_turn, p.cos_turn) + angle;
        p.x = static_cast<float>(std::cos(angle) * x + std::sin(angle) * z);
        p.z = static_cast<float>(std::cos(angle) * z - std::sin(angle) * x);
        p.cos_turn = static_cast<float>(std::cos(own));
        p.sin_turn = static_cast<float>(std::sin(own));
    }

    Result<Primitive> make_primitive(const ThemePart& part, const ThemeRule& rule,
                                     const std::map<std::string, double>& names, const KeyedRandom& random) const {
        std::array<float, 8> values{};
        const ThemeNumber* texts[] = {&part.at[0],   &part.at[1],   &part.at[2], &part.size[0],
                                      &part.size[1], &part.size[2], &part.turn,  &part.keep_away};
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto value = evaluate(*texts[i], names);
            if (!value) return Error{ErrorCode::bad_input, part.where + ": " + value.error().message};
            values[i] = static_cast<float>(*value);
        }
        Primitive p;
        p.shape = part.shape;
        p.x = values[0];
        p.y = values[1];
        p.z = values[2];
        p.size_x = values[3];
        p.size_y = values[4];
        p.size_z = values[5];
        p.cos_turn = std::cos(values[6]);
        p.sin_turn = std::sin(values[6]);
        p.keep_away = values[7];
        if (!(p.size_x >= kMinSize && p.size_y >= kMinSize && p.size_z >= kMinSize &&
              std::max(p.size_x, p.size_z) <= scene::kPeriod / 4.0f)) {
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: \"size\" comes out as [{:.3g}, {:.3g}, {:.3g}]; each must be above 0, half "
                                     "width and half depth at most 4",
                                     part.where, p.size_x, p.size_y, p.size_z)};
        }
        if (!(std::abs(p.x) <= scene::kPeriod && std::abs(p.z) <= scene::kPeriod)) { // the sums may be anything
            return Error{ErrorCode::bad_input, fmt::format("{}: \"at\" comes out as [{:.3g}, {:.3g}, {:.3g}]; x and z "
                                                           "go from -16 to 16",
                                                           part.where, p.x, p.y, p.z)};
        }
        if (!(p.y >= -1 && p.y + p.size_y <= kMaxTop)) {
            return Error{ErrorCode::bad_input,
                         fmt::format("{}: reaches from {:.3g} to {:.3g} in height; -1 to 12 are drawn", part.where, p.y,
                                     p.y + p.size_y)};
        }
        const ThemeMaterial& material = theme_.materials.at(part.material);
        const auto painted = rule.paint.find(part.material);
        const auto accented = rule.accents.find(part.material);
        const KeyedRandom hue = random.child(part.material);
        p.texture = material.texture;
        p.color = painted != rule.paint.end() ? painted->second : varied_color(material.color, material.vary, hue);
        p.accent = accented != rule.accents.end() ? accented->second
                                                  : varied_color(material.accent, material.accent_vary, hue.child(1));
        p.glow = material.glow;
        p.lit = material.lit;
        return p;
    }

    void put(std::vector<Primitive>& parts, const Spot& spot) {
        const auto c = static_cast<float>(std::cos(spot.turn));
        const auto s = static_cast<float>(std::sin(spot.turn));
        const auto x = static_cast<float>(spot.x);
        const auto z = static_cast<float>(spot.z);
        for (Primitive& p : parts) {
            const Primitive own = p;
            p.x = scene::wrapped(x + c * own.x + s * own.z);
            p.z = scene::wrapped(z - s * own.x + c * own.z);
            p.cos_turn = c * own.cos_turn - s * own.sin_turn;
            p.sin_turn = s * own.cos_turn + c * own.sin_turn;
            scene_.primitives.push_back(p);
        }
        for (const scene::Light& light : lights_) {
            scene_.lights.push_back({scene::wrapped(x + c * light.x + s * light.z), light.y,
                                     scene::wrapped(z - s * light.x + c * light.z), light.color});
        }
    }

    const ThemeDescription& theme_;
    KeyedRandom random_;
    scene::Scene scene_;
    std::vector<Circle> taken_;
    std::vector<scene::Light> lights_; // of the instance being made, in its own axes
};

} // namespace

Result<scene::Scene> build_scene(const ThemeDescription& description) { return SceneBuilder(description).build(); }

} // namespace wander
