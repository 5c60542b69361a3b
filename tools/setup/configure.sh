# Configures the build with what packages.sh and downloads.sh found. Sourced by the launcher.
configure() {
    local with_tests=OFF
    if [ "$1" = test ] || grep -qs '^WANDER_WITH_TESTS:BOOL=ON' "$build/CMakeCache.txt"; then with_tests=ON; fi
    say "configuring"
    mkdir -p "$build"
    (cd "$root" && cmake --preset release -DWANDER_WITH_TESTS=$with_tests -DWANDER_WITH_BENCH=$with_tests -DWANDER_WITH_FUZZ=$with_tests \
        -DWANDER_WITH_WINDOW="$with_window" -DWANDER_WITH_RECORDING="$with_recording" \
        -DWANDER_TORCH_DIR="$torch_dir" -DWANDER_IMGUI_BUNDLE="$imgui_dir" -DWANDER_CUDA_ROOT="$cuda_root" >"$build/configure.log" 2>&1) ||
        die "configuring failed:" "$(tail -n 25 "$build/configure.log")"
    { echo "$torch_dir"; [ -z "$imgui_dir" ] || echo "$imgui_dir"; [ -z "$cuda_root" ] || echo "$cuda_root"; } >"$build/.setup-paths"
}
