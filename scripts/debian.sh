# shellcheck shell=bash
# debian.sh: where Debian's packages come from, and what is installed; sourced by the scripts that
# need packages.
#
# Reads the machine's own apt sources, so that no mirror is ever named in this repository.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -- "$@"; fi
}

# Names of the packages among the arguments that are not installed.
missing_packages() {
  local name
  for name in "$@"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
      printf '%s\n' "$name"
    fi
  done
}

# need_packages <name...>: installs those of the machine's own release that are missing.
need_packages() {
  local -a wanted
  mapfile -t wanted < <(missing_packages "$@")
  [ "${#wanted[@]}" -gt 0 ] || return 0
  printf '%s: installing %s\n' "$(basename "$0")" "${wanted[*]}"
  as_root apt-get -qq -o Acquire::Retries=3 update
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o Acquire::Retries=3 --no-install-recommends install "${wanted[@]}" >/dev/null
}

# private_apt_folder <folder>: for `apt-get -c <folder>/apt.conf`: sources, lists and cache of its
# own and the machine's package database, unless more lines on stdin say otherwise. The caller
# writes sources.list there.
private_apt_folder() {
  local dir=$1
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
  {
    cat <<CONF
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "$dir/parts";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
    cat
  } >"$dir/apt.conf"
}

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
