# syntax=docker/dockerfile:1

# node:22-alpine is smaller still; glibc is what the tests and the figures of docs/performance.md ran on
ARG NODE_IMAGE=node:22-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# what the npm package holds, without its documents
RUN npm run build \
 && mkdir -p /opt/linksocks \
 && npm pack --ignore-scripts --pack-destination /opt \
 && tar -xzf /opt/linksocks-*.tgz -C /opt/linksocks --strip-components=1 \
 && cp package-lock.json deploy/healthcheck.mjs deploy/supervise.pl /opt/linksocks/ \
 && rm -rf /opt/linksocks/docs
# and the packages it needs, as the lock has them; `npm ci --omit=dev` would leave a tool there that one of them can do with
WORKDIR /opt/linksocks
RUN npm pkg delete devDependencies \
 && npm install --omit=dev --ignore-scripts --no-audit --no-fund \
 # native parts come for both C libraries: the one that is not here goes
 && if [ -e /etc/alpine-release ]; then other=gnu; else other=musl; fi \
 && rm -rf node_modules/@*/*-"$other"

FROM ${NODE_IMAGE}
# nothing is installed from here on: no package manager
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
    /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* \
 && install -d -o node -g node -m 0700 /data \
 && ln -s /opt/linksocks/bin/linksocks.js /usr/local/bin/linksocks
COPY --from=build /opt/linksocks /opt/linksocks
ENV NODE_ENV=production \
    LINKSOCKS_DATA_DIR=/data
# the user `node` of the image, as a number: what runs images can see that it is not root
USER 1000:1000
VOLUME /data
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["node", "/opt/linksocks/healthcheck.mjs"]
ENTRYPOINT ["linksocks"]
