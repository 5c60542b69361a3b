#include "gui/plain/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace wander::gui {

namespace {

constexpr std::array<double, 3> kUnitBytes = {1e3, 1e6, 1e9};

double degrees(double rad) { return rad * 180.0 / std::numbers::pi; }

// 0 <= result < 360.
double heading_degrees(double yaw_rad) {
    const double turned = std::fmod(degrees(yaw_rad), 360.0);
    return turned < 0 ? turned + 360.0 : turned;
}

} // namespace

ByteUnit unit_for(std::int64_t bytes) {
    const double size = std::abs(static_cast<double>(bytes));
    return size < 1e6 ? ByteUnit::kb : size < 1e9 ? ByteUnit::mb : ByteUnit::gb;
}

std::string_view unit_name(ByteUnit unit) {
    constexpr std::array<std::string_view, 3> kNames = {"kB", "MB", "GB"};
    return kNames[static_cast<std::size_t>(unit)];
}

std::string bytes_figure(std::int64_t bytes, ByteUnit unit, int width) {
    return fmt::format("{:{}.1f}", static_cast<double>(bytes) / kUnitBytes[static_cast<std::size_t>(unit)], width);
}

std::string bytes_with_unit(std::int64_t bytes, int width) {
    const ByteUnit unit = unit_for(bytes);
    return fmt::format("{} {}", bytes_figure(bytes, unit, width), unit_name(unit));
}

std::string ratio_figure(double ratio, int width) {
    if (!std::isfinite(ratio) || ratio <= 0) {
        return fmt::format("{:>{}}", "-.-x", width);
    }
    return fmt::format("{:{}.1f}x", std::min(ratio, 999.9), width - 1);
}

std::string ms_figure(double ms, int width) {
    if (!std::isfinite(ms) || ms < 0) {
        return fmt::format("{:>{}}", "-.-", width);
    }
    // The limit is what one decimal rounds up to four digits.
    return fmt::format("{:{}.{}f}", ms, width, ms < 999.95 ? 1 : 0);
}

std::string fps_figure(double fps, int width) {
    return fmt::format("{:{}.1f}", std::isfinite(fps) ? std::clamp(fps, 0.0, 999.9) : 0.0, width);
}

std::string duration_figure(double seconds) {
    const auto whole = static_cast<std::int64_t>(std::isfinite(seconds) ? std::max(seconds, 0.0) : 0.0);
    const std::int64_t hours = whole / 3600;
    if (hours > 0) {
        return fmt::format("{}:{:02}:{:02}", hours, whole / 60 % 60, whole % 60);
    }
    return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

std::string heading_figure(double yaw_rad) {
    return fmt::format("{:03}", static_cast<int>(std::lround(heading_degrees(yaw_rad))) % 360);
}

std::string heading_name(double yaw_rad) {
    constexpr std::array<std::string_view, 8> kNames = {"N ", "NE", "E ", "SE", "S ", "SW", "W ", "NW"};
    return std::string(kNames[static_cast<std::size_t>(std::lround(heading_degrees(yaw_rad) / 45.0)) % 8]);
}

std::string pitch_figure(double pitch_rad) {
    return fmt::format("{:+03}", static_cast<int>(std::lround(degrees(pitch_rad))));
}

} // namespace wander::gui
