#pragma once
// Starts the processes of a WorkerGroup: this program again, with the same words, and waits for them. POSIX.

#include "generator/plain/result.hpp"

#include <string>
#include <vector>

namespace wander::train {

// What a worker finds in its environment.
struct WorkerPlace {
    bool started = false; // by run_workers; else alone
    int rank = 0;
    int size = 1;
    int port = 0;       // of the store, on 127.0.0.1
    int listening = -1; // rank 0: the socket of that port, open already, so that nobody can take the port away
};

// Where this process stands.
WorkerPlace worker_place();

// Starts `count` processes of this program with these arguments (without the program's name); process i sees GPU i
// alone where one_gpu_each is set. Waits for all. Ctrl+C goes to all of them (they finish their step); once one fails,
// the others are ended. The exit code of the first that failed, else 0. Error: they cannot be started.
Result<int> run_workers(int count, const std::vector<std::string>& arguments, bool one_gpu_each);

} // namespace wander::train
