#include "generator/plain/load_progress.hpp"

#include <fmt/format.h>

#include <cmath>

namespace wander {

std::string progress_text(const LoadProgress& progress) {
    std::string text = progress.doing;
    if (progress.share >= 0) text += fmt::format(", {:.0f} %", std::floor(progress.share * 100));
    if (progress.seconds_left >= 60) {
        const auto seconds = static_cast<long>(std::ceil(progress.seconds_left));
        text += fmt::format(", {} min {} s left", seconds / 60, seconds % 60);
    } else if (progress.seconds_left >= 1) {
        text += fmt::format(", {:.0f} s left", std::ceil(progress.seconds_left));
    }
    return text;
}

} // namespace wander
