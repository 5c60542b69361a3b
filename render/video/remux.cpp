#include "render/video/remux.hpp"

#include "render/video/av_handles.hpp"

#include <algorithm>
#include <cctype>
#include <system_error>

namespace wander::render {

namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

Result<av::Input> open_part(const std::filesystem::path& part) {
    AVFormatContext* raw = nullptr;
    int code = avformat_open_input(&raw, ("file:" + part.string()).c_str(), nullptr, nullptr);
    if (code < 0) return Error{ErrorCode::bad_input, part.string() + ": not a recording: " + av::error_text(code)};
    av::Input input(raw);
    code = avformat_find_stream_info(raw, nullptr);
    if (code < 0 || raw->nb_streams != 1 || raw->streams[0]->codecpar->width <= 0) {
        return Error{ErrorCode::bad_input, part.string() + ": holds no picture that can be read"};
    }
    return input;
}

// Matroska upper-cases nothing here but adds its own tags about encoder and duration; the MP4 gets its own.
void copy_tags(const AVDictionary* from, AVDictionary** to) {
    const AVDictionaryEntry* entry = nullptr;
    while ((entry = av_dict_get(from, "", entry, AV_DICT_IGNORE_SUFFIX))) {
        const std::string key = lower(entry->key);
        if (key != "encoder" && key != "duration") av_dict_set(to, key.c_str(), entry->value, 0);
    }
}

Error target_error(const std::filesystem::path& file, int code) {
    return {ErrorCode::io, "cannot write " + file.string() + ": " + av::error_text(code) +
                               "; the recording itself is safe and is finished at the next start"};
}

Result<void> copy_stream(AVFormatContext& input, const std::filesystem::path& file,
                         const std::map<std::string, std::string>& facts) {
    AVFormatContext* raw = nullptr;
    // The muxer opens the file a second time, by this name, to move the index to the front.
    const std::string url = "file:" + file.string();
    int code = avformat_alloc_output_context2(&raw, nullptr, "mp4", url.c_str());
    if (code < 0) return Error{ErrorCode::unavailable, "recording: this libavformat cannot write MP4"};
    const av::Output output(raw);
    AVStream* source = input.streams[0];
    AVStream* stream = avformat_new_stream(raw, nullptr);
    avcodec_parameters_copy(stream->codecpar, source->codecpar);
    stream->codecpar->codec_tag = 0;
    stream->avg_frame_rate = av_guess_frame_rate(&input, source, nullptr);
    const AVRational frame_time = av_inv_q(stream->avg_frame_rate);
    stream->time_base = frame_time;
    stream->sample_aspect_ratio = {1, 1};
    copy_tags(input.metadata, &raw->metadata);
    for (const auto& [key, value] : facts) av_dict_set(&raw->metadata, key.c_str(), value.c_str(), 0);

    if (code = avio_open(&raw->pb, url.c_str(), AVIO_FLAG_WRITE); code < 0) return target_error(file, code);
    AVDictionary* options = nullptr;
    av_dict_set(&options, "movflags", "+faststart+use_metadata_tags", 0);
    code = avformat_write_header(raw, &options);
    av_dict_free(&options);
    if (code < 0) return target_error(file, code);

    const av::Packet packet(av_packet_alloc());
    std::int64_t written = 0;
    while (av_read_frame(&input, packet.get()) >= 0) { // a cluster that was cut off ends the recording there
        // Matroska rounds to milliseconds; the frame index is exact again.
        packet->pts = av_rescale_q(packet->pts, source->time_base, frame_time);
        packet->dts = packet->pts;
        packet->duration = 1;
        packet->stream_index = 0;
        packet->pos = -1;
        av_packet_rescale_ts(packet.get(), frame_time, stream->time_base);
        if (code = av_interleaved_write_frame(raw, packet.get()); code < 0) return target_error(file, code);
        ++written;
    }
    if (written == 0) return Error{ErrorCode::bad_input, file.string() + ": the recording has no frame"};
    if (code = av_write_trailer(raw); code < 0) return target_error(file, code);
    if (raw->pb->error < 0) return target_error(file, raw->pb->error);
    if (code = avio_closep(&raw->pb); code < 0) return target_error(file, code);
    return {};
}

} // namespace

Result<void> remux_to_mp4(const std::filesystem::path& part, const std::filesystem::path& file,
                          const std::map<std::string, std::string>& facts) {
    auto input = open_part(part);
    if (!input) return input.error();
    std::filesystem::path unfinished = file;
    unfinished += ".part";
    std::error_code ignored;
    auto copied = copy_stream(**input, unfinished, facts);
    if (!copied) {
        std::filesystem::remove(unfinished, ignored);
        return copied;
    }
    std::error_code error;
    std::filesystem::rename(unfinished, file, error);
    if (error) {
        std::filesystem::remove(unfinished, ignored);
        return Error{ErrorCode::io, "cannot write " + file.string() + ": " + error.message()};
    }
    return {};
}

} // namespace wander::render
