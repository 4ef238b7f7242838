#!/usr/bin/env bash
# What the tests need beside Python packages: a PostgreSQL server, of which they start one of their own.
# Installs Debian's package where it may; otherwise one line says what to install, and in CI that is a failure.
set -euo pipefail

found() {
    local places=("$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin)
    local place
    command -v initdb >/dev/null 2>&1 && return 0
    for place in "${places[@]}"; do
        [ -n "$place" ] && [ -x "$place/initdb" ] && return 0
    done
    return 1
}

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; } >/dev/null || true
    found && exit 0
fi
echo "The catalogue's tests on PostgreSQL need its server: install Debian's package \`postgresql\` (or put initdb on PATH)." >&2
[ -z "${CI:-}" ]
