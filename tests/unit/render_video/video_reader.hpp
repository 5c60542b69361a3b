#pragma once
// Decodes a recorded file with libav, for checks only.

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace wander::test {

struct Video {
    bool opened = false;
    std::string format;
    int width = 0;
    int height = 0;
    bool bt709_limited = false;
    std::vector<double> seconds;            // time stamp of each frame
    std::vector<std::array<int, 3>> centre; // RGB of each frame's middle pixel
    std::map<std::string, std::string> tags;
};

Video read_video(const std::filesystem::path& file);

} // namespace wander::test
