import { execFile } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { problems, readiness, settledNode, waitForProblems } from '../support/admin-client.ts'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { type Changes, endpoints } from '../support/documents.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { modificationsOf, shop, shopTypes, startLoadedEnvoy } from '../support/shop.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import { tempDir } from '../support/temp.ts'
import type { Protocol } from '../support/wire-client.ts'

/** By another process, as in the field: this one looks while it is at work. */
const run = promisify(execFile)

/** A directory with a file for each document. */
function writeDirectory(path: string, documents: Changes): void {
  for (const [key, document] of Object.entries(documents)) {
    const file = join(path, `${key}.json`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, JSON.stringify(document))
  }
}

/** Makes `link` lead to `target`, or replaces the link that is there in one step. */
function swap(link: string, target: string): void {
  symlinkSync(target, `${link}.new`)
  renameSync(`${link}.new`, link)
}

/** An Envoy under load on what `prepare` makes of the documents: it returns the path that the server is given. */
async function startAll(protocol: Protocol, prepare: (root: string, documents: Changes) => string) {
  const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  const authority = await createAuthority()
  const root = tempDir()
  const documents = shop(one, await authority.issue({ name: 'shop' }))
  const config = prepare(root, documents)
  const { adminUrl, server } = await startControlPlane({ config: [config] })
  const loaded = await startLoadedEnvoy(server, protocol, authority)
  await settledNode(adminUrl, shopTypes)
  const before = await modificationsOf(loaded.envoy)
  const { envoy, http, https, failures } = loaded
  /** Answers keep coming, Envoy has modified nothing, and the server has no new revision. */
  const expectNoFlap = async (): Promise<void> => {
    await Promise.all([http.next(50), https.next(5)])
    expect(await modificationsOf(envoy)).toEqual(before)
    expect(await readiness(adminUrl)).toMatchObject({ status: 200, revision: 1, withheld: [] })
  }
  /** A change is still seen, and is all that there was. */
  const expectChange = async (write: (documents: Changes) => void): Promise<void> => {
    write({ ...documents, ...endpoints('shop', two) })
    await http.next(50, { from: 'two' })
    await https.next(5)
    expect(await failures()).toEqual([])
    const changes = 'cluster.shop.membership_change'
    expect(await modificationsOf(envoy)).toEqual({ ...before, [changes]: (before[changes] ?? 0) + 1 })
    expect(await readiness(adminUrl)).toMatchObject({ revision: 2, errors: 0 })
  }
  return { root, config, documents, adminUrl, expectNoFlap, expectChange }
}

describeWithEnvoy('an Envoy under load', () => {
  testBothProtocols('notices nothing over %s when the config directory is deleted and made again', async (protocol) => {
    const { root, config, documents, adminUrl, expectNoFlap, expectChange } = await startAll(
      protocol,
      (dir, initial) => {
        writeDirectory(join(dir, 'config'), initial)
        return join(dir, 'config')
      },
    )
    writeDirectory(join(root, 'backup'), documents)
    for (let round = 1; round <= 2; round++) {
      await run('rm', ['-r', config])
      await waitForProblems(adminUrl, ['source-empty'])
      await expectNoFlap()
      expect(await problems(adminUrl)).toMatchObject([
        { severity: 'error', place: config, message: expect.stringContaining('stays in force') },
      ])

      await run('cp', ['-r', join(root, 'backup'), config])
      await waitForProblems(adminUrl, [])
      await expectNoFlap()
    }
    await expectChange((changed) => writeDirectory(config, changed))
  })

  testBothProtocols(
    'notices nothing over %s when the link that is the config directory leads elsewhere, or nowhere for a while',
    async (protocol) => {
      const { root, config, documents, adminUrl, expectNoFlap, expectChange } = await startAll(
        protocol,
        (dir, initial) => {
          writeDirectory(join(dir, 'release-1'), initial)
          swap(join(dir, 'config'), 'release-1')
          return join(dir, 'config')
        },
      )
      writeDirectory(join(root, 'release-2'), documents)
      swap(config, 'release-2')
      rmSync(join(root, 'release-1'), { recursive: true })
      await expectNoFlap()

      swap(config, 'release-3')
      await waitForProblems(adminUrl, ['source-empty'])
      await expectNoFlap()
      swap(config, 'release-2')
      await waitForProblems(adminUrl, [])
      await expectNoFlap()

      unlinkSync(config)
      await waitForProblems(adminUrl, ['source-empty'])
      swap(config, 'release-2')
      await waitForProblems(adminUrl, [])
      await expectNoFlap()

      await expectChange((changed) => {
        writeDirectory(join(root, 'release-4'), changed)
        swap(config, 'release-4')
      })
    },
  )

  test('follows a directory whose files are links through one that is swapped, as Kubernetes mounts them', async () => {
    const { root, config, documents, adminUrl, expectNoFlap, expectChange } = await startAll(
      'delta',
      (dir, initial) => {
        const mount = join(dir, 'config')
        writeDirectory(join(mount, '..v1'), initial)
        swap(join(mount, '..data'), '..v1')
        for (const word of new Set(Object.keys(initial).map((key) => key.split('/')[0] as string))) {
          symlinkSync(join('..data', word), join(mount, word))
        }
        return mount
      },
    )
    const publish = (version: string, published: Changes): void => {
      writeDirectory(join(root, version), published)
      renameSync(join(root, version), join(config, version))
      swap(join(config, '..data'), version)
    }
    publish('..v2', documents)
    rmSync(join(config, '..v1'), { recursive: true })
    await expectNoFlap()
    await waitForProblems(adminUrl, [])
    await expectChange((changed) => publish('..v3', changed))
  })
})
