#pragma once
// The log of a training, a JSON object a line in training.jsonl, and the plot drawn from it. One thread.

#include "generator/plain/result.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

namespace wander::train {

class TrainingLog {
public:
    // Begins a new log, or goes on behind the first `kept` lines of `before`, which may be the same file (what a killed
    // run wrote after its last checkpoint will be written again).
    static Result<TrainingLog> open(const std::filesystem::path& file, const std::filesystem::path& before,
                                    std::int64_t kept);

    Result<void> add(const nlohmann::json& line);
    std::int64_t lines() const { return static_cast<std::int64_t>(lines_.size()); }
    const std::vector<nlohmann::json>& entries() const { return lines_; }

    // Loss by minute (one curve a phase) above PSNR. assets: the folder with fonts/.
    Result<void> write_plot(const std::filesystem::path& file, const std::filesystem::path& assets) const;

private:
    std::filesystem::path file_;
    std::ofstream out_;
    std::vector<nlohmann::json> lines_;
};

} // namespace wander::train
