#!/usr/bin/env bash
# The launcher's package logic on made-up tables, with a stand-in for apt-get: launcher_test.sh ROOT.
set -euo pipefail
real_root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A root of its own with the real scripts and the table given on the standard input; programs named by the stand-in land in $work/bin.
prepare() {
    rm -rf "$work/root" "$work/bin"
    mkdir -p "$work/root/tools/setup" "$work/bin"
    cp "$real_root"/tools/setup/*.sh "$work/root/tools/setup/"
    cat >"$work/root/tools/setup/packages.txt"
}

# apt_get BODY: what the stand-in does with its arguments.
apt_get() {
    printf '#!/bin/bash\n%s\n' "$1" >"$work/bin/apt-get"
    chmod +x "$work/bin/apt-get"
}

# run GROUP: install_packages in a shell of its own; prints what it decided.
run() {
    PATH=$work/bin:$PATH root=$work/root bash -c '
        set -euo pipefail
        id() { echo 0; } # as administrator, so that sudo is not asked
        source "$root/tools/setup/common.sh"
        source "$root/tools/setup/packages.sh"
        install_packages "$0"
        echo "window=$with_window recording=$with_recording"' "$1" 2>"$work/messages"
}

expect() {
    [[ $1 == *"$2"* ]] || { echo "expected '$2' in: $1" >&2; cat "$work/messages" >&2; exit 1; }
}

# 1. Everything present: apt-get is never called.
prepare <<<'build|cmd:bash|bash|bash|a shell'
apt_get 'echo called >>"$0.calls"'
expect "$(run run)" "window=ON recording=ON"
[ ! -e "$work/bin/apt-get.calls" ] || { echo "apt-get was called although nothing was missing" >&2; exit 1; }

# 2. Something missing, apt-get works: installed by its own name, once, with the reason said.
prepare <<<'build|cmd:wander-test-tool|tool-package|tool-package|a tool for the test'
apt_get 'echo "$*" >>"$0.calls"; case "$*" in *install*tool-package*) printf "#!/bin/bash\n" >"${0%/*}/wander-test-tool"; chmod +x "${0%/*}/wander-test-tool" ;; esac'
expect "$(run run)" "window=ON recording=ON"
expect "$(cat "$work/messages")" "a tool for the test"
expect "$(cat "$work/bin/apt-get.calls")" "install -y --no-install-recommends tool-package"

# 3. No package source: the window is left out and that is said; a missing compiler is an error that names its package.
prepare <<<'window|cmd:wander-no-glslc|glslc-package|glslc-package|shaders'
apt_get 'exit 100'
expect "$(run run)" "window=OFF recording=ON"
expect "$(cat "$work/messages")" "building without the window"
prepare <<<'build|cmd:wander-no-compiler|compiler-package|compiler-package|compiler'
apt_get 'exit 100'
if run run >/dev/null; then
    echo "a missing compiler was accepted" >&2
    exit 1
fi
expect "$(cat "$work/messages")" "apt-get install compiler-package"

# 4. Test packages are asked for only by ./wander test.
prepare <<<'test|cmd:wander-no-tool|test-package|test-package|tests'
apt_get 'echo "$*" >>"$0.calls"'
run run >/dev/null
[ ! -e "$work/bin/apt-get.calls" ] || { echo "./wander run asked for test packages" >&2; exit 1; }
run test >/dev/null || true
expect "$(cat "$work/bin/apt-get.calls")" "test-package"
echo "launcher: package logic as expected"
