#pragma once
// Ctrl+C asks the trainer to finish its step and write everything. Any thread may ask whether it was pressed.

namespace wander::train {

// From now on SIGINT and SIGTERM only leave a note; a second SIGINT ends the program at once.
void catch_stop_signals();
bool stop_requested();

} // namespace wander::train
