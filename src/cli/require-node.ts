/**
 * Imported first of all by `main.ts`, before what an older Node cannot read: it would say something about an export that is not
 * there. Imports nothing itself that such a one may not have.
 */
import { readFileSync } from 'node:fs'

interface PackageJson {
  readonly engines: { readonly node: string }
}

const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as PackageJson

/** `>=20.19`: the oldest that is taken. */
const [major = 0, minor = 0] = engines.node.replace(/^\D+/, '').split('.').map(Number)
const [ownMajor = 0, ownMinor = 0] = process.versions.node.split('.').map(Number)

if (ownMajor < major || (ownMajor === major && ownMinor < minor)) {
  process.stderr.write(
    `fairlead: this is Node ${process.versions.node} (${process.execPath}), and fairlead needs Node ${major}.${minor} or newer\n`,
  )
  process.exit(2)
}
