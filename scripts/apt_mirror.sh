# shellcheck shell=bash
# apt_mirror.sh: where Debian's packages come from; sourced by setup and other_servers.
#
# Reads the machine's own apt sources, so that no mirror is ever named in this repository.

# The mirror that the machine's own apt uses for the main archive of its release.
mirror_of() {
  # shellcheck disable=SC2016  # apt expands these, not the shell
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' |
    awk -v release="$1" '$1 == release && $2 == "main" { print $3; exit }'
}

# The code name of the release this machine runs.
codename_here() {
  # shellcheck source=/dev/null
  (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
}

# Options of a source line: Debian's own key where the machine has it.
source_options() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -r "$keyring" ]; then printf '[signed-by=%s] ' "$keyring"; fi
}
