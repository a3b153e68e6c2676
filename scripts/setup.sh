#!/bin/sh
# Installs what a command of this project needs and is not there yet: npm packages (with the pinned Node.js) and
# Debian packages; then makes the bundle that bin/slipway runs. As root it installs them; otherwise it prints the line to run and stops.
# Usage: scripts/setup.sh run|demo|test
set -eu
cd "$(dirname -- "$0")/.."

# program:package, for each thing the command calls
run_needs='runc:runc xz:xz-utils bzip2:bzip2'
demo_needs="$run_needs mmdebstrap:mmdebstrap dockerd:docker.io docker:docker.io"
test_needs="$demo_needs podman:podman skopeo:skopeo buildah:buildah umoci:umoci crun:crun newuidmap:uidmap
  docker-registry:docker-registry containerd:containerd ctr:containerd zstd:zstd setcap:libcap2-bin setfattr:attr
  git:git ssh-agent:openssh-client unshare:util-linux nsenter:util-linux curl:curl
  docker-compose:docker-compose systemd-analyze:systemd openssl:openssl pasta:passt slirp4netns:slirp4netns"
test_files='/bin/busybox:busybox-static /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring'
demo_files='/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring'

case ${1:-} in
  run) needs=$run_needs files='' ;;
  demo) needs=$demo_needs files=$demo_files ;;
  test) needs=$test_needs files=$test_files ;;
  *) echo 'usage: scripts/setup.sh run|demo|test' >&2; exit 2 ;;
esac

install_npm_packages() {
  if [ package-lock.json -nt node_modules/.package-lock.json ] || ! bin/node --version >/dev/null 2>&1; then
    echo 'setup: installing npm packages' >&2
    npm ci --no-fund --no-audit --loglevel=error >&2
    touch node_modules/.package-lock.json
  fi
}

# Programs such as dockerd lie in /usr/sbin, which an ordinary user's PATH may lack.
missing_packages() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  for need in $needs; do command -v "${need%%:*}" >/dev/null 2>&1 || echo "${need#*:}"; done
  for file in $files; do [ -e "${file%%:*}" ] || echo "${file#*:}"; done
}

install_system_packages() {
  packages=$(missing_packages | sort -u | tr '\n' ' ')
  [ -n "$packages" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: these programs are missing; install them with your system's package manager: $packages" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo 'setup: system packages are missing. Run this line, then start again:' >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" >&2
    exit 1
  fi
  echo "setup: installing $packages" >&2
  log=$(mktemp)
  # The output of apt is shown only when it fails.
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages; } >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    echo "setup: apt-get could not install $packages (whole log: $log)" >&2
    exit 1
  fi
  rm -f "$log"
}

# Without it the program runs from its sources, slower.
make_bundle() {
  bin/node scripts/bundle.mjs || echo 'setup: the bundle could not be made: slipway runs from its sources' >&2
}

install_npm_packages
make_bundle
# To serve needs no system package: only a RUN does, and a build says so itself.
[ "$1" = run ] || install_system_packages
