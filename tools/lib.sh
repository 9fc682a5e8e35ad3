# Functions that tools/run and tools/test share; sourced, with ROOT set to the project's root.
# shellcheck shell=bash

# g++ for the archive of snappy's C++ library.
BUILD_PACKAGES=(gcc g++ libc6-dev meson ninja-build pkg-config python3 libev-dev libxxhash-dev zlib1g-dev
  liblz4-dev libzstd-dev libsnappy-dev libpcre2-dev)

say() { printf '%s\n' "$*" >&2; }

# Installs those of the named Debian packages that are missing; asks apt for nothing when all are there.
install_packages() {
  local package missing=() sudo=()
  [ $# -gt 0 ] || return 0
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || { say "Please install these packages, or what they are called here: ${missing[*]}"; return 1; }
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "Please install as root: ${missing[*]}"; return 1; }
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -q >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# Installs the packages of those commands, given as COMMAND:PACKAGE, that are not there from elsewhere.
install_commands() {
  local each missing=()
  for each in "$@"; do
    command -v "${each%%:*}" >/dev/null || missing+=("${each#*:}")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# build_tree DIR [meson options]: configures DIR (once more, so that new files are seen) and builds the broker there.
build_tree() {
  local dir=$1
  shift
  if [ -f "$dir/build.ninja" ]; then
    meson setup --reconfigure "$dir" "$ROOT" "$@" >"$dir/setup.log" 2>&1 || { cat "$dir/setup.log" >&2; return 1; }
  else
    mkdir -p "$dir"
    meson setup "$dir" "$ROOT" "$@" >"$dir/setup.log" 2>&1 || { cat "$dir/setup.log" >&2; return 1; }
  fi
  [ -e "$dir/odradek" ] || ln -sf broker/odradek "$dir/odradek"
  ninja -C "$dir" broker/odradek >"$dir/build.log" 2>&1 || { cat "$dir/build.log" >&2; return 1; }
}

build_release() { build_tree "$ROOT/build" --buildtype=release -Dprefer_static=true; }
build_debug() { build_tree "$ROOT/build-debug" --buildtype=debug; }
build_sanitized() { build_tree "$ROOT/build-asan" --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined; }
