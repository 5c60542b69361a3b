#include "tests/bench/worldplay/run_words.hpp"

#include "generator/rollout/worldplay_rollout.hpp"

#include <algorithm>
#include <cstdlib>

namespace wander::bench {

std::optional<Run> read_run(const std::string& text) {
    Run run;
    run.name = text;
    run.policy.slice_bytes = kWorldPlaySliceBytes;
    run.policy.kept_rows_leave = quant::kKeptRowsLeave;
    run.policy.keep_recent = 0; // as the program packs a context that is made in one piece
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string word = text.substr(begin, end - begin);
        begin = end + 1;
        if (word == "fp8-attention") {
            run.policy.attention = quant::AttentionType::fp8;
        } else if (word == "fast") {
            run.fast = true;
        } else if (word == "rows") {
            run.policy.kept_rows_leave = quant::kKeptRowsLeave;
        } else if (word == "no-rows") {
            run.policy.kept_rows_leave = -1;
        } else if (word == "full" || word == "plain" || word == "none") {
            run.decoder = word;
        } else if (word.starts_with("to:")) {
            run.to = word.substr(3);
        } else if (word.starts_with("slice:")) {
            run.policy.slice_bytes = std::atoll(word.c_str() + 6) << 20;
        } else if (word.starts_with("at:")) {
            run.at = std::atoi(word.c_str() + 3);
        } else if (word.starts_with("chunks:")) {
            run.chunks = std::atoi(word.c_str() + 7);
        } else if (!word.empty()) {
            run.policy.format = word;
        }
    }
    if (run.fast) run.policy.keep_recent = 1;
    return run.chunks > 0 ? std::optional(run) : std::nullopt;
}

} // namespace wander::bench
