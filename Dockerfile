# syntax=docker/dockerfile:1
# Slipway in an image, built by Slipway:  bin/slipway build -t slipway .
# How to run it, with which privileges and what for: docs/containers.md
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS packages
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm
WORKDIR /opt/slipway
COPY package.json package-lock.json ./
# Behind a proxy with an authority of its own: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=cache,target=/root/.npm \
    --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -e /run/secrets/ca.crt ]; then export NPM_CONFIG_CAFILE=/run/secrets/ca.crt; fi; \
    npm ci --omit=dev --no-audit --no-fund && rm -r node_modules/node-linux-*/include \
 && npm install --prefix /opt --no-audit --no-fund "esbuild@$(node -p "require('./package.json').devDependencies.esbuild")"
COPY bin bin
COPY src src
COPY scripts scripts
# What runs: the bundle, and the packages that are not in it.
RUN bin/node scripts/bundle.mjs \
 && mkdir -p /slipway/node_modules/@ltd && mv bin dist /slipway \
 && mv node_modules/koffi node_modules/@koromix node_modules/node-linux-* /slipway/node_modules \
 && mv node_modules/@ltd/j-toml /slipway/node_modules/@ltd

FROM ${BASE}
# newuidmap and newgidmap by file capabilities: set-uid root, they want CAP_SYS_ADMIN, which containers have not.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends \
      bzip2 ca-certificates git libcap2-bin openssh-client passt runc slirp4netns uidmap xz-utils \
 && chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap \
 && setcap cap_setuid=ep /usr/bin/newuidmap && setcap cap_setgid=ep /usr/bin/newgidmap \
 && groupadd --gid 1000 slipway \
 && useradd --uid 1000 --gid slipway --create-home slipway \
 && install -d -o slipway -g slipway /var/lib/slipway
COPY --from=packages /slipway /opt/slipway
COPY package.json LICENSE README.md CHANGELOG.md /opt/slipway/
RUN --mount=type=tmpfs,target=/root/.cache \
    ln -s /opt/slipway/bin/slipway /usr/local/bin/slipway && slipway --version
ENV SLIPWAY_ROOT=/var/lib/slipway
# On a disk of its own: overlayfs does not lie on the overlayfs of a container.
VOLUME /var/lib/slipway
EXPOSE 5000
ENTRYPOINT ["slipway"]
CMD ["serve", "--listen", "0.0.0.0:5000"]
