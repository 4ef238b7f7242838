# Safelight's server, without any key or film inside. Three commands of one image make an installation:
#
#   docker run --rm IMAGE init       once: keyring, data directory, tables, journal (then copy the keyring away)
#   docker run IMAGE                 the server
#   docker run IMAGE screen          the screening worker
#
# all with the same two volumes, and with SAFELIGHT_ISSUER, SAFELIGHT_AUDIENCE and SAFELIGHT_PUBLIC_URL set: none of
# them has a default. Plaintext is served on the loopback address only, so either
#   - mount a certificate and set SAFELIGHT_CERTIFICATE and SAFELIGHT_CERTIFICATE_KEY, or
#   - set SAFELIGHT_HOST=127.0.0.1 and let a proxy in the same network namespace (a pod, say) end TLS.
# With neither, the server does not start. The root file system may be read-only if /tmp is a tmpfs.

FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

COPY requirements/runtime.txt /opt/safelight/runtime.txt

# Every version stands in the lock; the wheels bring all shared libraries that the slim image lacks.
RUN python -m venv /opt/safelight/venv \
    && /opt/safelight/venv/bin/python -m pip install --no-deps --only-binary :all: -r /opt/safelight/runtime.txt

COPY server /opt/safelight/server

RUN /opt/safelight/venv/bin/python -m compileall -q /opt/safelight/server

FROM python:3.11-slim-bookworm

RUN groupadd --system --gid 10001 safelight \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent safelight \
    && mkdir -m 0700 /var/lib/safelight /var/lib/safelight-keys \
    && chown safelight:safelight /var/lib/safelight /var/lib/safelight-keys

COPY --from=build /opt/safelight /opt/safelight
COPY LICENSE /opt/safelight/LICENSE
COPY policies /opt/safelight/policies

ENV PATH=/opt/safelight/venv/bin:$PATH \
    PYTHONPATH=/opt/safelight \
    PYTHONUNBUFFERED=1 \
    SAFELIGHT_DATA=/var/lib/safelight \
    SAFELIGHT_KEYRING=/var/lib/safelight-keys/keyring.json \
    SAFELIGHT_POLICIES=/opt/safelight/policies \
    SAFELIGHT_HOST=0.0.0.0 \
    SAFELIGHT_PORT=8080

# Apart from each other: who copies the data alone copies nothing that can be read.
VOLUME ["/var/lib/safelight", "/var/lib/safelight-keys"]

USER 10001:10001

WORKDIR /var/lib/safelight

EXPOSE 8080

HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["python", "-m", "server", "health"]

ENTRYPOINT ["python", "-m", "server"]

CMD ["serve"]
