#pragma once
// How decode_bench measures one decoder and one piece of one, and the lines that it prints. Needs CUDA.

#include "generator/wan/video_decoder.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace wander::bench {

struct Options {
    std::int64_t rows = 60;
    std::int64_t cols = 104;
    int chunks = 12;
    bool parts = false;
    std::string only;
};

struct Video {
    int latents = 3; // of a chunk
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    double floor_ms = 0; // of a chunk
};

// Whether --only lets this one run.
bool wanted(const Options& options, const std::string& name);

// A line with the chunk of `video`, its first picture, what the host needs, and memory.
void bench_decoder(const Options& options, const std::string& name, const VideoDecoder& decoder, const Video& video,
                   int latents_per_call);

// Median of nine calls behind one that is not counted.
double event_ms(const std::function<void()>& call);

void print_part(const std::string& name, std::int64_t frames, double ms, double gigabytes, double teraflop);

} // namespace wander::bench
