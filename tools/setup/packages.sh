# Distribution packages: finds out what is missing by looking (never by asking the package manager first), then installs just that.
# Sourced by the launcher after common.sh. Sets with_window and with_recording to ON or OFF.

# have_package PROBE: see the head of packages.txt.
have_package() {
    local what=${1#*:} dir file
    case "$1" in
        cmd:*) command -v "$what" >/dev/null ;;
        pc:*) command -v pkg-config >/dev/null && pkg-config --exists "$what" ;;
        py:venv) python3 -m pip --version >/dev/null 2>&1 || python3 -c 'import venv, ensurepip' 2>/dev/null ;;
        py:*) /usr/bin/python3 -c "import $what" 2>/dev/null ;;
        hdr:*)
            for dir in /usr/include /usr/include/x86_64-linux-gnu /usr/local/include "$root"/.travel/include "$root"/.travel/googletest/*/include; do
                [ -e "$dir/$what" ] && return
            done
            return 1
            ;;
        any:*)
            for file in $what; do [ -e "$file" ] && return; done
            return 1
            ;;
    esac
}

# missing_packages GROUP...: lines "package|why" for what the probes do not find.
missing_packages() {
    local groups=" $* " group probe debian ubuntu why id=debian
    . /etc/os-release 2>/dev/null && id=${ID:-debian}
    while IFS='|' read -r group probe debian ubuntu why; do
        case "$group" in '' | '#'*) continue ;; esac
        [[ $groups == *" $group "* ]] || continue
        have_package "$probe" && continue
        [ "$id" = ubuntu ] && echo "$ubuntu|$why" || echo "$debian|$why"
    done <"$root/tools/setup/packages.txt" | sort -u
}

as_admin() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# apt_install PACKAGE...: false when it cannot be done here.
apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || return 1
        sudo -n true 2>/dev/null || { [ -t 0 ] && say "the system asks for your password to install these packages"; } || return 1
    fi
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 -q=2)
    say "reading the package lists"
    as_admin "${apt[@]}" update >&2 || say "the package lists could not be renewed; trying with the ones that are here"
    say "installing"
    as_admin "${apt[@]}" install -y --no-install-recommends "$@" >&2
}

# install_group REQUIRED GROUP...: REQUIRED is yes or no; false when packages of an optional group stay missing.
install_group() {
    local required=$1 missing packages
    shift
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    mapfile -t packages < <(printf '%s\n' "$missing" | cut -d'|' -f1 | sort -u)
    say "missing from this system:"
    printf '%s\n' "$missing" | awk -F'|' '{printf "    %-24s %s\n", $1, $2}' >&2
    apt_install "${packages[@]}" && missing=$(missing_packages "$@") && [ -z "$missing" ] && return 0
    missing=$(missing_packages "$@")
    mapfile -t packages < <(printf '%s\n' "$missing" | cut -d'|' -f1 | sort -u)
    [ "$required" = no ] && return 1
    die "these packages are needed and could not be installed here: ${packages[*]}" \
        "install them (as administrator: apt-get install ${packages[*]}) and run this again"
}

install_packages() {
    with_window=ON
    with_recording=ON
    local groups=(build comfort window recording)
    [ "$1" = test ] && groups+=(test)
    # All at once where that works: one look at the package lists, one password.
    install_group no "${groups[@]}" && return
    install_group yes build
    missing_packages window | grep -q . && { with_window=OFF; say "building without the window (packages above are missing): only --headless will work"; }
    missing_packages recording | grep -q . && { with_recording=OFF; say "building without recording (packages above are missing): no MP4 files"; }
    [ "$1" = test ] && missing_packages test | grep -q . && say "test tools are missing (above): the tests that need them will fail or be skipped"
    return 0
}
