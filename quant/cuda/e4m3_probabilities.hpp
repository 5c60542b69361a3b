#pragma once
// How FP8 attention of our own stores probabilities, on Hopper (hopper_softmax.cuh) and in plain operations
// (attention_e4m3_plain.cpp). Plain constants, host and device.
//
// The bits of a positive E4M3 number grow with its logarithm: eight steps double it, evenly in value instead of in
// logarithm between two powers of two. So the whole number nearest to 8 log2(p) plus a constant has nearly the bits of
// p, and no power of two is needed. Nearly: the straight line between two powers of two lies up to 6.1 % above 2^x, and
// kAbove steps less make the mean of what is stored the number itself (computed over all powers above 2^-6). Its error
// is 3.1 % (root of the mean square), where that of the nearest E4M3 number is 2.6 %. Both rows' totals and weighted
// sums are of what is stored. What would have less than half a step becomes 0: probabilities below 2^-15.
//
// Keys are attended to in tiles, the last ones first. A probability of 1 is a row's largest score in its first tile.
// Where a later tile has one that is larger than may be stored, whole steps are taken off, so that it is about 1; until
// then the row's sums need not fade. So the largest probability of all is up to 1.8, and it is stored up to 9 % off as
// any other is, and 11 % behind many steps, which half precision has fewer places for: log-sum-exps of rows that attend
// to one key alone are off by so much. Halves are whole numbers up to 1,024 more than their offset: where there are
// more steps than kMostExact, a probability of 1 becomes the tile's largest score.

namespace wander::quant::cuda {

inline constexpr float kE4m3Steps = 8;       // of a power of two: three bits of mantissa
inline constexpr float kE4m3Bias = 7;        // of the exponent
inline constexpr float kLog2Probability = 8; // a probability of 1 is stored as 2^8; the largest number is 448
inline constexpr float kAbove = 0.48F;
inline constexpr float kLargestStep = kE4m3Steps * (kE4m3Bias + kLog2Probability) - kAbove; // of a probability of 1
inline constexpr int kMostStep = 126;                                                       // the bits of 448
inline constexpr int kMostExact = 1000; // steps that halves have behind their offset, and some to spare
inline constexpr int kE4m3TileKeys = 128;

} // namespace wander::quant::cuda
