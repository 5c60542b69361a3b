# The pinned libraries that no distribution has: torch, the imgui-bundle sources, for GPUs the CUDA compiler, for tests the checkers.
# Sourced by the launcher after common.sh. They are kept in the user's cache folder, one folder each, shared by all clones.
# Sets torch_dir, imgui_dir and cuda_root (empty: none).

pip_command() {
    if python3 -m pip --version >/dev/null 2>&1; then
        pip=(python3 -m pip)
    else
        [ -x "$deps_dir/pip/bin/pip" ] || python3 -m venv "$deps_dir/pip" || die "python3 -m venv failed: install python3-venv"
        pip=("$deps_dir/pip/bin/pip")
    fi
}

# What to do where the download does not work; $1 is the list of pins.
download_failed() {
    die "could not download what tools/setup/pins/$1 lists (the message of pip is above)" \
        "without a network: run './wander fetch FOLDER' on another Linux machine, bring FOLDER here and run" \
        "    PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER ./wander"
}

# The Python 3.11 wheels for any recent Linux, whatever Python and system this is.
wheel_options() {
    local platform
    options=(--no-deps --no-cache-dir --only-binary=:all: --require-hashes --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none)
    for platform in manylinux_2_{28,27,26,25,24,18,17,12,5}_x86_64 manylinux{2014,2010,1}_x86_64; do options+=(--platform "$platform"); done
}

# unpack_wheels PINS FOLDER WHAT
unpack_wheels() {
    local pins=$1 folder=$deps_dir/$2 options
    [ -d "$folder" ] && return
    say "downloading $3"
    wheel_options
    rm -rf "$folder.part"
    "${pip[@]}" --disable-pip-version-check install "${options[@]}" --no-compile --root-user-action=ignore \
        --target "$folder.part" -r "$root/tools/setup/pins/$pins" >&2 || download_failed "$pins"
    mv "$folder.part" "$folder"
}

# imgui_archive FOLDER: the pinned source archive into FOLDER. Offline it is taken as it lies there, because pip wants a network to look into it.
imgui_archive() {
    local name=imgui_bundle-1.93.0.tar.gz pins=$root/tools/setup/pins/imgui-bundle.txt
    mkdir -p "$1"
    if [ -n "${PIP_FIND_LINKS:-}" ] && [ -f "$PIP_FIND_LINKS/$name" ]; then
        cp "$PIP_FIND_LINKS/$name" "$1/"
        echo "$(sed -n 's/.*sha256://p' "$pins")  $1/$name" | sha256sum --check --quiet >&2 || die "$PIP_FIND_LINKS/$name is not the archive that $pins names"
        return
    fi
    "${pip[@]}" --disable-pip-version-check download --no-deps --no-cache-dir --no-binary imgui-bundle --require-hashes -d "$1" -r "$pins" >&2 ||
        download_failed imgui-bundle.txt
}

download_imgui() {
    local folder=$deps_dir/imgui-bundle-1.93.0
    [ -d "$folder" ] && return
    say "downloading the sources of Dear ImGui, ImPlot and GLFW (54 MB, of which 13 MB are kept; takes half a minute)"
    rm -rf "$folder.part" "$folder.archive"
    imgui_archive "$folder.archive"
    python3 "$root/tools/setup/unpack_imgui.py" "$folder.archive"/imgui_bundle-1.93.0.tar.gz "$folder.part" >&2
    rm -rf "$folder.archive"
    mv "$folder.part" "$folder"
}

# fetch_all FOLDER: every pinned file, packed as it is, for a machine without a network. With a second word `cuda` also those for GPUs.
fetch_all() {
    local pins options lists=(torch-cpu checks)
    [ "${2:-}" = cuda ] && lists+=(torch-cuda cuda-compiler cudnn-frontend)
    pip_command
    wheel_options
    for pins in "${lists[@]}"; do
        "${pip[@]}" --disable-pip-version-check download "${options[@]}" -d "$1" -r "$root/tools/setup/pins/$pins.txt" >&2 || download_failed "$pins.txt"
    done
    imgui_archive "$1"
    say "fetched $(du -sh "$1" | cut -f1) into $1"
}

# The right torch in python3, or nothing.
python_torch() {
    python3 - <<'END' 2>/dev/null || true
import importlib.metadata, importlib.util, pathlib
if importlib.metadata.version("torch").split("+")[0] == "2.11.0":
    folder = pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0])
    if (folder / "include/torch/csrc/api/include/torch/torch.h").is_file():
        print(folder.parent)
