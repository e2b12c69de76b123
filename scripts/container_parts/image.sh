# shellcheck shell=bash
# shellcheck disable=SC2154  # work and root are those of scripts/container-test
# image.sh: the image by itself, with and without io_uring; sourced by scripts/container-test.

# start <port> <volumes' prefix> [podman options...] -- [server arguments...]: a container's id.
start() {
  local port=$1 prefix=$2
  shift 2
  local -a options=()
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  podman run -d --network host --read-only --tmpfs /tmp --cap-drop ALL \
    --security-opt no-new-privileges -e VALKEY_PORT="$port" -e FLASH_CAPACITY_BYTES=64mb \
    -e FLASH_CACHE_SIZE_BYTES=1mb -v "$prefix-data:/data" -v "$prefix-flash:/flash" \
    "${options[@]}" localhost/valkey-flash --bind 127.0.0.1 --save '' "$@" 2>>"$work/podman.log"
}

backend_is() {
  equal "flash_io_backend:$2" eval \
    "valkey-cli -p $1 INFO flash | tr -d '\r' | grep '^flash_io_backend:'"
}

runs_as() {
  local said
  said=$(podman exec "$1" cat /proc/1/status |
    awk '/^(Uid|NoNewPrivs|CapEff)/ {print $2}' | paste -sd' ')
  [ "$said" = "10001 0000000000000000 1" ] || { printf '%s\n' "$said"; return 1; }
}

# A profile that knows no io_uring: what current runtimes' defaults are.
write_default_profile() {
  /usr/bin/python3 - docker/seccomp-flash.json "$work/default.json" <<'PYTHON'
import json
import sys

profile = json.load(open(sys.argv[1]))
for rule in profile["syscalls"]:
    rule["names"] = [name for name in rule["names"] if not name.startswith("io_uring")]
profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
json.dump(profile, open(sys.argv[2], "w"))
PYTHON
}

test_image() {
  local port id
  local -a profile=(--security-opt seccomp=docker/seccomp-flash.json)
  printf 'with the profile: io_uring\n'
  port=$(free_port)
  id=$(start "$port" one "${profile[@]}" --)
  check 'becomes healthy' await_health "$id"
  check 'works by io_uring' backend_is "$port" uring
  check 'runs as its own user without any capability' runs_as "$id"
  check 'a cold value comes back' put_and_get valkey-cli -p "$port"
  check 'has the sizer' podman exec "$id" flash-sizer "valkey://127.0.0.1:$port" --json /dev/null
  check 'saves' valkey-cli -p "$port" SAVE
  check 'stops' podman stop -t 30 "$id"
  id=$(start "$port" one "${profile[@]}" --)
  check 'becomes healthy again' await_health "$id"
  check 'has its data after a restart' equal 1 valkey-cli -p "$port" EXISTS key

  write_default_profile
  printf 'without io_uring: threads\n'
  port=$(free_port)
  id=$(start "$port" two --security-opt seccomp="$work/default.json" --)
  check 'becomes healthy' await_health "$id"
  check 'works by threads' backend_is "$port" threads
  check 'a cold value comes back' put_and_get valkey-cli -p "$port"
  remove_all >>"$work/podman.log" 2>&1
}
