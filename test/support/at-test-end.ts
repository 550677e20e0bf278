import { AsyncLocalStorage } from 'node:async_hooks'
import { onTestFailed, onTestFinished, type TestContext, TestRunner } from 'vitest'

type CleanUp = () => void | Promise<void>

/** What was opened outside of any test: in a `beforeAll`, or at the top of a file. */
const ofTheFile: CleanUp[] = []

/** The test that a call belongs to, where several run at once and vitest does not know. */
const besides = new AsyncLocalStorage<Pick<TestContext, 'onTestFailed' | 'onTestFinished'>>()

/**
 * Runs `cleanUp` when the test that calls it is over, passed or failed, last come first served; called outside of a
 * test, when its file is over. In a `test.concurrent`, use `asOneOfSeveral`.
 */
export function atTestEnd(cleanUp: CleanUp): void {
  const own = besides.getStore()
  if (own !== undefined) own.onTestFinished(cleanUp)
  else if (TestRunner.getCurrentTest() === undefined) ofTheFile.push(cleanUp)
  else onTestFinished(cleanUp)
}

/** Runs `show` when the test that calls it has failed; outside of a test, never. */
export function ifTestFails(show: () => void): void {
  const own = besides.getStore()
  if (own !== undefined) own.onTestFailed(show)
  else if (TestRunner.getCurrentTest() !== undefined) onTestFailed(show)
}

/** The body of a test that runs beside others: what it opens is closed at its own end. */
export function asOneOfSeveral(context: TestContext, body: () => Promise<void>): Promise<void> {
  return besides.run(context, body)
}

/** Ends what was opened outside of any test; file-end.ts calls it after each file. */
export async function closeWhatTheFileOpened(): Promise<void> {
  for (const cleanUp of ofTheFile.splice(0).reverse()) await cleanUp()
}
