/**
 * `npm run check`: the build and all that only reads, side by side; then the tests, which need the machine to themselves.
 * Ends at the first of the two that fails, with everything that it found.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * The scripts of package.json that need nothing of each other. The compiler takes longest; `check:types` looks for the
 * build, too. What `check:rooms` looks for is a test.
 */
const sideBySide = ['check:types', 'build -- --noCheck', 'check:lint', 'check:format']

const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

/** Shows what it printed when it is over, in one piece. Resolves to whether it found nothing. */
async function run(script: string): Promise<boolean> {
  const began = performance.now()
  const child = spawn('npm', ['run', '--silent', ...script.split(' ')], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => output.push(bytes))
  await once(child, 'close')
  const isFine = child.exitCode === 0
  console.log(`${isFine ? '✓' : '✗'} ${script} (${seconds(began)})`)
  if (!isFine) process.stdout.write(Buffer.concat(output))
  return isFine
}

const results = await Promise.all(sideBySide.map(run))
if (results.includes(false)) {
  process.exitCode = 1
} else {
  const began = performance.now()
  const tests = spawn('npm', ['run', '--silent', 'test'], { stdio: 'inherit' })
  await once(tests, 'close')
  console.log(`${tests.exitCode === 0 ? '✓' : '✗'} test (${seconds(began)})`)
  process.exitCode = tests.exitCode ?? 1
}
