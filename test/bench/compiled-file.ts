import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const sources = fileURLToPath(new URL('.', import.meta.url))
/** As deep as the sources are, so that paths from a file to dist/ hold here too. */
const compiled = fileURLToPath(new URL('../../.cache/bench/', import.meta.url))
let isCompiled = false

/** Where a file of the bench is as JavaScript. All are compiled at the first call. */
export function compiledFile(file: string): string {
  if (!isCompiled) compileAll()
  isCompiled = true
  return join(compiled, file.replace(/\.ts$/, '.js'))
}

function compileAll(): void {
  mkdirSync(compiled, { recursive: true })
  const compilerOptions: ts.CompilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2023,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  }
  for (const file of readdirSync(sources)) {
    const { outputText } = ts.transpileModule(readFileSync(join(sources, file), 'utf8'), { compilerOptions })
    writeFileSync(join(compiled, file.replace(/\.ts$/, '.js')), outputText)
  }
}
