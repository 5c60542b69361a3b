#pragma once
// H.264 out of RGBA8 pictures: the first encoder that really works on this machine, colour conversion included.
// Room-internal; used by one thread at a time.

#include "generator/plain/result.hpp"
#include "render/plain/pixels.hpp"
#include "render/video/av_handles.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace wander::render {

class Encoder {
public:
    // Packets have time stamps in units of time_base(), which is one frame.
    using PacketSink = std::function<Result<void>(AVPacket&)>;

    // Tries h264_nvenc, h264_vaapi, libx264 in this order: each has to encode a picture of this size before it is
    // taken, because finding or opening an encoder says nothing about the hardware behind it. unavailable: none does.
    static Result<Encoder> open(PixelSize size, AVRational fps);

    // `index` is the frame's time in frames and grows with every call.
    Result<void> encode(const PixelView& picture, std::int64_t index, const PacketSink& sink);
    Result<void> flush(const PacketSink& sink);

    const std::string& name() const { return name_; }
    AVRational time_base() const { return context_->time_base; }
    const AVCodecContext& context() const { return *context_; }

private:
    static Result<Encoder> open_named(const std::string& name, PixelSize size, AVRational fps);
    static Result<Encoder> probe(const std::string& name, PixelSize size, AVRational fps);
    void convert(const PixelView& picture);
    Result<void> drain(const PacketSink& sink);

    std::string name_;
    PixelSize size_;    // of the pictures
    av::Codec context_; // width and height even
    av::Scaler scaler_;
    av::Frame rgba_; // even size; the picture with its last column and row repeated
    av::Frame yuv_;  // what the encoder takes from host memory
    av::Packet packet_;
    av::Buffer device_; // VAAPI only
};

} // namespace wander::render
