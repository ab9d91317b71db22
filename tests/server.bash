# server.bash - for tests that need a server: `load server`, then server_open in setup, server_close in teardown.
# shellcheck shell=bash

# No proxy between, and no server yet; in the test's own directory.
server_open() {
    unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
    : >pids
}

server_close() {
    while read -r pid; do
        kill "$pid" 2>/dev/null || :
    done <"$BATS_TEST_TMPDIR/pids"
}

# server [PLAN [MODEL]]: start one (tests/faulty_server.c); sets URL. Its requests are in port.log.
server() {
    rm -f port
    : >port.log
    "$BUILD/tests/faulty_server" port "$@" 3>&- &
    echo $! >>pids
    while [ ! -e port ]; do sleep 0.01; done
    URL="http://127.0.0.1:$(cat port)/v1"
}
