#pragma once
// Records the walk's raw pictures into an MP4 while it runs. No libav, no Vulkan, no torch here.
//
// Frames go through a bounded queue to the recorder's own thread, which encodes them (first of h264_nvenc, h264_vaapi,
// libx264 that really encodes a frame at this size) into NAME.mkv.part, a Matroska file that plays up to its last half
// second whatever happens to the program. finish() copies the stream without loss into NAME.mp4 (index in front) and
// deletes the part; until then nothing has the final name. H.264, yuv420p, BT.709 limited range; odd sizes repeat their
// last column or row.
//
// push, status, set_fact: any thread. create, finish and the destructor: one thread, the owner's. A failure while
// recording (say, a full disk) ends the recording, not the walk: push answers false, status().error has the message.

#include "generator/plain/result.hpp"
#include "render/plain/pixels.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace wander::render {

// What happens to a frame that finds the queue full.
enum class QueuePolicy {
    drop, // the new frame is dropped and counted; its time stays empty, so the recording keeps its tempo
    wait, // push blocks: every frame is recorded
};

struct RecorderOptions {
    std::filesystem::path file; // NAME.mp4; its folder is made when missing
    PixelSize size;
    double fps = 16; // frame i is shown at i / fps
    QueuePolicy when_full = QueuePolicy::drop;
    int queue_frames = 16;
    std::map<std::string, std::string> facts; // model, seed, cache_format, version, ...: tags of the file
};

struct RecorderStatus {
    std::string encoder;     // "libx264"
    std::int64_t frames = 0; // encoded so far
    std::int64_t dropped = 0;
    double seconds = 0; // playing time of everything pushed
    std::string error;  // empty: going well
};

class Recorder {
public:
    // unavailable: built without recording or no encoder works. bad_input: the path is not writable.
    static Result<std::unique_ptr<Recorder>> create(RecorderOptions options);
    // Finishes when that was not done; a failure then leaves the part for finish_leftovers.
    ~Recorder();

    // Copies the picture. False: dropped, of another size than the options say, or the recording has failed.
    bool push(const PixelView& picture);
    // Facts that are known only later (controls) go into the MP4 when they are set before finish().
    void set_fact(const std::string& key, const std::string& value);
    RecorderStatus status() const;

    // Encodes what is queued and writes the MP4. Returns its path. On failure the part is kept where it has frames.
    Result<std::filesystem::path> finish();

private:
    struct Impl;
    explicit Recorder(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Where a recording that becomes `file` is written while it runs: NAME.mkv.part beside it.
std::filesystem::path part_path(const std::filesystem::path& file);

// One recording that a killed run left behind.
struct Leftover {
    std::filesystem::path part;
    std::filesystem::path file; // the finished MP4; empty: it could not be finished
    std::string message;        // one line for a person
};

// Finishes the *.mkv.part files of a folder, those of running recorders excepted. A part without a single frame is
// deleted. Never fails: a folder that is missing has no leftovers.
std::vector<Leftover> finish_leftovers(const std::filesystem::path& folder);

} // namespace wander::render
