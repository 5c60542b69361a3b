#!/usr/bin/env bash
# Gathers into one folder what a machine without a package source needs to run and to build Wander: pack.sh BUILD FOLDER.
#   include/ googletest/ imgui-bundle/ cudnn-frontend/ shaders/   found by the build there (cmake/wander_dependencies.cmake)
#   run/                                          programs of BUILD, the system libraries they need, and `with-libs`, which starts them
# torch and the CUDA libraries are not copied: they are large, and the other machine has those that fit its driver.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
source "$root/tools/setup/common.sh"
build=$1
folder=$2

fresh=$folder.part
rm -rf "$fresh"
mkdir -p "$fresh"/{include,shaders,run/bin,run/lib}

for header in nlohmann CLI fmt stb vulkan vk_video gtest gmock; do
    if [ -d "/usr/include/$header" ]; then cp -rL "/usr/include/$header" "$fresh/include/"; fi
done
if [ -d /usr/src/googletest ]; then cp -rL /usr/src/googletest "$fresh/googletest" && rm -rf "$fresh"/googletest/*/{test,docs,samples} "$fresh"/googletest/docs; fi
for bundle in "${WANDER_IMGUI_BUNDLE:-}" "$deps_dir/imgui-bundle-1.93.0"; do
    [ -f "$bundle/imgui/imgui.cpp" ] || continue
    mkdir "$fresh/imgui-bundle" && cp -r "$bundle"/{imgui,implot,glfw,portable_file_dialogs} "$fresh/imgui-bundle/"
    rm -f "$fresh"/imgui-bundle/imgui/imgui_demo.cpp.orig
    break
done
for frontend in "${WANDER_CUDNN_FRONTEND_DIR:-}" "$deps_dir/cudnn-frontend-1.32.0"; do
    [ -f "$frontend/include/cudnn_frontend.h" ] || continue
    mkdir "$fresh/cudnn-frontend" && cp -r "$frontend/include" "$fresh/cudnn-frontend/"
    break
done
find "$build/shaders" -name '*.spv.hpp' -exec cp {} "$fresh/shaders/" \; 2>/dev/null || true

# Programs, without debugging symbols, and every shared library that is neither torch's, NVIDIA's nor the C and C++ runtime.
for program in "$build"/bin/*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    strip -o "$fresh/run/bin/${program##*/}" "$program"
    ldd "$program" | awk '$3 ~ /^\// {print $3}'
done | sort -u | while read -r library; do
    case "$library" in
        */torch/lib/* | */nvidia/*) continue ;;
    esac
    case "${library##*/}" in
        libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libstdc++.so.* | libgcc_s.so.* | ld-linux*) continue ;;
    esac
    cp -L "$library" "$fresh/run/lib/"
done

cat >"$fresh/run/with-libs" <<'END'
#!/usr/bin/env bash
# Starts a program with the libraries beside it and this machine's torch: with-libs bin/wander --headless ...
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
torch=${WANDER_TORCH_DIR:-$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0]).parent)')}
export LD_LIBRARY_PATH=$torch/torch/lib:$(printf '%s:' "$torch"/nvidia/*/lib)$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
program=$1
shift
[ -x "$program" ] || program=$here/$program
exec "$program" "$@"
END
chmod +x "$fresh/run/with-libs"
rm -rf "$folder"
mv "$fresh" "$folder"
say "packed $(du -sh "$folder" | cut -f1) into $folder"
