#!/bin/sh
# Make sure that there is a Chromium for the tests in a real browser: $CHROMIUM, or one on PATH.
# Where there is none and apt-get may be used without asking, it is installed.

found() {
    if [ -n "${CHROMIUM:-}" ]; then
        command -v "$CHROMIUM" >/dev/null
        return
    fi
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

found && exit 0
if command -v apt-get >/dev/null; then
    [ "$(id -u)" = 0 ] && as='' || as='sudo -n'
    if $as true 2>/dev/null; then
        echo "Installing Chromium with apt-get"
        log=$(mktemp)
        # shellcheck disable=SC2086
        $as apt-get update >"$log" 2>&1 && $as env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends chromium >>"$log" 2>&1 || tail -n 20 "$log" >&2
        rm -f "$log"
        found && exit 0
    fi
fi
echo "The tests need Chromium or Google Chrome: install one, or say where it is with CHROMIUM=PATH." >&2
exit 1
