# node: Node and npm on PATH, and a user 1000. What the registry is, and who vouches for it, is as where the tests run.
FROM fairlead-test/base
COPY node /usr/local/bin/
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
  && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
  && useradd --uid 1000 --user-group --create-home node
COPY authorities.pem /usr/local/share/authorities.pem
ARG REGISTRY
ENV NPM_CONFIG_REGISTRY=${REGISTRY} NPM_CONFIG_UPDATE_NOTIFIER=false NODE_EXTRA_CA_CERTS=/usr/local/share/authorities.pem
CMD ["node"]
