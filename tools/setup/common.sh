# Shared by the launcher's parts: messages, places, facts about the machine. Sourced, never run; needs $root.
deps_dir=${XDG_CACHE_HOME:-$HOME/.cache}/wander/deps

# Messages go to the error output: the standard output belongs to the program.
say() { printf 'wander: %s\n' "$*" >&2; }
die() {
    printf 'wander: %s\n' "$@" >&2
    exit 1
}

has_gpu() { [ -e /dev/nvidia0 ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }; }

# One job a core, but no more than 2 GB of memory allow each (files with torch take about that much).
build_jobs() {
    local cores memory_gb
    cores=$(nproc)
    memory_gb=$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
    [ "$memory_gb" -ge 1 ] || memory_gb=1
    echo $((cores < memory_gb ? cores : memory_gb))
}
