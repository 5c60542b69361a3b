#pragma once
// How long this process has been running.

namespace wander {

// Milliseconds since the kernel started the process (10 ms steps), so that loading libraries counts. A launcher that
// turned into this program after building it started long before: then the time counts from the first call, which main
// makes at once.
double process_age_ms();

} // namespace wander
