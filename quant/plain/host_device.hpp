#pragma once
// Marks small functions that kernels use too.

#if defined(__CUDACC__)
#define WANDER_HOST_DEVICE __host__ __device__
#else
#define WANDER_HOST_DEVICE
#endif
