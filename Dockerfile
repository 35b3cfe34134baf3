# The one image: `cloister serve`, `ensure` and `node-profile`. Both bases can be had under other names: --build-arg BUILD=… --build-arg BASE=…
ARG BUILD=docker.io/library/node:24-trixie-slim
# Node and what it needs: no shell, no package manager; the user 65532.
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
# Everything that runs, of the packages too, is in the files that this makes: no node_modules goes along.
RUN npm run --silent build

FROM ${BASE}
COPY --from=build /src/package.json /src/LICENSE /cloister/
COPY --from=build /src/docs/rules /cloister/docs/rules
COPY --from=build /src/docs/profiles /cloister/docs/profiles
COPY --from=build /src/seccomp /cloister/seccomp
COPY --from=build /src/dist /cloister/dist
ENV NODE_ENV=production PATH=/nodejs/bin:/usr/bin:/bin
USER 65532:65532
# Node is process 1 and takes the signals itself. Unasked, V8 gives its heap half of a container's memory. A flag that says how much would hold for
# the thread of large reviews too, in place of the little that it is given. The young part would grow to 96 MiB, and be no faster for it.
# More helpers than one would take turns at the processor with the thread that answers, whenever garbage is collected.
ENTRYPOINT ["/nodejs/bin/node", "--disable-proto=delete", "--unhandled-rejections=strict", "--max-semi-space-size=8", "--v8-pool-size=1", "/cloister/dist/main.js"]
