/**
 * Compiles the default Envoy API (the .proto files that the npm package `@grpc/grpc-js-xds` carries) and
 * our own proto/ into one descriptor set, dist/api/default.binpb, and the comments of our own into dist/api/comments.json.
 * See docs/decisions/0002.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { commentsOf } from './descriptor-comments.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps')
const output = join(root, 'dist/api/default.binpb')
const commentsOutput = join(root, 'dist/api/comments.json')
const ours = join(root, 'proto')

const importRoots = ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'].map((name) => join(deps, name))

/** Files that the packaged API imports but that protoc itself provides. */
const isWellKnown = (file: string): boolean => file.startsWith('google/protobuf/')

function protosBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.proto'))
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/^import\s+(?:public\s+|weak\s+)?"([^"]+)";/gm)].map((match) => match[1] as string)
}

/** Every API v3 file whose imports are all present, transitively. */
function closedFiles(available: ReadonlyMap<string, string>): Set<string> {
  const verdicts = new Map<string, boolean>()
  const isClosed = (file: string): boolean => {
    if (isWellKnown(file)) return true
    const known = verdicts.get(file)
    if (known !== undefined) return known
    const path = available.get(file)
    if (path === undefined) return false
    verdicts.set(file, true) // protobuf imports have no cycles; this only guards against a broken tree
    const verdict = importsOf(readFileSync(path, 'utf8')).every(isClosed)
    verdicts.set(file, verdict)
    return verdict
  }
  return new Set([...available.keys()].filter(isClosed))
}

/**
 * The packaged validate.proto is older than the API that uses it: buf refuses the API's `ignore_empty`
 * unless the staged copy declares it. Field numbers as protoc-gen-validate later assigned them.
 */
function addIgnoreEmpty(validateProto: string): string {
  const fieldNumbers: Record<string, number> = { StringRules: 26, BytesRules: 14, RepeatedRules: 5, MapRules: 6 }
  return validateProto
    .replaceAll('\r\n', '\n')
    .replace(/^message (\w+Rules) \{\n([\s\S]*?)^\}/gm, (whole, name: string, body: string) => {
      const isNumeric = /^(Float|Double|U?Int(32|64)|SInt(32|64)|S?Fixed(32|64)|SFixed(32|64))Rules$/.test(name)
      const number = fieldNumbers[name] ?? (isNumeric ? 8 : undefined)
      if (number === undefined || /\bignore_empty\s*=/.test(body)) return whole
      return `message ${name} {\n${body}    optional bool ignore_empty = ${number};\n}`
    })
}

/**
 * `use_hash_policy` came to Envoy after the packaged API. With it the same user stays in the same arm of a canary; an
 * Envoy that does not know it ignores it.
 */
function addUseHashPolicy(routeComponents: string): string {
  const oneof = /^( *)oneof random_value_specifier \{\r?\n/m
  if (routeComponents.includes('use_hash_policy')) return routeComponents
  if (!oneof.test(routeComponents)) throw new Error('WeightedCluster has no oneof random_value_specifier any more')
  return routeComponents.replace(oneof, '$&$1  google.protobuf.BoolValue use_hash_policy = 5;\n\n')
}

const additions: Readonly<Record<string, (text: string) => string>> = {
  'validate/validate.proto': addIgnoreEmpty,
  'envoy/config/route/v3/route_components.proto': addUseHashPolicy,
}

/** Full name of everything that our own proto/ declares to its comment, which the descriptors leave out. */
function writeComments(staging: string, buf: string): void {
  const image = join(staging, 'comments.binpb')
  execFileSync(process.execPath, [buf, 'build', staging, '--path', join(staging, 'fairlead'), '-o', image], {
    stdio: 'inherit',
  })
  const comments = commentsOf(fromBinary(FileDescriptorSetSchema, readFileSync(image)), 'fairlead/')
  writeFileSync(commentsOutput, `${JSON.stringify(Object.fromEntries(comments), null, 1)}\n`)
}

function newestInput(): number {
  const files = [
    fileURLToPath(import.meta.url),
    fileURLToPath(new URL('descriptor-comments.ts', import.meta.url)),
    join(deps, '../package.json'),
    ...protosBelow(ours).map((f) => join(ours, f)),
  ]
  return Math.max(...files.map((file) => statSync(file).mtimeMs))
}

function build(): void {
  const staging = mkdtempSync(join(tmpdir(), 'fairlead-proto-'))
  try {
    const available = new Map<string, string>()
    for (const importRoot of importRoots) {
      for (const file of protosBelow(importRoot)) {
        const isV2 = /^envoy\/.*\/v(2|2alpha\d?|1|1alpha\d?)\//.test(file) && !/\/v3(alpha)?\//.test(file)
        const isWanted = /^(envoy|xds|udpa|validate)\//.test(file) || /^google\/(api|rpc|type)\//.test(file)
        if (!isV2 && isWanted) available.set(file, join(importRoot, file))
      }
    }
    const files = closedFiles(available)
    const needed = new Set<string>()
    const visit = (file: string): void => {
      if (needed.has(file) || isWellKnown(file)) return
      needed.add(file)
      for (const imported of importsOf(readFileSync(available.get(file) as string, 'utf8'))) visit(imported)
    }
    for (const file of files) if (/^(envoy|xds|udpa)\//.test(file)) visit(file)
    for (const file of needed) {
      const target = join(staging, file)
      mkdirSync(dirname(target), { recursive: true })
      const text = readFileSync(available.get(file) as string, 'utf8')
      writeFileSync(target, additions[file]?.(text) ?? text)
    }
    cpSync(ours, staging, { recursive: true, filter: (path) => !path.endsWith('.md') })
    mkdirSync(dirname(output), { recursive: true })
    const buf = require.resolve('@bufbuild/buf/bin/buf')
    execFileSync(process.execPath, [buf, 'build', staging, '--exclude-source-info', '-o', output], { stdio: 'inherit' })
    writeComments(staging, buf)
    writeFileSync(
      join(dirname(output), 'NOTICE'),
      'default.binpb is compiled from the Envoy API, the xDS API, googleapis (Apache-2.0) and protoc-gen-validate\n' +
        "(Apache-2.0), as packaged in @grpc/grpc-js-xds, and from fairlead's own proto/ (Apache-2.0).\n",
    )
    process.stdout.write(
      `${relative(root, output)}: ${needed.size} files, ${Math.round(statSync(output).size / 1024)} KiB\n`,
    )
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

if (
  !existsSync(output) ||
  !existsSync(commentsOutput) ||
  statSync(output).mtimeMs < newestInput() ||
  process.argv.includes('--force')
)
  build()
