#include "tests/unit/render_video/video_reader.hpp"

#include "render/video/av_handles.hpp"

#include <algorithm>
#include <cmath>

namespace wander::test {

namespace {

// BT.709 limited range to RGB, written out: the slow obvious twin of what players do.
std::array<int, 3> to_rgb(const AVFrame& frame, int x, int y) {
    const int half_x = x / 2;
    const int half_y = y / 2;
    const double luma = (frame.data[0][y * frame.linesize[0] + x] - 16) / 219.0;
    const double blue = (frame.data[1][half_y * frame.linesize[1] + half_x] - 128) / 224.0;
    const double red = (frame.data[2][half_y * frame.linesize[2] + half_x] - 128) / 224.0;
    const double r = luma + 1.5748 * red;
    const double b = luma + 1.8556 * blue;
    const double g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152;
    const auto byte = [](double v) { return static_cast<int>(std::lround(std::clamp(v, 0.0, 1.0) * 255)); };
    return {byte(r), byte(g), byte(b)};
}

} // namespace

Video read_video(const std::filesystem::path& file) {
    namespace av = render::av;
    Video video;
    AVFormatContext* raw = nullptr;
    if (avformat_open_input(&raw, file.c_str(), nullptr, nullptr) < 0) return video;
    const av::Input input(raw);
    if (avformat_find_stream_info(raw, nullptr) < 0 || raw->nb_streams != 1) return video;
    AVStream& stream = *raw->streams[0];
    const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
    const av::Codec context(avcodec_alloc_context3(codec));
    avcodec_parameters_to_context(context.get(), stream.codecpar);
    if (avcodec_open2(context.get(), codec, nullptr) < 0) return video;
    video.opened = true;
    video.format = raw->iformat->name;
    video.width = stream.codecpar->width;
    video.height = stream.codecpar->height;
    video.bt709_limited =
        stream.codecpar->color_space == AVCOL_SPC_BT709 && stream.codecpar->color_range == AVCOL_RANGE_MPEG;
    const AVDictionaryEntry* entry = nullptr;
    while ((entry = av_dict_get(raw->metadata, "", entry, AV_DICT_IGNORE_SUFFIX)))
        video.tags[entry->key] = entry->value;

    const av::Packet packet(av_packet_alloc());
    const av::Frame frame(av_frame_alloc());
    bool more = true;
    while (more) {
        more = av_read_frame(raw, packet.get()) >= 0;
        avcodec_send_packet(context.get(), more ? packet.get() : nullptr);
        while (avcodec_receive_frame(context.get(), frame.get()) >= 0) {
            video.seconds.push_back(static_cast<double>(frame->best_effort_timestamp) * av_q2d(stream.time_base));
            video.centre.push_back(to_rgb(*frame, frame->width / 2, frame->height / 2));
        }
        av_packet_unref(packet.get());
    }
    return video;
}

} // namespace wander::test
