#!/usr/bin/env bash
# Builds and runs unit tests under a sanitizer: sanitize.sh address|thread [PROGRAM...].
# Without names: every test program that needs no torch. Those build in a minute and know no false alarms; torch's own memory and threads
# are not watched, so name programs with torch (wander_generator_tests ...) for the address sanitizer only.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$root/tools/setup/common.sh"
case "${1:-}" in
    address) preset=asan ;;
    thread) preset=tsan ;;
    *) die "use: tools/sanitize.sh address|thread [PROGRAM...]" ;;
esac
shift
build=$root/build/$preset
mkdir -p "$build"
(cd "$root" && cmake --preset "$preset" >"$build/configure.log" 2>&1) || die "configuring failed (was ./wander test ever run here?):" "$(tail -n 20 "$build/configure.log")"

programs=("$@")
if [ ${#programs[@]} = 0 ]; then
    mapfile -t programs < <(ninja -C "$build" -t targets all | sed -nE 's/^(wander_([a-z_]*_plain|video|parity_qvg)_tests): phony$/\1/p')
fi
[ ${#programs[@]} -gt 0 ] || die "no test program to build"
ninja -C "$build" -j "$(build_jobs)" "${programs[@]}"

# What libraries of others keep until the end is no leak of ours.
export LSAN_OPTIONS="suppressions=$root/tools/leaks_of_others.txt:print_suppressions=0"
export ASAN_OPTIONS=detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
failed=()
cd "$root"
for program in "${programs[@]}"; do
    "$build/bin/$program" --gtest_brief=1 || failed+=("$program")
done
[ ${#failed[@]} = 0 ] || die "$preset: failed: ${failed[*]}"
say "$preset: ${#programs[@]} programs without findings: ${programs[*]}"
