#include "render/video/part_writer.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace wander::render {

namespace {

constexpr const char* kClusterMs = "500"; // what a killed run loses, besides the encoder's lookahead

Error write_error(const std::filesystem::path& part, int code) {
    const std::string hint = code == AVERROR(ENOSPC) ? "free some space or choose another folder" : "check the disk";
    return {ErrorCode::io, "recording stopped: " + part.string() + ": " + av::error_text(code) + "; " + hint};
}

} // namespace

bool FileLock::take(const std::filesystem::path& file) {
    release();
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0) return false;
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return true;
    release();
    return false;
}

void FileLock::release() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

Result<void> PartWriter::open(const std::filesystem::path& part, const AVCodecContext& codec,
                              const std::map<std::string, std::string>& facts) {
    part_ = part;
    AVFormatContext* raw = nullptr;
    int code = avformat_alloc_output_context2(&raw, nullptr, "matroska", nullptr);
    if (code < 0) return Error{ErrorCode::unavailable, "recording: this libavformat cannot write Matroska"};
    output_.reset(raw);
    if (code = avio_open(&raw->pb, ("file:" + part.string()).c_str(), AVIO_FLAG_WRITE); code < 0) {
        return Error{ErrorCode::bad_input, "cannot record to " + part.string() + ": " + av::error_text(code) +
                                               "; choose a folder you may write to"};
    }
    lock_.take(part);
    raw->flags |= AVFMT_FLAG_FLUSH_PACKETS;

    AVStream* stream = avformat_new_stream(raw, nullptr);
    avcodec_parameters_from_context(stream->codecpar, &codec);
    stream->time_base = codec.time_base;
    stream->avg_frame_rate = codec.framerate;
    packet_time_base_ = codec.time_base;
    for (const auto& [key, value] : facts) av_dict_set(&raw->metadata, key.c_str(), value.c_str(), 0);

    AVDictionary* options = nullptr;
    av_dict_set(&options, "cluster_time_limit", kClusterMs, 0);
    code = avformat_write_header(raw, &options);
    av_dict_free(&options);
    if (code < 0) return write_error(part_, code);
    return {};
}

Result<void> PartWriter::write(AVPacket& packet) {
    packet.stream_index = 0;
    av_packet_rescale_ts(&packet, packet_time_base_, output_->streams[0]->time_base);
    int code = av_write_frame(output_.get(), &packet);
    // A full disk shows in the file's own error only: the muxer buffers whole clusters.
    if (code >= 0 && output_->pb->error < 0) code = output_->pb->error;
    if (code < 0) return write_error(part_, code);
    return {};
}

Result<void> PartWriter::close() {
    if (!output_) return {};
    int code = av_write_trailer(output_.get());
    if (code >= 0 && output_->pb->error < 0) code = output_->pb->error;
    const int closed = avio_closep(&output_->pb);
    if (code >= 0) code = closed;
    output_.reset();
    lock_.release();
    if (code < 0) return write_error(part_, code);
    return {};
}

} // namespace wander::render
