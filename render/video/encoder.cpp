#include "render/video/encoder.hpp"

#include <cmath>
#include <cstring>
#include <vector>

extern "C" {
#include <libavutil/opt.h>
}

namespace wander::render {

namespace {

constexpr int kKeyframeSeconds = 2; // seeking, and how much a damaged part loses at most
constexpr int kPixelsForMoreThreads = 640 * 360;

int even(int value) { return value + (value & 1); }

Error failed(const std::string& what, int code) {
    return {ErrorCode::unavailable, "recording: " + what + ": " + av::error_text(code)};
}

// Quality settings, named as each encoder names them.
void set_quality(AVCodecContext& context, const std::string& name) {
    if (name == "libx264") {
        av_opt_set(context.priv_data, "preset", "veryfast", 0);
        av_opt_set(context.priv_data, "crf", "18", 0);
        // The lookahead is what a killed run loses of its end.
        av_opt_set(context.priv_data, "rc-lookahead", "4", 0);
    } else if (name == "h264_nvenc") {
        av_opt_set(context.priv_data, "preset", "p4", 0);
        av_opt_set(context.priv_data, "rc", "constqp", 0);
        av_opt_set(context.priv_data, "qp", "20", 0);
    } else {
        av_opt_set(context.priv_data, "rc_mode", "CQP", 0);
        av_opt_set(context.priv_data, "qp", "20", 0);
    }
}

av::Frame make_frame(AVPixelFormat format, int width, int height) {
    av::Frame frame(av_frame_alloc());
    frame->format = format;
    frame->width = width;
    frame->height = height;
    if (av_frame_get_buffer(frame.get(), 0) < 0) return nullptr;
    return frame;
}

// The render node and a pool of surfaces in it.
Result<av::Buffer> attach_vaapi(AVCodecContext& context) {
    AVBufferRef* device = nullptr;
    int code = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, nullptr, nullptr, 0);
    if (code < 0) return failed("no VAAPI device", code);
    av::Buffer owner(device);
    av::Buffer frames(av_hwframe_ctx_alloc(device));
    auto* pool = reinterpret_cast<AVHWFramesContext*>(frames->data);
    pool->format = AV_PIX_FMT_VAAPI;
    pool->sw_format = AV_PIX_FMT_NV12;
    pool->width = context.width;
    pool->height = context.height;
    pool->initial_pool_size = 4;
    if (code = av_hwframe_ctx_init(frames.get()); code < 0) return failed("VAAPI surfaces", code);
    context.pix_fmt = AV_PIX_FMT_VAAPI;
    context.hw_frames_ctx = av_buffer_ref(frames.get());
    return owner;
}

} // namespace

Result<Encoder> Encoder::open_named(const std::string& name, PixelSize size, AVRational fps) {
    const AVCodec* codec = avcodec_find_encoder_by_name(name.c_str());
    if (!codec) return Error{ErrorCode::unavailable, "recording: this libavcodec has no " + name};
    Encoder encoder;
    encoder.name_ = name;
    encoder.size_ = size;
    encoder.context_.reset(avcodec_alloc_context3(codec));
    AVCodecContext& context = *encoder.context_;
    context.width = even(size.width);
    context.height = even(size.height);
    context.time_base = av_inv_q(fps);
    context.framerate = fps;
    context.sample_aspect_ratio = {1, 1};
    context.pix_fmt = AV_PIX_FMT_YUV420P;
    context.color_range = AVCOL_RANGE_MPEG;
    context.colorspace = AVCOL_SPC_BT709;
    context.color_primaries = AVCOL_PRI_BT709;
    context.color_trc = AVCOL_TRC_BT709;
    context.gop_size = static_cast<int>(std::lround(av_q2d(fps) * kKeyframeSeconds));
    context.max_b_frames =
        0; // decoding order is showing order: the end of a killed recording needs nothing that is missing
    context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    // The model needs the cores more than a small picture does.
    context.thread_count = size.width * size.height >= kPixelsForMoreThreads ? 4 : 1;
    set_quality(context, name);

    AVPixelFormat host_format = AV_PIX_FMT_YUV420P;
    if (name == "h264_vaapi") {
        auto device = attach_vaapi(context);
        if (!device) return device.error();
        encoder.device_ = std::move(*device);
        host_format = AV_PIX_FMT_NV12;
    }
    if (const int code = avcodec_open2(&context, codec, nullptr); code < 0) return failed(name, code);

    encoder.packet_.reset(av_packet_alloc());
    encoder.rgba_ = make_frame(AV_PIX_FMT_RGBA, context.width, context.height);
    encoder.yuv_ = make_frame(host_format, context.width, context.height);
    encoder.scaler_.reset(sws_getContext(context.width, context.height, AV_PIX_FMT_RGBA, context.width, context.height,
                                         host_format, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, nullptr,
                                         nullptr, nullptr));
    if (!encoder.rgba_ || !encoder.yuv_ || !encoder.scaler_)
        return Error{ErrorCode::out_of_memory, "recording: no memory for a frame"};
    const int* bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(encoder.scaler_.get(), bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16);
    encoder.yuv_->color_range = context.color_range;
    encoder.yuv_->colorspace = context.colorspace;
    encoder.yuv_->color_primaries = context.color_primaries;
    encoder.yuv_->color_trc = context.color_trc;
    return encoder;
}

