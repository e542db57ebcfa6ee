#!/bin/sh
exec /opt/java/bin/java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC ${KAFKA_HEAP_OPTS:--Xmx512m} \
  -cp '/opt/kafka/libs/*' "$@"
