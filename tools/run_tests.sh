#!/usr/bin/env bash
# Runs every test of a build folder on an own invisible screen with software Vulkan: run_tests.sh BUILD [ctest words].
# Tests labelled gpu run only where an NVIDIA GPU is. ctest's closing lines stay the last ones.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$root/tools/setup/common.sh"
build=$1
shift

scratch=$(mktemp -d)
screen=
cleanup() {
    [ -z "$screen" ] || { kill "$screen" 2>/dev/null && wait "$screen" 2>/dev/null; } || true
    rm -rf "$scratch"
}
trap cleanup EXIT

if command -v Xvfb >/dev/null; then
    # -displayfd: the server itself finds a free number, so that several runs can share a machine.
    mkfifo "$scratch/display"
    Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp -noreset 3>"$scratch/display" >"$scratch/xvfb.log" 2>&1 &
    screen=$!
    read -r -t 20 number <"$scratch/display" || die "Xvfb did not start: $(tail -n 3 "$scratch/xvfb.log")"
    export DISPLAY=:$number
    unset WAYLAND_DISPLAY
fi
for icd in /usr/share/vulkan/icd.d/lvp_icd*.json; do
    [ -e "$icd" ] && export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
done
# Settings and recordings of tests never touch the user's own.
export XDG_CONFIG_HOME=$scratch/config XDG_STATE_HOME=$scratch/state XDG_VIDEOS_DIR=$scratch/videos XDG_PICTURES_DIR=$scratch/pictures
export XDG_RUNTIME_DIR=$scratch/runtime WANDER_DEPS_DIR=$deps_dir
mkdir -p "$XDG_CONFIG_HOME" "$XDG_STATE_HOME" "$XDG_VIDEOS_DIR" "$XDG_PICTURES_DIR" "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"

# Threads that wait sleep: tests run beside each other, and those that spin at every barrier of a matrix product take the others' cores
# (a walk that takes 6 s took 170 s on two cores with other work). The number of threads, and so every result, stays what it is.
export OMP_WAIT_POLICY=passive

without=()
has_gpu || without=(-LE '^gpu$')
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" "${without[@]}" "$@" || status=$?
exit $status
