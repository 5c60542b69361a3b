#include "app/process_clock.hpp"

#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <unistd.h>
#include <ctime>

namespace wander {

namespace {

constexpr double kLauncherMs = 5000; // older at its first call: something else ran in this process before
constexpr int kStartField = 22;      // of /proc/self/stat, proc(5)

double steady_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::optional<double> age_by_kernel_ms() {
    std::ifstream in("/proc/self/stat");
    std::string text;
    std::getline(in, text);
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    std::string field;
    for (int i = 3; i <= kStartField; ++i) fields >> field;
    if (!fields) return std::nullopt;
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    const double start_seconds = std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
    return (static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - start_seconds) * 1000;
}

double begun_ms() {
    const auto age = age_by_kernel_ms();
    return steady_ms() - (age && *age >= 0 && *age < kLauncherMs ? *age : 0);
}

} // namespace

double process_age_ms() {
    static const double begun = begun_ms();
    return steady_ms() - begun;
}

} // namespace wander
