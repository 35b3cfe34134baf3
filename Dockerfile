# The image for `cloister serve`, `ensure` and `node-profile`. To use other names for the base images: --build-arg BUILD=… --build-arg BASE=…
ARG BUILD=docker.io/library/node:24-trixie-slim
# Node and its libraries, without a shell or a package manager; user 65532.
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot

# JavaScript is the same for every architecture: it is built once, on that of the builder.
FROM --platform=$BUILDPLATFORM ${BUILD} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# The build bundles all code that runs, including the packages, so the image needs no node_modules. Source maps are a file of the release.
RUN npm run --silent build && find dist -name '*.map' -delete

FROM ${BASE}
COPY --from=build /src/package.json /src/LICENSE /cloister/
COPY --from=build /src/docs/rules /cloister/docs/rules
COPY --from=build /src/docs/profiles /cloister/docs/profiles
COPY --from=build /src/docs/checks /cloister/docs/checks
COPY --from=build /src/seccomp /cloister/seccomp
COPY --from=build /src/dist /cloister/dist
# Set by the release.
ARG VERSION=unreleased
ARG REVISION=unknown
ARG SOURCE=https://github.com/cloister-dev/cloister
LABEL org.opencontainers.image.title="Cloister" \
  org.opencontainers.image.description="Admission webhook that isolates workspace pods" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="${SOURCE}" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production PATH=/nodejs/bin:/usr/bin:/bin
USER 65532:65532
# Node is process 1 and handles signals itself. By default V8's heap may use half of the container's memory. No flag sets the heap size, because it would
# also apply to the worker thread for large reviews, which has a smaller limit of its own. Without --max-semi-space-size the young generation would grow
# to 96 MiB without being faster. With more than one V8 helper thread, garbage collection would compete with the main thread for the processor.
ENTRYPOINT ["/nodejs/bin/node", "--disable-proto=delete", "--unhandled-rejections=strict", "--max-semi-space-size=8", "--v8-pool-size=1", "/cloister/dist/main.js"]
