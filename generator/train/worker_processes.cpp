#include "generator/train/worker_processes.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wander::train {

namespace {

constexpr const char* kPlaceVariable = "WANDER_WORKER"; // "rank size port listening"

volatile std::sig_atomic_t asked_to_stop = 0;
void note_stop(int signal) { asked_to_stop = signal; }

struct Listening {
    int socket = -1;
    int port = 0;
};

Result<Listening> listen_somewhere() {
    Listening listening;
    listening.socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (listening.socket < 0 || ::bind(listening.socket, generic, size) != 0 || ::listen(listening.socket, 64) != 0 ||
        ::getsockname(listening.socket, generic, &size) != 0)
        return Error{ErrorCode::unavailable,
                     fmt::format("no port on 127.0.0.1 for the training processes: {}", std::strerror(errno))};
    listening.port = ntohs(address.sin_port);
    return listening;
}

// The device that CUDA_VISIBLE_DEVICES names at this place, or the place itself.
std::string visible_gpu(int place) {
    const char* given = std::getenv("CUDA_VISIBLE_DEVICES");
    if (!given || !*given) return std::to_string(place);
    std::string list = given;
    for (int i = 0; i < place; ++i) {
        const auto comma = list.find(',');
        if (comma == std::string::npos) return "-1"; // fewer are visible: the process will say that it has none
        list.erase(0, comma + 1);
    }
    return list.substr(0, list.find(','));
}

[[noreturn]] void become_worker(const WorkerPlace& place, const std::vector<std::string>& arguments, bool one_gpu_each,
                                pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody trains on without its parent
    if (::getppid() != parent) ::_exit(1);
    ::setenv(kPlaceVariable, fmt::format("{} {} {} {}", place.rank, place.size, place.port, place.listening).c_str(),
             1);
    if (one_gpu_each) ::setenv("CUDA_VISIBLE_DEVICES", visible_gpu(place.rank).c_str(), 1);
    std::vector<std::string> words{"wander"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
}

int code_of(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status))
        return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return fmt::format("ended with {}", WEXITSTATUS(status));
}

} // namespace

WorkerPlace worker_place() {
    WorkerPlace place;
    const char* text = std::getenv(kPlaceVariable);
    if (!text) return place;
    WorkerPlace named;
    std::istringstream words(text);
    named.started = static_cast<bool>(words >> named.rank >> named.size >> named.port >> named.listening);
    return named.started ? named : place;
}

Result<int> run_workers(int count, const std::vector<std::string>& arguments, bool one_gpu_each) {
    const auto listening = listen_somewhere();
    if (!listening) return listening.error();
    const pid_t self = ::getpid();
    // A terminal sends Ctrl+C to all processes; this one waits for the others to finish their step.
    struct sigaction stop{};
    stop.sa_handler = note_stop; // no SA_RESTART: waitpid shall return
    ::sigaction(SIGINT, &stop, nullptr);
    ::sigaction(SIGTERM, &stop, nullptr);
    std::signal(SIGCHLD, SIG_DFL); // who started this program may have had it ignored: then nobody is waited for
    std::vector<pid_t> workers;
    const auto end_all = [&](int signal) {
        for (const pid_t worker : workers) {
            if (worker > 0) ::kill(worker, signal);
        }
    };
    for (int rank = 0; rank < count; ++rank) {
        const pid_t worker = ::fork();
        if (worker < 0) {
            const std::string why = std::strerror(errno);
            end_all(SIGKILL);
            return Error{ErrorCode::unavailable, fmt::format("process {} cannot be started: {}", rank, why)};
        }
        if (worker == 0) {
            if (rank != 0) ::close(listening->socket);
            become_worker({true, rank, count, listening->port, rank == 0 ? listening->socket : -1}, arguments,
                          one_gpu_each, self);
        }
        workers.push_back(worker);
    }
    ::close(listening->socket);

    int code = 0;
    int left = count;
    while (left > 0) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended < 0) {
            if (errno != EINTR) break;
            // SIGTERM reached this process alone.
            if (asked_to_stop == SIGTERM) end_all(SIGTERM);
            asked_to_stop = 0;
            continue;
        }
        for (std::size_t rank = 0; rank < workers.size(); ++rank) {
            if (workers[rank] != ended) continue;
            workers[rank] = -1;
            --left;
            if (code != 0 || status == 0) continue;
            code = code_of(status);
            if (left > 0)
                std::fprintf(stderr, "wander: training process %zu of %d %s; the others are stopped\n", rank, count,
                             how_it_ended(status).c_str());
            end_all(SIGKILL); // they wait for the lost one and would not hear anything else
        }
    }
    return code;
}

} // namespace wander::train
