# The program, for every role: migrate, worker, api, and the commands that look after it.
#
#   docker build -t nova-stream:0.1.0 .

# Elsewhere, for example from a mirror: --build-arg PYTHON_IMAGE=…
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Everything pinned, every hash checked, as wheels, what builds this one included ...
COPY requirements.lock requirements-build.lock ./
RUN pip wheel --quiet --only-binary :all: --require-hashes --requirement requirements.lock --wheel-dir /wheels \
    && pip install --quiet --only-binary :all: --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY nova_stream ./nova_stream
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels .
# ... and of those only what runs in it: no Kafka, Java or Postgres of its own.
RUN python -m venv /app \
    && /app/bin/pip install --quiet --no-index --find-links /wheels 'nova-stream[server,archive,otel]'

FROM ${PYTHON_IMAGE}
# The folder is for a volume: a fresh one takes its owner from here.
RUN useradd --uid 10001 --create-home nova \
    && install --directory --owner=nova --group=nova /home/nova/archive
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1
# A folder of its own: settings are also read from .env in the current one.
WORKDIR /home/nova
USER 10001
ENTRYPOINT ["nova-stream"]
CMD ["--help"]
