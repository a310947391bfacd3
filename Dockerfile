# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
# librdkafka is built from source; TLS and SASL towards Kafka need these headers.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make libssl-dev libsasl2-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
ENV SQLX_OFFLINE=true
# FAULT_AT, by which tests make a process die, is not in a release.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --features tls,sasl \
    && ! grep -q FAULT_AT target/release/rollcall \
    && cp target/release/rollcall /usr/local/bin/rollcall

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 libsasl2-2 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent rollcall
COPY --from=build /usr/local/bin/rollcall /usr/local/bin/rollcall
USER 10001:10001
# Health is only asked from inside the container, hence the loopback address; publish another one by setting this.
ENV ROLLCALL_HTTP__LISTEN=127.0.0.1:8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD curl --fail --silent --show-error http://127.0.0.1:8080/livez
# The worker takes shutdown.grace (25 s) to end: give it more than Docker's 10 s (docker stop --time 30).
STOPSIGNAL SIGTERM
ENTRYPOINT ["rollcall"]
CMD ["run"]
