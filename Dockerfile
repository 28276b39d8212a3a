# syntax=docker/dockerfile:1

FROM node:20-bookworm-slim AS build
WORKDIR /roost
# .npmrc keeps onnxruntime-node's install script from fetching GPU libraries.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run -s build
# Of onnxruntime's binaries for every system, only this one's stay: 290 MB become 45.
RUN npm prune --omit=dev --no-audit --no-fund \
  && find node_modules/onnxruntime-node/bin -mindepth 2 -maxdepth 2 -type d ! -name linux -exec rm -r {} + \
  && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
       ! -name "$(node -p process.arch)" -exec rm -r {} + \
  && test -n "$(find node_modules/onnxruntime-node/bin -name '*.node')"

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    ROOST_HOST=0.0.0.0 \
    ROOST_PORT=8080 \
    ROOST_DATA_DIR=/data
WORKDIR /roost
COPY --from=build /roost/package.json ./
COPY --from=build /roost/node_modules ./node_modules
COPY --from=build /roost/dist ./dist
RUN mkdir /data && chown node:node /data
VOLUME /data
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
# The first start makes the demo world and trains before it listens.
HEALTHCHECK --interval=10s --timeout=3s --start-period=240s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.ROOST_PORT + '/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "dist/roost.js"]
CMD ["start"]