END
}

find_torch() {
    torch_dir=${WANDER_TORCH_DIR:-$(python_torch)}
    [ -z "$torch_dir" ] || [ -f "$torch_dir/torch/lib/libtorch_cpu.so" ] || die "WANDER_TORCH_DIR=$torch_dir holds no torch/lib/libtorch_cpu.so"
    [ -z "$torch_dir" ] || return 0
    if has_gpu; then
        unpack_wheels torch-cuda.txt torch-2.11.0-cuda "libtorch 2.11.0 with CUDA 13 (2.3 GB, 4.5 GB on disk)"
        torch_dir=$deps_dir/torch-2.11.0-cuda
    else
        unpack_wheels torch-cpu.txt torch-2.11.0-cpu "libtorch 2.11.0 (545 MB, 1.3 GB on disk)"
        torch_dir=$deps_dir/torch-2.11.0-cpu
    fi
}

find_cuda() {
    cuda_root=${WANDER_CUDA_ROOT:-}
    [ -z "$cuda_root" ] || { [ -x "$cuda_root/bin/nvcc" ] || die "WANDER_CUDA_ROOT=$cuda_root holds no bin/nvcc"; return 0; }
    local nvcc
    for nvcc in "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc /usr/local/cuda-13*/bin/nvcc "$deps_dir/cuda-13.0/nvidia/cu13/bin/nvcc"; do
        [ -x "$nvcc" ] && "$nvcc" --version | grep -q 'release 13\.' || continue
        cuda_root=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
        return 0
    done
    has_gpu || return 0
    unpack_wheels cuda-compiler.txt cuda-13.0 "the CUDA 13.0 compiler (this machine has a GPU and no toolkit 13)"
    cuda_root=$deps_dir/cuda-13.0/nvidia/cu13
}

# Headers for FP8 attention, where a CUDA compiler and cuDNN's headers (they come with torch's CUDA libraries) are; else nothing.
find_cudnn_frontend() {
    local folder=$deps_dir/cudnn-frontend-1.32.0
    if [ -n "${WANDER_CUDNN_FRONTEND_DIR:-}" ]; then
        [ -f "$WANDER_CUDNN_FRONTEND_DIR/include/cudnn_frontend.h" ] || die "WANDER_CUDNN_FRONTEND_DIR=$WANDER_CUDNN_FRONTEND_DIR holds no include/cudnn_frontend.h"
        return 0
    fi
    [ -n "$cuda_root" ] && [ ! -d "$folder" ] && [ ! -f "$root/.travel/cudnn-frontend/include/cudnn_frontend.h" ] || return 0
    [ -f "$torch_dir/nvidia/cudnn/include/cudnn.h" ] || [ -f /usr/include/cudnn.h ] || [ -f "$cuda_root/include/cudnn.h" ] || return 0
    # Not worth failing for: the build then has every other kind of attention.
    (PIP_RETRIES=1 unpack_wheels cudnn-frontend.txt cudnn-frontend-1.32.0 "the headers of cudnn-frontend 1.32.0 (12 MB)") ||
        { say "building without FP8 attention"; return 0; }
    rm -rf "$folder/cudnn" # the Python part
}

find_imgui() {
    imgui_dir=${WANDER_IMGUI_BUNDLE:-}
    [ -z "$imgui_dir" ] || { [ -f "$imgui_dir/imgui/imgui.cpp" ] || die "WANDER_IMGUI_BUNDLE=$imgui_dir holds no imgui/imgui.cpp"; return 0; }
    [ "$with_window" = ON ] || return 0
    if [ -f "$root/.travel/imgui-bundle/imgui/imgui.cpp" ]; then
        imgui_dir=$root/.travel/imgui-bundle
    else
        download_imgui
        imgui_dir=$deps_dir/imgui-bundle-1.93.0
    fi
}

install_downloads() {
    mkdir -p "$deps_dir"
    # Two clones that set up at the same time take turns.
    exec 9>"$deps_dir/.lock"
    flock -n 9 || { say "another set-up is at work; waiting for it"; flock 9; }
    pip_command
    find_torch
    find_imgui
    find_cuda
    find_cudnn_frontend
    if [ "$1" = test ]; then
        unpack_wheels checks.txt checks-23.1.4 "clang-format and clang-tidy 23.1.4 (for the tests)"
    fi
    exec 9>&-
}
