#include "generator/camera/pose_json.hpp"

#include "generator/json_fields.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace wander {

namespace {

using Json = nlohmann::ordered_json;

// How far R R^T may be from one: files hold rounded numbers.
constexpr double kMaxSkew = 1e-3;

// `side` rows of `side` numbers into `values`.
bool read_square(const Json& rows, std::size_t side, double* values) {
    if (!rows.is_array() || rows.size() != side) return false;
    for (const Json& row : rows) {
        if (!row.is_array() || row.size() != side) return false;
        for (const Json& value : row) {
            if (!value.is_number()) return false;
            *values++ = value.get<double>();
        }
    }
    return true;
}

bool is_rigid(const Matrix4& m) {
    const Matrix4 product = multiply(m, rigid_inverse(m)); // R R^T in its corner
    double off = std::abs(m[12]) + std::abs(m[13]) + std::abs(m[14]) + std::abs(m[15] - 1);
    for (std::size_t row = 0; row < 3; ++row) {
        for (std::size_t column = 0; column < 3; ++column)
            off = std::max(off, std::abs(product[4 * row + column] - (row == column ? 1 : 0)));
    }
    const double determinant =
        m[0] * (m[5] * m[10] - m[6] * m[9]) - m[1] * (m[4] * m[10] - m[6] * m[8]) + m[2] * (m[4] * m[9] - m[5] * m[8]);
    return off <= kMaxSkew && determinant > 0 && std::isfinite(m[3] + m[7] + m[11]);
}

// What is wrong with an entry, or nothing.
std::string read_entry(const Json& entry, LatentCamera& camera) {
    if (!entry.is_object()) return "is not an object with \"extrinsic\" and \"K\"";
    if (!entry.contains("extrinsic") && entry.contains("w2c"))
        return "has \"w2c\": this is a training file with a pose for each video frame; wanted are \"extrinsic\" "
               "(camera to world) and \"K\" for each latent";
    if (!entry.contains("extrinsic")) return "has no \"extrinsic\" (4x4, camera to world)";
    if (!entry.contains("K")) return "has no \"K\" (3x3, pixels)";
    if (!read_square(entry.at("extrinsic"), 4, camera.camera_to_world.data()))
        return "\"extrinsic\" is not 4 rows of 4 numbers";
    if (!is_rigid(camera.camera_to_world))
        return "\"extrinsic\" is no camera: it must be a rotation and a position, with 0 0 0 1 below";
    std::array<double, 9> k{};
    if (!read_square(entry.at("K"), 3, k.data())) return "\"K\" is not 3 rows of 3 numbers";
    camera.focal = {k[0] / (2 * k[2]), k[4] / (2 * k[5])};
    const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
    if (!positive(k[0]) || !positive(k[4]) || !positive(camera.focal.x) || !positive(camera.focal.y))
        return "\"K\" has no positive focal lengths and centre";
    return {};
}

} // namespace

Result<std::vector<LatentCamera>> read_pose_json(const std::filesystem::path& path, bool third_person) {
    auto json = read_json_file<Json>(path);
    if (!json) return json.error();
    const auto refuse = [&path](const std::string& what) {
        return Error{ErrorCode::bad_input, fmt::format("{}: {}", path.string(), what)};
    };
    if (!json->is_object() || json->empty()) return refuse("is not an object with one entry for each latent");
    std::vector<LatentCamera> cameras;
    cameras.reserve(json->size());
    for (const auto& [key, entry] : json->items()) {
        LatentCamera camera;
        const std::string wrong = read_entry(entry, camera);
        if (!wrong.empty()) return refuse(fmt::format("entry \"{}\" {}", key, wrong));
        cameras.push_back(camera);
    }
    complete_cameras(cameras, third_person);
    return cameras;
}

std::string write_pose_json(std::span<const LatentCamera> cameras, int picture_width, int picture_height) {
    const double center_x = picture_width / 2.0;
    const double center_y = picture_height / 2.0;
    Json file = Json::object();
    for (std::size_t i = 0; i < cameras.size(); ++i) {
        Json rows = Json::array();
        const Matrix4& m = cameras[i].camera_to_world;
        for (std::size_t row = 0; row < 4; ++row)
            rows.push_back({m[4 * row], m[4 * row + 1], m[4 * row + 2], m[4 * row + 3]});
        const Focal& focal = cameras[i].focal;
        Json& entry = file[std::to_string(i)];
        entry["extrinsic"] = std::move(rows);
        entry["K"] = {
            {focal.x * 2 * center_x, 0.0, center_x}, {0.0, focal.y * 2 * center_y, center_y}, {0.0, 0.0, 1.0}};
    }
    return file.dump(1);
}

} // namespace wander
