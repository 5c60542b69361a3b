#pragma once
// Owners of libav's objects, and its error codes as text. Room-internal.

#include <memory>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/hwcontext.h>
#include <libswscale/swscale.h>
}

namespace wander::render::av {

struct Delete {
    void operator()(AVCodecContext* it) const { avcodec_free_context(&it); }
    void operator()(AVFrame* it) const { av_frame_free(&it); }
    void operator()(AVPacket* it) const { av_packet_free(&it); }
    void operator()(AVBufferRef* it) const { av_buffer_unref(&it); }
    void operator()(SwsContext* it) const { sws_freeContext(it); }
};

using Codec = std::unique_ptr<AVCodecContext, Delete>;
using Frame = std::unique_ptr<AVFrame, Delete>;
using Packet = std::unique_ptr<AVPacket, Delete>;
using Buffer = std::unique_ptr<AVBufferRef, Delete>;
using Scaler = std::unique_ptr<SwsContext, Delete>;

struct CloseInput {
    void operator()(AVFormatContext* it) const { avformat_close_input(&it); }
};
using Input = std::unique_ptr<AVFormatContext, CloseInput>;

// Closes the file too; a trailer is written by its user.
struct CloseOutput {
    void operator()(AVFormatContext* it) const {
        if (it->pb) avio_closep(&it->pb);
        avformat_free_context(it);
    }
};
using Output = std::unique_ptr<AVFormatContext, CloseOutput>;

inline std::string error_text(int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = {};
    av_strerror(code, text, sizeof text);
    return text;
}

} // namespace wander::render::av
