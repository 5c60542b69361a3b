#pragma once
// Numbers as text of a fixed width, so that figures in a fixed-width font do not jump. Bytes are decimal (1 MB = 10^6
// bytes).

#include <cstdint>
#include <string>
#include <string_view>

namespace wander::gui {

enum class ByteUnit : std::uint8_t { kb, mb, gb };

// The unit in which `bytes` has one to three digits before the point: choose it once for figures that stand together.
ByteUnit unit_for(std::int64_t bytes);
std::string_view unit_name(ByteUnit unit);

// "  3.9": one decimal, at least `width` characters, no unit.
std::string bytes_figure(std::int64_t bytes, ByteUnit unit, int width = 5);
// "  3.9 MB".
std::string bytes_with_unit(std::int64_t bytes, int width = 5);

// " 4.2x"; dashes of the same width when there is nothing to compare.
std::string ratio_figure(double ratio, int width = 5);
// "  98.4": one decimal below 1000, none above.
std::string ms_figure(double ms, int width = 6);
// "16.0".
std::string fps_figure(double fps, int width = 5);
// "00:12", "1:02:03".
std::string duration_figure(double seconds);
// "034": whole degrees 000..359 of a yaw in radians (0 = ahead, growing to the right).
std::string heading_figure(double yaw_rad);
// "NE": the nearest of eight directions, two characters wide.
std::string heading_name(double yaw_rad);
// "+05", "-12": whole degrees with sign.
std::string pitch_figure(double pitch_rad);

} // namespace wander::gui
