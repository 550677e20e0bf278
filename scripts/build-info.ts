/**
 * Writes dist/build.json: the commit that the build is made of, and its date, which `fairlead version` and /api/version
 * tell. Of the environment (SOURCE_COMMIT, SOURCE_DATE_EPOCH), else of git, else `unknown`; never of the clock, for the
 * same sources are to give the same files. And takes out of dist/ what no source makes any more, for all of it is packed.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}

/** An argument of a container's build that nobody gave is empty. */
const given = (name: string): string | undefined => process.env[name] || undefined

/** A checkout of this project, and not one that it lies in. */
const isCheckout = existsSync(join(root, '.git'))

function commitOf(): string | undefined {
  return (
    given('SOURCE_COMMIT') ??
    (isCheckout ? git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*') : undefined)
  )
}

function dateOf(): string | undefined {
  const seconds = given('SOURCE_DATE_EPOCH') ?? (isCheckout ? git('log', '-1', '--format=%ct') : undefined)
  if (seconds === undefined) return undefined
  if (!/^\d{1,11}$/.test(seconds)) throw new Error(`SOURCE_DATE_EPOCH ${seconds} is no number of seconds`)
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z')
}

/** What the compiler makes has a source beside it in src/; dist/api is made by build-descriptors.ts. */
function takeAwayOld(): void {
  for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const made = /^(?!api\/)(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(name)
    const isOld = made !== null && !existsSync(join(root, 'src', `${made[1]}.ts`))
    if (isOld || name.endsWith('.map')) rmSync(join(dist, name))
  }
}

mkdirSync(dist, { recursive: true })
takeAwayOld()
const build = { commit: commitOf() ?? 'unknown', commitDate: dateOf() ?? 'unknown' }
writeFileSync(join(dist, 'build.json'), `${JSON.stringify(build)}\n`)
