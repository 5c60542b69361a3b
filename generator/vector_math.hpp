#pragma once
// Makes torch's elementwise functions on the CPU give the same bits from their first call on.

namespace wander {

// MKL (2024.2, in torch 2.11) looks up the kernel of each of its vector functions at that function's first call. Where
// torch's threads make it together, one of them may compute its share by a kernel of low accuracy, off by 1e-5, and a
// walk is another one than last time (pytorch/pytorch#188792). A call with one value each, before any other thread
// computes, is enough. Any thread; once a process, later calls do nothing.
void settle_vector_math();

} // namespace wander
