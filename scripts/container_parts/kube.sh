# shellcheck shell=bash
# shellcheck disable=SC2154  # work and root are those of scripts/container-test
# kube.sh: the pod of the Kubernetes manifest as `podman kube play` runs it; sourced by
# scripts/container-test.
#
# podman plays pods, not StatefulSets: the pod and its claims are taken out of the manifest as a
# StatefulSet's controller would make them. Ports are left out, since podman would publish them, and
# sizes are made small; everything else is as it stands.

# write_pod <seccomp profile, or nothing for the manifest's own> <claims: yes or no>
# podman 4.3 takes a claim that is there already for a fault, where Kubernetes binds it.
write_pod() {
  /usr/bin/python3 - docker/kubernetes/statefulset.yaml "$1" "$2" >"$work/pod.yaml" <<'PYTHON'
import sys

import yaml

manifest, profile, claims = sys.argv[1:]
documents = list(yaml.safe_load_all(open(manifest)))
[stateful] = [document for document in documents if document["kind"] == "StatefulSet"]
name = stateful["metadata"]["name"]
template = stateful["spec"]["template"]
pod = template["spec"]
played = []
for claim in stateful["spec"]["volumeClaimTemplates"]:
    volume = claim["metadata"]["name"]
    claimed = f"{volume}-{name}-0"
    if claims == "yes":
        played.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                       "metadata": {"name": claimed}, "spec": claim["spec"]})
    pod["volumes"].append({"name": volume, "persistentVolumeClaim": {"claimName": claimed}})
annotations = {}
small = {"FLASH_CAPACITY_BYTES": "64mb", "FLASH_CACHE_SIZE_BYTES": "4mb"}
for container in pod["containers"]:
    del container["ports"]
    container["image"] = "localhost/valkey-flash"
    container["imagePullPolicy"] = "Never"
    for variable in container["env"]:
        variable["value"] = small.get(variable["name"], variable["value"])
if profile:
    # podman 4.3 reads the older annotation; the field is what Kubernetes reads.
    pod["securityContext"]["seccompProfile"] = {"type": "Localhost", "localhostProfile": profile}
    annotations["seccomp.security.alpha.kubernetes.io/pod"] = f"localhost/{profile}"
played.append({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": f"{name}-0", "labels": template["metadata"]["labels"],
                            "annotations": annotations},
               "spec": pod})
yaml.safe_dump_all(played, sys.stdout)
PYTHON
}

play() {
  podman kube play --seccomp-profile-root "$root/docker" "$work/pod.yaml"
}

refuses_to_write() {
  ! podman exec "$1" touch /somewhere
}

test_kube() {
  local id=valkey-flash-0-valkey
  printf 'kubernetes/statefulset.yaml, RuntimeDefault\n'
  write_pod '' yes
  check 'is played' play
  check 'becomes healthy by its probe' await_health "$id"
  check 'runs as the user of the manifest' equal 10001 status "$id" Uid
  check 'without any capability' equal 0000000000000000 status "$id" CapBnd
  check 'without new privileges' equal 1 status "$id" NoNewPrivs
  check 'under a profile' equal 2 status "$id" Seccomp
  check 'with a read-only root' refuses_to_write "$id"
  check 'a cold value comes back' put_and_get podman exec "$id" valkey-cli
  check 'is taken down' podman kube down "$work/pod.yaml"
  podman volume ls -q | sort >"$work/volumes"
  check 'its claims stay' grep -qx data-valkey-flash-0 "$work/volumes"

  printf 'kubernetes/statefulset.yaml, the profile on the node\n'
  write_pod seccomp-flash.json no
  check 'is played' play
  check 'becomes healthy by its probe' await_health "$id"
  check 'works by io_uring' equal uring field "$id" io_backend
  check 'has its data in its claims' equal 1 podman exec "$id" valkey-cli EXISTS key
  remove_all >>"$work/podman.log" 2>&1
}
