import { afterAll, onTestFailed, onTestFinished, TestRunner } from 'vitest'

type CleanUp = () => void | Promise<void>

/** What was opened outside of any test: in a `beforeAll`, or at the top of a file. */
const ofTheFile: CleanUp[] = []

afterAll(async () => {
  for (const cleanUp of ofTheFile.splice(0).reverse()) await cleanUp()
})

/**
 * Runs `cleanUp` when the test that calls it is over, passed or failed, last come first served; called outside of a
 * test, when its file is over. (Not for `test.concurrent`, where nobody can tell whose test a call belongs to.)
 */
export function atTestEnd(cleanUp: CleanUp): void {
  if (TestRunner.getCurrentTest() === undefined) ofTheFile.push(cleanUp)
  else onTestFinished(cleanUp)
}

/** Runs `show` when the test that calls it has failed; outside of a test, never. */
export function ifTestFails(show: () => void): void {
  if (TestRunner.getCurrentTest() !== undefined) onTestFailed(show)
}
