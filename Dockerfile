# Build: everything; run: Node, our code, production dependencies.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY migrations ./migrations
COPY tools ./tools
RUN npx tsc -p tsconfig.build.json \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && node -e "import('effect/Effect')" && test ! -e node_modules/typescript

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="pgstream" org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    PGSTREAM_HEALTH_CHECK_ADDRESS=127.0.0.1:9901
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY package.json LICENSE ./
USER node
EXPOSE 9900 9901
# The API of a container is reached from outside only when an address and a token (or leave) are configured.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://' + process.env.PGSTREAM_HEALTH_CHECK_ADDRESS.replace(/^(0\\.0\\.0\\.0|\\[::\\])?:/, '127.0.0.1:') + '/ready').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "bin/pgstream.cjs"]
CMD ["run"]
