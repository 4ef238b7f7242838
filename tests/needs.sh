#!/usr/bin/env bash
# What the tests need beside Python packages: a PostgreSQL server, of which they start one of their own, dciodvfy, a
# validator of DICOM objects, and Chromium with npm, which fetches the viewer that is run in it. Installs Debian's packages where it may; otherwise one line each says what to install,
# and in CI that is a failure.
set -euo pipefail

server() {
    local places=("$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin)
    local place
    command -v initdb >/dev/null 2>&1 && return 0
    for place in "${places[@]}"; do
        [ -n "$place" ] && [ -x "$place/initdb" ] && return 0
    done
    return 1
}

validator() {
    command -v dciodvfy >/dev/null 2>&1
}

browser() {
    command -v chromium >/dev/null 2>&1
}

missing=()
server || missing+=(postgresql)
validator || missing+=(dicom3tools)
browser || missing+=(chromium)
command -v npm >/dev/null 2>&1 || missing+=(npm)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null || true
fi
status=0
if ! server; then
    echo "The catalogue's tests on PostgreSQL need its server: install Debian's package \`postgresql\` (or put initdb on PATH)." >&2
    status=1
fi
if ! validator; then
    echo "The tests of masked films against a validator need dciodvfy: install Debian's package \`dicom3tools\`." >&2
    status=1
fi
if ! browser || ! command -v npm >/dev/null 2>&1; then
    echo "The tests in a viewer need Debian's packages \`chromium\` and \`npm\` (or node's own npm)." >&2
    status=1
fi
[ -z "${CI:-}" ] || exit "$status"
