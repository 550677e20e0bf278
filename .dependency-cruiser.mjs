/**
 * The house's import rules, generated from two tables: which rooms a room may import, and which third-party
 * packages it opens the door to. ARCHITECTURE.md explains them; test/architecture.test.ts proves they are seen.
 */
const hall = ['clock', 'errors', 'http2-guard', 'log', 'metrics']

export const rooms = {
  resource: [],
  source: [],
  config: ['source', 'resource'],
  translate: ['config', 'resource'],
  snapshot: ['resource'],
  request: ['snapshot', 'resource'],
  cache: ['snapshot', 'resource'],
  xds: ['cache', 'snapshot', 'resource'],
  admin: ['snapshot', 'cache', 'xds', 'resource'],
  proxy: ['resource'],
  fleet: ['source', 'config', 'snapshot', 'resource'],
}

export const doors = {
  resource: ['@bufbuild/protobuf', 'google-protobuf', '@grpc/proto-loader', 're2js'],
  source: ['chokidar', 'etcd3'],
  config: ['yaml'],
  translate: [],
  snapshot: [],
  request: [],
  cache: [],
  xds: ['@grpc/grpc-js', '@grpc/reflection', 'grpc-health-check'],
  admin: ['fastify', 'prom-client'],
  proxy: ['@grpc/grpc-js', 'xxhash-wasm', 'yaml'],
  fleet: ['etcd3'],
  cli: ['commander', 'cli-table3', 'picocolors', 'yaml'],
}

/** Packages that the hall's own files may use. */
const hallDoors = ['pino', 'pino-pretty', 'prom-client', 'yaml']

const alternatives = (names) => names.map((name) => name.replaceAll('/', '\\/')).join('|')

const roomRules = Object.entries(rooms).map(([room, allowed]) => ({
  name: `room-${room}`,
  comment: `${room}/ may import only: ${['itself', ...allowed, ...hall].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
  to: { path: '^src/', pathNot: `^src/(${alternatives([room, ...allowed])})/|^src/(${alternatives(hall)})\\.ts$` },
}))

const doorRules = Object.entries(doors).map(([room, packages]) => ({
  name: `door-${room}`,
  comment: `${room}/ may import these packages only: ${packages.join(', ') || 'none'}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
  to: {
    dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'],
    ...(packages.length > 0 && { pathNot: `node_modules/(${alternatives(packages)})/` }),
  },
}))

export default {
  forbidden: [
    ...roomRules,
    ...doorRules,
    {
      name: 'hall-door',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$', pathNot: '\\.test\\.ts$' },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'],
        pathNot: `node_modules/(${alternatives(hallDoors)})/`,
      },
    },
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphan',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '\\.test\\.ts$' },
      to: {},
    },
    {
      name: 'product-does-not-import-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$' },
      to: { path: '^test/|\\.test\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
}
