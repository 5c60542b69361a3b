#pragma once
// The Matroska file that a recording is written to while it runs. Room-internal; used by one thread at a time.
//
// Clusters are short and flushed, so that whatever ends the program leaves a file that plays. The file is locked while
// it is being written: finish_leftovers of another run then leaves it alone.

#include "generator/plain/result.hpp"
#include "render/video/av_handles.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace wander::render {

// A locked file; the lock goes with the process.
class FileLock {
public:
    FileLock() = default;
    // False when the file is missing or locked by somebody else.
    bool take(const std::filesystem::path& file);
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() { release(); }
    void release();

private:
    int descriptor_ = -1;
};

class PartWriter {
public:
    // bad_input: the file cannot be created (says why).
    Result<void> open(const std::filesystem::path& part, const AVCodecContext& codec,
                      const std::map<std::string, std::string>& facts);
    // `packet` in units of the codec's time base; consumed. io: say, the disk is full.
    Result<void> write(AVPacket& packet);
    // Ends the file and lets go of it; the second call does nothing.
    Result<void> close();

private:
    std::filesystem::path part_;
    av::Output output_;
    AVRational packet_time_base_{};
    FileLock lock_;
};

} // namespace wander::render
