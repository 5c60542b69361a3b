#!/usr/bin/env bash
# Builds and runs unit tests under a sanitizer: sanitize.sh address|thread [all] [ctest words].
# Without `all` only the parts without torch: they build in a minute and know no false alarms. `all` is for the address sanitizer: it adds
# the tests that use torch, whose own memory is not watched.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$root/tools/setup/common.sh"
case "${1:-}" in
    address) preset=asan ;;
    thread) preset=tsan ;;
    *) die "use: tools/sanitize.sh address|thread [all] [ctest words]" ;;
esac
shift
build=$root/build/$preset
mkdir -p "$build"
(cd "$root" && cmake --preset "$preset" >"$build/configure.log" 2>&1) || die "configuring failed (was ./wander test ever run here?):" "$(tail -n 20 "$build/configure.log")"

if [ "${1:-}" = all ]; then
    shift
    targets=$(ninja -C "$build" -t targets all | sed -n 's/^\(wander_[a-z_]*_tests\): phony$/\1/p' | grep -v _gpu_)
    choice=(-LE '^(gpu|check|e2e)$')
else
    targets=$(ninja -C "$build" -t targets all | sed -n 's/^\(wander_[a-z_]*_plain_tests\): phony$/\1/p')
    choice=(-L '^plain$')
fi
[ -n "$targets" ] || die "no test program to build"
# shellcheck disable=SC2086  # one word a target
ninja -C "$build" -j "$(build_jobs)" $targets

# What libraries of others keep until the end is no leak of ours.
export LSAN_OPTIONS="suppressions=$root/tools/leaks_of_others.txt:print_suppressions=0"
export ASAN_OPTIONS=detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" "${choice[@]}" "$@"
