#!/bin/sh
# entrypoint.sh: starts the server with the module; FLASH_* variables become flash.* settings.
#
# FLASH_CACHE_SIZE_BYTES=1gb becomes --flash.cache-size-bytes 1gb, and so on for every setting in
# docs/settings.md. Arguments go to the server behind them, so they win. `health` as the only
# argument answers whether the server is up and the module ready. Names that are no setting stop
# the start: the server says which.
set -eu

port=${VALKEY_PORT:-6379}

health() {
  # A password, if there is one, comes by VALKEYCLI_AUTH, as valkey-cli expects it.
  state=$(valkey-cli -p "$port" FLASH.DEBUG.STATE 2>/dev/null) || exit 1
  case $state in
    ready | recovering) exit 0 ;;
  esac
  exit 1
}

# As `docker run image valkey-cli ...`: another program than the server.
case ${1:-} in
  health)
    [ "$#" -eq 1 ] && health
    ;;
  valkey-server)
    shift
    ;;
  '' | -*) ;;
  *.conf) ;;
  *) exec "$@" ;;
esac

# A configuration file has to be the server's first argument.
config=
case ${1:-} in
  *.conf)
    config=$1
    shift
    ;;
esac

count=$#
for variable in $(env | sed -n 's/^\(FLASH_[A-Z0-9_]*\)=.*/\1/p' | sort); do
  eval "value=\$$variable"
  # An empty value is as good as none.
  [ -n "$value" ] || continue
  name=$(printf '%s' "${variable#FLASH_}" | tr 'A-Z_' 'a-z-')
  set -- "$@" "--flash.$name" "$value"
done

# What came on the command line goes behind the settings made of variables.
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  set -- "$@" "$argument"
  count=$((count - 1))
done

library=${VALKEY_MODULE_LIBRARY:-/usr/local/lib/libvalkey_flash.so}
exec valkey-server ${config:+"$config"} --loadmodule "$library" \
  --port "$port" --dir "${VALKEY_DIR:-/data}" "$@"
