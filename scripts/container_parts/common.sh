# shellcheck shell=bash
# shellcheck disable=SC2154  # work and root are those of scripts/container-test
# common.sh: what the parts of scripts/container-test share; sourced by it.
#
# Image storage, networks and the runtime's settings are this run's own (files in $work, named by
# the variables that podman, buildah and podman-compose read), so `-a` means what this run made.

# The limits are said outright: without, the runtime asks for more than this machine may give.
write_settings() {
  cat >"$work/containers.conf" <<CONF
[network]
network_backend = "netavark"
network_config_dir = "$work/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=10240:10240", "nproc=4096:4096"]
CONF
  cat >"$work/storage.conf" <<CONF
[storage]
driver = "vfs"
graphroot = "$work/storage"
runroot = "$work/run"
CONF
  export CONTAINERS_CONF="$work/containers.conf" CONTAINERS_STORAGE_CONF="$work/storage.conf"
}

remove_all() {
  podman pod rm -a -f -t 5 || true
  podman rm -a -f -t 5 || true
  podman volume rm -a -f || true
  podman network prune -f || true
}

check() {
  local what=$1
  shift
  if ! "$@" >"$work/said" 2>&1; then
    printf 'container-test: %s:\n' "$what" >&2
    cat "$work/said" >&2
    exit 1
  fi
  passed=$((passed + 1))
  printf '  %s\n' "$what"
}

# A Debian with the server of this machine, as the image localhost/base.
make_base() {
  local codename library
  codename=$(codename_here)
  debootstrap --variant=minbase "$codename" "$work/base" "$(mirror_of "$codename")" \
    >"$work/debootstrap.log"
  cp -L "$(command -v valkey-server)" "$(command -v valkey-cli)" "$work/base/usr/bin/"
  for library in $(ldd "$(command -v valkey-server)" "$(command -v valkey-cli)" |
    grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
    if [ ! -e "$work/base$library" ]; then
      mkdir -p "$work/base$(dirname "$library")"
      cp -L "$library" "$work/base$library"
    fi
  done
  tar -C "$work/base" -c . | podman import -q - localhost/base >/dev/null
}

free_port() {
  /usr/bin/python3 -c '
import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}

# await <seconds> <command...>: until it succeeds.
await() {
  local tries=$(($1 * 5))
  shift
  for _ in $(seq "$tries"); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  "$@"
}

await_health() {
  await 30 podman healthcheck run "$1" || {
    podman logs "$1"
    return 1
  }
}

# field <container> <INFO flash field>
field() {
  podman exec "$1" valkey-cli INFO flash | tr -d '\r' | sed -n "s/^flash_$2://p"
}

# status <container> <field of /proc/1/status>: of the server, which is the first process there.
status() {
  podman exec "$1" sed -n "s/^$2:[[:space:]]*//p" /proc/1/status | awk '{print $1}'
}

# equal <wanted> <command...>: that the command prints it.
equal() {
  local wanted=$1 said
  shift
  said=$("$@") || return 1
  [ "$said" = "$wanted" ] || {
    printf 'wanted %s, found %s\n' "$wanted" "$said"
    return 1
  }
}

# A value that compresses little, put, sent to the drive and read back by `cli <arguments...>`.
put_and_get() {
  local value
  value=$(head -c 3000 /dev/urandom | base64 -w 0)
  "$@" FLASH.SET key "$value" >/dev/null
  "$@" FLASH.DEBUG.DEMOTE key >/dev/null
  [ "$("$@" FLASH.GET key)" = "$value" ]
}
