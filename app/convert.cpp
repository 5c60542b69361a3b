#include "app/convert.hpp"

#include "app/exit_code.hpp"
#include "generator/models/convert.hpp"
#include "generator/models/kept_system_prompt.hpp"
#include "generator/models/text_video_folder.hpp"
#include "generator/models/worldplay_folder.hpp"
#include "generator/world/plain/world_folder.hpp"

#include <cmath>
#include <cstdio>

#include <unistd.h>

#include <fmt/format.h>

namespace wander {

namespace {

constexpr double kTerminalSeconds = 0.1;
constexpr double kLogSeconds = 5;

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// One line that is rewritten on a terminal, else a line every few seconds.
class ConvertLine {
public:
    ConvertLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}

    void show(const ConvertProgress& progress) {
        if (progress.seconds - shown_seconds_ < (terminal_ ? kTerminalSeconds : kLogSeconds)) return;
        shown_seconds_ = progress.seconds;
        const std::string left =
            progress.seconds_left > 0 ? fmt::format(", {:.0f} s left", std::ceil(progress.seconds_left)) : "";
        std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n",
                     fmt::format("converting the {}: {:.2f} of {:.2f} GB{}", part_name(progress.kind),
                                 gigabytes(progress.bytes_done), gigabytes(progress.bytes_total), left)
                         .c_str());
        std::fflush(stderr);
        open_ = terminal_;
    }
    void end() {
        if (open_) std::fputc('\n', stderr);
        open_ = false;
    }

private:
    const bool terminal_;
    bool open_ = false;
    double shown_seconds_ = 0;
};

int convert_files(const ModelFiles& files) {
    ConvertLine shown;
    double seconds = 0;
    const auto done = convert_model(files, [&](const ConvertProgress& progress) {
        seconds = progress.seconds;
        shown.show(progress);
        return true;
    });
    shown.end();
    if (!done) return fail_with(done.error());
    for (const ConvertPlan::Part& part : done->parts)
        fmt::print("{}", fmt::format("{}: {:.2f} GB in {}\n", part_name(part.kind), gigabytes(part.bytes),
                                     part.target.string()));
    if (done->parts.empty()) {
        fmt::print("{}", fmt::format("{}: nothing to convert\n", files.folder.string()));
    } else {
        fmt::print("{}", fmt::format("{:.2f} GB in {:.1f} s\n", gigabytes(done->bytes()), seconds));
    }
    return kExitDone;
}

} // namespace

int run_convert(const std::string& model, const std::string& system_prompt_from) {
    if (find_world_folder(model))
        return fail_with({ErrorCode::wrong_use,
                          fmt::format("{} is a world of this program's own: it is ready as it is, see wander info {}",
                                      model, model)});
    if (WorldPlayFolder::looks_like_one(model)) {
        const auto folder = WorldPlayFolder::open(model);
        if (!folder) return fail_with(folder.error());
        if (!system_prompt_from.empty()) {
            if (folder->model != WorldPlayFolder::Model::hunyuan_8b)
                return fail_with({ErrorCode::wrong_use, fmt::format("--system-prompt-from: {} needs none; leave it out",
                                                                    folder->model_name())});
            const auto text = read_system_prompt(system_prompt_from, folder->instruction);
            if (!text) return fail_with(text.error());
            const auto kept = keep_system_prompt(folder->folder, *text);
            if (!kept) return fail_with(kept.error());
            fmt::print("{}", fmt::format("system prompt: in {}\n", kept->string()));
        }
        return convert_files(*folder);
    }
    if (!system_prompt_from.empty())
        return fail_with(
            {ErrorCode::wrong_use,
             fmt::format("--system-prompt-from: {} is no folder of HY-WorldPlay 8B; leave it out", model)});
    const auto folder = TextVideoFolder::open(model);
    return folder ? convert_files(*folder) : fail_with(folder.error());
}

} // namespace wander