Result<Encoder> Encoder::probe(const std::string& name, PixelSize size, AVRational fps) {
    auto trial = open_named(name, size, fps);
    if (!trial) return trial.error();
    const std::vector<std::uint8_t> grey(size.bytes(), 128);
    int packets = 0;
    const PacketSink count = [&](AVPacket&) {
        ++packets;
        return Result<void>{};
    };
    if (auto sent = trial->encode({size, grey.data()}, 0, count); !sent) return sent.error();
    if (auto flushed = trial->flush(count); !flushed) return flushed.error();
    if (packets == 0) return Error{ErrorCode::unavailable, "recording: " + name + " gave no picture"};
    return open_named(name, size, fps);
}

Result<Encoder> Encoder::open(PixelSize size, AVRational fps) {
    std::string reasons;
    for (const char* name : {"h264_nvenc", "h264_vaapi", "libx264"}) {
        auto encoder = probe(name, size, fps);
        if (encoder) return encoder;
        reasons += (reasons.empty() ? "" : "; ") + encoder.error().message;
    }
    return Error{ErrorCode::unavailable,
                 "no H.264 encoder works here (" + reasons + "): install an FFmpeg with libx264"};
}

void Encoder::convert(const PixelView& picture) {
    const int width = picture.size.width;
    const int height = picture.size.height;
    const std::size_t row_bytes = static_cast<std::size_t>(width) * 4;
    for (int y = 0; y < rgba_->height; ++y) {
        const std::uint8_t* from = picture.rgba + static_cast<std::size_t>(y < height ? y : height - 1) * row_bytes;
        std::uint8_t* to = rgba_->data[0] + static_cast<std::ptrdiff_t>(y) * rgba_->linesize[0];
        std::memcpy(to, from, row_bytes);
        if (rgba_->width > width) std::memcpy(to + row_bytes, from + row_bytes - 4, 4);
    }
    sws_scale(scaler_.get(), rgba_->data, rgba_->linesize, 0, rgba_->height, yuv_->data, yuv_->linesize);
}

Result<void> Encoder::encode(const PixelView& picture, std::int64_t index, const PacketSink& sink) {
    // The encoder may still hold a reference to the previous picture.
    if (av_frame_make_writable(yuv_.get()) < 0)
        return Error{ErrorCode::out_of_memory, "recording: no memory for a frame"};
    convert(picture);
    AVFrame* frame = yuv_.get();
    av::Frame surface;
    if (device_) {
        surface.reset(av_frame_alloc());
        int code = av_hwframe_get_buffer(context_->hw_frames_ctx, surface.get(), 0);
        if (code >= 0) code = av_hwframe_transfer_data(surface.get(), yuv_.get(), 0);
        if (code >= 0) code = av_frame_copy_props(surface.get(), yuv_.get());
        if (code < 0) return failed("copy to the video device", code);
        frame = surface.get();
    }
    frame->pts = index;
    if (const int code = avcodec_send_frame(context_.get(), frame); code < 0) return failed(name_, code);
    return drain(sink);
}

Result<void> Encoder::flush(const PacketSink& sink) {
    if (const int code = avcodec_send_frame(context_.get(), nullptr); code < 0) return failed(name_, code);
    return drain(sink);
}

Result<void> Encoder::drain(const PacketSink& sink) {
    while (true) {
        const int code = avcodec_receive_packet(context_.get(), packet_.get());
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return {};
        if (code < 0) return failed(name_, code);
        packet_->duration = 1;
        if (auto taken = sink(*packet_); !taken) return taken;
        av_packet_unref(packet_.get());
    }
}

} // namespace wander::render
