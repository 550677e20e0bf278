# docker build -t fairlead \
#   --build-arg SOURCE_COMMIT="$(git rev-parse HEAD)" --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
# How to run it: docs/install.md.
#
# By tag, so that a build gets the base's security fixes. For builds that are equal byte for byte, name its digest:
#   --build-arg NODE_IMAGE=node:22-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No package of it needs a script of its own to be installed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
ARG SOURCE_COMMIT
ARG SOURCE_DATE_EPOCH
# CI checks the types.
RUN npm run build -- --noCheck && find dist -name '*.d.ts' -delete && chmod 755 dist/cli/main.js

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
# What no program reads: types, maps, documentation and tests. The licences stay.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/@types node_modules/.package-lock.json \
  && find node_modules -path '*node_modules/*' -type d \
       \( -name test -o -name tests -o -name docs -o -name example -o -name examples -o -name benchmark -o -name benchmarks \) \
       -prune -exec sh -c 'for dir; do [ -f "$(dirname "$dir")/package.json" ] && rm -r "$dir"; done; true' sh {} + \
  && find node_modules -type f \
       \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' -o -name '*.md' -o -name '*.test.js' \) \
       ! -iname 'licen[cs]e*' ! -iname 'notice*' -delete

FROM ${NODE_IMAGE} AS assembled
WORKDIR /image
COPY --from=build /build/package.json /build/LICENSE opt/fairlead/
COPY --from=build /build/dist opt/fairlead/dist
COPY --from=dependencies /build/node_modules opt/fairlead/node_modules
ARG SOURCE_DATE_EPOCH
# One layer of its own, with one date: the same input gives the same layer.
RUN mkdir -p etc/fairlead usr/local/bin && ln -s /opt/fairlead/dist/cli/main.js usr/local/bin/fairlead \
  && find . -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG VERSION=0.1.0
ARG SOURCE_COMMIT=unknown
LABEL org.opencontainers.image.title="fairlead" \
  org.opencontainers.image.description="An Envoy control plane: versioned xDS snapshots from files or etcd, streamed to stock Envoy." \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${SOURCE_COMMIT}" \
  org.opencontainers.image.base.name="${NODE_IMAGE}"
COPY --from=assembled /image/ /
# A new volume there belongs to who the server runs as.
RUN install -d -m 700 -o 10001 -g 10001 /var/lib/fairlead
# Inside a container loopback is the container's own. Who reaches the ports is said by what is published, and by TLS.
ENV NODE_ENV=production \
  FAIRLEAD_LISTEN=:18000 \
  FAIRLEAD_ADMIN=:18001 \
  FAIRLEAD_SNAPSHOTS=/var/lib/fairlead
# Relative names of documents, and ./fairlead.yaml, are below it.
WORKDIR /etc/fairlead
VOLUME ["/var/lib/fairlead"]
EXPOSE 18000 18001
# A number, so that it can be seen without the image's /etc/passwd that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# Ready, not only alive: who waits for this container wants to be served by it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["fairlead", "health"]
ENTRYPOINT ["fairlead"]
CMD ["serve"]
