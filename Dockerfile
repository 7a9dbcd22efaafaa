# confcar as an image: one program, no shell entry point, no root.
#
# Build, in a checkout:
#   docker build -t confcar:0.1.0 .
#   docker build -t confcar:0.1.0 --build-arg BASE=registry.internal/python:3.13-slim .
#
# Use: mount the config at /etc/confcar/confcar.yaml with its templates beside it, and a volume for the bundle's directory
# that user 65532 may write to.
#   init container:  docker run --rm -v ./etc:/etc/confcar:ro -v shared:/shared confcar:0.1.0 once
#   sidecar:         docker run -d   -v ./etc:/etc/confcar:ro -v shared:/shared confcar:0.1.0 run
# A volume that Docker makes for /shared belongs to 65532. For another user: --user, or fsGroup in Kubernetes.
# Works with a read-only root file system. In a registry of your own pin BASE by digest.
# buildah and podman: --format docker keeps the HEALTHCHECK.

ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
COPY requirements/build.lock requirements/runtime.lock requirements/
# The environment holds what confcar runs with and nothing else; what builds the wheel stays outside of it.
RUN python3 -m venv /build/tools \
    && python3 -m venv --without-pip /opt/confcar \
    && tools/bin/pip --python /opt/confcar/bin/python3 --no-cache-dir install --no-deps --require-hashes --no-compile \
        -r requirements/runtime.lock \
    && tools/bin/pip --no-cache-dir install --no-deps --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY confcar confcar
# Bytecode is compiled here: the container's root is read-only, and every start would compile it again.
RUN tools/bin/hatchling build --target wheel \
    && tools/bin/pip --python /opt/confcar/bin/python3 --no-cache-dir install --no-deps --no-compile dist/*.whl \
    && /opt/confcar/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /opt/confcar/lib \
    && mkdir /shared

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="confcar" \
      org.opencontainers.image.description="Keeps config files in step with Vault, Consul or files, and tells the primary process to reload." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/confcar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/confcar /opt/confcar
COPY --from=build --chown=65532:65532 /shared /shared
USER 65532:65532
# Asks the running sidecar on admin.listen; healthy while its loops move.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["confcar", "healthcheck"]
ENTRYPOINT ["confcar"]
CMD ["run"]
