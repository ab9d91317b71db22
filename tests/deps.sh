#!/bin/sh
# deps.sh INSTALL PACKAGE... - install the packages that are missing (INSTALL=1), or list them (0).
set -eu
install=$1
shift
command -v dpkg-query >/dev/null || {
	echo "deps: no dpkg here; install by hand: $*" >&2
	exit 0
}
missing=
for p; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$install" = 0 ]; then
	echo "missing packages:$missing"
	exit 0
fi
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: not root and no sudo; install by hand: apt-get install$missing" >&2
		exit 1
	}
	sudo=sudo
fi
run() {
	echo "+ $*"
	"$@" >/dev/null
}
export DEBIAN_FRONTEND=noninteractive
run $sudo apt-get update -q
# shellcheck disable=SC2086 # a list of package names
run $sudo apt-get install -qy --no-install-recommends $missing
