/**
 * `node .ci/report.mjs STATUS REPORT…`: prints `N passed, N failed, N skipped` of vitest's JSON reports, and exits with 1
 * when one is not there, something failed, the checks ended with another STATUS than 0, or a test was skipped
 * because this machine lacks something (test/support/needs.ts writes that into its name). What no setup could bring, as root's
 * leave to make a network namespace, it only names.
 */
import { readFileSync } from 'node:fs'

const [status, ...files] = process.argv.slice(2)

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    console.error(`no test report: ${error.message}`)
    return undefined
  }
}

const reports = files.map(readReport)
if (reports.includes(undefined)) {
  process.exitCode = 1
} else {
  const results = reports.flatMap(({ testResults }) => testResults)
  const tests = results.flatMap(({ assertionResults }) => assertionResults)
  const skipped = tests.filter(({ status: verdict }) => verdict !== 'passed' && verdict !== 'failed')
  const lacking = skipped.filter(({ fullName }) => fullName.includes('(skipped: no '))
  const impossible = skipped.filter(({ fullName }) => fullName.includes('(skipped: this machine '))
  const brokenFiles = results.filter((result) => result.status === 'failed' && result.assertionResults.length === 0)
  const passed = tests.filter(({ status: verdict }) => verdict === 'passed').length
  const failed = tests.length - passed - skipped.length + brokenFiles.length
  for (const { fullName } of [...lacking, ...impossible]) console.error(`not run: ${fullName}`)
  for (const { name } of brokenFiles) console.error(`could not be read: ${name}`)
  if (status !== '0') console.error(`the checks ended with status ${status}`)
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`)
  if (status !== '0' || reports.some(({ success }) => !success) || failed > 0 || passed === 0 || lacking.length > 0) process.exitCode = 1
}
