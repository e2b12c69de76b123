# shellcheck shell=bash
# shellcheck disable=SC2154  # work and root are those of scripts/container-test
# compose.sh: the compose files as podman-compose runs them; sourced by scripts/container-test.
#
# A file of the test's own comes last. It only lowers limits to what any machine may give.

# compose <project> <files of docker/, comma between> <arguments...>
compose() {
  local project=$1 name
  local -a files=()
  for name in ${2//,/ }; do files+=(-f "docker/$name"); done
  shift 2
  podman-compose -p "$project" "${files[@]}" -f "$work/limits-$project.yml" "$@" \
    >>"$work/compose.log" 2>&1
}

# write_limits <project> <service...>
write_limits() {
  local project=$1 service
  local limits='nofile: {soft: 10240, hard: 10240}, nproc: {soft: 4096, hard: 4096}'
  shift
  printf 'services:\n' >"$work/limits-$project.yml"
  for service in "$@"; do
    printf '  %s: {ulimits: {%s}}\n' "$service" "$limits" >>"$work/limits-$project.yml"
  done
}

up() {
  compose "$1" "$2" up -d --no-build
}

test_compose_single() {
  printf 'compose.single.yml\n'
  VALKEY_PORT=$(free_port)
  export VALKEY_PORT
  write_limits single valkey
  check 'comes up' up single compose.single.yml
  check 'becomes healthy' await_health single_valkey_1
  check 'works by io_uring' equal uring field single_valkey_1 io_backend
  check 'under its profile' equal 2 status single_valkey_1 Seccomp
  check 'a cold value comes back through the published port' \
    put_and_get valkey-cli -p "$VALKEY_PORT"
  check 'goes down' compose single compose.single.yml down
  check 'comes up again' up single compose.single.yml
  check 'becomes healthy again' await_health single_valkey_1
  check 'has its data in its volumes' equal 1 valkey-cli -p "$VALKEY_PORT" EXISTS key
  compose single compose.single.yml down -v

  printf 'compose.single.dev.yml\n'
  write_limits dev valkey
  check 'comes up' up dev compose.single.yml,compose.single.dev.yml
  check 'becomes healthy' await_health dev_valkey_1
  check 'under no profile' equal 0 status dev_valkey_1 Seccomp
  check 'with its own tier' equal $((1 << 30)) field dev_valkey_1 storage_capacity_bytes
  compose dev compose.single.yml,compose.single.dev.yml down -v
}

# cluster_is <node> <field of CLUSTER INFO> <value>
cluster_is() {
  equal "$3" eval "podman exec $1 valkey-cli CLUSTER INFO | tr -d '\r' | sed -n 's/^$2://p'"
}

role_of() {
  podman exec "$1" valkey-cli ROLE | head -n 1
}

# settled <project>: six nodes know each other, all slots are served, each replica has its primary.
settled() {
  local n
  for n in 1 2 3 4 5 6; do
    cluster_is "$1_node-${n}_1" cluster_state ok || return 1
    cluster_is "$1_node-${n}_1" cluster_known_nodes 6 || return 1
  done
  for n in 4 5 6; do
    equal slave role_of "$1_node-${n}_1" || return 1
    podman exec "$1_node-${n}_1" valkey-cli INFO replication |
      grep -q master_link_status:up || return 1
  done
}

# keys <project> <command> [value]: the command for key:0 to key:29, each where the cluster sends
# it; prints each reply once.
keys() {
  local project=$1 command=$2 n
  shift 2
  for n in $(seq 0 29); do
    podman exec "${project}_node-2_1" valkey-cli -c "$command" "key:$n" "$@" || return 1
  done | sort -u
}

# took_over <project>: one of those that began as replicas is a primary.
took_over() {
  local n
  for n in 4 5 6; do
    if [ "$(role_of "$1_node-${n}_1")" = master ]; then return 0; fi
  done
  return 1
}

test_compose_cluster() {
  local file=$1 project=$2
  printf '%s\n' "$file"
  write_limits "$project" node-1 node-2 node-3 node-4 node-5 node-6
  check 'comes up' up "$project" "$file"
  check 'becomes a cluster of 3 primaries and 3 replicas' await 90 settled "$project"
  check 'with all slots' cluster_is "${project}_node-1_1" cluster_slots_ok 16384
  check 'of three shards' cluster_is "${project}_node-1_1" cluster_size 3
  check 'the service that joins them ended well' equal 0 podman wait "${project}_create_1"
  if [ "$project" = tiered ]; then
    check 'its replicas tier' equal $((64 << 20)) field "${project}_node-4_1" storage_capacity_bytes
  fi
  check 'takes keys on every node' equal OK \
    keys "$project" FLASH.SET "$(head -c 2000 /dev/urandom | base64 -w 0)"
  check 'a primary stops' podman stop -t 30 "${project}_node-1_1"
  check 'a replica takes its place' await 60 took_over "$project"
  check 'the cluster serves all slots' await 60 cluster_is "${project}_node-2_1" cluster_state ok
  check 'no key is lost' equal 1 keys "$project" EXISTS
  check 'the primary comes back' podman start "${project}_node-1_1"
  check 'as a replica' await 60 equal slave role_of "${project}_node-1_1"
  compose "$project" "$file" down -v
}

test_compose() {
  export FLASH_CAPACITY_BYTES=64mb FLASH_CACHE_SIZE_BYTES=4mb
  test_compose_single
  test_compose_cluster compose.cluster.yml cluster
  test_compose_cluster compose.cluster.replica-tier.yml tiered
  unset FLASH_CAPACITY_BYTES FLASH_CACHE_SIZE_BYTES VALKEY_PORT
}
