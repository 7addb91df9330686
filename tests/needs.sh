# What the scripts of the tests need, and how they get it: sourced by them.

say() { printf '==> %s\n' "$*"; }

fail() {
    say "$@" >&2
    exit 1
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() {
    say "installing $*"
    as_root apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@"
}

need_rust() {
    command -v cargo >/dev/null || PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null || fail "there is no cargo: install Rust with rustup, and open a new shell"
}

need_c_compiler() {
    command -v cc >/dev/null && return
    may_install && install build-essential ||
        fail "there is no C compiler, which SQLite and TLS are built with: install build-essential"
}
